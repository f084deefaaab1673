"""Play a scenario: the stations of the live book, day by day, in a rehearsal that leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing import contracts
from billing.explanation import explain
from billing.kernel.period import months_after
from billing.models import Amendment, Subscription
from invoicing import bill_run
from invoicing.models import BillRun, Invoice, Line, Outcome
from invoicing.simulation import changes, world
from invoicing.simulation.reading import Node
from invoicing.simulation.world import World
from tenants.transactions import rehearsal

MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """A line of a document; ``corrects`` is the number of that whose line it takes back."""

    position: int
    section: str
    contract: str
    product: str
    text: str
    kind: str
    quantity: Decimal
    unit: str
    starts_on: date
    ends_before: date
    vat_rate: Decimal
    net: Decimal
    corrects: str
    explanation: list[str]
    trace: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SimulatedShare:
    vat_case: str
    rate: Decimal
    base: Decimal
    vat: Decimal


@dataclass(frozen=True, slots=True)
class SimulatedAllowance:
    """What a discount takes off the document, of one VAT category and rate."""

    text: str
    vat_case: str
    rate: Decimal
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SimulatedDocument:
    """A document as the live run would have issued it; ``number`` is empty where nothing is to be paid."""

    number: str
    kind: str
    state: str
    issued_on: date
    due_on: date
    recipient: str
    payer: str
    currency: str
    language: str
    po_number: str
    net: Decimal
    vat: Decimal
    gross: Decimal
    vat_shares: list[SimulatedShare]
    allowances: list[SimulatedAllowance]
    lines: list[SimulatedLine]


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """A bill run. ``parked`` are the payers that it could not bill, with the reasons."""

    path: str
    through: date
    issue_on: date
    documents: list[SimulatedDocument]
    parked: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Written:
    """An amendment that was written down: by the scenario, or a renewal by itself (then ``path`` is empty)."""

    path: str
    contract: str
    kind: str
    on: date
    effective_on: date


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was played; ``refused`` are the renewals that were not possible, with their reasons."""

    title: str
    runs: list[SimulatedRun]
    amendments: list[Written]
    refused: list[str]

    @property
    def documents(self) -> list[SimulatedDocument]:
        return [document for run in self.runs for document in run.documents]

    @property
    def totals(self) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
        """Net, VAT and gross of all documents, by currency."""
        sums: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
        for one in self.documents:
            net, vat, gross = sums.get(one.currency, (Decimal(0),) * 3)
            sums[one.currency] = net + one.net, vat + one.vat, gross + one.gross
        return dict(sorted(sums.items()))


@dataclass(order=True, slots=True)
class _Event:
    """Of one day: first what was written down, then the run."""

    day: date
    rank: int
    place: int
    act: Callable[[], None] = field(compare=False)


@dataclass(slots=True)
class _Play:
    world: World
    runs: list[SimulatedRun] = field(default_factory=list)
    amendments: list[Written] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    renewed_until: dict[int, date] = field(default_factory=dict)

    def through(self, day: date) -> None:
        """Renew what renews itself by ``day``, each on the first day on which notice can no longer be given."""
        while (found := self._next_renewal()) is not None and found <= day:
            renewed = contracts.renew_due(self.world.issuer, on=found)
            reasons = [self.world.plain(reason) for reason in renewed.refused]
            self.refused += [reason for reason in reasons if reason not in self.refused]  # tried again each time
            for amendment in renewed.amendments:
                self._note("", amendment, found)
            for subscription in self.world.contracts:
                term = self._term(subscription)
                if term is not None and term[0] <= found:
                    self.renewed_until[subscription.pk] = term[1]

    def _next_renewal(self) -> date | None:
        return min((term[0] for one in self.world.contracts if (term := self._term(one))), default=None)

    def _term(self, subscription: Subscription) -> tuple[date, date] | None:
        """When the term that comes next is written down, and the day on which it begins."""
        if not (subscription.term_months and subscription.renewal_months):
            return None
        fresh = Subscription.objects.get(pk=subscription.pk)
        begins = self.renewed_until.get(fresh.pk, fresh.starts_on)
        term = contracts.term_of(fresh, begins)
        if term is None or (fresh.ends_before is not None and fresh.ends_before <= begins):
            return None
        return max(term.notice_by + timedelta(days=1), begins), term.renews_on

    def change(self, subscription: Subscription, node: Node, made: list[Amendment | None], place: int) -> None:
        made[place] = changes.apply(self.world, subscription, node, made)
        self._note(node.path, made[place], node.required_day("on"))

    def _note(self, path: str, amendment: Any, on: date) -> None:
        self.amendments.append(
            Written(path, amendment.subscription.reference, amendment.kind, on, amendment.effective_on)
        )

    def run(self, path: str, through: date, issue_on: date) -> None:
        run = bill_run.start(issuer=self.world.issuer, through=through, issue_on=issue_on, issues_by_itself=True)
        bill_run.bill(run)
        self.runs.append(
            SimulatedRun(path, through, issue_on, list(_documents(self.world, run)), list(_parked(self.world, run)))
        )


