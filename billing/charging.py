"""Bring the charges in line with the contracts: what is due less what is booked.

Reads everything a chunk of payers needs in a fixed number of queries, reckons in the kernel, and writes by COPY.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing import continuing
from billing.kernel.charges import Booked, Due, ItemTerms, Kind, Proration, due_after, due_less_booked, is_settled
from billing.kernel.commitment import CommitmentTerms, true_ups_charged
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.money import places_of
from billing.kernel.period import Period
from billing.kernel.pricing import Model, PriceTerms, Tier
from billing.kernel.schedule import Grid, Interval, Schedule, Timing, Unit
from billing.kernel.sharing import shared
from billing.models import Charge
from tenants.copying import copy_rows, new_keys, table_of
from tenants.errors import OperatorError

CHARGES = table_of(Charge)
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Unbillable(OperatorError):
    """A contract or a price says something that cannot be reckoned."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a document says about a contract."""

    key: int
    reference: str
    tenant: int
    currency: str
    po_number: str
    starts_on: date
    ends_before: date | None
    term_from: date
    term_months: int | None
    renewal_months: int | None
    notice_days: int | None
    extended_days: int
    invoice_to: int | None = None  # where it is not as the account says
    pay_by: int | None = None
    is_invoiced_alone: bool = False
    activated_on: date | None = None
    accepted_on: date | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """An item of a contract with its terms and what a document says about it."""

    contract: Contract
    terms: ItemTerms
    product: int
    interval: str

    @property
    def is_commitment(self) -> bool:
        return self.terms.price.model is Model.COMMITMENT


@dataclass(slots=True)
class Proposed:
    """A charge to be booked for a position; ``key`` is its own from the moment it is written."""

    position: Position
    due: Due
    key: int = 0


@dataclass(slots=True)
class Proposal:
    """What brings the charges of some payers in line. ``left_out`` names accounts of theirs that are not active."""

    charges: list[Proposed] = field(default_factory=list)
    left_out: dict[int, list[str]] = field(default_factory=dict)


def propose(issuer: int, payers: Sequence[int], *, through: date) -> Proposal:
    """What brings the charges of ``payers`` (tenant keys) with ``issuer`` in line up to ``through``; writes nothing.

    Raises ``Unbillable`` naming the contract or price that cannot be reckoned.
    """
    return _proposed(_read_items(OF_PAYERS, [list(payers), issuer, list(payers), issuer, through]), through)


def propose_contracts(subscriptions: Sequence[int], *, through: date) -> Proposal:
    """As ``propose``, for contracts (their keys) whoever pays for them."""
    return _proposed(_read_items(OF_CONTRACTS, [list(subscriptions), through]), through)


def _proposed(read: list[tuple[Any, ...]], through: date) -> Proposal:
    rows, left_out = _set_aside(read)
    proposal = Proposal(left_out=left_out)
    if not rows:
        return proposal
    positions, commitments = _apart(_positions(rows, through))
    summary = _read_booked_days([position.terms.key for position in positions])
    unsettled: list[Position] = []
    for position in positions:
        booked_before, booked_days, credits = summary.get(position.terms.key, (None, 0, 0))
        if credits or not is_settled(position.terms, booked_before, booked_days):
            unsettled.append(position)
        else:
            proposal.charges += [Proposed(position, due) for due in due_after(position.terms, booked_before, through)]
    held = {position.contract.key for position in commitments}
    counted = [position for position in positions if position.contract.key in held]
    booked = _read_booked([position.terms.key for position in (*unsettled, *counted, *commitments)])
    for position in unsettled:
        due = due_less_booked(position.terms, booked.get(position.terms.key, ()), through)
        proposal.charges += [Proposed(position, one) for one in due]
    if commitments:
        proposal.charges += _true_ups(commitments, _charged(counted, booked, proposal.charges), booked, through)
    return proposal


def _apart(positions: list[Position]) -> tuple[list[Position], list[Position]]:
    """Positions that are charged by themselves, and minimum commitments, which look at what those are charged."""
    commitments = [position for position in positions if position.is_commitment]
    return [position for position in positions if not position.is_commitment] if commitments else positions, commitments


