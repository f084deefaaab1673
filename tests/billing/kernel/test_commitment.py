from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis.strategies import decimals, integers, lists, tuples

from billing.kernel import evaluation
from billing.kernel.commitment import CommitmentTerms, true_up, true_ups_due
from billing.kernel.schedule import Grid, Interval, Schedule

from .builders import day
from .evaluator import evaluate


def commitment(amount="500", starts_on="01-01", ends_before=None, *, trial_end=None, billing_day=1):
    start, paid_from = day(starts_on), day(trial_end or starts_on)
    grid = Grid.of(Interval.parse("monthly"), billing_day, paid_from)
    schedule = Schedule(grid, start, ends_before and day(ends_before), paid_from=paid_from)
    return CommitmentTerms(1, 2, schedule, Decimal(amount))


class Topped:
    def __init__(self, terms):
        self.terms, self.booked = terms, {}

    def run(self, charged, through):
        charged = [(day(on) if isinstance(on, str) else on, Decimal(net)) for on, net in charged]
        through = day(through) if isinstance(through, str) else through
        found = true_ups_due(self.terms, charged, self.booked, through)
        for due in found:
            self.booked[due.period] = self.booked.get(due.period, Decimal(0)) + due.net
            assert evaluate(due.trace) == due.net
            assert evaluation.evaluate(due.trace) == []
            assert evaluation.evaluate({**due.trace, "net": str(due.net + 1)}) != []
        assert true_ups_due(self.terms, charged, self.booked, through) == []
        return [f"{due.period.start:%m-%d} to {due.period.end:%m-%d}: {due.net}" for due in found]


@pytest.mark.parametrize(
    ("share", "nets", "missing"),
    [
        pytest.param("12/31", [], "193.55", id="500.00 a month for 12 of 31 days"),
        pytest.param("1", ["499.99"], "0.01", id="a cent is missing"),
        pytest.param("1", ["300", "250"], "0.00", id="more than committed"),
        pytest.param("1", ["300", "-50"], "250.00", id="credits count"),
    ],
)
def test_what_is_missing(share, nets, missing):
    assert str(true_up(Decimal(500), Fraction(share), map(Decimal, nets), 2).missing) == missing


def test_it_is_due_at_the_end_of_the_period():
    books = Topped(commitment())
    charged = [("01-01", "300"), ("01-31", "50"), ("02-01", "300")]
    assert books.run(charged, "01-31") == []
    assert books.run(charged, "02-01") == ["01-01 to 02-01: 150.00"]
    assert books.run(charged, "03-01") == ["02-01 to 03-01: 200.00"]


def test_what_comes_in_late_takes_a_true_up_back():
    books = Topped(commitment())
    books.run([("01-01", "300")], "02-01")
    assert books.run([("01-01", "300"), ("01-15", "120")], "02-02") == ["01-01 to 02-01: -120.00"]
    assert books.run([("01-01", "300"), ("01-15", "900")], "02-03") == ["01-01 to 02-01: -80.00"]


def test_there_is_none_in_the_trial_and_a_part_of_one_for_a_part_of_a_period():
    assert Topped(commitment(starts_on="01-03", trial_end="01-20")).run([], "02-01") == ["01-20 to 02-01: 193.55"]
    assert Topped(commitment(ends_before="01-13")).run([], "03-01") == ["01-01 to 01-13: 193.55"]


@given(lists(tuples(integers(0, 89), decimals(-50, 300, places=2)), max_size=8), lists(integers(0, 95), max_size=4))
def test_whenever_it_runs_each_period_comes_to_the_commitment_or_more(charges, runs):
    books = Topped(commitment())
    begin = day("01-01")
    charged = [(begin + timedelta(offset), net) for offset, net in charges]
    for run in [*sorted(runs), 95]:
        on = begin + timedelta(run)
        books.run([one for one in charged if one[0] <= on], on)
    for start, end in (("01-01", "02-01"), ("02-01", "03-01"), ("03-01", "04-01")):
        nets = sum(net for on, net in charged if day(start) <= on < day(end))
        topped = sum(net for period, net in books.booked.items() if period.start == day(start))
        assert topped == max(Decimal(0), 500 - nets)
