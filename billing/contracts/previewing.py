"""The money of a change before it is saved: the real change and the real reckoning, undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from billing import charging
from billing.contracts.values import mrr, tcv, value_ends_before
from billing.contracts.writing import course_of
from billing.kernel.period import Period
from billing.models import Amendment, Product, Subscription
from tenants.models import Tenant
from tenants.transactions import rehearsal


@dataclass(frozen=True, slots=True)
class MoneyLine:
    """A charge that a run would book."""

    contract: str
    product: Product
    kind: str
    period: Period
    quantity: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class MoneyPreview:
    """What a bill run through a day would book of a contract with the change, and what without.

    ``booked`` are all its lines with the change; ``added`` and ``dropped`` what it makes of them. ``overtaken`` are the
    numbers of earlier amendments that would no longer have an effect. ``effective_on`` is the day from which it holds;
    values of a month are those of that day. A total value is ``None`` where the contract has no end and no term;
    ``value_ends_without`` and ``value_ends_with`` are the first days that it no longer counts.
    """

    through: date
    currency: str
    effective_on: date
    booked: list[MoneyLine]
    added: list[MoneyLine]
    dropped: list[MoneyLine]
    net: Decimal
    net_without: Decimal
    mrr_before: Decimal
    mrr_after: Decimal
    tcv_before: Decimal | None
    tcv_after: Decimal | None
    value_ends_without: date | None
    value_ends_with: date | None
    overtaken: list[int]

    @property
    def difference(self) -> Decimal:
        return self.net - self.net_without

    @property
    def mrr_change(self) -> Decimal:
        return self.mrr_after - self.mrr_before

    @property
    def tcv_change(self) -> Decimal | None:
        if self.tcv_before is None or self.tcv_after is None:
            return None
        return self.tcv_after - self.tcv_before


def preview(subscription: Subscription, change: Callable[[], Any], *, through: date) -> MoneyPreview:
    """What ``change`` (a call of a function of ``billing.contracts``) would do to ``subscription``; nothing is kept.

    Equal to the cent to what the next run through ``through`` books, if nothing else happens before it. A change that
    opens another contract shows that one's lines, too. Raises what ``change`` raises.
    """
    tenants = {subscription.tenant_id}
    with rehearsal():
        before_lines = _lines(subscription, tenants, through)
        idle = course_of(subscription).idle
        amendment, others = _read(change())
        after = Subscription.objects.get(pk=subscription.pk)
        contracts = {after.pk, *(other.pk for other in others)}
        tenants |= {other.tenant_id for other in others}
        booked = _lines(after, tenants, through, contracts)
        day = amendment.effective_on
        mrr_after = sum((mrr(one, day) for one in (after, *others)), Decimal(0))
        tcv_after, idle_after = tcv(after, day), course_of(after).idle
        end_after = value_ends_before(after, day)
        overtaken = sorted(idle_after - idle)
    mrr_before, tcv_before = mrr(subscription, day), tcv(subscription, day)  # without it, on the same day
    products = Product.objects.in_bulk({line[1] for line in (*booked, *before_lines)})
    added, dropped = Counter(booked) - Counter(before_lines), Counter(before_lines) - Counter(booked)
    return MoneyPreview(
        through=through,
        currency=subscription.currency,
        effective_on=day,
        booked=_shown(booked, products),
        added=_shown(added.elements(), products),
        dropped=_shown(dropped.elements(), products),
        net=sum((line[-1] for line in booked), Decimal(0)),
        net_without=sum((line[-1] for line in before_lines), Decimal(0)),
        mrr_before=mrr_before,
        mrr_after=mrr_after,
        tcv_before=tcv_before,
        tcv_after=tcv_after,
        value_ends_without=value_ends_before(subscription, day),
        value_ends_with=end_after,
        overtaken=overtaken,
    )


Row = tuple[str, int, str, Period, Decimal, Decimal]


def _lines(
    subscription: Subscription, tenants: Iterable[int], through: date, contracts: set[int] | None = None
) -> list[Row]:
    wanted = contracts or {subscription.pk}
    payers = [pay_by or pk for pk, pay_by in Tenant.objects.filter(pk__in=list(tenants)).values_list("pk", "pay_by_id")]
    named = Subscription.objects.filter(pk__in=wanted, pay_by__isnull=False)
    payers += named.values_list("pay_by_id", flat=True)
    proposal = charging.propose(subscription.issuer_id, sorted(set(payers)), through=through)
    rows = []
    for proposed in proposal.charges:
        contract, due = proposed.position.contract, proposed.due
        if contract.key in wanted:
            rows.append(
                (contract.reference, proposed.position.product, str(due.kind), due.period, due.quantity, due.net)
            )
    return rows


def _read(made: Any) -> tuple[Amendment, list[Subscription]]:
    if isinstance(made, tuple):
        return made[0], list(made[1:])
    return made, []


def _shown(rows: Iterable[Row], products: dict[int, Product]) -> list[MoneyLine]:
    lines = [
        MoneyLine(contract, products[product], kind, period, quantity, net)
        for contract, product, kind, period, quantity, net in rows
    ]
    return sorted(lines, key=lambda line: (line.contract, line.period.start, line.net))
