from decimal import Decimal

import pytest

from payments.kernel.interest import POINTS_CONSUMER, late_interest


@pytest.mark.parametrize(
    ("amount", "days", "base", "more", "expected"),
    [
        pytest.param("9980.89", 60, "-0.88", {}, "133.22", id="60 days between businesses"),
        pytest.param("9980.89", 60, "-0.88", {"points": POINTS_CONSUMER}, "67.60", id="of a consumer"),
        pytest.param("1000", 365, "2.27", {}, "112.70", id="a year"),
        pytest.param("1000", 0, "2.27", {}, "0.00", id="no day"),
        pytest.param("1000", 365, "-9.50", {}, "0.00", id="never below nothing"),
    ],
)
def test_interest_on_overdue_money(amount, days, base, more, expected):
    assert str(late_interest(Decimal(amount), days, Decimal(base), 2, **more)) == expected