def _charged(
    positions: Sequence[Position], booked: Mapping[int, Sequence[Booked]], proposed: Sequence[Proposed]
) -> dict[int, list[tuple[date, Decimal]]]:
    """By contract: first day and net of all that stands once ``proposed`` is booked, too."""
    charged: dict[int, list[tuple[date, Decimal]]] = defaultdict(list)
    for position in positions:
        for one in booked.get(position.terms.key, ()):
            charged[position.contract.key].append((one.period.start, one.net))
    for charge in proposed:
        charged[charge.position.contract.key].append((charge.due.period.start, charge.due.net))
    return charged


def _true_ups(
    commitments: Sequence[Position],
    charged: Mapping[int, Sequence[tuple[date, Decimal]]],
    booked: Mapping[int, Sequence[Booked]],
    through: date,
) -> Iterator[Proposed]:
    for position in commitments:
        terms = position.terms
        amount = terms.price.tiers[0].flat_amount * terms.quantity
        commitment = CommitmentTerms(terms.key, terms.places, terms.schedule, amount, terms.proration)
        standing = booked.get(terms.key, ())
        for due in true_ups_charged(commitment, charged.get(position.contract.key, ()), standing, through):
            yield Proposed(position, replace(due, quantity=terms.quantity))


def positions_of(subscriptions: Sequence[int], *, through: date = date.min) -> list[Position]:
    """All positions of contracts (their keys), whatever their days; none of contracts still waiting to start.

    Fixed discounts are shared among the positions of a contract for what is due by ``through``.
    """
    rows = _read_items(OF_CONTRACTS, [list(subscriptions), date.max])
    return _positions(rows, through) if rows else []


def write(proposal: Proposal) -> None:
    """Book what ``propose`` found, in the caller's transaction, under the payers' locks."""
    if not proposal.charges:
        return
    keys = new_keys(**{CHARGES: len(proposal.charges)})[CHARGES]
    traces: dict[int, str] = {}
    rows = []
    reversed_by: list[tuple[int, int]] = []
    for charge, key in zip(proposal.charges, keys, strict=True):
        charge.key = key
        due = charge.due
        trace = traces.get(id(due.trace))
        if trace is None:
            trace = traces[id(due.trace)] = _as_json(due.trace)
        if due.reverses is not None:
            reversed_by.append((due.reverses, key))
        rows.append(
            (
                key,
                due.item,
                due.kind,
                due.period.start,
                due.period.end,
                due.quantity,
                charge.position.contract.currency,
                due.net,
                due.corrects,
                due.reverses,
                trace,
            )
        )
    if reversed_by:
        _mark_reversed(reversed_by)  # first: what it charges anew must not overlap what it undoes
    copy_rows(
        CHARGES,
        (
            "id",
            "item_id",
            "kind",
            "starts_on",
            "ends_before",
            "quantity",
            "currency",
            "net",
            "corrects_id",
            "reverses_id",
            "trace",
        ),
        rows,
    )


