"""The next documents of a live contract, or of a price nobody has yet, with a change and without: a rehearsal each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing import charging, contracts
from billing.charging import Proposal, Proposed
from billing.kernel.charges import Kind
from billing.kernel.period import months_after
from billing.kernel.schedule import INTERVALS, Grid, Timing, Unit
from billing.models import Amendment, Price, Subscription
from invoicing import drafting
from invoicing.models import Invoice
from invoicing.simulation.reading import checked
from invoicing.simulation.running import simulate
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_payers_of, rehearsal

DOCUMENTS = 12
WHAT_IF = "WHAT-IF"
LOOK_AHEAD = (1, 4, DOCUMENTS + 1)  # years: enough for twelve monthly documents, quarterly ones, yearly ones


class NotBilled(OperatorError):
    """The account of the contract is not active."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What will be invoiced on a day; below zero it is given back."""

    day: date
    net: Decimal
    vat: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Compared:
    """A day's document without the change and with it; ``None`` where there is none."""

    day: date
    without: Expected | None
    changed: Expected | None

    @property
    def difference(self) -> Decimal:
        """Of the net amounts."""
        nothing = Decimal(0)
        return (self.changed.net if self.changed else nothing) - (self.without.net if self.without else nothing)


def compared(without: list[Expected], changed: list[Expected]) -> list[Compared]:
    """By day, as long as both lists reach: a document more on one side leaves the other no shorter."""
    by_day = {one.day: one for one in without}, {one.day: one for one in changed}
    ends = [listed[-1].day for listed in (without, changed) if len(listed) == DOCUMENTS]
    days = sorted(day for day in by_day[0] | by_day[1] if not ends or day <= min(ends))
    return [Compared(day, by_day[0].get(day), by_day[1].get(day)) for day in days]


Change = Callable[[], Any]


def of_contract(subscription: Subscription, *, on: date, change: Change | None = None) -> list[Expected]:
    """The next twelve documents of ``subscription`` alone, billed from ``on`` every night; nothing is kept.

    ``change`` is a call of a function of ``billing.contracts`` that comes first. What is due by ``on`` and not charged
    yet stands on the first one. The payer is locked while it lasts. Raises what the change or drafting refuses.
    """
    with rehearsal():
        _payer_of(subscription)
        if change is not None:
            change()
        fresh = Subscription.objects.select_related("issuer", "tenant").get(pk=subscription.pk)
        payer = _payer_of(fresh)
        _renew(fresh, on=on)
        return [
            expected
            for day in _due_days(lambda through: _own(fresh, payer, through), on)
            for expected in _bill(fresh, payer, day)
        ]


def next_of_contract(subscription: Subscription, *, on: date) -> list[int]:
    """The drafts (keys) of the next day from ``on`` on which ``subscription`` is billed, alone; to be undone.

    Call it in a rehearsal. Empty if nothing is ever due. Raises ``NotBilled`` and what drafting refuses.
    """
    payer = _payer_of(subscription)
    _renew(subscription, on=on)
    days = _due_days(lambda through: _own(subscription, payer, through), on)[:1]
    return [draft.key for day in days for draft in _drafts(subscription.issuer, _own(subscription, payer, day), day)]


def next_of_account(account: Tenant, *, on: date) -> list[int]:
    """The drafts (keys) of the next day of each issuer on which ``account`` is billed as payer; to be undone."""
    lock_payers_of([account.pk])
    if account.status != Tenant.Status.ACTIVE:
        raise NotBilled(_("%(account)s is not active: it is not billed.") % {"account": account.reference})
    theirs = Subscription.objects.filter(
        Q(pay_by=account) | Q(pay_by=None) & (Q(tenant__pay_by=account) | Q(tenant=account))
    )
    keys: list[int] = []
    for issuer in Issuer.objects.filter(subscriptions__in=theirs).distinct().order_by("pk"):
        for contract in theirs.filter(issuer=issuer, renewal_months__gt=0).select_related("issuer", "tenant"):
            _renew(contract, on=on, years=2)

        def due(through: date, issuer: Issuer = issuer) -> list[Proposed]:
            return list(charging.propose(issuer.pk, [account.pk], through=through).charges)

        for day in _due_days(due, on)[:1]:
            keys += [draft.key for draft in _drafts(issuer, due(day), day)]
    return keys


def _payer_of(subscription: Subscription) -> int:
    """Locks it."""
    lock_payers_of([subscription.tenant_id])
    tenant = Tenant.objects.get(pk=subscription.tenant_id)
    if tenant.status != Tenant.Status.ACTIVE:
        raise NotBilled(_("%(account)s is not active: it is not billed.") % {"account": tenant.reference})
    return subscription.pay_by_id or tenant.pay_by_id or tenant.pk


