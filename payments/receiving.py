"""Money that came in, and what it is applied to: payments, allocations, and undoing them.

Each function works in the caller's transaction if there is one, and takes the locks of all payers concerned, in their
order. What is booked is never changed: an allocation is undone by one of the opposite sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from invoicing import posting
from invoicing.kernel.entries import claim_reduced
from invoicing.kernel.totals import Share as VatPart
from invoicing.kernel.vat import Case
from invoicing.models import JournalEntry, OpenItem, VatShare
from payments.kernel.allocation import Rule, Share
from payments.models import Allocation, Payment, PaymentReturn
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_payers, record

NOTHING: Final = Decimal(0)

CREDIT: Final = """
    with recursive held (id, payer_id) as (
        select o.id, o.payer_id from invoicing_openitem o where o.id = %s
        union all
        select o.id, o.payer_id from invoicing_openitem o join held h on o.moved_from_id = h.id
    )
    select h.id, h.payer_id, coalesce((select sum(p.amount) from invoicing_posting p where p.open_item_id = h.id), 0)
      from held h
     where not exists (select from invoicing_openitem o where o.moved_from_id = h.id)
"""


class NotApplied(OperatorError):
    """Money cannot be applied as wanted; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Money that came in: from whom, by what, and where it lies now (the key of a ledger account)."""

    payer: int
    source: Payment.Source
    origin: str
    amount: Decimal
    currency: str
    account: int
    reference: str
    received_on: date


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left of a payment: the open item it stands on now, whose account that is, and how much."""

    item: int
    payer: int
    left: Decimal


@transaction.atomic
def receive(issuer: Issuer, receipt: Receipt, *, on: date, by: Any = None) -> Payment:
    """Book money as received on ``on``; nothing is applied yet. The same origin again is the payment that is there."""
    lock_payers([receipt.payer])
    known = Payment.objects.filter(issuer=issuer, source=receipt.source, origin=receipt.origin).first()
    if known is not None:
        return known
    told = posting.Receipt(
        payer=receipt.payer,
        currency=receipt.currency,
        amount=receipt.amount,
        account=receipt.account,
        reference=receipt.reference or _("payment"),
    )
    [booked] = posting.post_receipts(issuer, [told], on=on)
    return Payment.objects.create(
        issuer=issuer,
        payer_id=receipt.payer,
        source=receipt.source,
        origin=receipt.origin,
        received_on=receipt.received_on,
        currency=receipt.currency,
        amount=receipt.amount,
        reference=told.reference[:140],
        open_item_id=booked.item,
        entry_id=booked.entry,
        by=by,
    )


@transaction.atomic
def apply(payment: Payment, shares: Sequence[Share], *, on: date, by: Any = None) -> list[Allocation]:
    """Apply a payment to open items as ``shares`` say, discount and small difference waived along with them.

    Raises ``NotApplied``, naming the item, if it is not open to that much, not of the payment's issuer and currency, or
    of an account outside of the payer's tree, and if the payment has not that much left.
    """
    if not shares:
        return []
    items = {
        item.pk: item
        for item in OpenItem.objects.filter(pk__in=[share.item for share in shares]).select_related("payer", "invoice")
    }
    lock_payers(sorted({credit_of(payment).payer, *(item.payer_id for item in items.values())}))
    credit = credit_of(payment)
    is_open = open_of(items)
    tree = Tenant.objects.values_list("tree_id", flat=True).get(pk=credit.payer)
    wanted = sum((share.amount for share in shares), NOTHING)
    if wanted > credit.left:
        raise NotApplied(
            _("Of the payment %(left)s %(currency)s are left, less than %(wanted)s.")
            % {"left": credit.left, "currency": payment.currency, "wanted": wanted}
        )
    for share in shares:
        item = items.get(share.item)
        if item is None or item.issuer_id != payment.issuer_id or item.currency != payment.currency:
            raise NotApplied(
                _("The open item %(item)s is none of this issuer and currency.") % {"item": item or share.item}
            )
        if item.payer.tree_id != tree:
            raise NotApplied(
                _("%(item)s belongs to %(payer)s, outside of the payer's accounts.")
                % {"item": item, "payer": item.payer.reference}
            )
        whole = share.amount + share.discount + share.difference
        left = is_open.get(share.item, NOTHING)
        if share.amount <= 0 or whole > left:
            raise NotApplied(
                _("Of %(item)s %(left)s %(currency)s are open, less than %(wanted)s.")
                % {"item": item, "left": left, "currency": payment.currency, "wanted": whole}
            )
        is_open[share.item] = left - whole
    entries = posting.apply(
        payment.issuer,
        [posting.Application(credit.item, share.item, payment.currency, share.amount) for share in shares],
        on=on,
    )
    made = Allocation.objects.bulk_create(
        [
            Allocation(
                payment=payment,
                open_item_id=share.item,
                entry_id=entry,
                allocated_on=on,
                currency=payment.currency,
                amount=share.amount,
                rule=share.rule.value,
                by=by,
            )
            for share, entry in zip(shares, entries, strict=True)
        ]
    )
    for share in shares:
        if share.discount:
            waive(items[share.item], share.discount, kind=JournalEntry.Kind.CASH_DISCOUNT, on=on, by=by)
        if share.difference:
            waive(items[share.item], share.difference, kind=JournalEntry.Kind.WRITE_OFF, on=on, by=by)
    return made