def _mark_reversed(pairs: Sequence[tuple[int, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"update {CHARGES} c set reversed_by_id = p.by from unnest(%s::bigint[], %s::bigint[]) as p(key, by)"
            " where c.id = p.key",
            [[key for key, _by in pairs], [by for _key, by in pairs]],
        )


# Two ways to a payer, each by its index: the account's, and that of contracts that name one of their own.
OF_PAYERS = """
    (select s.* from tenants_tenant a join billing_subscription s on s.tenant_id = a.id
      where coalesce(a.pay_by_id, a.id) = any(%s) and s.pay_by_id is null and s.issuer_id = %s
     union all
     select s.* from billing_subscription s where s.pay_by_id = any(%s) and s.issuer_id = %s)
"""
OF_CONTRACTS = "(select s.* from billing_subscription s where s.id = any(%s))"
BILLING_STARTS_ON = """
    case s.billing_starts_with
         when 'activation' then s.activated_on when 'acceptance' then s.accepted_on else s.starts_on end
"""


def _read_items(contracts: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
    """Items of ``contracts`` that start up to a day; contracts whose start of billing is not known are left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select s.id, s.reference, s.tenant_id, s.currency, s.po_number, s.starts_on, s.ends_before,
                   coalesce(s.term_from, s.starts_on), s.term_months, s.renewal_months, s.notice_days, s.extended_days,
                   s.invoice_to_id, s.pay_by_id, s.is_invoiced_alone, s.activated_on, s.accepted_on,
                   s.trial_ends_before, s.billing_day, s.billed_before, s.keeps_last_period, {BILLING_STARTS_ON},
                   i.id, i.product_id, i.price_id, i.quantity, i.interval, i.timing, i.proration, i.starts_on,
                   i.ends_before, i.line, i.anchor_on, i.anchor_day, i.periods_before,
                   t.status, coalesce(s.pay_by_id, t.pay_by_id, t.id), t.reference
              from {contracts} s
              join tenants_tenant t on t.id = s.tenant_id
              join billing_item i on i.subscription_id = s.id
             where i.starts_on <= %s and {BILLING_STARTS_ON} is not null
             order by t.tree_id, t.lft, s.reference, i.starts_on, i.id
            """,
            arguments,
        )
        return cursor.fetchall()


def _set_aside(rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], dict[int, list[str]]]:
    """The rows of accounts that are active; and, by payer, the other accounts."""
    left_out: dict[int, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row[-3] != "active":
            left_out[row[-2]][row[-1]] = None
    active = [row for row in rows if row[-3] == "active"] if left_out else rows
    return active, {payer: list(references) for payer, references in left_out.items()}


def _positions(rows: Sequence[tuple[Any, ...]], through: date) -> list[Position]:
    prices = price_terms({row[24] for row in rows})
    grants = _read_grants({row[0] for row in rows})
    contracts: dict[int, Contract] = {}
    positions = []
    continued: dict[int, list[tuple[Position, int, int | None]]] = defaultdict(list)
    for row in rows:
        contract = contracts.get(row[0])
        if contract is None:
            contract = contracts[row[0]] = Contract(*row[:17])
        trial_ends_before, billing_day, billed_before, keeps_last_period, paid_from = row[17:22]
        key, product, price, quantity, interval, timing, proration, starts_on, ends_before = row[22:31]
        line, anchor_on, anchor_day, periods_before = row[31:35]
        paid_from = max(contract.starts_on, paid_from)
        if trial_ends_before and trial_ends_before > paid_from:
            paid_from = trial_ends_before
        try:
            grid = grid_of(interval, billing_day, paid_from, anchor_on, anchor_day)
            ends_before = _earlier(ends_before, contract.ends_before)
            if keeps_last_period and ends_before and starts_on < ends_before == contract.ends_before:
                ends_before = _end_of_period(grid, timing, ends_before)
            schedule = Schedule(
                grid=grid,
                starts_on=starts_on,
                ends_before=ends_before,
                timing=Timing.ARREARS if prices[price].model is Model.COMMITMENT else Timing(timing),
                paid_from=paid_from,
                billed_before=billed_before,
            )
        except ValueError as error:
            raise Unbillable(
                _("Contract %(contract)s: %(reason)s") % {"contract": contract.reference, "reason": error}
            ) from error
        terms = ItemTerms(
            key, places_of(contract.currency), schedule, prices[price], quantity, (), Proration(proration)
        )
        positions.append(Position(contract, terms, product, interval))
        if contract.key in grants and not positions[-1].is_commitment:
            continued[contract.key].append((positions[-1], line, periods_before))
    if not continued:
        return positions
    discounted: dict[int, ItemTerms] = {}
    for contract_key, own in continued.items():
        discounted |= _with_discounts(own, grants[contract_key], through)
    return [
        replace(position, terms=discounted[position.terms.key]) if position.terms.key in discounted else position
        for position in positions
    ]


def _with_discounts(
    positions: Sequence[tuple[Position, int, int | None]], grants: Sequence[Granted], through: date
) -> dict[int, ItemTerms]:
    """The items of one contract with their discounts, by key; the billed periods counted across items."""
    first, line, periods_before = positions[0]
    if len(positions) == 1 and periods_before is None and all(grant.is_plain for grant in grants):
        skipped = continuing.periods_skipped([(line, first.terms.schedule, None)])[0]
        return {first.terms.key: _discounted(first.terms, skipped, tuple(grant.terms() for grant in grants))}
    schedules = [(line, position.terms.schedule, before) for position, line, before in positions]
    skipped_by_item = continuing.periods_skipped(schedules)
    counted = [
        (line, replace(schedule, periods_skipped=skipped))
        for (line, schedule, _before), skipped in zip(schedules, skipped_by_item, strict=True)
    ]
    found = {}
    for n, (position, _line, _before) in enumerate(positions):
        terms = tuple(
            grant.terms(held.after_periods, held.periods)
            for grant in grants
            if (held := continuing.holding_periods(counted, n, grant.given)) is not None
        )
        found[position.terms.key] = _discounted(position.terms, skipped_by_item[n], terms)
    return {terms.key: terms for terms in shared(list(found.values()), through)}


def _discounted(terms: ItemTerms, skipped: int, discounts: tuple[DiscountTerms, ...]) -> ItemTerms:
    schedule = replace(terms.schedule, periods_skipped=skipped) if skipped else terms.schedule
    return replace(terms, schedule=schedule, discounts=discounts)


def _end_of_period(grid: Grid, timing: str, ends_before: date) -> date:
    """The end of the period in which the contract ends, where that was to be paid in advance."""
    if timing != Timing.ADVANCE or grid.interval.unit is Unit.ONCE:
        return ends_before
    return grid.period(grid.index(ends_before - timedelta(days=1))).end


def _earlier(one: date | None, other: date | None) -> date | None:
    return min(one, other) if one and other else one or other


@lru_cache(maxsize=4096)
def grid_of(
    interval: str,
    billing_day: int | None,
    paid_from: date,
    anchor_on: date | None = None,
    anchor_day: int | None = None,
) -> Grid:
    """Where the item's periods begin: at its own anchor, on the contract's billing day, or by its anniversary."""
    parsed = Interval.parse(interval)
    if anchor_on is not None and anchor_day is not None:
        return Grid(parsed, anchor_on, anchor_day)
    if billing_day is None or parsed.unit is Unit.ONCE:
        return Grid.anniversary(parsed, paid_from)
    return Grid.on_billing_day(parsed, billing_day, paid_from)


def price_terms(keys: set[int]) -> dict[int, PriceTerms]:
    """Prices as the kernel wants them, by key. Raises ``Unbillable`` naming one that cannot be reckoned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select p.id, d.reference || '/' || c.number || '/' || p.currency, p.model, p.package_size, p.minimum, p.cap,
                   p.free_quantity, p.package_per_tier, p.quota_prorated, p.flat_when_zero,
                   array_agg(array[t.up_to, t.unit_price, t.flat_amount, t.package_size] order by t.up_to nulls last)
              from billing_price p
              join billing_product d on d.id = p.product_id
              join billing_priceclass c on c.id = p.price_class_id
              left join billing_tier t on t.price_id = p.id
             where p.id = any(%s)
             group by p.id, d.reference, c.number
            """,
            [list(keys)],
        )
        return {key: _price(*figures, tuple(map(tuple, tiers))) for key, *figures, tiers in cursor.fetchall()}


@lru_cache(maxsize=1024)  # equal rows give the same object, which the kernel's own caches are keyed by
def _price(
    name: str,
    model: str,
    size: Decimal | None,
    minimum: Decimal | None,
    cap: Decimal | None,
    free: Decimal,
    package_per_tier: bool,
    quota_prorated: bool,
    flat_when_zero: bool,
    tiers: tuple[tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None], ...],
) -> PriceTerms:
    """A price as the kernel wants it: tiers by their floors. Raises ``Unbillable`` naming the price."""
    if tiers[-1][0] is not None:
        raise Unbillable(_("Price %(price)s: its last tier must be open-ended.") % {"price": name})
    floors = [Decimal(0), *(up_to for up_to, *_figures in tiers[:-1] if up_to is not None)]
    try:
        return PriceTerms(
            model=Model(model),
            tiers=tuple(
                Tier(floor, unit_price or Decimal(0), flat_amount or Decimal(0), package_size)
                for floor, (_up_to, unit_price, flat_amount, package_size) in zip(floors, tiers, strict=True)
            ),
            package_size=size or Decimal(1),
            package_per_tier=package_per_tier,
            flat_when_zero=flat_when_zero,
            quota_prorated=quota_prorated,
            free_quota=free,
            minimum=minimum,
            cap=cap,
            key=name,
        )
    except ValueError as error:
        raise Unbillable(_("Price %(price)s: %(reason)s") % {"price": name, "reason": error}) from error