def _renew(subscription: Subscription, *, on: date, years: int = LOOK_AHEAD[-1]) -> None:
    """Write the renewals to come, as far as the outlook can reach."""
    if not (subscription.term_months and subscription.renewal_months):
        return
    done = set(subscription.amendments.filter(kind=Amendment.Kind.RENEWAL).values_list("effective_on", flat=True))
    last, day = months_after(on, 12 * years), max(on, subscription.starts_on)
    while (term := contracts.term_of(subscription, day)) is not None and term.renews_on <= last:
        if subscription.ends_before is not None and subscription.ends_before <= term.renews_on:
            return
        day = term.renews_on
        if day not in done:
            contracts.renew(subscription, renews_on=day, reason="", by=None, channel="schedule")


def _due_days(proposed: Callable[[date], list[Proposed]], on: date) -> list[date]:
    """The days of the next documents: twelve at most. ``proposed`` says what is due through a day."""
    days: list[date] = []
    for years in LOOK_AHEAD:
        through = months_after(on, 12 * years)
        days = sorted({_due_on(one, on) for one in proposed(through)})
        if len(days) >= DOCUMENTS:
            break
    return days[:DOCUMENTS]


def _due_on(charge: Proposed, on: date) -> date:
    schedule = charge.position.terms.schedule
    if charge.due.kind is Kind.CREDIT or charge.due.reverses:
        return on
    is_late = schedule.timing is Timing.ARREARS and not schedule.once
    return max(on, charge.due.period.end if is_late else charge.due.period.start)


def _own(subscription: Subscription, payer: int, through: date) -> list[Proposed]:
    proposal = charging.propose(subscription.issuer_id, [payer], through=through)
    return [one for one in proposal.charges if one.position.contract.key == subscription.pk]


def _bill(subscription: Subscription, payer: int, day: date) -> Iterator[Expected]:
    """Charge and draft one day, without a number; drafts count as decided, so that later ones may correct them."""
    for draft in _drafts(subscription.issuer, _own(subscription, payer, day), day):
        yield Expected(day, draft.totals.net, draft.totals.vat, draft.totals.gross)


def _drafts(issuer: Issuer, charges: list[Proposed], day: date) -> list[drafting.Draft]:
    proposal = Proposal(charges)
    drafts = drafting.propose(issuer, proposal, issue_on=day)
    charging.write(proposal)
    drafting.write(drafts, run=None, state=Invoice.State.CLOSED.value)
    return drafts


def of_price(
    price: Price, *, quantity: Decimal, on: date, language: str, change: Mapping[str, Any] | None = None
) -> list[Expected]:
    """The first twelve documents of a contract that begins on ``on`` and holds ``quantity`` at ``price``.

    It is a simulation: a German customer of a German issuer, billed each time a period falls due. ``change`` is one of
    the changes of a scenario; a discount has its ``percent`` instead of a name. Raises what the simulation refuses.
    """
    product = price.product
    granted = dict(change or {})
    percent = granted.pop("percent", None)
    scenario = {
        "issuer": {"currency": price.currency},
        "catalog": {"products": [_product(price)], "discounts": _discounts(percent)},
        "contracts": [
            {
                "starts_on": on.isoformat(),
                "positions": [{"product": product.reference[:40], "quantity": f"{quantity:f}"}],
                "changes": [granted | ({"discount": WHAT_IF} if percent else {})] if change else [],
            }
        ],
        "runs": [{"through": day.isoformat()} for day in _billing_days(product.interval, product.timing, on)],
    }
    result = simulate(checked(scenario), language=language)
    for run in result.runs:
        for _payer, reason in run.parked:
            raise NotBilled(reason)
    return [Expected(one.issued_on, one.net, one.vat, one.gross) for one in result.documents]


def _discounts(percent: str | None) -> list[dict[str, str]]:
    return [{"reference": WHAT_IF, "percent": percent}] if percent else []


def _product(price: Price) -> dict[str, Any]:
    product = price.product
    figures = {name: getattr(price, name) for name in ("package_size", "minimum", "cap", "free_quantity")}
    names = ("unit", "tax_category", "interval", "timing", "proration")
    return {
        "reference": product.reference[:40],
        **{name: getattr(product, name) for name in names},
        "prices": [
            {
                "model": price.model,
                **{name: f"{figure:f}" for name, figure in figures.items() if figure is not None},
                "tiers": [
                    {
                        **({} if tier.up_to is None else {"up_to": f"{tier.up_to:f}"}),
                        "unit_price": f"{tier.unit_price:f}",
                        "flat_amount": f"{tier.flat_amount:f}",
                    }
                    for tier in price.tiers.all()
                ],
            }
        ],
    }


def _billing_days(interval: str, timing: str, on: date) -> Iterator[date]:
    """The days on which the first twelve periods fall due."""
    parsed = INTERVALS[interval]
    if parsed.unit is Unit.ONCE:
        yield on
        return
    grid = Grid.anniversary(parsed, on)
    first = grid.index(on)
    for n in range(first, first + DOCUMENTS):
        period = grid.period(n)
        yield period.end if timing == Timing.ARREARS else period.start
