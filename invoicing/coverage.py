"""Coverage with what the runs know: whether one has come to a day, and why it left a payer out.

What no run, no change and no refusal explains is a gap: something that would never be billed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from billing import coverage, unbilled_usage, usage_coverage
from billing.coverage import Covered, Position
from billing.kernel.coverage import ANSWERS, Answer, Reason
from billing.models import Subscription
from billing.usage_coverage import Counted
from invoicing.models import BillRun, Outcome
from tenants.copying import table_of

RUNS, OUTCOMES = table_of(BillRun), table_of(Outcome)
SHOWN: Final = 500
DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(hours=1)  # that a transaction lasts: a worker's task is ended then

ANSWERED: Final = {
    Answer.CHARGED: _("charged"),
    Answer.PENDING: _("not yet charged"),
    Answer.WAIVED: _("waived"),
    Answer.IN_ERROR: _("in error"),
}
REASONS: Final = {
    Reason.STANDS: _("a charge stands for them"),
    Reason.FREE: _("within the free quantity of their period"),
    Reason.NOT_DUE: _("not due yet"),
    Reason.WAITS_FOR_START: _("billing starts with a day that is not known yet"),
    Reason.WAITS_FOR_RUN: _("no bill run has come to them yet"),
    Reason.CHANGED_SINCE: _("changed since the last bill run; the next one will charge them"),
    Reason.TRIAL: _("trial"),
    Reason.BILLED_ELSEWHERE: _("billed by another system"),
    Reason.GAP: _("due, not charged, and nothing says why"),
    Reason.PARKED: _("the payer is parked"),
    Reason.NOT_ACTIVE: _("the account is not active"),
    Reason.UNBILLABLE: _("contract or price cannot be reckoned"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """The run of all payers of an issuer that came furthest."""

    key: int
    through: date
    started_at: datetime


@dataclass(slots=True)
class Report:
    """Sums of item-days by reason; ``faults`` are the first ``SHOWN`` stretches that are in error."""

    days: Counter[Reason] = field(default_factory=Counter)
    stretches: Counter[Reason] = field(default_factory=Counter)
    item_days: int = 0
    faults: list[Covered] = field(default_factory=list)
    fault_count: int = 0

    def add(self, one: Covered) -> None:
        days = one.stretch.period.days
        self.days[one.stretch.reason] += days
        self.stretches[one.stretch.reason] += 1
        self.item_days += days
        if one.stretch.answer is Answer.IN_ERROR:
            self.fault_count += 1
            if len(self.faults) < SHOWN:
                self.faults.append(one)

    def answered(self, answer: Answer) -> int:
        return sum(days for reason, days in self.days.items() if ANSWERS[reason] is answer)


def report(*, through: date, among: QuerySet[Subscription] | None = None) -> Report:
    """All item-days up to ``through`` summed up, of the contracts ``among`` or of all."""
    found = Report()
    for one in read(through=through, among=among):
        found.add(one)
    return found


def read(*, through: date, among: QuerySet[Subscription] | None = None) -> Iterator[Covered]:
    """All positions' days up to ``through``, that day included, each stretch with its answer and the reason."""
    runs = _runs()
    for chunk in coverage.read(through=through, among=among):
        gaps = [one.position for one in chunk if one.stretch.reason is Reason.GAP]
        outcomes, changed = (_outcomes(gaps, runs), _changed_since(gaps, runs)) if gaps else ({}, set())
        for one in chunk:
            yield _explained(one, runs, outcomes, changed) if one.stretch.reason is Reason.GAP else one


@dataclass(slots=True)
class UsageReport:
    """Events of usage by their answer; ``unbilled`` are those that no contract covers, by the reason for it."""

    events: Counter[Reason] = field(default_factory=Counter)
    unbilled: Counter[str] = field(default_factory=Counter)
    faults: list[Counted] = field(default_factory=list)

    def answered(self, answer: Answer) -> int:
        return sum(events for reason, events in self.events.items() if ANSWERS[reason] is answer)

    @property
    def total(self) -> int:
        return self.events.total() + self.unbilled.total()


def usage_report(
    *, through: date, among: QuerySet[Subscription] | None = None, user: Any = None, accounts: Any = None
) -> UsageReport:
    """All events of usage, whenever they were, as a run through a day leaves them; of contracts ``among`` or of all.

    What no contract covers is that which ``user`` sees (``None``: all), of ``accounts`` if these are given.
    """
    found = UsageReport()
    for one in read_usage(through=through, among=among):
        stretch = one.covered.stretch
        found.events[stretch.reason] += one.events
        if stretch.answer is Answer.IN_ERROR and len(found.faults) < SHOWN:
            found.faults.append(one)
    for unbilled in unbilled_usage.unbilled(user, date.min, date.max - DAY, accounts=accounts):
        found.unbilled[unbilled.reason] += unbilled.events
    return found


