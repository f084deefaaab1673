"""From which day a contract may have a new price."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, dates, integers, none, one_of, sampled_from

from billing.kernel.legal_day import Agreement, Rule, legal_day, out_of_term
from billing.kernel.schedule import Grid, Interval
from billing.kernel.term import term_on

MONTHLY, YEARLY, WEEKLY = (Interval.parse(word) for word in ("monthly", "yearly", "weekly"))
FIRST = date(2026, 1, 1)
JANUARY = date(2027, 1, 1)


def months(first: date = FIRST) -> Grid:
    return Grid.anniversary(MONTHLY, first)


@pytest.mark.parametrize(
    ("agreement", "announced_on", "notice_days", "grid", "day", "rules"),
    [
        pytest.param(Agreement(FIRST), date(2026, 10, 1), 30, months(), JANUARY, "wanted", id="evergreen, as wanted"),
        pytest.param(
            Agreement(FIRST),
            date(2026, 12, 1),
            30,
            months(),
            JANUARY,
            "wanted",
            id="30 days to 31 December are announced on 1 December at the latest",
        ),
        pytest.param(
            Agreement(FIRST),
            date(2026, 12, 2),
            30,
            months(),
            date(2027, 2, 1),
            "wanted notice period",
            id="a day too late: the next period",
        ),
        pytest.param(
            Agreement(FIRST, notice_days=90),
            date(2026, 11, 1),
            30,
            months(),
            date(2027, 2, 1),
            "wanted notice period",
            id="the contract's own notice is longer: 31 January, and the period after it",
        ),
        pytest.param(
            Agreement(date(2026, 4, 1), 12, 12, 30),
            date(2026, 10, 1),
            30,
            months(),
            date(2027, 4, 1),
            "wanted term",
            id="the first term fixes the price until it renews itself",
        ),
        pytest.param(
            Agreement(date(2025, 1, 1), 12, 12, 90),
            date(2026, 10, 3),
            30,
            months(),
            date(2028, 1, 1),
            "wanted notice term",
            id="announced when notice can no longer be given: a term later",
        ),
        pytest.param(
            Agreement(date(2025, 1, 1), 12, 12, 90),
            date(2026, 10, 2),
            30,
            months(),
            JANUARY,
            "wanted",
            id="announced on the last day of notice: with this term",
        ),
        pytest.param(
            Agreement(date(2024, 2, 1), 24),
            date(2026, 10, 1),
            30,
            months(),
            JANUARY,
            "wanted",
            id="after its only term a contract is free",
        ),
        pytest.param(
            Agreement(date(2026, 3, 15), 12, 12),
            date(2026, 10, 1),
            30,
            months(),
            date(2027, 4, 1),
            "wanted term period",
            id="a term that ends within a period: the next whole one",
        ),
        pytest.param(
            Agreement(date(2024, 8, 31), 6, 6),
            date(2026, 10, 1),
            30,
            months(date(2024, 8, 31)),
            date(2027, 2, 28),
            "wanted term",
            id="month ends are counted from the first day: 31 August, 28 February",
        ),
        pytest.param(
            Agreement(date(2026, 1, 10), 12, 12, 0, 5),
            date(2026, 10, 1),
            30,
            Grid.anniversary(WEEKLY, date(2026, 1, 1)),
            date(2027, 1, 21),
            "wanted term period",
            id="pauses make the term longer",
        ),
        pytest.param(
            Agreement(JANUARY, 12, 12),
            date(2026, 10, 1),
            30,
            Grid.anniversary(YEARLY, JANUARY),
            date(2028, 1, 1),
            "wanted term",
            id="a contract that begins on the wanted day is bound by its first term",
        ),
        pytest.param(
            Agreement(FIRST),
            date(2026, 10, 1),
            30,
            Grid.anniversary(YEARLY, date(2026, 5, 31)),
            date(2027, 5, 31),
            "wanted period",
            id="a year that is paid keeps its price",
        ),
    ],
)
def test_the_next_legal_day(agreement, announced_on, notice_days, grid, day, rules):
    found = legal_day(
        JANUARY,
        announced_on=announced_on,
        notice_days=notice_days,
        agreement=agreement,
        grid=grid,
        starts_on=agreement.term_from,
    )
    assert (found.day, " ".join(step.rule for step in found.steps)) == (day, rules)


def test_days_that_are_charged_keep_their_price():
    found = legal_day(
        JANUARY,
        announced_on=FIRST,
        notice_days=0,
        agreement=Agreement(FIRST),
        grid=months(),
        starts_on=FIRST,
        charged_before=date(2027, 2, 15),
    )
    assert [(step.rule, step.day) for step in found.steps] == [
        (Rule.WANTED, JANUARY),
        (Rule.CHARGED, date(2027, 2, 15)),
        (Rule.PERIOD, date(2027, 3, 1)),
    ]


def test_within_the_term_where_the_contract_allows_it():
    agreement = Agreement(date(2026, 4, 1), 12, 12, 30)
    found = legal_day(
        JANUARY,
        announced_on=FIRST,
        notice_days=30,
        agreement=agreement,
        grid=months(),
        starts_on=date(2026, 4, 1),
        within_term=True,
    )
    assert found.day == JANUARY


DAYS = dates(date(2024, 1, 1), date(2028, 12, 31))
AGREEMENTS = builds(
    Agreement,
    DAYS,
    one_of(none(), integers(1, 36)),
    one_of(none(), integers(1, 24)),
    one_of(none(), integers(0, 120)),
    integers(0, 40),
)
GRIDS = builds(Grid.anniversary, sampled_from([Interval.parse(w) for w in ("weekly", "monthly", "quarterly")]), DAYS)


@given(DAYS, DAYS, integers(0, 120), AGREEMENTS, GRIDS, booleans())
def test_it_is_the_first_day_that_breaks_no_rule(wanted_on, announced_on, notice, agreement, grid, within_term):
    """Out of the term by the first day that is announced in time, then the first period: no earlier day will do."""
    found = legal_day(
        wanted_on,
        announced_on=announced_on,
        notice_days=notice,
        agreement=agreement,
        grid=grid,
        starts_on=agreement.term_from,
        within_term=within_term,
    )
    days = max(notice, agreement.notice_days or 0)
    free = max(wanted_on, agreement.term_from, announced_on + timedelta(days=days + 1))
    while not within_term and _is_bound(agreement, free):
        free += timedelta(days=1)
    assert found.day >= free
    assert grid.starts_on(found.day)
    day = free
    while day < found.day:
        assert not grid.starts_on(day)
        day += timedelta(days=1)
    if within_term:
        assert all(step.rule is not Rule.TERM for step in found.steps)
    assert [step.day for step in found.steps] == sorted({step.day for step in found.steps})


def _is_bound(agreement: Agreement, day: date) -> bool:
    """Whether the term of the day before goes on with this day: told by the terms themselves, day by day."""
    term = term_on(
        day - timedelta(days=1),
        agreement.term_from,
        agreement.term_months,
        agreement.renewal_months,
        None,
        agreement.extended_days,
    )
    return term is not None and term.renews_on > day


@given(DAYS, DAYS, AGREEMENTS, GRIDS)
def test_whoever_announces_earlier_never_changes_later(wanted_on, announced_on, agreement, grid):
    def day(announced: date) -> date:
        return legal_day(
            wanted_on,
            announced_on=announced,
            notice_days=30,
            agreement=agreement,
            grid=grid,
            starts_on=agreement.term_from,
        ).day

    assert day(announced_on) <= day(announced_on + timedelta(days=1))


def test_a_contract_without_a_term_is_bound_by_none():
    assert out_of_term(Agreement(FIRST), JANUARY) is None
