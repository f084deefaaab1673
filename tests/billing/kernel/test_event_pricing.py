from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import builds, decimals, integers, lists, none

from billing.kernel.capacity import CapacityStep, step_reached
from billing.kernel.event_pricing import EventPrice, rate_events, values_of


def event_price(percent="0", **more):
    return EventPrice(Decimal(percent), **{name: Decimal(value) for name, value in more.items()})


@pytest.mark.parametrize(
    ("terms", "values", "amounts"),
    [
        pytest.param(event_price("2.99"), "10 80 10000", "0.299 2.392 299", id="a percentage"),
        pytest.param(event_price("1.2", fixed="0.10"), "100 0", "1.30 0.10", id="and an amount for each"),
        pytest.param(event_price("1", free_events=2), "10 20 30", "0 0 0.30", id="the first two are free"),
        pytest.param(event_price("1", free_value=30), "10 80", "0 0.60", id="the rest of a value that is free in part"),
        pytest.param(event_price("1", fixed=1, free_value=30), "10 20 5", "0 0 1.05", id="free as a whole, no amount"),
        pytest.param(
            event_price("1", fixed=1, free_value=30), "30 0", "0 1", id="one without a value, once it is used up"
        ),
        pytest.param(
            event_price("1.2", fixed="0.10", free_events=3, free_value=500),
            "200 100 100 50",
            "0 0 0 0.70",
            id="the events are used up before the value",
        ),
        pytest.param(
            event_price("1", fixed=2, free_events=3, free_value=250),
            "50 100 250 400",
            "0 0 3.50 6",
            id="the value is used up before the events",
        ),
        pytest.param(
            event_price("2.99", minimum="1.75", maximum=12, free_value=30),
            "10 80 40 10000",
            "0 1.794 1.75 12",
            id="limits of each, and no minimum for what is free",
        ),
    ],
)
def test_each_event_has_its_amount(terms, values, amounts):
    rated = rate_events(terms, list(map(Decimal, values.split())))
    assert [event.amount for event in rated.events] == list(map(Decimal, amounts.split()))


def test_what_events_come_to():
    rated = rate_events(event_price("1.3", fixed=2, free_events=3, free_value=250), map(Decimal, (50, 100, 250, 400)))
    assert (rated.percentage, rated.fixed, rated.amount) == (Decimal("7.15"), 4, Decimal("11.15"))
    assert (rated.paid_events, rated.free_events, rated.billed_value) == (2, 2, 550)


def test_values_from_running_totals():
    assert values_of(event_price(), 4, Decimal(800), [Decimal(50), Decimal(150), Decimal(400)]) == [50, 100, 250, 400]
    assert sum(values_of(event_price(fixed=2), 4, Decimal(800))) == 800
    assert values_of(event_price(), 0, Decimal(0)) == []
    with pytest.raises(ValueError, match="each of the 4 events"):
        values_of(event_price(free_value=1), 4, Decimal(800))


@pytest.mark.parametrize("more", [{"free_events": -1}, {"free_value": -1}, {"minimum": 2, "maximum": 1}])
def test_impossible_prices_are_refused(more):
    with pytest.raises(ValueError, match=r"not negative|above its maximum"):
        event_price(**more)


MONEY = decimals(0, 100, places=2)


@given(
    builds(EventPrice, MONEY, MONEY, integers(0, 4), MONEY, none() | decimals(0, 5, places=2), none() | decimals(5, 9)),
    lists(MONEY, max_size=8),
)
def test_no_event_pays_for_more_than_its_value_and_what_is_free_is_free_first(terms, values):
    rated = rate_events(terms, values)
    assert sum(event.value for event in rated.events) == sum(values)
    assert all(0 <= event.billed_value <= event.value and event.amount >= 0 for event in rated.events)
    kinds = [event.is_free for event in rated.events]
    assert kinds == sorted(kinds, reverse=True)
    if terms.free_events:
        assert rated.free_events <= terms.free_events
    if terms.free_value:
        assert sum(event.value - event.billed_value for event in rated.events) <= terms.free_value


STEPS = [
    CapacityStep({"bandwidth": Decimal(100), "members": Decimal(10)}, Decimal(1)),
    CapacityStep({"bandwidth": Decimal(500), "members": Decimal(50)}, Decimal(5)),
    CapacityStep({"bandwidth": None, "members": None}, Decimal(10)),
]


@pytest.mark.parametrize(
    ("quantities", "amount"),
    [
        pytest.param({"bandwidth": 100, "members": 10}, 1, id="limits are inclusive"),
        pytest.param({"members": 11}, 5, id="one unit above its limit is enough"),
        pytest.param({"bandwidth": 501, "members": 1}, 10, id="the highest step any of them reaches"),
        pytest.param({}, 1, id="nothing used"),
        pytest.param({"storage": 10_000}, 1, id="a unit without limits"),
    ],
)
def test_capacity(quantities, amount):
    assert step_reached(STEPS, {unit: Decimal(value) for unit, value in quantities.items()}).amount == amount


def test_beyond_the_last_step_it_is_the_last():
    assert step_reached(STEPS[:2], {"members": Decimal(51)}).amount == 5
    with pytest.raises(ValueError, match="has a step"):
        step_reached([], {})