def read_usage(*, through: date, among: QuerySet[Subscription] | None = None) -> Iterator[Counted]:
    """Events of usage that contracts cover, each group with its answer and the reason."""
    runs = _runs()
    for chunk in usage_coverage.read(through=through, among=among):
        gaps = [one.covered.position for one in chunk if one.covered.stretch.reason is Reason.GAP]
        outcomes, changed = (_outcomes(gaps, runs), _changed_since(gaps, runs)) if gaps else ({}, set())
        for one in chunk:
            is_gap = one.covered.stretch.reason is Reason.GAP
            yield replace(one, covered=_explained(one.covered, runs, outcomes, changed)) if is_gap else one


def last_run_through() -> date | None:
    """The furthest day that a run of all payers was for, of any issuer."""
    return max((run.through for run in _runs().values()), default=None)


def _explained(
    gap: Covered,
    runs: dict[int, Run],
    outcomes: dict[tuple[int, int], tuple[str, str]],
    changed: set[int],
) -> Covered:
    position, due_on = gap.position, gap.stretch.due_on
    run = runs.get(position.issuer)
    state, reason = outcomes.get((position.issuer, position.payer), ("", ""))
    if state == Outcome.State.PARKED:
        return _told(gap, Reason.PARKED, reason)
    if run is None or (due_on is not None and due_on > run.through) or state == Outcome.State.PENDING:
        return _told(gap, Reason.WAITS_FOR_RUN)
    if position.key in changed:
        return _told(gap, Reason.CHANGED_SINCE)
    return gap


def _told(gap: Covered, reason: Reason, detail: str = "") -> Covered:
    return replace(gap, stretch=replace(gap.stretch, reason=reason), detail=detail)


def _runs() -> dict[int, Run]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select distinct on (issuer_id) issuer_id, id, through, started_at from {RUNS} where payer_id is null
             order by issuer_id, through desc, id desc
            """
        )
        return {issuer: Run(*row) for issuer, *row in cursor.fetchall()}


def _outcomes(gaps: Iterable[Position], runs: dict[int, Run]) -> dict[tuple[int, int], tuple[str, str]]:
    """The outcome that speaks for each payer, by issuer and payer.

    One that is pending in any run, whichever it is; else one of a run of which drafts were discarded since the latest
    run of all payers, since their days come with the next one; else that of the payer's latest run.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select distinct on (r.issuer_id, o.payer_id) r.issuer_id, o.payer_id,
                   case when d.is_since and o.state <> 'parked' then 'pending' else o.state end, o.reason
              from {OUTCOMES} o join {RUNS} r on r.id = o.run_id
              left join unnest(%s::bigint[], %s::timestamptz[]) as l(issuer, since) on l.issuer = r.issuer_id
             cross join lateral (select exists (select from tenants_activity a
                                                 where a."table" = %s and a.row = r.id and a.action = 'discarded'
                                                   and a.at > l.since) as is_since) d
             where o.payer_id = any(%s)
             order by r.issuer_id, o.payer_id, o.state = 'pending' desc, d.is_since desc, r.through desc, r.id desc
            """,
            [
                list(runs),
                [run.started_at - LONGEST for run in runs.values()],
                RUNS,
                list({position.payer for position in gaps}),
            ],
        )
        return {(issuer, payer): (state, reason) for issuer, payer, state, reason in cursor.fetchall()}


def _changed_since(gaps: Sequence[Position], runs: dict[int, Run]) -> set[int]:
    """The positions that changed, themselves or their contract or account, or whose document was cancelled, since the
    run that should have come to them started.

    A change bears the time at which its transaction began: one that began before the run, and was committed when the
    run had passed, counts as well.
    """
    since = [runs[position.issuer].started_at - LONGEST if position.issuer in runs else None for position in gaps]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct w.item
              from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
                   as w(item, contract, account, since)
              join tenants_activity a
                on (a."table", a.row) in (('billing_item', w.item), ('billing_subscription', w.contract),
                                          ('tenants_tenant', w.account))
             where a.at > w.since
             union
            select w.item
              from unnest(%s::bigint[], %s::timestamptz[]) as w(item, since)
              join billing_charge r on r.item_id = w.item and r.reverses_id is not null and r.created_at > w.since
            """,
            [
                [position.key for position in gaps],
                [position.contract for position in gaps],
                [position.account for position in gaps],
                since,
                [position.key for position in gaps],
                since,
            ],
        )
        return {row[0] for row in cursor.fetchall()}
