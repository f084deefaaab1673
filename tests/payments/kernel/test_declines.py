from datetime import date

import pytest

from payments.kernel.declines import is_for_good, needs_customer, next_attempt

FIRST = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        pytest.param(("insufficient_funds", "card_declined"), False, id="money may come"),
        pytest.param(("expired_card", "card_declined"), True, id="the card is over"),
        pytest.param(("generic_decline",), False, id="no reason given"),
        pytest.param(("", "account_closed"), True, id="either code counts"),
        pytest.param((), False, id="no code at all"),
    ],
)
def test_which_codes_end_the_attempts(codes, expected):
    assert is_for_good(*codes) is expected


def test_a_card_that_asks_for_its_holder_is_neither_refused_for_good_nor_tried_again_unasked():
    assert needs_customer("authentication_required")
    assert not is_for_good("authentication_required")


@pytest.mark.parametrize(
    ("refused", "following"),
    [
        pytest.param([FIRST], date(2026, 3, 2), id="a day after the first"),
        pytest.param([FIRST, date(2026, 3, 2)], date(2026, 3, 5), id="three days after the second"),
        pytest.param([date(2026, 3, 5), FIRST, date(2026, 3, 2)], date(2026, 3, 10), id="in whatever order"),
        pytest.param([FIRST] * 4, date(2026, 3, 8), id="the fourth of a day waits for the last time"),
        pytest.param([FIRST] * 5, None, id="no sixth attempt"),
    ],
)
def test_a_card_is_tried_five_times(refused, following):
    assert next_attempt("card", refused) == following


def test_a_debit_that_came_back_is_not_tried_again_by_itself():
    assert next_attempt("sepa_debit", [FIRST]) is None


def test_a_kind_that_is_not_known_is_tried_once():
    assert next_attempt("giro", [FIRST]) is None


def test_what_was_never_refused_has_no_next_attempt():
    with pytest.raises(ValueError, match="nothing was refused"):
        next_attempt("card", [])