@transaction.atomic
def undo(allocation: Allocation, *, on: date, by: Any = None, rule: str = Allocation.Rule.PERSON) -> Allocation:
    """Undo an allocation: the claim is open again, and the payment has as much more left. A second time does nothing.

    Raises ``NotApplied`` if the allocation is itself the undoing of another.
    """
    payment, claim = allocation.payment, allocation.open_item
    if allocation.reverses_id is not None:
        raise NotApplied(_("What undid an allocation cannot be undone; allocate anew."))
    lock_payers(sorted({credit_of(payment).payer, claim.payer_id}))
    undone = Allocation.objects.filter(reverses=allocation).first()
    if undone is not None:
        return undone
    amount: Decimal = allocation.amount.amount
    credit = credit_of(payment)
    target = last_of(claim.pk)
    [entry] = posting.apply(
        payment.issuer, [posting.Application(credit.item, target, payment.currency, -amount)], on=on
    )
    return Allocation.objects.create(
        payment=payment,
        open_item_id=target,
        entry_id=entry,
        allocated_on=on,
        currency=payment.currency,
        amount=-amount,
        rule=rule,
        reverses=allocation,
        by=by,
    )


@transaction.atomic
def waive(
    item: OpenItem, amount: Decimal, *, kind: JournalEntry.Kind, on: date, by: Any = None, reason: str = ""
) -> int:
    """Waive a part of what is open of a document, with the VAT in it (§ 17 UStG). The key of the entry.

    ``kind``: a cash discount or a write-off. Raises ``NotApplied`` if so much is not open.
    """
    lock_payers([item.payer_id])
    left = open_of([item.pk]).get(item.pk, NOTHING)
    if item.invoice_id is None or amount <= 0 or amount > left:
        raise NotApplied(
            _("Of %(item)s %(left)s %(currency)s are open, less than %(wanted)s.")
            % {"item": item, "left": left, "currency": item.currency, "wanted": amount}
        )
    parts = [
        VatPart(Case(case), rate, base, vat, role)
        for case, rate, base, vat, role in VatShare.objects.filter(invoice=item.invoice_id)
        .order_by("-vat_rate", "vat_case")
        .values_list("vat_case", "vat_rate", "base", "vat", "ledger_role")
        if base + vat > 0
    ]
    prefix = "discount" if kind == JournalEntry.Kind.CASH_DISCOUNT else "write_off"
    sides = claim_reduced(amount, parts, prefix, places_of(item.currency))
    entry = posting.post_reduced(item.issuer, item.pk, sides, currency=item.currency, kind=kind, on=on)
    facts = {"document": str(item), "amount": f"{amount:f}", "currency": item.currency, "kind": kind.value}
    record(table_of(OpenItem), item.pk, "waived", facts, by=by, reason=reason)
    return entry


