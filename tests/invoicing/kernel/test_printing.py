"""No printed line on which a reader finds a difference."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis.strategies import composite, integers, lists, none, one_of, sampled_from, tuples

from billing.kernel.charges import Kind, Proration
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.money import rounded
from billing.kernel.period import Period
from billing.kernel.pricing import Model
from invoicing.kernel.printing import Explanation, StepKind, explained, reckoning, shown_price
from tests.billing.kernel.builders import Ledger, item, price

D = Decimal


@pytest.mark.parametrize(
    ("exact", "quantity", "amount", "shown"),
    [
        pytest.param(D("7500"), "1", "7500.00", "7500.00", id="two decimals at least"),
        pytest.param(Fraction(850, 3), "3", "850.00", "283.333", id="a reckoned price with as many as it takes"),
        pytest.param(D("0.952"), "25", "23.80", "0.952", id="an agreed price in full"),
        pytest.param(D("0.952"), "1", "0.95", "0.952", id="in full also where fewer decimals would do"),
        pytest.param(D("12.9000000000"), "44", "567.60", "12.90", id="idle zeros left out"),
        pytest.param(D("5"), "-2", "-10.00", "5.00", id="the quantity bears the sign"),
        pytest.param(D("0.0047"), "1", "0.00", "0.0047", id="too little to claim"),
        pytest.param(D("12.90"), "44", "283.12", None, id="not a product"),
    ],
)
def test_the_unit_price_multiplies_out(exact, quantity, amount, shown):
    assert shown_price(exact, D(quantity), D(amount), places=2) == (shown and D(shown))


def test_a_currency_without_decimals_shows_none():
    assert str(shown_price(D(1500), D(3), D(4500), places=0)) == "1500"


def told(explanation: Explanation, net: str, places: int = 2) -> list[str] | None:
    way = reckoning(explanation.full, explanation.steps, D(net), places)
    return way and [str(way.full), *(f"{shown.step.kind} {shown.change} {shown.remains}" for shown in way.steps)]


def charged(terms, through="12-31"):
    ledger = Ledger()
    ledger.run(terms, through)
    return ledger.rows


def percent(value, **more):
    return DiscountTerms(DiscountKind.PERCENT, D(value), **more)


def fixed(value, **more):
    return DiscountTerms(DiscountKind.FIXED, D(value), **more)


@pytest.mark.parametrize(
    ("terms", "net", "steps"),
    [
        pytest.param(
            item("310", "01-15", billing_day=1), "170.00", ["310.00", "share -140.00 170.00"], id="17 of 31 days"
        ),
        pytest.param(
            item("90", "01-20", billing_day=1),
            "34.84",
            ["90.00", "share -55.16 34.84"],
            id="the share is rounded as the line is",
        ),
        pytest.param(
            item(
                price("per_unit", "open: 12.90"),
                "01-15",
                billing_day=1,
                quantity=44,
                discounts=[percent("10"), fixed("5")],
            ),
            "275.14",
            ["567.600", "share -256.335 311.265", "percent -31.127 280.138", "fixed -5.000 275.138"],
            id="share, percent, fixed",
        ),
        pytest.param(
            item("27.40", "01-15", billing_day=1, discounts=[percent("10")]),
            "13.52",
            ["27.400", "share -12.374 15.026", "percent -1.503 13.523"],
            id="a third decimal where two would end a cent apart",
        ),
        pytest.param(
            item(
                "100", discounts=[percent("5", stacked=True), percent("10", stacked=True), percent("15", stacked=True)]
            ),
            "70.00",
            ["100.00", "stacked_percent -5.00 95.00", "stacked_percent -10.00 85.00", "stacked_percent -15.00 70.00"],
            id="stacked percentages are all taken from the same",
        ),
        pytest.param(
            item("100", discounts=[percent("5"), percent("10"), percent("15")]),
            "72.68",
            ["100.000", "percent -5.000 95.000", "percent -9.500 85.500", "percent -12.825 72.675"],
            id="others each from what is left",
        ),
        pytest.param(item("3", discounts=[fixed("5")]), "0.00", ["3.00", "fixed -3.00 0.00"], id="never below nothing"),
        pytest.param(
            item(price("graduated", "10: 2.50, open: 2.40", minimum=D(50)), quantity=11),
            "50.00",
            ["27.40", "minimum 22.60 50.00"],
            id="a minimum",
        ),
        pytest.param(
            item(price("per_unit", "open: 2", cap=D(20)), "01-22", billing_day=1, quantity=44),
            "6.45",
            ["88.00", "cap -68.00 20.00", "share -13.55 6.45"],
            id="a cap, prorated",
        ),
    ],
)
def test_steps_lead_from_the_full_price_to_the_amount(terms, net, steps):
    charge = charged(terms, through=terms.schedule.starts_on)[0]
    assert charge.net == D(net)
    assert told(explained(charge.trace), net) == steps


def test_a_credit_says_what_is_kept_and_what_was_charged():
    ledger = Ledger()
    ledger.run(item("500", "09-01", billing_day=1), "09-01")
    ledger.run(item("500", "09-01", "09-06", billing_day=1), "09-06")
    credit = ledger.rows[-1]
    assert credit.kind is Kind.CREDIT
    assert credit.net == D("-416.67")
    assert told(explained(credit.trace), "-416.67") == ["500.00", "share -416.67 83.33", "booked -500.00 -416.67"]


@pytest.mark.parametrize(
    ("terms", "parts", "unit_price", "free"),
    [
        pytest.param(item("49", quantity=5), [], None, 0, id="flat"),
        pytest.param(item(price("per_unit", "open: 12.90"), quantity=44), [], "12.90", 0, id="per unit"),
        pytest.param(
            item(price("graduated", "10: 2.50, 20: 2.40, open: 2.20"), quantity=25),
            ["10 x 2.5 = 25", "10 x 2.4 = 24", "5 x 2.2 = 11"],
            None,
            0,
            id="graduated",
        ),
        pytest.param(item(price("graduated", "10: 2.50, open: 2.40"), quantity=9), [], "2.50", 0, id="within one tier"),
        pytest.param(
            item(price("graduated", "10: 2.50 + 7, open: 2.40 + 3"), quantity=11),
            ["10 x 2.5 = 25", "10 for 7", "1 x 2.4 = 2.4", "1 for 3"],
            None,
            0,
            id="graduated with flat amounts",
        ),
        pytest.param(item(price("volume", "10: 2.50, open: 2.40"), quantity=11), [], "2.40", 0, id="volume"),
        pytest.param(item(price("stairstep", "10: 0 + 50, open: 0 + 99"), quantity=11), ["11 for 99"], None, 0),
        pytest.param(
            item(price("package", "open: 1.25", package_size=D(1000)), quantity=2001),
            ["3 x 1.25 = 3.75 of 1000"],
            None,
            0,
            id="packages",
        ),
        pytest.param(
            item(price("per_unit", "open: 2", free_quota=D(10)), quantity=44),
            ["34 x 2 = 68"],
            None,
            10,
            id="free units",
        ),
        pytest.param(
            item(price("percentage", "open: 1.5"), quantity=1000), [], "0.015", 0, id="a percentage of a value"
        ),
    ],
)
def test_the_full_price_is_made_of_its_parts(terms, parts, unit_price, free):
    charge = charged(terms, through=terms.schedule.starts_on)[0]
    explanation = explained(charge.trace)
    assert [told_part(part) for part in explanation.parts] == parts
    assert explanation.unit_price == (unit_price and D(unit_price))
    assert explanation.free == free
    assert explanation.full == charge.net


def told_part(part):
    if part.unit_price is None:
        return f"{part.quantity} for {part.amount}"
    size = f" of {part.package_size}" if part.package_size else ""
    return f"{part.quantity} x {part.unit_price} = {part.amount}{size}"


def test_what_takes_a_charge_back_explains_nothing():
    ledger = Ledger()
    ledger.run(item("500", "09-01", billing_day=1), "09-01")
    ledger.run(item("500", "09-01", "09-01", billing_day=1), "09-01")
    assert ledger.rows[-1].reverses
    assert explained(ledger.rows[-1].trace) == Explanation()


figures = integers(0, 10**7).map(lambda units: D(units).scaleb(-4))
prices = integers(0, 10**9).map(lambda units: D(units).scaleb(-6))


@composite
def any_terms(draw):
    model = draw(sampled_from([m for m in Model if m is not Model.PERCENTAGE]))
    bounds = draw(lists(integers(1, 50).map(lambda n: n * 100), unique=True, max_size=3).map(sorted))
    if model in (Model.FLAT, Model.PER_UNIT, Model.COMMITMENT):
        bounds = []
    rows = [f"{bound}: {draw(prices)} + {draw(figures)}" for bound in [*bounds, "open"]]
    minimum, cap = draw(one_of(none(), tuples(figures, figures).map(sorted))) or (None, None)
    sizes = {"package_size": D(100)} if model is Model.PACKAGE else {}
    terms = price(model, ", ".join(rows), minimum=minimum, cap=cap, free_quota=D(draw(integers(0, 20))), **sizes)
    discounts = draw(
        lists(
            one_of(
                integers(0, 1000).map(lambda n: percent(D(n).scaleb(-1))),
                integers(0, 1000).map(lambda n: percent(D(n).scaleb(-1), stacked=True)),
                integers(0, 10**5).map(lambda n: fixed(D(n).scaleb(-2))),
            ),
            max_size=3,
        )
    )
    first = date(2026, 1, 1) + timedelta(days=draw(integers(0, 364)))
    return item(
        terms,
        first.isoformat(),
        interval=draw(sampled_from(["monthly", "quarterly", "yearly"])),
        billing_day=draw(sampled_from([None, 1])),
        quantity=D(draw(integers(0, 10**6))).scaleb(-2),
        discounts=discounts,
        proration=draw(sampled_from(list(Proration))),
        places=draw(sampled_from([0, 2, 3])),
    )


@given(any_terms(), integers(1, 40))
def test_every_fee_multiplies_out_or_is_reckoned_step_by_step(terms, cut):
    ledger = Ledger()
    ledger.run(terms, terms.schedule.starts_on)
    for charge in ledger.rows:
        check(charge, terms.places)
        assert found_a_way(charge, terms.places)


@given(any_terms(), integers(1, 40))
@example(item("500", "09-01", billing_day=1), 5)
def test_no_credit_is_printed_with_figures_that_lead_elsewhere(terms, days):
    ledger = Ledger()
    ledger.run(terms, terms.schedule.starts_on)
    assume(ledger.rows)
    first = terms.schedule.starts_on
    until = (first + timedelta(days=days)).isoformat()
    cut = replace(terms, schedule=replace(terms.schedule, ends_before=date.fromisoformat(until)))
    ledger.run(cut, date.fromisoformat(until))
    for charge in ledger.rows:
        check(charge, terms.places)


def found_a_way(charge, places):
    explanation = explained(charge.trace)
    if explanation.unit_price is not None and not explanation.steps:
        return shown_price(explanation.unit_price, charge.quantity, charge.net, places) is not None
    return reckoning(explanation.full, explanation.steps, charge.net, places) is not None


def check(charge, places):
    """Go over the printed figures with a pocket calculator."""
    explanation = explained(charge.trace)
    if explanation.unit_price is not None and not explanation.steps:
        shown = shown_price(explanation.unit_price, charge.quantity, charge.net, places)
        assert shown is None or rounded(shown * charge.quantity, places) == charge.net
    if explanation.full is None:
        return
    for part in explanation.parts:
        assert part.unit_price is None or part.quantity * part.unit_price == part.amount
    assert not explanation.parts or sum(part.amount for part in explanation.parts) == explanation.full
    way = reckoning(explanation.full, explanation.steps, charge.net, places)
    if way is None:
        return
    assert way.full == explanation.full
    figure = base = way.full
    stacking = False
    for shown in way.steps:
        kind, value = shown.step.kind, shown.step.value
        base = base if stacking and kind is StepKind.STACKED_PERCENT else figure
        stacking = kind is StepKind.STACKED_PERCENT
        expected = {
            StepKind.MINIMUM: lambda f, b, v: max(f, v),
            StepKind.CAP: lambda f, b, v: min(f, v),
            StepKind.SHARE: lambda f, b, v: f * v,
            StepKind.PERCENT: lambda f, b, v: f - min(f, b * v / 100),
            StepKind.STACKED_PERCENT: lambda f, b, v: f - min(f, b * v / 100),
            StepKind.FIXED: lambda f, b, v: f - min(f, v),
            StepKind.BOOKED: lambda f, b, v: f - v,
        }[kind](Fraction(figure), Fraction(base), value)
        assert abs(Fraction(shown.remains) - expected) <= Fraction(1, 2 * 10**way.decimals)
        assert figure + shown.change == shown.remains
        figure = shown.remains
    assert rounded(figure, places) == charge.net


def test_periods_are_half_open_in_the_trace_and_counted_whole():
    charge = charged(item("310", "01-15", billing_day=1), "01-15")[0]
    assert charge.period == Period(date(2026, 1, 15), date(2026, 2, 1))
    assert explained(charge.trace).steps[0].days == (17, 31)