@dataclass(frozen=True, slots=True)
class Granted:
    """A discount as granted: what it takes off, and since when for how many periods."""

    kind: str
    value: Decimal
    sequence: int
    reference: str
    given: continuing.Given
    is_stacked: bool = False
    carries: bool = False

    @property
    def is_plain(self) -> bool:
        """Since the contract's first billed period, each period by itself."""
        return self.given.starts_on is None and self.given.ends_before is None and not self.carries

    def terms(self, after_periods: int | None = None, periods: int | None = None) -> DiscountTerms:
        """For one item; without arguments as it is counted from the contract's first billed period."""
        if after_periods is None:
            after_periods, periods = self.given.after_periods, self.given.periods
        return _discount(
            self.kind,
            self.value,
            self.sequence,
            periods,
            after_periods,
            self.reference,
            stacked=self.is_stacked,
            carries=self.carries,
        )


def _read_grants(subscriptions: set[int]) -> dict[int, tuple[Granted, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select g.subscription_id, d.kind, coalesce(d.percent, d.amount), d.sequence, d.reference,
                   coalesce(g.periods, d.periods), d.after_periods, d.is_stacked, d.carry_remainder,
                   g.starts_on, g.ends_before
              from billing_grant g join billing_discount d on d.id = g.discount_id
             where g.subscription_id = any(%s) and d.level = 'line'
             order by g.subscription_id, d.sequence, g.id
            """,
            [list(subscriptions)],
        )
        grants: dict[int, tuple[Granted, ...]] = {}
        for subscription, *terms, periods, after, stacked, carries, starts_on, ends_before in cursor.fetchall():
            given = continuing.Given(periods, after, starts_on, ends_before)
            kind, value, sequence, reference = terms
            granted = Granted(kind, value, sequence, reference, given, stacked, carries)
            grants[subscription] = (*grants.get(subscription, ()), granted)
        return grants


@lru_cache(maxsize=1024)
def _discount(
    kind: str,
    value: Decimal,
    sequence: int,
    periods: int | None,
    after_periods: int,
    reference: str,
    *,
    stacked: bool,
    carries: bool,
) -> DiscountTerms:
    return DiscountTerms(
        DiscountKind(kind), value, sequence, periods, after_periods, stacked, reference, carry_remainder=carries
    )


def _read_booked_days(items: Sequence[int]) -> dict[int, tuple[date, int, int]]:
    """Per item: the day before which its standing charges end, how many days its fees cover, how many credits stand.

    Item by item through the index: a plan for all at once would go by statistics that a growing run outdates.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select wanted.item, booked.*
              from unnest(%s::bigint[]) as wanted(item)
             cross join lateral (
                select max(ends_before), sum(ends_before - starts_on) filter (where kind = 'fee'),
                       count(*) filter (where kind = 'credit')
                  from {CHARGES}
                 where item_id = wanted.item and reversed_by_id is null and reverses_id is null
                having count(*) > 0) as booked
            """,
            [list(items)],
        )
        return {item: (before, days or 0, credits) for item, before, days, credits in cursor.fetchall()}


def _read_booked(items: Sequence[int]) -> dict[int, list[Booked]]:
    """All that stands booked, for the few items whose charges are not simply their days so far."""
    booked: dict[int, list[Booked]] = defaultdict(list)
    if items:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                select item_id, id, kind, starts_on, ends_before, net, corrects_id
                  from {CHARGES}
                 where item_id = any(%s) and reversed_by_id is null and reverses_id is null
                 order by item_id, starts_on
                """,
                [list(items)],
            )
            for item, key, kind, start, end, net, corrects in cursor.fetchall():
                booked[item].append(Booked(key, Kind(kind), Period(start, end), net, corrects))
    return booked
