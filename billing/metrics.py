"""Recurring revenue of customers by the month: on a day, how it moved between two, and what a contract's term is worth.

Everything follows from days that contracts state, never from when something was entered: a change from 1 February on
leaves 31 January as it is. Customers are read a chunk at a time, in a fixed number of queries. Amounts are exact; they
are rounded where they are shown, so that they add up (``billing.kernel.recurring.adding_up``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from billing.charging import Contract, Position, recurring_of
from billing.coverage import reckonable
from billing.kernel.charges import ItemTerms
from billing.kernel.recurring import (
    NOTHING,
    Change,
    adding_up,
    decreases,
    monthly_value,
    movements,
    remaining_months,
    total_value,
)
from billing.kernel.term import term_on
from billing.models import Subscription
from tenants.copying import table_of
from tenants.models import Tenant
from tenants.models.visibility import keys_of

CHUNK: Final = 500
CONTRACTS, ACCOUNTS = table_of(Subscription), table_of(Tenant)

CHANGES: Final = {
    Change.NEW: _("new customers"),
    Change.EXPANSION: _("expansion"),
    Change.CONTRACTION: _("contraction"),
    Change.CHURN: _("churn"),
    Change.REACTIVATION: _("reactivation"),
}


@dataclass(slots=True)
class Flow:
    """How the monthly revenue of one currency got from one day to another; ``course``: its value on days asked for.

    ``opening`` and ``amounts`` add up to ``closing`` exactly. ``movements`` counts them: of churn, that is how often a
    customer was lost. ``customers`` are those with any value on the first and on the last day.
    """

    opening: Fraction = NOTHING
    closing: Fraction = NOTHING
    amounts: dict[Change, Fraction] = field(default_factory=lambda: dict.fromkeys(Change, NOTHING))
    movements: Counter[Change] = field(default_factory=Counter)
    customers: tuple[int, int] = (0, 0)
    course: list[Fraction] = field(default_factory=list)

    def rounded(self, places: int) -> tuple[Decimal, dict[Change, Decimal], Decimal]:
        """Opening, movements and closing as they are shown; they add up, too."""
        first, *parts, last = adding_up(self.opening, list(self.amounts.values()), places)
        return first, dict(zip(self.amounts, parts, strict=True)), last


@dataclass(frozen=True, slots=True)
class Decrease:
    """A contract worth less per month from a day on; ``months``: what is left of its term then (``None``: no term)."""

    contract: str
    account: int
    currency: str
    day: date
    monthly: Fraction
    months: Fraction | None

    @property
    def value(self) -> Fraction | None:
        """What is lost over the rest of the term."""
        return None if self.months is None else self.monthly * self.months


@dataclass(slots=True)
class Report:
    """Flows by currency, the contracts that became worth less, and those that could not be reckoned with the reason."""

    flows: dict[str, Flow] = field(default_factory=dict)
    decreases: list[Decrease] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def mrr(
    on: date,
    *,
    under: Tenant | None = None,
    with_descendants: bool = True,
    among: QuerySet[Subscription] | None = None,
) -> dict[str, Fraction]:
    """Monthly recurring revenue on a day by currency; of ``under``, too of those below, or of all."""
    flows = report(on, on, under=under, with_descendants=with_descendants, among=among).flows
    return {currency: flow.closing for currency, flow in flows.items() if flow.closing}


def report(
    after: date,
    through: date,
    *,
    under: Tenant | None = None,
    with_descendants: bool = True,
    among: QuerySet[Subscription] | None = None,
    days: Sequence[date] = (),
) -> Report:
    """How monthly recurring revenue moved from the end of ``after`` to the end of ``through``, customer by customer.

    A customer is an account, and each currency counts by itself. A contract that went on at another account of the same
    tree counts as that one's from the beginning, so that handing it over within an organisation moves nothing. ``days``
    are those of the flows' ``course``. ``among``: the contracts that count at all; one that goes on beyond them ends
    there. Raises ``ValueError`` if ``through`` comes before ``after``.
    """
    if through < after:
        raise ValueError(f"{through} comes before {after}")
    found = Report()
    handed_over = _handed_over(under, with_descendants, among)
    for positions, refused in _customers(under, with_descendants, among, handed_over):
        found.refused |= refused
        by_customer: dict[tuple[int, str], list[Position]] = defaultdict(list)
        for position in positions:
            if position.meter is not None:  # what will be used is not known: it does not recur
                continue
            customer = handed_over.get(position.contract.key, position.contract.tenant)
            by_customer[customer, position.contract.currency].append(position)
        for (_tenant, currency), own in by_customer.items():
            flow = found.flows.setdefault(currency, Flow(course=[NOTHING] * len(days)))
            _add(flow, own, after, through, days)
            found.decreases += _decreases(own, after, through)
    return found


def _add(flow: Flow, positions: Sequence[Position], after: date, through: date, days: Sequence[date]) -> None:
    """Add a customer's."""
    by_contract: dict[int, list[ItemTerms]] = defaultdict(list)
    for position in positions:
        by_contract[position.contract.key].append(position.terms)
    contracts = list(by_contract.values())

    def value(day: date) -> Fraction:
        return sum((monthly_value(contract, day) for contract in contracts), NOTHING)

    opening, closing = value(after), value(through)
    flow.opening += opening
    flow.closing += closing
    flow.customers = (flow.customers[0] + bool(opening), flow.customers[1] + bool(closing))
    for movement in movements(contracts, after, through):
        flow.amounts[movement.change] += movement.amount
        flow.movements[movement.change] += 1
    for n, day in enumerate(days):
        flow.course[n] += value(day)