@transaction.atomic
def transfer(payment: Payment, payer: Tenant, *, on: date, by: Any = None) -> Credit:
    """Let another account of the payer's tree have what is left of a payment. Raises ``NotApplied``."""
    before = credit_of(payment)
    lock_payers(sorted({before.payer, payer.pk}))
    before = credit_of(payment)
    trees = set(Tenant.objects.filter(pk__in=[before.payer, payer.pk]).values_list("tree_id", flat=True))
    if len(trees) > 1:
        raise NotApplied(_("%(payer)s is outside of the payer's accounts.") % {"payer": payer.reference})
    if before.payer == payer.pk or not before.left:
        raise NotApplied(_("Nothing of this payment is left that %(payer)s could have.") % {"payer": payer.reference})
    posting.take_over({before.item: payer.pk}, on=on)
    facts = {"to": payer.reference, "amount": f"{before.left:f}", "currency": payment.currency}
    record(table_of(Payment), payment.pk, "transfer", facts, by=by)
    return credit_of(payment)


@transaction.atomic
def take_back(
    payment: Payment,
    amount: Decimal,
    *,
    account: int,
    origin: str,
    code: str = "",
    reason: str = "",
    charges: Decimal = NOTHING,
    on: date,
    by: Any = None,
) -> PaymentReturn:
    """Book that so much of a payment was returned by way of a ledger account (its key): what it settled is open again.

    What was applied last is undone first, no more than needed. The same origin again is the return that is there.
    Raises ``NotApplied`` if the payment never had that much, or has it no more.
    """
    held = payment.allocations.values_list("open_item__payer", flat=True)
    lock_payers(sorted({credit_of(payment).payer, payment.payer_id, *held}))
    known = payment.returns.filter(origin=origin).first()
    if known is not None:
        return known
    free(payment, amount, on=on, by=by)
    credit = credit_of(payment)
    if amount <= 0 or amount > credit.left:
        raise NotApplied(
            _("Of the payment %(left)s %(currency)s are left, less than %(wanted)s.")
            % {"left": credit.left, "currency": payment.currency, "wanted": amount}
        )
    entry = posting.post_paid_back(
        payment.issuer,
        credit.item,
        amount,
        currency=payment.currency,
        account=account,
        kind=JournalEntry.Kind.RETURN,
        on=on,
    )
    return PaymentReturn.objects.create(
        payment=payment,
        entry_id=entry,
        origin=origin,
        returned_on=on,
        currency=payment.currency,
        charges=charges,
        amount=amount,
        reason_code=code[:35],
        reason=reason[:200],
    )


def free(payment: Payment, amount: Decimal, *, on: date, by: Any = None) -> None:
    """Undo allocations, the latest first, until ``amount`` of the payment is left; the rest of one is applied anew."""
    for allocation in payment.allocations.filter(reverses=None, reversed_by=None).order_by("-pk"):
        missing = amount - credit_of(payment).left
        if missing <= 0:
            return
        undo(allocation, on=on, by=by, rule=Allocation.Rule.RETURN)
        kept = allocation.amount.amount - missing
        if kept > 0:
            apply(payment, [Share(last_of(allocation.open_item_id), kept, Rule(_rule(allocation)))], on=on, by=by)


def _rule(allocation: Allocation) -> str:
    return allocation.rule if allocation.rule in set(Rule) else Rule.PERSON.value


def credit_of(payment: Payment) -> Credit:
    """What is left of a payment, wherever its credit was moved to."""
    with connection.cursor() as cursor:
        cursor.execute(CREDIT, [payment.open_item_id])
        item, payer, left = cursor.fetchone()
    return Credit(item, payer, rounded(-left, places_of(payment.currency)))


def last_of(item: int) -> int:
    """The open item that stands for ``item`` (a key) now: another, where another payer took it over."""
    with connection.cursor() as cursor:
        cursor.execute(CREDIT, [item])
        return int(cursor.fetchone()[0])


def open_of(items: Iterable[int]) -> dict[int, Decimal]:
    """What is open of each item (keys), in its currency's places."""
    rows = OpenItem.objects.filter(pk__in=list(items)).with_open_amount().values_list("pk", "open_amount", "currency")
    return {key: rounded(left, places_of(currency)) for key, left, currency in rows}
