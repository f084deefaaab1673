"""Bank lines that our own files caused: a batch of debits credited, a debit returned, a transfer carried out.

And what a payment provider paid out of what it held for us.

Their keys and sums are ours, so they are certain: they are booked before anything is matched by what payers wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from invoicing import posting
from invoicing.kernel.entries import DEBITS_IN_TRANSIT
from invoicing.models import JournalEntry, Posting
from payments import bank_lines, collection, payouts, receiving, refunds
from payments.kernel.matching import name_key
from payments.models import BankAccount, BankLine, Collection, LineBooking, MatchProposal, Payment, Refund
from payments.refunds import EUROS
from tenants.encryption import decrypted
from tenants.mandates import IBAN
from tenants.transactions import lock_payers


def book_all(account: BankAccount, *, by: Any = None) -> int:
    """Book the account's undecided lines that our own files caused; returns how many. A second call finds none."""
    issuer = account.issuer
    own = (collection.with_bank(issuer), refunds.with_bank(issuer), payouts.under_way(issuer))
    if not any(rows.exists() for rows in own):
        return 0
    lines = account.lines.undecided().select_related("bank_account__issuer").order_by("booked_on", "pk")
    return sum(1 for line in lines if _book(line, by))


def _book(line: BankLine, by: Any) -> bool:
    try:
        with transaction.atomic():
            return book(line, by=by)
    except (bank_lines.NotBooked, receiving.NotApplied, collection.NotSettled, payouts.ArrivedBefore):
        return False


@transaction.atomic
def book(line: BankLine, *, by: Any = None) -> bool:
    """Book a line as what our own files made the bank do; False, and nothing booked, where it is none of that."""
    amount: Decimal = line.amount.amount
    if line.currency != EUROS:  # SEPA knows no other; a provider may pay out in it
        return amount > 0 and not line.is_return and _book_payout(line, by)
    if line.is_return or line.return_code:
        return amount < 0 and _book_return(line, by)
    if amount > 0:
        debits = _debits(line)
        return _book_debits(line, debits, by) if debits else _book_payout(line, by)
    paid = refunds.expected(
        line.bank_account.issuer, -amount, key=line.end_to_end_id, text=_text(line), other_side=_other_side(line)
    )
    return bool(paid) and _book_refunds(line, paid)


def _debits(line: BankLine) -> list[Collection]:
    """The debits that a credit is: the one whose key it names, or a batch."""
    issuer, amount = line.bank_account.issuer, line.amount.amount
    single = collection.with_bank(issuer).filter(key=line.end_to_end_id).first() if line.end_to_end_id else None
    if single is not None:
        return [single] if single.amount.amount == amount else []
    return collection.expected(issuer, amount, text=_text(line), is_named=_other_side(line) is not None)


def _book_debits(line: BankLine, debits: Sequence[Collection], by: Any) -> bool:
    """Each debit that is not settled yet by a payment that lies in the bank; what lay in transit comes from there."""
    lock_payers(sorted({one.payer_id for one in debits}))
    if bank_lines.hold(line) != line.amount.amount:
        return False
    account = line.bank_account
    waiting = [one.pk for one in debits if one.payment_id is None]
    made = collection.settle(
        waiting, account=account.ledger_account_id, value_on=line.value_on, on=line.booked_on, by=by
    )
    LineBooking.objects.bulk_create(
        LineBooking(line=line, entry=payment.entry, currency=line.currency, amount=payment.amount.amount)
        for payment in made
    )
    before = Payment.objects.filter(pk__in=[one.payment_id for one in debits if one.payment_id is not None])
    transit = posting.account_of(account.issuer, DEBITS_IN_TRANSIT)
    for payment in before.order_by("pk"):
        if not Posting.objects.filter(entry=payment.entry_id, account=transit).exists():
            raise bank_lines.NotBooked(payment.reference)  # the bank has credited it before: this is no batch of ours
        entry = posting.move(
            account.issuer,
            payment.amount.amount,
            currency=line.currency,
            debit=account.ledger_account_id,
            credit=transit,
            kind=JournalEntry.Kind.PAYMENT,
            on=line.booked_on,
        )
        LineBooking.objects.create(line=line, entry_id=entry, currency=line.currency, amount=payment.amount.amount)
    MatchProposal.objects.filter(line=line).delete()
    return True


def _book_payout(line: BankLine, by: Any) -> bool:
    """The one payout of the payment provider that a credit of its name is, over the same amount at about that day."""
    account, amount = line.bank_account, line.amount.amount
    if payouts.NAME not in f"{line.name} {_text(line)}".lower():
        return False
    fitting = list(payouts.expected(account.issuer, amount, line.currency, on=line.value_on)[:2])
    if len(fitting) != 1 or bank_lines.hold(line) != amount:
        return False
    entry = payouts.arrive(fitting[0].pk, on=line.booked_on, bank=account.ledger_account_id, by=by)
    LineBooking.objects.create(line=line, entry_id=entry, currency=line.currency, amount=amount)
    MatchProposal.objects.filter(line=line).delete()
    return True


def _book_return(line: BankLine, by: Any) -> bool:
    """The debit that the line names comes back; was it not credited yet, it came in by way of the transit account."""
    issuer = line.bank_account.issuer
    one = collection.with_bank(issuer).filter(key=line.end_to_end_id).first() if line.end_to_end_id else None
    if one is None or one.outcome == Collection.Outcome.RETURNED:
        return False
    lock_payers([one.payer_id])
    collection.settle([one.pk], value_on=line.value_on, on=line.booked_on, by=by)
    payment = Payment.objects.get(collection=one.pk)
    bank_lines.book_return(line, payment, by=by)
    return True


def _book_refunds(line: BankLine, paid: Sequence[Refund]) -> bool:
    lock_payers(sorted({one.payer_id for one in paid}))
    if bank_lines.hold(line) != line.amount.amount:
        return False
    account = line.bank_account
    entries = refunds.settle(
        [one.pk for one in paid], account=account.ledger_account_id, value_on=line.value_on, on=line.booked_on
    )
    LineBooking.objects.bulk_create(
        LineBooking(line=line, entry_id=entries[one.pk], currency=line.currency, amount=-one.amount.amount)
        for one in paid
        if one.pk in entries
    )
    MatchProposal.objects.filter(line=line).delete()
    return bool(entries)


def _other_side(line: BankLine) -> str | None:
    """The hash of the other side's account, empty where only a name is told; ``None`` where there is no other side.

    Of a collective booking banks tell no account, zeros, or our own.
    """
    account = line.bank_account
    told = decrypted(line.iban, IBAN) if line.iban else "0"
    if told is None or (told.strip("0") and not account.iban.endswith(told)):
        return line.iban_hash
    return "" if line.name and name_key(line.name) != name_key(account.issuer.name) else None


def _text(line: BankLine) -> str:
    """What a line says besides its amount; banks put the name of a file or of a batch into one of these."""
    return " ".join((line.purpose, line.bank_reference, line.end_to_end_id))
