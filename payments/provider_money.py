"""Money that a payment provider took or gave back for us, in the books; in the caller's transaction.

What it holds lies on the ledger account for clearing until it is paid out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from billing.kernel.money import places_of, rounded
from invoicing import posting
from invoicing.kernel.entries import PROVIDER_CLEARING
from invoicing.models import OpenItem
from payments import receiving
from payments.kernel.allocation import Rule, Share
from payments.models import Collection, Payment, PaymentReturn
from tenants.models import Issuer

NOTHING: Final = Decimal(0)


def take_in(collection: Collection, amount: Decimal, *, origin: str, reference: str, on: date) -> Payment:
    """Book what came in by a collection, and apply it to what it was collected for, as far as that is still open.

    Credits that the collection netted are set off first; what is left over stays a credit of the payer.
    """
    payment = receive(
        collection.issuer,
        collection.payer_id,
        amount,
        currency=collection.currency,
        origin=origin,
        reference=reference,
        on=on,
    )
    parts = collection.items.order_by("open_item__due_on", "pk").values_list("open_item", "amount")
    claims = [item for item, part in parts if part > 0]
    for credit in (item for item, part in parts if part < 0):
        set_off(collection.issuer, credit, claims, on=on)
    apply(payment, claims, on=on)
    return payment


def receive(
    issuer: Issuer, payer: int, amount: Decimal, *, currency: str, origin: str, reference: str, on: date
) -> Payment:
    """Book money of a payer (key) that the provider holds for us; nothing is applied yet."""
    receipt = receiving.Receipt(
        payer=payer,
        source=Payment.Source.PROVIDER,
        origin=origin,
        amount=amount,
        currency=currency,
        account=posting.account_of(issuer, PROVIDER_CLEARING),
        reference=reference,
        received_on=on,
    )
    return receiving.receive(issuer, receipt, on=on)


def apply(payment: Payment, claims: Sequence[int], *, on: date) -> None:
    """Apply what is left of a payment to open items (keys) in their order, never more than is open of each.

    What was moved out of the payer's tree since then is left alone.
    """
    left = receiving.credit_of(payment).left
    receiving.apply(payment, _shares(payment, left, claims), on=on)


def set_off(issuer: Issuer, credit: int, claims: Sequence[int], *, on: date) -> None:
    """Use a credit (the key of its open item) for claims: a payment's is applied, a document's set off."""
    item = OpenItem.objects.get(pk=receiving.last_of(credit))
    left = -receiving.open_of([item.pk]).get(item.pk, NOTHING)
    payment = Payment.objects.filter(open_item=credit).first()
    if payment is not None:
        return apply(payment, claims, on=on)
    offsets = [
        posting.Offset(claim, item.pk, item.currency, part)
        for claim, part in _parts(left, [receiving.last_of(claim) for claim in claims], of_payer=item.payer_id)
    ]
    return posting.offset(issuer, offsets, on=on)


def take_back(
    payment: Payment, amount: Decimal, *, origin: str, code: str, reason: str, on: date
) -> PaymentReturn | None:
    """Book that so much of a payment was taken back by way of the provider. ``None`` where it was booked before.

    What the provider keeps for it is booked with its payout.
    """
    if payment.returns.filter(origin=origin).exists():
        return None
    return receiving.take_back(
        payment,
        amount,
        account=posting.account_of(payment.issuer, PROVIDER_CLEARING),
        origin=origin,
        code=code,
        reason=reason,
        on=on,
    )


def plain(amount: Decimal, currency: str) -> Decimal:
    """An amount with its currency's places, as sentences and lists have it."""
    return rounded(amount, places_of(currency))


def _shares(payment: Payment, left: Decimal, claims: Sequence[int]) -> list[Share]:
    tree = payment.payer.tree_id
    standing = [receiving.last_of(claim) for claim in claims]
    near = set(OpenItem.objects.filter(pk__in=standing, payer__tree_id=tree).values_list("pk", flat=True))
    return [Share(claim, part, Rule.COLLECTION) for claim, part in _parts(left, [c for c in standing if c in near])]


def _parts(left: Decimal, claims: Sequence[int], *, of_payer: int | None = None) -> list[tuple[int, Decimal]]:
    is_open = receiving.open_of(claims)
    if of_payer is not None:
        own = set(OpenItem.objects.filter(pk__in=claims, payer=of_payer).values_list("pk", flat=True))
        is_open = {claim: amount for claim, amount in is_open.items() if claim in own}
    parts = []
    for claim in claims:
        part = min(left, is_open.get(claim, NOTHING))
        if part > 0:
            parts.append((claim, part))
            left -= part
    return parts
