"""E-12: three months in Tokyo, upgraded, downgraded, paused, and resumed at an hour of a leap day."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from billing.kernel.moment import day_at, read_moment
from billing.models import Amendment, Charge, Subscription
from config import books
from invoicing.models import Invoice
from tests.builders import make_issuer, make_item, make_price, make_subscription, make_tenant
from tests.small_book import bill

SEATS = {  # first day -> seats; 899.00 a month are 29.00 a day of 31 days, and 31.00 of 29
    date(2024, 1, 10): 1,
    date(2024, 1, 24): 2,
    date(2024, 2, 7): 1,
    date(2024, 2, 14): 0,
    date(2024, 2, 29): 1,
}


@pytest.fixture
def contract() -> Subscription:
    made = make_subscription(
        issuer=make_issuer(reference="MAIN"),
        tenant=make_tenant(time_zone="Asia/Tokyo"),
        reference="V-TOKYO",
        starts_on=date(2024, 1, 10),
        ends_before=date(2024, 4, 10),
    )
    make_item(subscription=made, price=make_price((None, "899.00", "0")))
    return made


def amend(*words: str) -> None:
    call_command("amend", "V-TOKYO", *words, "--reason", "E-12", stdout=StringIO())


def by_hand() -> Decimal:
    """Seat-days at the price of a day of the period that they lie in."""
    total, seats = Decimal(0), 0
    for ordinal in range(date(2024, 1, 10).toordinal(), date(2024, 4, 10).toordinal()):
        day = date.fromordinal(ordinal)
        seats = SEATS.get(day, seats)
        total += seats * (31 if date(2024, 2, 10) <= day < date(2024, 3, 10) else 29)
    return total


@pytest.mark.django_db
@pytest.mark.parametrize("moment", ["2024-02-29 15:00 Asia/Tokyo", "2024-02-29T07:00+01:00", "2024-02-29 15:00"])
def test_e12_a_contract_resumed_at_an_hour_of_a_leap_day(contract, moment):
    def change(*words: str, on: date) -> None:
        bill(contract.issuer, on)
        amend(*words, "--on", on.isoformat())

    bill(contract.issuer, date(2024, 1, 10))
    change("quantity", "--quantity", "2", "--effective", "2024-01-24", on=date(2024, 1, 24))
    change("quantity", "--quantity", "1", "--effective", "2024-02-07", on=date(2024, 2, 7))
    change("pause", "--effective", "2024-02-14", on=date(2024, 2, 14))
    change("resume", "--effective", moment, on=date(2024, 2, 29))
    for day in (date(2024, 3, 1), date(2024, 3, 10), date(2024, 4, 10)):
        bill(contract.issuer, day)

    assert Amendment.objects.get(kind="resume").effective_on == date(2024, 2, 29)
    assert Charge.objects.filter(starts_on=date(2024, 2, 29), kind="fee").exists()
    assert by_hand() == Decimal(2638)
    assert sum(Invoice.objects.values_list("net", flat=True)) == Decimal(2638)
    assert [str(breach) for breach in books.check(limit=20, with_files=False)] == []


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2024-02-29 15:00 Asia/Tokyo", "Europe/Berlin", date(2024, 2, 29)),
        ("2024-02-29 23:30 Europe/Berlin", "Asia/Tokyo", date(2024, 3, 1)),
        ("2024-03-01 00:30 Asia/Tokyo", "Europe/Berlin", date(2024, 2, 29)),
        ("2024-02-29 23:59", "Asia/Tokyo", date(2024, 2, 29)),
    ],
)
def test_the_day_of_a_moment_is_that_of_the_account(moment, zone, day):
    assert day_at(read_moment(moment), zone) == day


def test_seven_in_berlin_is_three_in_tokyo():
    there = read_moment("2024-02-29 15:00 Asia/Tokyo")
    assert there == datetime(2024, 2, 29, 7, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize("text", ["2024-03-31 02:30 Europe/Berlin", "2024-02-29 15:00+09:00 Asia/Tokyo", "tomorrow"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValueError):
        read_moment(text)


@pytest.mark.django_db
def test_the_command_says_what_it_cannot_read(contract):
    with pytest.raises(CommandError):
        amend("resume", "--effective", "tomorrow at three")
