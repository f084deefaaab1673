"""Which reminder is due, as tables to read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from payments.kernel.reminders import Item, Left, Level, after_credits, decide, level_due

LEVELS = [Level(0, 3, 7), Level(1, 10, 7), Level(2, 10, 7), Level(3, 10, 10)]
DUE = date(2026, 2, 15)


def item(key: int = 1, open: str = "119.00", **fields: Any) -> Item:
    given: dict[str, Any] = {"key": key, "currency": "EUR", "due_on": DUE, "open": Decimal(open)}
    return Item(**given | fields)


@pytest.mark.parametrize(
    ("reminded", "on", "level"),
    [
        pytest.param(None, date(2026, 2, 17), None, id="two days late: not yet"),
        pytest.param(None, date(2026, 2, 18), 0, id="three days late: the friendly one"),
        pytest.param(None, date(2026, 7, 1), 0, id="very late, nothing sent: still the first level first"),
        pytest.param((0, date(2026, 2, 18)), date(2026, 2, 27), None, id="nine days after it: not yet"),
        pytest.param((0, date(2026, 2, 18)), date(2026, 2, 28), 1, id="ten days after it: level 1"),
        pytest.param((0, date(2026, 2, 20)), date(2026, 2, 28), None, id="counted from the day it was sent"),
        pytest.param((1, date(2026, 2, 28)), date(2026, 3, 10), 2, id="ten days later: level 2"),
        pytest.param((2, date(2026, 3, 10)), date(2026, 3, 20), 3, id="ten days later: the last"),
        pytest.param((3, date(2026, 3, 20)), date(2027, 3, 20), None, id="nothing after the last"),
        pytest.param((0, date(2026, 2, 18)), date(2026, 2, 18), None, id="the same day again"),
        pytest.param((1, date(2026, 2, 28)), date(2026, 2, 20), None, id="a run for an earlier day"),
    ],
)
def test_levels_follow_one_another(reminded, on, level):
    reached = level_due(item(reminded=reminded), LEVELS, on)
    assert (reached and reached.number) == level


def test_levels_without_days_between_still_take_a_day_each():
    at_once = [Level(0, 0, 7), Level(2, 0, 7)]
    assert level_due(item(), at_once, DUE) is None  # payable until the end of that day
    assert level_due(item(), at_once, date(2026, 2, 16)) == at_once[0]
    assert level_due(item(reminded=(0, date(2026, 2, 16))), at_once, date(2026, 2, 16)) is None
    assert level_due(item(reminded=(0, date(2026, 2, 16))), at_once, date(2026, 2, 17)) == at_once[1]


@pytest.mark.parametrize(
    ("fields", "options", "reason"),
    [
        pytest.param({"is_blocked": True}, {}, Left.BLOCKED, id="blocked"),
        pytest.param({"is_collected": True}, {}, Left.COLLECTED, id="collected by debit or card"),
        pytest.param({"is_under_way": True}, {"collected": True}, Left.UNDER_WAY, id="an attempt is not settled yet"),
        pytest.param({"is_collected": True}, {"collected": True}, None, id="collected, and the policy reminds of it"),
        pytest.param({}, {"threshold": Decimal("119.01")}, Left.SMALL, id="a cent below the threshold"),
        pytest.param({}, {"threshold": Decimal("119.00")}, None, id="the threshold itself is enough"),
        pytest.param({"due_on": date(2026, 2, 26)}, {}, Left.NOT_YET, id="only just overdue"),
        pytest.param({"reminded": (3, date(2026, 2, 1))}, {}, Left.LAST_SENT, id="the last level was sent"),
    ],
)
def test_what_is_left_alone_and_why(fields, options, reason):
    decision = decide([item(**fields)], LEVELS, date(2026, 2, 28), **options)
    assert decision.left == ({1: reason} if reason else {})
    assert len(decision.letters) == (0 if reason else 1)


def test_what_is_not_overdue_is_not_mentioned():
    decision = decide([item(due_on=date(2026, 2, 28)), item(2, "-50.00")], LEVELS, date(2026, 2, 28))
    assert (decision.letters, decision.left) == ((), {})


def test_one_letter_per_level_and_currency_oldest_first():
    items = [
        item(1, "10.00", due_on=date(2026, 2, 20)),
        item(2, "20.00", due_on=date(2026, 2, 10)),
        item(3, "30.00", reminded=(0, date(2026, 2, 18))),
        item(4, "40.00", currency="USD"),
    ]
    letters = decide(items, LEVELS, date(2026, 2, 28)).letters
    assert [(x.currency, x.level.number, [i.key for i in x.items], x.total, x.pay_by) for x in letters] == [
        ("EUR", 0, [2, 1], Decimal("30.00"), date(2026, 3, 7)),
        ("EUR", 1, [3], Decimal("30.00"), date(2026, 3, 7)),
        ("USD", 0, [4], Decimal("40.00"), date(2026, 3, 7)),
    ]


def test_credits_pay_the_oldest_first_and_only_in_their_currency():
    items = [
        item(1, "100.00", due_on=date(2026, 2, 20)),
        item(2, "100.00", due_on=date(2026, 2, 10)),
        item(3, "-130.00", due_on=date(2026, 12, 1)),
    ]
    assert [(i.key, i.open) for i in after_credits(items)] == [(2, Decimal("0.00")), (1, Decimal("70.00"))]
    decision = decide([*items, item(4, "5.00", currency="USD")], LEVELS, date(2026, 2, 28))
    assert [(x.currency, [(i.key, i.open) for i in x.items]) for x in decision.letters] == [
        ("EUR", [(1, Decimal("70.00"))]),
        ("USD", [(4, Decimal("5.00"))]),
    ]
    assert decision.left == {2: Left.COVERED}