def simulate(scenario: Node, *, language: str) -> Simulation:
    """What the live stations would make of ``scenario``; afterwards nothing of it is left.

    Issues under an issuer of its own, whose number ranges vanish with it: no live row is written or locked.
    ``language`` is that of the documents where the scenario names none; explanations come in the active one.
    Raises ``ScenarioRefused`` naming the place in the file.
    """
    with rehearsal():
        play = _Play(world.build(scenario, language=language))
        events = sorted([*_changes(play, scenario), *_runs(play, scenario)])
        for event in events:
            play.through(event.day)
            event.act()
        return Simulation(scenario.text("title"), play.runs, play.amendments, play.refused)


def _changes(play: _Play, scenario: Node) -> Iterator[_Event]:
    for subscription, contract in zip(list(play.world.contracts), scenario.groups("contracts"), strict=True):
        nodes = contract.groups("changes")
        made: list[Amendment | None] = [None] * len(nodes)
        for place, node in enumerate(nodes):

            def act(
                subscription: Subscription = subscription,
                node: Node = node,
                made: list[Amendment | None] = made,
                place: int = place,
            ) -> None:
                play.change(subscription, node, made, place)

            yield _Event(node.required_day("on"), 0, place, act)


def _runs(play: _Play, scenario: Node) -> Iterator[_Event]:
    planned = [(node, day, node.day("issue_on") or day) for node in scenario.groups("runs") for day in _days(node)]
    world.number_ranges(play.world, {issue_on.year for _node, _through, issue_on in planned})
    for place, (node, through, issue_on) in enumerate(planned):

        def act(node: Node = node, through: date = through, issue_on: date = issue_on) -> None:
            play.run(node.path, through, issue_on)

        yield _Event(through, 1, place, act)


def _days(node: Node) -> Iterator[date]:
    if "through" in node:
        yield node.required_day("through")
        return
    first, every = node.required_day("from"), node.text("every")
    for n in range(node.data["count"]):
        if every in MONTHS:
            yield months_after(first, n * MONTHS[every])
        else:
            yield first + timedelta(days=n * (7 if every == "week" else 1))


def _documents(made: World, run: BillRun) -> Iterator[SimulatedDocument]:
    found = (
        Invoice.objects.filter(run=run)
        .select_related("recipient", "payer")
        .prefetch_related("lines__charge", "lines__section__tenant", "vat_shares", "allowances")
        .order_by("id")
    )
    for invoice in found:
        yield SimulatedDocument(
            number=invoice.number or "",
            kind=invoice.kind,
            state=invoice.state,
            issued_on=invoice.issued_on,
            due_on=invoice.due_on,
            recipient=made.plain(invoice.recipient.reference),
            payer=made.plain(invoice.payer.reference),
            currency=invoice.currency,
            language=invoice.language,
            po_number=invoice.po_number,
            net=invoice.net.amount,
            vat=invoice.vat.amount,
            gross=invoice.gross.amount,
            allowances=[
                SimulatedAllowance(one.text, one.vat_case, one.vat_rate, one.base.amount, one.amount.amount)
                for one in invoice.allowances.all()
            ],
            vat_shares=[
                SimulatedShare(share.vat_case, share.vat_rate, share.base.amount, share.vat.amount)
                for share in invoice.vat_shares.all()
            ],
            lines=[_line(made, line) for line in invoice.lines.all()],
        )


def _line(made: World, line: Line) -> SimulatedLine:
    charge = line.charge
    assert charge is not None  # here nothing is corrected by hand
    corrected = line.details.get("corrects") or {}
    return SimulatedLine(
        position=line.position,
        section=made.plain(line.section.tenant.reference) if line.section else "",
        contract=line.details["contract"],
        product=made.plain(line.details["product"]),
        text=line.text,
        kind=charge.kind,
        quantity=line.quantity,
        unit=line.unit,
        starts_on=line.starts_on,
        ends_before=line.ends_before,
        vat_rate=line.vat_rate,
        net=line.net.amount,
        corrects=corrected.get("number", ""),
        explanation=[made.plain(sentence) for sentence in explain(charge.trace, line.currency)],
        trace=json.loads(made.plain(json.dumps(charge.trace))),
    )


def _parked(made: World, run: BillRun) -> Iterator[tuple[str, str]]:
    outcomes = run.outcomes.filter(state=Outcome.State.PARKED).select_related("payer")
    for outcome in outcomes:
        yield made.plain(outcome.payer.reference), made.plain(outcome.reason)


__all__ = ["SimulatedDocument", "SimulatedLine", "SimulatedRun", "Simulation", "simulate"]
