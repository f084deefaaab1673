"""Our books beside the provider's, day by day: what is there and not here, here and not there, or with another amount.

Each difference is an alarm: an event was lost, or somebody acted past the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.translation import gettext as _

from payments import provider_events
from payments.gateways import stripe_api
from payments.gateways.stripe_answers import State
from payments.models import (
    Collection,
    Payment,
    PaymentReturn,
    ProviderAccount,
    ProviderComparison,
    ProviderCustomer,
    ProviderFinding,
    ProviderPayout,
    Refund,
)
from payments.payment_methods import no_answer
from payments.provider_accounts import access_of
from payments.provider_money import plain
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.transactions import record

# A debit is made on one day and paid on another one; a payment of so many days is looked at each night.
LOOK_BACK: Final = timedelta(days=14)
Kind = ProviderFinding.Kind
OBJECTS: Final = {
    Kind.MISSING_PAYMENT: "payment_intent",
    Kind.MISSING_REFUND: "refund",
    Kind.MISSING_RETURN: "dispute",
    Kind.MISSING_PAYOUT: "payout",
}


class NotExplained(OperatorError):
    """A difference is explained already, or needs words."""


@dataclass(frozen=True, slots=True)
class Difference:
    kind: str
    external_id: str
    ours: str = ""
    theirs: str = ""


@dataclass(slots=True)
class Counted:
    payments: int = 0
    refunds: int = 0
    chargebacks: int = 0
    payouts: int = 0


def compare(account: ProviderAccount, day: date, *, now: datetime) -> ProviderComparison:
    """Compare what the provider has of ``day`` and the two weeks before with our books; name each difference once.

    Raises ``NoAccess`` and ``payment_methods.NoAnswer``; then nothing is stored.
    """
    counted = Counted()
    try:
        differences = list(_differences(account, day, counted))
    except stripe_api.Silent as silence:
        raise no_answer() from silence
    with transaction.atomic():
        for one in differences:
            ProviderFinding.objects.get_or_create(
                account=account,
                kind=one.kind,
                external_id=one.external_id,
                defaults={"day": day, "ours": one.ours[:100], "theirs": one.theirs[:100]},
            )
        facts = {
            "compared_at": now,
            "payments": counted.payments,
            "refunds": counted.refunds,
            "chargebacks": counted.chargebacks,
            "payouts": counted.payouts,
            "differences": len(differences),
        }
        return ProviderComparison.objects.update_or_create(account=account, day=day, defaults=facts)[0]


def make_up(finding: ProviderFinding, *, now: datetime) -> str:
    """Read what was missed from the provider and book it; what changed, in words. Raises ``OperatorError``."""
    what = OBJECTS.get(Kind(finding.kind))
    if what is None:
        raise NotExplained(_("This difference cannot be made up for by reading from the provider: look into it."))
    try:
        return provider_events.apply(finding.account, what, finding.external_id, at=now)
    except stripe_api.Silent as silence:
        raise no_answer() from silence


@transaction.atomic
def explain(finding: ProviderFinding, *, explanation: str, now: datetime, by: Any) -> None:
    """Close a difference with its explanation. Raises ``NotExplained``."""
    fresh = ProviderFinding.objects.select_for_update().get(pk=finding.pk)
    if fresh.explained_at is not None:
        raise NotExplained(_("This difference is explained already."))
    if not explanation.strip():
        raise NotExplained(_("A difference is explained with a reason."))
    ProviderFinding.objects.filter(pk=fresh.pk).update(
        explained_at=now, explained_by=by, explanation=explanation.strip()[:300]
    )
    record(table_of(ProviderFinding), fresh.pk, "explained", {"id": fresh.external_id}, by=by, reason=explanation)


def missing(*, now: datetime) -> list[tuple[ProviderAccount, date]]:
    """Accounts in use whose yesterday, in the issuer's zone, was not compared yet."""
    found = []
    for account in ProviderAccount.objects.filter(is_active=True).select_related("issuer").order_by("pk"):
        zone = ZoneInfo(account.issuer.time_zone)
        day = now.astimezone(zone).date() - timedelta(days=1)
        is_there = account.created_at.astimezone(zone).date() <= day
        if is_there and not ProviderComparison.objects.filter(account=account, day=day).exists():
            found.append((account, day))
    return found


def open_findings() -> Any:
    """Differences that nobody has explained yet."""
    return ProviderFinding.objects.filter(explained_at=None)


def _differences(account: ProviderAccount, day: date, counted: Counted) -> Iterator[Difference]:
    start, end = _span(account, day)
    yield from _of_payments(account, start, end, counted)
    yield from _of_refunds(account, start, end, counted)
    yield from _of_chargebacks(account, start, end, counted)
    yield from _of_payouts(account, start, end, counted)


