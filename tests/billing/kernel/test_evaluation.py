"""The product's own evaluator of traces: what holds has no deviation, what was changed has."""

import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis.strategies import decimals, fractions, lists

from billing.kernel.charges import due_less_booked
from billing.kernel.commitment import true_up
from billing.kernel.evaluation import evaluate
from billing.kernel.pricing import Model, PriceTerms, Tier

from .builders import Ledger, day, item, price
from .evaluator import evaluate as evaluate_otherwise
from .test_charge_laws import OFFSETS, SOON, at, items

PACKED = (Tier(Decimal(0), Decimal(2), Decimal(1), Decimal(10)), Tier(Decimal(25), Decimal(1), Decimal(5)))


@given(items(), SOON, OFFSETS)
@settings(max_examples=300, deadline=None)
def test_every_trace_of_the_kernel_holds(terms, end, through):
    ledger = Ledger()
    ledger.run(terms, at(through))
    ledger.run(replace(terms, schedule=replace(terms.schedule, ends_before=at(end))), at(through))
    for due in ledger.rows:
        assert evaluate(due.trace) == []
        assert evaluate_otherwise(due.trace) == due.net


@pytest.mark.parametrize("quantity", ["0", "9.5", "10", "25", "26", "100"])
@pytest.mark.parametrize("model", [Model.GRADUATED, Model.VOLUME])
@pytest.mark.parametrize("flat_when_zero", [False, True])
def test_tiers_with_packages_of_their_own(quantity, model, flat_when_zero):
    terms = item(PriceTerms(model, PACKED, flat_when_zero=flat_when_zero), quantity=Decimal(quantity))
    (due,) = due_less_booked(terms, (), day("01-01"))
    assert evaluate(due.trace) == []


def one_trace():
    terms = item(price("graduated", "10: 2.50, open: 2.40 + 5", minimum=Decimal(20)), "01-15", quantity=20)
    terms = replace(terms, schedule=replace(terms.schedule, grid=item(starts_on="01-01").schedule.grid))
    (due,) = due_less_booked(terms, (), day("01-31"))
    return due.trace


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({"net": "29.63"}, [("net", "29.63", "29.61")], id="the net"),
        pytest.param({"exact": "29.64"}, [("exact", "29.64", "918/31")], id="the exact amount"),
        pytest.param({"share": "17/30"}, [("share", "17/30", "17/31"), ("exact", "918/31", "30.6")], id="the share"),
        pytest.param({"quantity": "21"}, [("slices", "54", "56.4"), ("list", "54", "56.4")], id="the quantity"),
        pytest.param({"list": "55"}, [("list", "55", "54")], id="the list price"),
        pytest.param({"v": 2}, [("trace", "2", "1")], id="another form"),
        pytest.param(
            {"exact": "1/0"}, [("trace", "ZeroDivisionError: Fraction(1, 0)", "")], id="a figure that is none"
        ),
    ],
)
def test_a_changed_figure_is_named(change, found):
    trace = copy.deepcopy(one_trace())
    assert evaluate(trace) == []
    deviations = [(d.figure, d.stored, d.follows) for d in evaluate({**trace, **change})]
    assert deviations[: len(found)] == found


@given(
    decimals(0, 1000, places=2),
    fractions(0, 1, max_denominator=31),
    lists(decimals(0, 500, places=2), max_size=3),
)
@settings(max_examples=50, deadline=None)
def test_what_is_missing_to_a_commitment(amount, share, nets):
    trace = true_up(amount, share, nets, 2).trace
    assert evaluate(trace) == []
    assert [found.figure for found in evaluate({**trace, "net": "-1"})] == ["net"]
