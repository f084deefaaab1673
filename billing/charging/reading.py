"""Everything a chunk of payers needs, in a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging.discounts import read_grants, with_discounts
from billing.charging.prices import calendar_of, grid_of, price_terms
from billing.charging.proposal import Contract, Position, Unbillable
from billing.charging.usage import read_meters
from billing.kernel.charges import Booked, ItemTerms, Kind, Proration
from billing.kernel.money import places_of
from billing.kernel.period import Period
from billing.kernel.pricing import Model
from billing.kernel.schedule import Grid, Schedule, Timing, Unit
from billing.models import Charge
from tenants.copying import table_of

CHARGES = table_of(Charge)


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


def read_items(contracts: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
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


def set_aside(rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], dict[int, list[str]]]:
    """The rows of accounts that are active; and, by payer, the other accounts."""
    left_out: dict[int, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row[-3] != "active":
            left_out[row[-2]][row[-1]] = None
    active = [row for row in rows if row[-3] == "active"] if left_out else rows
    return active, {payer: list(references) for payer, references in left_out.items()}


def read_positions(rows: Sequence[tuple[Any, ...]], through: date) -> list[Position]:
    prices = price_terms({row[24] for row in rows})
    meters = read_meters({row[23] for row in rows})
    grants = read_grants({row[0] for row in rows})
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
        meter = meters.get(product) if meters else None
        is_in_arrears = meter is not None or prices[price].model is Model.COMMITMENT
        try:
            if meter is not None:
                grid = calendar_of(interval, paid_from)
            else:
                grid = grid_of(interval, billing_day, paid_from, anchor_on, anchor_day)
            ends_before = _earlier(ends_before, contract.ends_before)
            if keeps_last_period and ends_before and starts_on < ends_before == contract.ends_before:
                ends_before = _end_of_period(grid, Timing.ARREARS if is_in_arrears else timing, ends_before)
            schedule = Schedule(
                grid=grid,
                starts_on=starts_on,
                ends_before=ends_before,
                timing=Timing.ARREARS if is_in_arrears else Timing(timing),
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
        positions.append(Position(contract, terms, product, interval, meter))
        if contract.key in grants and not positions[-1].is_commitment:
            continued[contract.key].append((positions[-1], line, periods_before))
    if not continued:
        return positions
    discounted: dict[int, ItemTerms] = {}
    for contract_key, own in continued.items():
        discounted |= with_discounts(own, grants[contract_key], through)
    return [
        replace(position, terms=discounted[position.terms.key]) if position.terms.key in discounted else position
        for position in positions
    ]


def _end_of_period(grid: Grid, timing: str, ends_before: date) -> date:
    """The end of the period in which the contract ends, where that was to be paid in advance."""
    if timing != Timing.ADVANCE or grid.interval.unit is Unit.ONCE:
        return ends_before
    return grid.period(grid.index(ends_before - timedelta(days=1))).end


def _earlier(one: date | None, other: date | None) -> date | None:
    return min(one, other) if one and other else one or other


def read_booked_days(items: Sequence[int]) -> dict[int, tuple[date, int, int]]:
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


def read_booked(items: Sequence[int]) -> dict[int, list[Booked]]:
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
