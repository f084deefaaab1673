"""What is to come for an account and all below it: invoices by day, renewals, last days for notice, ends of contracts.

Reckoned from the contracts as they stand; nothing is kept. A renewal to come at another price shows today's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from django.db.models import Q, QuerySet

from billing import charging, contracts
from billing.charging import Proposed
from billing.kernel.charges import Kind as ChargeKind
from billing.kernel.schedule import Timing
from billing.models import Subscription
from invoicing import grouping, parties
from tenants.models import Issuer, Tenant

MOST_CONTRACTS: Final = 2_000


class Kind(StrEnum):
    INVOICE = "invoice"
    RENEWAL = "renewal"
    NOTICE = "notice"
    END = "end"


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that falls on a day. Of an invoice: to whom it goes, who pays, its net, the accounts it is about."""

    day: date
    kind: Kind
    recipient: str
    contracts: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    payer: str = ""
    net: Decimal | None = None
    currency: str = ""
    key: str = ""  # names the event for good: a calendar that reads it again finds the same one


def coming(
    tenant: Tenant,
    *,
    on: date,
    through: date,
    with_descendants: bool = True,
    among: QuerySet[Subscription] | None = None,
    kinds: Collection[Kind] = tuple(Kind),
) -> list[Coming]:
    """What of ``kinds`` falls on the days from ``on`` up to ``through``, of the contracts ``among`` or of all.

    What is overdue to be billed stands on ``on``. An invoice that tells of further contracts, too, stands here with
    what these add to it. Raises what charging refuses, and ``parties.IncompleteParty`` never: nobody is addressed yet.
    At most ``MOST_CONTRACTS`` contracts are looked at, in tree order.
    """
    contracts_of = Subscription.objects.all() if among is None else among
    accounts = Tenant.objects.in_scope(tenant, with_descendants=with_descendants)
    found = list(
        contracts_of.filter(tenant__in=accounts.order_by().values("pk"))
        .filter(Q(ends_before=None) | Q(ends_before__gte=on), tenant__status=Tenant.Status.ACTIVE)
        .select_related("tenant")
        .order_by("tenant__tree_id", "tenant__lft", "reference")[:MOST_CONTRACTS]
    )
    entries = [*_invoices(found, on, through)] if Kind.INVOICE in kinds else []
    for subscription in found:
        entries += (entry for entry in _days_of(subscription, on, through) if entry.kind in kinds)
    return sorted(entries, key=lambda entry: (entry.day, list(Kind).index(entry.kind), entry.contracts))


def _invoices(found: Sequence[Subscription], on: date, through: date) -> Iterator[Coming]:
    by_issuer: dict[int, list[int]] = defaultdict(list)
    for subscription in found:
        by_issuer[subscription.issuer_id].append(subscription.pk)
    issuers = Issuer.objects.in_bulk(by_issuer)
    for issuer, keys in sorted(by_issuer.items()):
        charges = charging.propose_contracts(keys, through=through).charges
        corrected = [taken for charge in charges if (taken := charge.due.corrects or charge.due.reverses)]
        originals, _undecided = grouping.read_originals(corrected) if corrected else ({}, [])
        named = grouping.accounts_of(charge.position.contract for charge in charges)
        named |= {account for original in originals.values() for account in (original.recipient, original.payer)}
        facts = parties.read_accounts(named)
        grouped: dict[tuple[date, grouping.Key], list[Proposed]] = defaultdict(list)
        for charge in charges:
            key = grouping.key_of(charge.position.contract, facts, issuers[issuer])
            if original := originals.get(charge.due.corrects or charge.due.reverses or 0):
                key = grouping.key_of_correction(key, original, facts, issuers[issuer])
            grouped[_falls_on(charge, on), key].append(charge)
        for (day, key), of_day in grouped.items():
            if day > through:
                continue
            contracts = dict.fromkeys(charge.position.contract.reference for charge in of_day)
            accounts = dict.fromkeys(facts.accounts[charge.position.contract.tenant].reference for charge in of_day)
            yield Coming(
                day=day,
                kind=Kind.INVOICE,
                recipient=facts.accounts[key.recipient].reference,
                contracts=tuple(contracts),
                accounts=tuple(accounts),
                payer=facts.accounts[key.payer].reference,
                net=sum((charge.due.net for charge in of_day), Decimal(0)),
                currency=key.currency,
                key=f"invoice-{issuer}-{day.isoformat()}-{'-'.join(map(str, key))}",
            )


def _falls_on(charge: Proposed, on: date) -> date:
    """The day on which a nightly run books it."""
    schedule, due = charge.position.terms.schedule, charge.due
    if due.kind is ChargeKind.CREDIT or due.reverses:
        return on
    is_late = schedule.timing is Timing.ARREARS and not schedule.once
    return max(on, due.period.end if is_late else due.period.start)


def _days_of(subscription: Subscription, on: date, through: date) -> Iterator[Coming]:
    """Renewals with the last days for notice, and the end of one contract."""
    end = subscription.ends_before

    def entry(day: date, kind: Kind) -> Coming:
        account, key = subscription.tenant.reference, f"{kind}-{subscription.pk}-{day.isoformat()}"
        return Coming(day, kind, account, (subscription.reference,), (account,), key=key)

    if end is not None and on <= end <= through:
        yield entry(end, Kind.END)
    day = max(on, subscription.starts_on)
    while day <= through and (term := contracts.term_of(subscription, day)) is not None:
        if end is not None and end <= term.renews_on:
            return
        if on <= term.notice_by <= through:
            yield entry(term.notice_by, Kind.NOTICE)
        if subscription.renewal_months and on < term.renews_on <= through:
            yield entry(term.renews_on, Kind.RENEWAL)
        if term.renews_on <= day or not subscription.renewal_months:
            return
        day = term.renews_on