def _decreases(positions: Sequence[Position], after: date, through: date) -> Iterator[Decrease]:
    by_contract: dict[int, list[Position]] = defaultdict(list)
    for position in positions:
        by_contract[position.contract.key].append(position)
    for own in by_contract.values():
        contract = own[0].contract
        for day, monthly in decreases([position.terms for position in own], after, through):
            end = term_end(contract, day - timedelta(days=1))  # the term that it was in
            months = remaining_months(day, end) if end is not None and end > day else NOTHING if end else None
            yield Decrease(contract.reference, contract.tenant, contract.currency, day, monthly, months)


def term_end(contract: Contract, on: date) -> date | None:
    """First day after the term in force on a day, longer by the pauses that extend it; ``None`` without a term."""
    term = term_on(
        on,
        contract.term_from,
        contract.term_months,
        contract.renewal_months,
        contract.notice_days,
        contract.extended_days,
    )
    return None if term is None else term.renews_on


@dataclass(frozen=True, slots=True)
class ContractValue:
    """All that a contract charges from its start to the end of the term in force, or to its own end if earlier."""

    total: Decimal
    currency: str
    ends_before: date


def contract_value(subscription: Subscription, on: date) -> ContractValue | None:
    """The total value (TCV) of a contract as it stands; ``None`` for one without an end and without a term on that day.

    Recurring and once, trial, stubs and discounts as they will be charged. Raises ``OperatorError`` naming what cannot
    be reckoned.
    """
    positions = recurring_of([subscription.pk])
    if not positions:
        return None
    contract = positions[0].contract
    ends = [day for day in (term_end(contract, on), contract.ends_before) if day is not None]
    if not ends:
        return None
    total = total_value([position.terms for position in positions], min(ends))
    return ContractValue(total, contract.currency, min(ends))


def _handed_over(under: Tenant | None, with_descendants: bool, among: QuerySet[Subscription] | None) -> dict[int, int]:
    """Contracts that go on at another account of the same tree, and of the report: whose they are in the end."""
    if under is not None and not with_descendants:
        return {}
    inside = "" if under is None else "where (t.tree_id, o.tree_id) = (%s, %s) and t.lft >= %s and t.rght <= %s"
    both, seen = _seen("s.id in ({seen}) and n.id in ({seen})", among)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select a.subscription_id, n.id, n.tenant_id
              from billing_amendment a
              join {CONTRACTS} s on s.id = a.subscription_id
              join {CONTRACTS} n on n.issuer_id = s.issuer_id and n.reference = a.data ->> 'to' and a.kind = 'transfer'
              join {ACCOUNTS} o on o.id = s.tenant_id
              join {ACCOUNTS} t on t.id = n.tenant_id and t.tree_id = o.tree_id and {both} {inside}
            """,
            [*seen, *([] if under is None else [under.tree_id, under.tree_id, under.lft, under.rght])],
        )
        following = {contract: (successor, tenant) for contract, successor, tenant in cursor.fetchall()}
    found = {}
    for contract, (successor, tenant) in following.items():
        while successor in following:
            successor, tenant = following[successor]
        found[contract] = tenant
    return found


def _seen(condition: str, among: QuerySet[Subscription] | None) -> tuple[str, list[Any]]:
    """``condition`` with ``{seen}`` in it, and its parameters; nothing to ask where all contracts count."""
    if among is None:
        return "true", []
    query, parameters = keys_of(among)
    return condition.format(seen=query), [*parameters] * condition.count("{seen}")


def _customers(
    under: Tenant | None,
    with_descendants: bool,
    among: QuerySet[Subscription] | None,
    handed_over: dict[int, int],
) -> Iterator[tuple[list[Position], dict[int, str]]]:
    """The positions of some hundred accounts at a time, all of one account together."""
    condition, arguments = "", []
    if under is not None and not with_descendants:
        condition, arguments = "and t.id = %s", [under.pk]
    elif under is not None:
        condition = "and t.tree_id = %s and t.lft >= %s and t.rght <= %s"
        arguments = [under.tree_id, under.lft, under.rght]
    of_account, seen = _seen("own.id in ({seen})", among)
    of_chunk, _same = _seen("s.id in ({seen})", among)
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                select s.tenant_id, s.id from {CONTRACTS} s
                 where s.tenant_id in (
                    select t.id from {ACCOUNTS} t
                     where t.id > %s
                       and exists (select from {CONTRACTS} own where own.tenant_id = t.id and {of_account}) {condition}
                     order by t.id limit %s)
                   and {of_chunk}
                 order by s.tenant_id, s.id
                """,
                [last, *seen, *arguments, CHUNK, *seen],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        last = rows[-1][0]
        accounts = {tenant for tenant, _contract in rows}
        own = [contract for _tenant, contract in rows if contract not in handed_over]
        yield reckonable(sorted([*own, *(key for key, tenant in handed_over.items() if tenant in accounts)]))
