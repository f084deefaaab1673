"""Which answer each day of an item has; and that, whatever happens, each day has exactly one."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, none, tuples

from billing.kernel.charges import Booked, Kind
from billing.kernel.coverage import Reason, active_days, covered
from billing.kernel.schedule import Timing

from .builders import Ledger, day, days, item
from .test_charge_laws import HORIZON, OFFSETS, SOON, at, items


def told(schedule, booked, through):
    return [
        f"{part.period.start:%m-%d} to {part.period.end:%m-%d} {part.reason}"
        for part in covered(schedule, booked, day(through))
    ]


def fee(text, key=1, net=1):
    return Booked(key, Kind.FEE, days(text), net)


@pytest.mark.parametrize(
    ("terms", "booked", "answers"),
    [
        pytest.param(
            item(),
            [fee("01-01 to 02-01"), fee("02-01 to 03-01", 2)],
            ["01-01 to 02-01 stands", "02-01 to 02-11 stands"],
            id="charged in advance: the days so far",
        ),
        pytest.param(item(), [fee("01-01 to 02-01")], ["01-01 to 02-01 stands", "02-01 to 02-11 gap"], id="not billed"),
        pytest.param(
            item(timing=Timing.ARREARS),
            [fee("01-01 to 02-01")],
            ["01-01 to 02-01 stands", "02-01 to 02-11 not_due"],
            id="in arrears the running period is not due",
        ),
        pytest.param(
            item(trial_end="01-15"),
            [fee("01-15 to 02-15")],
            ["01-01 to 01-15 trial", "01-15 to 02-11 stands"],
            id="the trial is waived",
        ),
        pytest.param(
            item(trial_end="01-15", billed_before="02-01"),
            [fee("02-01 to 02-15")],
            ["01-01 to 01-15 trial", "01-15 to 02-01 billed_elsewhere", "02-01 to 02-11 stands"],
            id="what another system billed is waived",
        ),
        pytest.param(
            item(),
            [
                fee("01-01 to 02-01"),
                Booked(2, Kind.CREDIT, days("01-11 to 01-21"), -1, corrects=1),
                fee("02-01 to 03-01", 3),
            ],
            ["01-01 to 01-11 stands", "01-11 to 01-21 gap", "01-21 to 02-01 stands", "02-01 to 02-11 stands"],
            id="days given back that the item still has are a gap",
        ),
        pytest.param(
            item(ends_before="01-11"), [fee("01-01 to 02-01")], ["01-01 to 01-11 stands"], id="it has no further days"
        ),
        pytest.param(item("50", interval="once"), [], ["01-01 to 02-11 gap"], id="once, and not charged"),
        pytest.param(
            item("50", interval="once"),
            [fee("01-01 to 01-02")],
            ["01-01 to 02-11 stands"],
            id="once is for all its days",
        ),
        pytest.param(
            item("50", interval="once", billed_before="01-02"),
            [],
            ["01-01 to 02-11 billed_elsewhere"],
            id="once, by another system",
        ),
        pytest.param(item(starts_on="03-01"), [], [], id="not yet there"),
    ],
)
def test_each_day_has_its_answer(terms, booked, answers):
    assert told(terms.schedule, booked, "02-10") == answers


@given(items(), lists(tuples(none() | SOON, SOON), min_size=1, max_size=4), OFFSETS, integers(0, 30))
@settings(max_examples=1_000, deadline=None)
def test_the_days_of_all_answers_are_the_days_of_the_item(terms, changes, last, later):
    """A random history: an end that moves, runs in between, looked at on any day; after a run no gap is left."""
    ledger = Ledger()
    for (end, _), through in zip(changes, sorted(run for _, run in changes), strict=True):
        terms = replace(terms, schedule=replace(terms.schedule, ends_before=at(end)))
        ledger.run(terms, at(through))
    for look, billed in ((at(last), False), (at(HORIZON), True)):
        if billed:
            ledger.run(terms, look)
        found = covered(terms.schedule, ledger.standing, look)
        active = active_days(terms.schedule.starts_on, terms.schedule.ends_before, look)
        assert sum(part.period.days for part in found) == active.days
        assert all(one.period.end == other.period.start for one, other in pairwise(found))
        if billed:
            assert Reason.GAP not in {part.reason for part in found}
            after = look + timedelta(days=later)
            gaps = [part for part in covered(terms.schedule, ledger.standing, after) if part.reason is Reason.GAP]
            assert all(look < part.due_on <= after for part in gaps)
