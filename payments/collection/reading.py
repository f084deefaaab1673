"""What a decision about some payers rests on: their open items, terms and mandates; a few queries for a chunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of, rounded
from invoicing.kernel.bank_days import bank_day_from
from payments import disputes
from payments.kernel.collecting import Attempt, Calendar, Decision, Item, Left, Rhythm, Terms, decide, is_expired
from payments.models import Collection, Debit
from tenants import mandates
from tenants.errors import OperatorError
from tenants.models import Creditor, Issuer, Mandate, MandateAccount, Tenant
from tenants.responsibility import effective

CHUNK: Final = 500  # payers of one transaction
EUROS: Final = "EUR"
REVIEW_DAYS: Final = 3  # between a proposal and its release
STANDING: Final = [*Collection.UNSETTLED, Collection.Outcome.SUCCEEDED.value]
NOT_USED: Final = [Collection.Outcome.DISCARDED.value, Collection.Outcome.FAILED.value]

CANDIDATES: Final = """
    select distinct i.payer_id
      from invoicing_openitem i
     where i.issuer_id = %(issuer)s and i.due_on <= %(horizon)s
       and (select sum(p.amount) from invoicing_posting p where p.open_item_id = i.id) > 0
     order by i.payer_id
"""
ITEMS: Final = """
    select i.payer_id, i.id, i.currency, i.due_on, o.open, coalesce(d.number, i.reference),
           exists (select from payments_collectionblock b
                    where (b.open_item_id = i.id or b.tenant_id = i.payer_id) and b.after_return_id is null
                      and b.starts_on <= %(on)s and (b.ends_before is null or b.ends_before > %(on)s)),
           exists (select from payments_collectionblock b
                    where b.open_item_id = i.id and b.after_return_id is not null
                      and b.starts_on <= %(on)s and (b.ends_before is null or b.ends_before > %(on)s)),
           exists (select from payments_collectionitem c join payments_collection a on a.id = c.collection_id
                    where c.open_item_id = i.id and c.is_unsettled
                      and (%(except)s is null or a.run_id is distinct from %(except)s)),
           exists (select from invoicing_refundrequest r where r.open_item_id = i.id)
             or exists (select from payments_refund r
                         where r.open_item_id = i.id and r.entry_id is null and r.state <> 'withdrawn'),
           case when d.kind = 'invoice' and d.recipient_id = i.payer_id then d.issued_on end,
           (d.parties -> 'debit' ->> 'account')::bigint
      from invoicing_openitem i
      left join invoicing_invoice d on d.id = i.invoice_id
     cross join lateral (select sum(p.amount) as open from invoicing_posting p where p.open_item_id = i.id) o
     where i.payer_id = any(%(payers)s) and i.issuer_id = %(issuer)s and o.open <> 0
     order by i.payer_id, i.due_on, i.id
"""


class NoCreditor(OperatorError):
    """The issuer cannot collect by direct debit."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A debit of a payer (key) as it would be written; ``documents`` are the numbers of what it collects and nets."""

    payer: int
    mandate: Mandate
    account: MandateAccount
    sequence: str
    has_new_account: bool
    attempt: Attempt
    documents: tuple[str, ...]


@dataclass(slots=True)
class Proposal:
    """What is collected of some payers (keys), and of whom how much is not, by currency and reason."""

    debits: list[Planned] = field(default_factory=list)
    left: list[tuple[int, str, Left, Decimal]] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((debit.attempt.amount for debit in self.debits), Decimal(0))


def creditor_of(issuer: Issuer) -> Creditor:
    """How the issuer collects. Raises ``NoCreditor``."""
    creditor = mandates.creditor_of(issuer)
    if creditor is None:
        raise NoCreditor(_("%(issuer)s has no creditor identifier to collect with.") % {"issuer": issuer.reference})
    if not issuer.iban:
        raise NoCreditor(_("%(issuer)s has no bank account to collect to.") % {"issuer": issuer.reference})
    return creditor


def calendar_of(creditor: Creditor, on: date) -> Calendar:
    return Calendar(on, creditor.days_ahead, creditor.prenotification_days, review=REVIEW_DAYS)


def candidates(issuer: Issuer, calendar: Calendar) -> list[int]:
    """Payers (keys) of whom something is due by then, however they pay."""
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, {"issuer": issuer.pk, "horizon": calendar.horizon})
        return [row[0] for row in cursor.fetchall()]


