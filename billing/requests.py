"""What customers ask of their contracts: a cancellation in time is made at once, everything else waits for staff."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from billing import contracts
from billing.models import Amendment, ChangeRequest, Subscription
from tenants import messages, notifications
from tenants.errors import OperatorError
from tenants.models import Message
from tenants.transactions import rehearsal, wake


class RequestRefused(OperatorError):
    """A customer asks for what cannot be, or a request was decided before."""


def last_day_in_time(subscription: Subscription, *, on: date) -> date:
    """The last day of the contract if notice is given on ``on``; writes nothing. Raises ``OperatorError`` if it cannot
    be cancelled (any more)."""
    _check_runs(subscription)
    with rehearsal():
        amendment = _cancel(subscription, on=on, by=None, reason="")
        return amendment.effective_on - timedelta(days=1)


def cancel_in_time(subscription: Subscription, *, on: date, at: datetime, by: Any, wish: str = "") -> ChangeRequest:
    """Cancel with notice given on ``on``, as the contract allows; kept as a request that needed no decision."""
    with transaction.atomic():
        _check_runs(subscription)
        amendment = _cancel(subscription, on=on, by=by, reason=wish or _("cancelled by the customer"))
        request = ChangeRequest.objects.create(
            subscription=subscription,
            kind=ChangeRequest.Kind.CANCELLATION,
            state=ChangeRequest.State.ACCEPTED,
            wish=wish,
            wanted_on=amendment.effective_on,
            asked_by=by,
            decided_at=at,
        )
        _tell(request, notifications.Event.CONTRACT_CHANGED)
        return request


def ask(subscription: Subscription, *, kind: str, wish: str, wanted_on: date | None, by: Any) -> ChangeRequest:
    """Put a request before staff."""
    if kind == ChangeRequest.Kind.CHANGE and not wish.strip():
        raise RequestRefused(_("Please say what is to be changed."))
    if kind == ChangeRequest.Kind.CANCELLATION and wanted_on is None:
        raise RequestRefused(_("Please say on which day the contract is to end."))
    waiting = subscription.requests.filter(kind=ChangeRequest.Kind.CANCELLATION, state=ChangeRequest.State.OPEN)
    with transaction.atomic():
        Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
        if kind == ChangeRequest.Kind.CANCELLATION and waiting.exists():
            raise RequestRefused(_("A cancellation of this contract already waits for a decision."))
        return ChangeRequest.objects.create(
            subscription=subscription, kind=kind, wish=wish.strip(), wanted_on=wanted_on, asked_by=by
        )


def accept(
    request: ChangeRequest, *, on: date, at: datetime, by: Any, answer: str = "", needs_no_amendment: bool = False
) -> None:
    """Say yes. A cancellation is written, also before the notice is over; another change staff amend themselves.

    A customer is not told yes before that was done: raises ``RequestRefused`` for a change if the contract was not
    amended since it was asked for, unless ``needs_no_amendment``: the wish was about something else than its terms.
    """
    with transaction.atomic():
        fresh = _open(request)
        if fresh.kind == ChangeRequest.Kind.CHANGE and not needs_no_amendment and not amended_since(fresh).exists():
            raise RequestRefused(
                _("The contract %(contract)s was not changed since the request. Change it first, then accept.")
                % {"contract": fresh.subscription.reference}
            )
        if fresh.kind == ChangeRequest.Kind.CANCELLATION:
            contracts.cancel(
                fresh.subscription,
                on=on,
                effective=fresh.wanted_on,
                override=True,
                reason=fresh.wish or _("requested by the customer"),
                by=by,
                channel=Amendment.Channel.PORTAL,
            )
        _decide(fresh, ChangeRequest.State.ACCEPTED, at=at, by=by, answer=answer)


def decline(request: ChangeRequest, *, at: datetime, by: Any, answer: str = "") -> None:
    with transaction.atomic():
        _decide(_open(request), ChangeRequest.State.DECLINED, at=at, by=by, answer=answer)


def amended_since(request: ChangeRequest) -> QuerySet[Amendment]:
    """What was written at the contract since the request; without what comes by itself, or takes something back."""
    by_itself = [Amendment.Kind.START, Amendment.Kind.RENEWAL, Amendment.Kind.WITHDRAWAL]
    written = request.subscription.amendments.filter(written_at__gte=request.asked_at)
    return written.exclude(kind__in=by_itself).order_by("sequence")


def _check_runs(subscription: Subscription) -> None:
    if subscription.ends_before is not None:
        last = date_format(subscription.ends_before - timedelta(days=1), "SHORT_DATE_FORMAT")
        raise RequestRefused(_("The contract already ends on %(day)s.") % {"day": last})


def _cancel(subscription: Subscription, *, on: date, by: Any, reason: str) -> Amendment:
    return contracts.cancel(subscription, on=on, reason=reason, by=by, channel=Amendment.Channel.PORTAL)


def _open(request: ChangeRequest) -> ChangeRequest:
    fresh = ChangeRequest.objects.select_for_update().get(pk=request.pk)
    if fresh.state != ChangeRequest.State.OPEN:
        raise RequestRefused(_("This request was decided before."))
    return fresh


def _decide(request: ChangeRequest, state: str, *, at: datetime, by: Any, answer: str) -> None:
    request.state, request.decided_at, request.decided_by, request.answer = state, at, by, answer.strip()
    request.save()
    _tell(request, notifications.Event.REQUEST_DECIDED)


def _tell(request: ChangeRequest, event: str) -> None:
    """A message to those who are told of ``event`` at the contract's account, in the caller's transaction."""
    subscription = request.subscription
    account = subscription.tenant
    with translation.override(account.language or subscription.issuer.language):
        subject = _("Contract %(contract)s: %(kind)s – %(state)s") % {
            "contract": subscription.reference,
            "kind": request.get_kind_display(),
            "state": request.get_state_display(),
        }
        lines = [subject]
        if request.kind == ChangeRequest.Kind.CANCELLATION and request.wanted_on:
            day = date_format(request.wanted_on - timedelta(days=1), "SHORT_DATE_FORMAT")
            lines.append(_("Last day of the contract: %(day)s") % {"day": day})
        lines += [text for text in (request.wish, request.answer) if text]
    addresses = notifications.recipients(event, [account])[account.pk]
    Message.objects.bulk_create(
        [
            messages.compose(
                messages.key_of(f"request:{request.pk}", address),
                issuer=subscription.issuer,
                tenant=account,
                recipient=address,
                subject=subject,
                body="\n\n".join(lines) + "\n",
            )
            for address in addresses
        ]
    )
    if addresses:
        wake("tenants.send_pending")
