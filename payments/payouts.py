"""What the provider transfers to our bank: its charges are booked at once, its arrival when the bank has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from invoicing import posting
from invoicing.kernel.entries import BANK, BANK_CHARGES, PROVIDER_CLEARING
from invoicing.models import JournalEntry
from payments.card_collection import day_of
from payments.gateways.stripe_answers import BalanceLine, Payout
from payments.models import BankAccount, PaymentReturn, ProviderAccount, ProviderOrder, ProviderPayout, Refund
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.transactions import record

NOTHING: Final = Decimal(0)
# Lines that are charges as a whole; of the others the charges are what stands beside the amount.
CHARGES: Final = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee", "network_cost"})
NAME: Final = "stripe"  # what a line of the bank says of its sender
NEARLY: Final = timedelta(days=7)  # between the day a payout is announced for and the value date of the bank


class ArrivedBefore(OperatorError):
    """The payout has arrived already, or not as much."""


@transaction.atomic
def note(account: ProviderAccount, payout: Payout, lines: Sequence[BalanceLine]) -> bool:
    """Keep a payout and book what the provider kept of it; a second time finds it. Whether it was new."""
    ProviderAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if ProviderPayout.objects.filter(account=account, external_id=payout.id).exists():
        return False
    issuer, on = account.issuer, day_of(account.issuer, payout.arrives_at)
    charges = charges_of(lines, payout.currency)
    entry = (
        posting.move(
            issuer,
            charges,
            currency=payout.currency,
            debit=posting.account_of(issuer, BANK_CHARGES),
            credit=posting.account_of(issuer, PROVIDER_CLEARING),
            kind=JournalEntry.Kind.CHARGES,
            on=on,
        )
        if charges
        else None
    )
    ProviderPayout.objects.create(
        account=account,
        external_id=payout.id,
        currency=payout.currency,
        charges=charges,
        amount=payout.amount,
        arrives_on=on,
        charges_entry_id=entry,
    )
    return True


def charges_of(lines: Sequence[BalanceLine], currency: str) -> Decimal:
    """What the provider kept of a payout's lines."""
    own = [line for line in lines if line.currency == currency and line.kind != "payout"]
    return sum((line.fee - (line.amount if line.kind in CHARGES else NOTHING) for line in own), NOTHING)


def unknown_of(account: ProviderAccount, lines: Sequence[BalanceLine]) -> list[BalanceLine]:
    """Lines that stand for nothing in our books: then clearing does not come to nothing."""
    sources = [line.source for line in lines if line.source]
    known = set(ProviderOrder.objects.filter(charge_id__in=sources).values_list("charge_id", flat=True))
    known |= set(Refund.objects.filter(external_id__in=sources).values_list("external_id", flat=True))
    known |= set(PaymentReturn.objects.filter(origin__in=sources).values_list("origin", flat=True))
    return [line for line in lines if line.kind not in CHARGES | {"payout"} and line.source not in known]


def expected(issuer: Issuer, amount: Decimal, currency: str, *, on: date) -> QuerySet[ProviderPayout]:
    """Payouts that a line of the bank over ``amount`` may be: not arrived yet, and announced for about that day."""
    return ProviderPayout.objects.filter(
        account__issuer=issuer,
        arrival=None,
        amount=amount,
        currency=currency,
        arrives_on__range=(on - NEARLY, on + NEARLY),
    ).order_by("arrives_on", "pk")


def under_way(issuer: Issuer) -> QuerySet[ProviderPayout]:
    """Payouts that no line of the bank was found to be yet."""
    return ProviderPayout.objects.filter(account__issuer=issuer, arrival=None)


@transaction.atomic
def arrive(payout: int, *, on: date, bank: int | None = None, by: Any = None) -> int:
    """Book that a payout (key) is on the bank account (the key of its ledger account; else the issuer's bank).

    Returns the entry's key. Raises ``ArrivedBefore``, also where statements of the bank are read: a line tells it then.
    """
    found = ProviderPayout.objects.select_for_update(of=("self",)).select_related("account__issuer").get(pk=payout)
    if found.arrival_id:
        raise ArrivedBefore(_("Payout %(payout)s has arrived already.") % {"payout": found})
    issuer = found.account.issuer
    if bank is None and BankAccount.objects.filter(ledger_account__issuer=issuer, ledger_account__role=BANK).exists():
        raise ArrivedBefore(
            _("Payout %(payout)s is booked with its line of the bank's statement: take the statement in.")
            % {"payout": found}
        )
    entry = posting.move(
        issuer,
        found.amount.amount,
        currency=found.currency,
        debit=bank or posting.account_of(issuer, BANK),
        credit=posting.account_of(issuer, PROVIDER_CLEARING),
        kind=JournalEntry.Kind.PAYOUT,
        on=on,
    )
    ProviderPayout.objects.filter(pk=payout).update(arrival=entry)
    record(table_of(ProviderPayout), payout, "arrived", {"entry": entry, "on": on.isoformat()}, by=by)
    return entry
