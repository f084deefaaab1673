"""What becomes of a line of a statement: booked as a payment or a return, set aside for a reason, or taken out again.

The line's row is locked after the payers', so that it is booked once whoever decides, and however many at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from invoicing import posting
from invoicing.kernel.entries import BANK_CHARGES
from invoicing.models import JournalEntry, OpenItem
from payments import collection, receiving
from payments.kernel.allocation import Share
from payments.models import BankLine, LineBooking, LineSetAside, MatchProposal, Payment, PaymentReturn
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.transactions import lock_payers, record


class NotBooked(OperatorError):
    """A bank line cannot be booked, set aside or taken out as wanted; nothing was changed."""


@transaction.atomic
def book(
    line: BankLine,
    payer: Tenant | int,
    shares: Sequence[Share] = (),
    *,
    by: Any = None,
    whole_items: bool = False,
    amount: Decimal | None = None,
) -> Payment:
    """Book money that came in as a payment of ``payer``, applied as ``shares`` say; the rest stays its credit.

    ``amount``: a part of the line, where one line holds money of several payers. With ``whole_items`` each item must be
    settled by its share: what was proposed for certain is not booked on other figures. Raises ``NotBooked`` or
    ``receiving.NotApplied``.
    """
    key = payer.pk if isinstance(payer, Tenant) else payer
    items = OpenItem.objects.filter(pk__in=[share.item for share in shares]).select_related("invoice")
    facts = [(item.payer_id, item.invoice.issued_on if item.invoice else None) for item in items]
    lock_payers(sorted({key, *(owner for owner, _day in facts)}))
    left = hold(line)
    if left <= 0:
        raise NotBooked(_("%(line)s is booked already, or no money that came in.") % {"line": line})
    part = left if amount is None else amount
    if not 0 < part <= left:
        raise NotBooked(
            _("Of %(line)s %(left)s %(currency)s are not booked yet.")
            % {"line": line, "left": left, "currency": line.currency}
        )
    if whole_items:
        is_open = receiving.open_of(share.item for share in shares)
        if any(is_open.get(one.item) != one.amount + one.discount + one.difference for one in shares):
            raise NotBooked(_("What is open has changed since %(line)s was matched.") % {"line": line})
    account = line.bank_account
    receipt = receiving.Receipt(
        payer=key,
        source=Payment.Source.BANK,
        origin=_origin(line),
        amount=part,
        currency=line.currency,
        account=account.ledger_account_id,
        reference=" ".join(line.purpose.split()) or line.end_to_end_id or line.name,
        received_on=line.value_on,
    )
    payment = receiving.receive(account.issuer, receipt, on=line.booked_on, by=by)
    LineBooking.objects.create(line=line, entry=payment.entry, currency=line.currency, amount=part)
    days = [day for _owner, day in facts if day is not None]
    receiving.apply(payment, shares, on=max([line.booked_on, *days]), by=by)
    if part == left:
        MatchProposal.objects.filter(line=line).delete()
    return payment


@transaction.atomic
def book_return(line: BankLine, payment: Payment, *, by: Any = None) -> PaymentReturn:
    """Book a returned payment: what it had settled is open again; the bank's fee goes to its charges.

    Raises ``NotBooked`` or ``receiving.NotApplied``.
    """
    held = list(payment.allocations.values_list("open_item__payer", flat=True))
    lock_payers(sorted({payment.payer_id, receiving.credit_of(payment).payer, *held}))
    left = -hold(line)
    fee: Decimal = line.fee.amount
    if left <= 0 or left != -line.amount.amount:
        raise NotBooked(_("%(line)s is booked already, or no money that went out.") % {"line": line})
    account = line.bank_account
    if payment.issuer_id != account.issuer_id or payment.currency != line.currency:
        raise NotBooked(_("%(payment)s is no payment of this issuer and currency.") % {"payment": payment})
    if left - fee > payment.amount.amount:
        if left <= payment.amount.amount or fee or left - payment.amount.amount > left / 2:
            raise NotBooked(_("More comes back than %(payment)s was.") % {"payment": payment})
        fee = left - payment.amount.amount  # the bank adds its fee without saying so
    returned = receiving.take_back(
        payment,
        left - fee,
        account=account.ledger_account_id,
        origin=_origin(line),
        code=line.return_code,
        reason=line.return_text or line.purpose,
        charges=fee,
        on=line.booked_on,
        by=by,
    )
    LineBooking.objects.create(line=line, entry=returned.entry, currency=line.currency, amount=fee - left)
    if fee:
        charges = posting.move(
            account.issuer,
            fee,
            currency=line.currency,
            debit=posting.account_of(account.issuer, BANK_CHARGES),
            credit=account.ledger_account_id,
            kind=JournalEntry.Kind.CHARGES,
            on=line.booked_on,
        )
        LineBooking.objects.create(line=line, entry_id=charges, currency=line.currency, amount=-fee)
    collection.after_return(returned)
    MatchProposal.objects.filter(line=line).delete()
    return returned


@transaction.atomic
def take_out(line: BankLine, *, on: date, reason: str, by: Any = None) -> None:
    """Take back what a person or a match booked by mistake: the line waits again, the claims are open again.

    Raises ``NotBooked``: it is not booked as a payment, the money went on meanwhile, or no reason is given.
    """
    if not reason.strip():
        raise NotBooked(_("To take a booking back needs a reason."))
    payments = list(
        Payment.objects.filter(entry__line_booking__line=line).exclude(returns__isnull=False).order_by("pk")
    )
    if not payments:
        raise NotBooked(_("%(line)s is not booked as a payment.") % {"line": line})
    held = [owner for payment in payments for owner in payment.allocations.values_list("open_item__payer", flat=True)]
    lock_payers(
        sorted({*held, *(one.payer_id for one in payments), *(receiving.credit_of(one).payer for one in payments)})
    )
    hold(line)
    for payment in payments:
        amount: Decimal = payment.amount.amount
        returned = receiving.take_back(
            payment,
            amount,
            account=line.bank_account.ledger_account_id,
            origin=f"mistake:{_origin(line)}",
            reason=reason.strip(),
            on=max(on, line.booked_on),
            by=by,
        )
        LineBooking.objects.create(line=line, entry=returned.entry, currency=line.currency, amount=-amount)
    record(
        table_of(BankLine), line.pk, "taken out", {"amount": f"{line.amount.amount:f}"}, by=by, reason=reason.strip()
    )


@transaction.atomic
def set_aside(line: BankLine, *, reason: str, by: Any = None) -> LineSetAside:
    """Note that a line is no matter of receivables. Raises ``NotBooked``: it is booked, or no reason is given."""
    if not reason.strip():
        raise NotBooked(_("A line is set aside for a reason."))
    left = hold(line)
    if left != line.amount.amount:
        raise NotBooked(_("%(line)s is booked already.") % {"line": line})
    MatchProposal.objects.filter(line=line).delete()
    return LineSetAside.objects.get_or_create(line=line, defaults={"reason": reason.strip()[:200], "by": by})[0]


@transaction.atomic
def put_back(line: BankLine) -> None:
    """Let a line that was set aside wait again."""
    _locked(line)
    LineSetAside.objects.filter(line=line).delete()


def hold(line: BankLine) -> Decimal:
    """What of the line is not booked yet, with its sign, under the lock of its row. Raises ``NotBooked``: set aside."""
    _locked(line)
    if LineSetAside.objects.filter(line=line).exists():
        raise NotBooked(_("%(line)s is set aside; put it back first.") % {"line": line})
    booked = LineBooking.objects.filter(line=line).aggregate(s=Sum("amount"))["s"] or Decimal(0)
    return rounded(line.amount.amount - booked, places_of(line.currency))


def _locked(line: BankLine) -> None:
    list(BankLine.objects.select_for_update(no_key=True).filter(pk=line.pk).values_list("pk"))


def _origin(line: BankLine) -> str:
    """What a booking of the line is once: its how-manieth it is."""
    return f"line:{line.pk}:{LineBooking.objects.filter(line=line).count()}"