def _of_payments(account: ProviderAccount, start: datetime, end: datetime, counted: Counted) -> Iterator[Difference]:
    access = access_of(account)
    booked = {
        payment.origin: payment
        for payment in Payment.objects.filter(
            issuer=account.issuer_id, source=Payment.Source.PROVIDER, received_on__gte=start.date() - LOOK_BACK
        )
        if ":" not in payment.origin  # what was taken back and came again has no payment of its own there
    }
    own = _own(account)
    seen = set()
    for theirs in stripe_api.payments_between(access, start, end):
        seen.add(theirs.id)
        if theirs.state != State.SUCCEEDED or not own(theirs.key, theirs.customer):
            continue
        counted.payments += 1
        ours = booked.get(theirs.id) or _payment(account, theirs.id)
        said = f"{theirs.received} {theirs.currency}"
        if ours is None:
            yield Difference(Kind.MISSING_PAYMENT, theirs.id, theirs=said)
        elif (ours.amount.amount, ours.currency) != (theirs.received, theirs.currency):
            yield Difference(Kind.OTHER_AMOUNT, theirs.id, _said(ours), said)
    first = start.astimezone(ZoneInfo(account.issuer.time_zone)).date()
    last = end.astimezone(ZoneInfo(account.issuer.time_zone)).date()
    for origin, ours in booked.items():
        if origin in seen or not first <= ours.received_on < last:
            continue
        if not _was_paid(access, origin, ours.amount.amount):
            yield Difference(Kind.UNKNOWN_PAYMENT, origin, _said(ours))


def _was_paid(access: stripe_api.Access, intent: str, amount: Decimal) -> bool:
    """Whether a payment that was made earlier is there, and was paid."""
    try:
        theirs = stripe_api.payment(access, intent)
    except stripe_api.Refused:
        return False
    return theirs.state == State.SUCCEEDED and theirs.received == amount


def _of_refunds(account: ProviderAccount, start: datetime, end: datetime, counted: Counted) -> Iterator[Difference]:
    access, seen = access_of(account), set()
    for theirs in stripe_api.refunds_between(access, start, end):
        seen.add(theirs.id)
        if theirs.status in ("failed", "canceled") or _payment(account, theirs.intent) is None:
            continue
        counted.refunds += 1
        is_here = (
            Refund.objects.filter(external_id=theirs.id).exists()
            or PaymentReturn.objects.filter(origin=theirs.id).exists()
        )
        if not is_here:
            yield Difference(Kind.MISSING_REFUND, theirs.id, theirs=f"{theirs.amount} {theirs.currency}")
    done = Refund.objects.filter(
        issuer=account.issuer_id,
        method=Refund.Method.PROVIDER,
        state=Refund.State.DONE,
        settled_on__gte=start.astimezone(ZoneInfo(account.issuer.time_zone)).date(),
        settled_on__lt=end.astimezone(ZoneInfo(account.issuer.time_zone)).date(),
    )
    for ours in done.exclude(external_id__in=seen):
        try:
            is_there = stripe_api.refund(access, ours.external_id).status not in ("failed", "canceled")
        except stripe_api.Refused:
            is_there = False
        if not is_there:
            yield Difference(Kind.UNKNOWN_REFUND, ours.external_id, _said(ours))


def _of_chargebacks(account: ProviderAccount, start: datetime, end: datetime, counted: Counted) -> Iterator[Difference]:
    for theirs in stripe_api.chargebacks_between(access_of(account), start, end):
        if theirs.status.startswith("warning_") or _payment(account, theirs.intent) is None:
            continue
        counted.chargebacks += 1
        if theirs.status != "won" and not PaymentReturn.objects.filter(origin=theirs.id).exists():
            yield Difference(Kind.MISSING_RETURN, theirs.id, theirs=f"{theirs.amount} {theirs.currency}")


def _of_payouts(account: ProviderAccount, start: datetime, end: datetime, counted: Counted) -> Iterator[Difference]:
    for theirs in stripe_api.payouts_between(access_of(account), start, end):
        if theirs.status != "paid":
            continue
        counted.payouts += 1
        if not ProviderPayout.objects.filter(account=account, external_id=theirs.id).exists():
            yield Difference(Kind.MISSING_PAYOUT, theirs.id, theirs=f"{theirs.amount} {theirs.currency}")


def _said(ours: Payment | Refund) -> str:
    return f"{plain(ours.amount.amount, ours.currency)} {ours.currency}"


def _own(account: ProviderAccount) -> Any:
    """Whether a payment there is one of ours: by our key, or by a customer whom we know."""
    customers = set(ProviderCustomer.objects.filter(account=account).values_list("external_id", flat=True))

    def is_own(key: str, customer: str) -> bool:
        return (
            bool(key and Collection.objects.filter(key=key, issuer=account.issuer_id).exists()) or customer in customers
        )

    return is_own


def _payment(account: ProviderAccount, intent: str) -> Payment | None:
    found = Payment.objects.filter(issuer=account.issuer_id, source=Payment.Source.PROVIDER, origin=intent)
    return found.first() if intent else None


def _span(account: ProviderAccount, day: date) -> tuple[datetime, datetime]:
    """From two weeks before the day to its end, in the issuer's zone."""
    zone = ZoneInfo(account.issuer.time_zone)
    start = datetime.combine(day - LOOK_BACK, time(), tzinfo=zone)
    return start, datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