def chunks(payers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (payers[at : at + CHUNK] for at in range(0, len(payers), CHUNK))


def plan(
    issuer: Issuer,
    payers: Sequence[int],
    calendar: Calendar,
    *,
    except_run: int | None = None,
    as_of: date | None = None,
) -> Proposal:
    """What is collected of those of ``payers`` (keys) who pay by direct debit; writes nothing.

    ``except_run`` (key): its own debits do not count as being under way. ``as_of``: the day on which blocks, disputes
    and mandates are looked at, where it is a later one than the calendar's.
    """
    today = as_of or calendar.on
    proposal = Proposal()
    tenants = Tenant.objects.filter(pk__in=list(payers))
    settings = {
        payer: one
        for payer, one in effective(tenants, issuer).items()
        if one.collection == Tenant.Collection.DIRECT_DEBIT
    }
    if not settings:
        return proposal
    usable = mandates.usable(issuer, list(settings), on=today)
    accounts = {payer: found.account.pk for payer, found in usable.items() if found.account is not None}
    items, names = _items(issuer, list(settings), accounts, today, except_run)
    used = _used(issuer, list(settings), except_run)
    collected = _collected_on(issuer, list(settings), except_run)
    for payer in sorted(settings):
        of_payer = items.get(payer, {})
        for currency in sorted(of_payer):
            found = usable.get(payer, mandates.Usable())
            cannot = Left.CURRENCY if currency != EUROS else _cannot(found, used, today)
            terms = Terms(
                settings[payer].collection_threshold,
                Rhythm(settings[payer].collection_rhythm),
                tuple(collected.get(payer, ())),
                cannot,
            )
            decision = decide(of_payer[currency], terms, calendar)
            proposal.left += [(payer, currency, reason, amount) for reason, amount in decision.left]
            if decision.attempt is not None:
                proposal.debits.append(_planned(payer, found, used, decision, names))
    return proposal


def _items(
    issuer: Issuer, payers: Sequence[int], accounts: Mapping[int, int], on: date, except_run: int | None
) -> tuple[dict[int, dict[str, list[Item]]], dict[int, str]]:
    """Everything open of the payers by currency, credits included; and what each item is called.

    A document tells a payer of its debit if it was made out to him and names the account (key) that is collected from.
    """
    contested = disputes.contested(issuer.pk, payers, on=on)
    items: dict[int, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    names: dict[int, str] = {}
    with connection.cursor() as cursor:
        cursor.execute(ITEMS, {"payers": list(payers), "issuer": issuer.pk, "on": on, "except": except_run})
        for payer, key, currency, due_on, left, name, blocked, returned, under_way, kept, said_on, account in cursor:
            names[key] = name or ""
            is_told = said_on is not None and account is not None and account == accounts.get(payer)
            items[payer][currency].append(
                Item(
                    key,
                    due_on,
                    rounded(left, places_of(currency)),
                    disputed=contested.get(key, Decimal(0)),
                    is_blocked=blocked,
                    is_returned=returned,
                    is_under_way=under_way,
                    is_kept=kept,
                    told=(bank_day_from(due_on), said_on) if is_told else None,
                )
            )
    return items, names


@dataclass(frozen=True, slots=True)
class _Use:
    """The last debit under a mandate: its day and the number of the account it was from."""

    on: date
    account: int


def _used(issuer: Issuer, payers: Sequence[int], except_run: int | None) -> dict[int, _Use]:
    """By mandate (key): its last use. What was discarded or refused before it was settled is none (EPC016-06)."""
    rows = (
        Debit.objects.filter(collection__issuer=issuer, collection__payer__in=list(payers))
        .exclude(collection__outcome__in=NOT_USED)
        .order_by("mandate")
        .values_list("mandate")
        .annotate(Max("collect_on"), Max("account__number"))
    )
    if except_run is not None:
        rows = rows.exclude(collection__run=except_run)
    return {mandate: _Use(day, number) for mandate, day, number in rows}


def _collected_on(issuer: Issuer, payers: Sequence[int], except_run: int | None) -> dict[int, list[date]]:
    """By payer (key): the days on which something was collected, or is going to be."""
    found: dict[int, list[date]] = defaultdict(list)
    debits = Debit.objects.filter(
        collection__issuer=issuer, collection__payer__in=list(payers), collection__outcome__in=STANDING
    )
    if except_run is not None:
        debits = debits.exclude(collection__run=except_run)
    for payer, day in debits.values_list("collection__payer", "collect_on"):
        found[payer].append(day)
    return found


def _cannot(usable: mandates.Usable, used: dict[int, _Use], on: date) -> Left | None:
    """Why nothing can be collected under the payer's mandate."""
    if usable.mandate is None:
        return Left.UNAPPROVED if usable.is_unapproved else Left.REVOKED if usable.is_revoked else Left.NO_MANDATE
    last = used.get(usable.mandate.pk)
    if usable.mandate.is_one_off and last is not None:
        return Left.NO_MANDATE
    if is_expired(usable.mandate.signed_on, None if last is None else last.on, on):
        return Left.EXPIRED
    return None


def _planned(
    payer: int, usable: mandates.Usable, used: dict[int, _Use], decision: Decision, names: dict[int, str]
) -> Planned:
    mandate, account, attempt = usable.mandate, usable.account, decision.attempt
    assert mandate is not None and account is not None and attempt is not None
    last = used.get(mandate.pk)
    if mandate.is_one_off:
        sequence = Debit.Sequence.ONE_OFF
    else:
        sequence = Debit.Sequence.FIRST if last is None else Debit.Sequence.RECURRENT
    return Planned(
        payer,
        mandate,
        account,
        sequence.value,
        last is not None and last.account != account.number,
        attempt,
        tuple(names[part.key] for part in attempt.parts if names[part.key]),
    )
