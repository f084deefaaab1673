"""Who may open a page of the portal. A view without one of these rules fails a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from tenants.models import Access

View = Callable[..., Any]

FORMS: Final = "form-action 'self'"
# No script at all; the QR code is drawn with attributes, not styles.
POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        FORMS,
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def guarded(response: Any) -> Any:
    """``response.leads_to``: the one place besides ours where a form of the page may lead, where its view says so."""
    elsewhere = getattr(response, "leads_to", "")
    response["Content-Security-Policy"] = POLICY.replace(FORMS, f"{FORMS} {elsewhere}") if elsewhere else POLICY
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"
    return response


def open_to_all(view: View) -> View:
    """A page before signing in."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return guarded(view(request, *args, **kwargs))

    opened.rule = "all"  # type: ignore[attr-defined]
    return opened


def for_customers(*rights: str) -> Callable[[View], View]:
    """A page for who has one of ``rights`` at some account, or any access at all; to others it does not exist."""

    def closed_by(view: View) -> View:
        @wraps(view)
        def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if not is_customer(request.user):
                return guarded(to_sign_in(request))
            if not rights_of(request.user).intersection(rights or Access.RIGHTS):
                raise Http404
            return guarded(view(request, *args, **kwargs))

        opened.rule = rights or "any"  # type: ignore[attr-defined]
        return opened

    return closed_by


def is_customer(user: Any) -> bool:
    return bool(user.is_authenticated and user.is_active and not user.is_staff and not user.is_superuser)


def rights_of(user: Any) -> set[str]:
    """The rights that the user has at any account at all; read anew for each page."""
    rows = Access.objects.filter(user=user.pk).values_list(*Access.RIGHTS)
    return {right for row in rows for right, held in zip(Access.RIGHTS, row, strict=True) if held}


def to_sign_in(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('portal:sign_in')}?{urlencode({'next': request.path})}")


def next_page(request: HttpRequest) -> str:
    """Where the customer wanted to go, if it is a page of the portal."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if safe and wanted.startswith(reverse("portal:overview")) else reverse("portal:overview")
