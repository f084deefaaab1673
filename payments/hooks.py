"""Where payment providers tell us of events. No session and no CSRF token: their signature says who speaks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from payments import provider_events
from payments.gateways.stripe_api import Forged
from payments.models import ProviderAccount

LONGEST = 1_000_000  # bytes; an event has some thousand


@csrf_exempt
@require_POST
def stripe(request: HttpRequest, key: int) -> HttpResponse:
    """Answer 200 once the event is committed, or was before; 400 where it was not signed for this account."""
    account = ProviderAccount.objects.filter(pk=key, provider=ProviderAccount.Provider.STRIPE).first()
    if account is None:
        return HttpResponse(status=404)
    if int(request.headers.get("Content-Length") or 0) > LONGEST:
        return HttpResponse(status=413)
    try:
        provider_events.receive(account, request.body, request.headers.get("Stripe-Signature", ""), now=timezone.now())
    except Forged:
        return HttpResponse(status=400)
    return HttpResponse(status=200)
