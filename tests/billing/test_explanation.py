"""A trace as sentences: what a bookkeeper needs to reckon an amount again."""

from datetime import date
from decimal import Decimal

from django.utils import translation

from billing.explanation import explain
from billing.kernel.charges import Booked, ItemTerms, Kind, due_less_booked
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.period import Period
from billing.kernel.pricing import Model, PriceTerms, Tier, flat, per_unit
from billing.kernel.schedule import Grid, Interval, Schedule

MONTHLY = Interval.parse("monthly")
NBSP = "\N{NO-BREAK SPACE}"


def terms(price: PriceTerms, quantity: str = "1", *, starts_on: date = date(2026, 1, 1), **more) -> ItemTerms:
    ends_before = more.pop("ends_before", None)
    grid = Grid.on_billing_day(MONTHLY, 1, starts_on)
    return ItemTerms(
        1, 2, Schedule(grid, starts_on, ends_before, paid_from=starts_on), price, Decimal(quantity), **more
    )


def sentences(item: ItemTerms, language: str, booked=(), through: date = date(2026, 1, 31)) -> list[str]:
    (due,) = due_less_booked(item, booked, through)
    with translation.override(language):
        return [sentence.replace(NBSP, " ") for sentence in explain(due.trace, "EUR")]


GRADUATED = PriceTerms(
    Model.GRADUATED,
    (Tier(Decimal(0), Decimal("0.90")), Tier(Decimal(10), Decimal("0.80")), Tier(Decimal(100), Decimal("0.0047"))),
)


def test_graduated_units_are_listed_by_their_tiers():
    assert sentences(terms(GRADUATED, "250"), "en") == [
        "250 units, each at the price of its tier:",
        "10 × 0.90 EUR = 9.00 EUR",
        "90 × 0.80 EUR = 72.00 EUR",
        "150 × 0.0047 EUR = 0.705 EUR",
        "Price for a whole period: 81.705 EUR.",
        "Exactly 81.705 EUR, rounded once, halves away from zero: 81.71 EUR.",
    ]


def test_a_part_of_a_month_with_discounts_says_share_steps_and_rounding():
    discounts = (
        DiscountTerms(DiscountKind.PERCENT, Decimal(10), key="D10"),
        DiscountTerms(DiscountKind.FIXED, Decimal(5), key="D5"),
    )
    item = terms(per_unit(Decimal(100)), "2", starts_on=date(2026, 1, 22), discounts=discounts)
    assert sentences(item, "en") == [
        "2 × 100.00 EUR = 200.00 EUR",
        "Part of a period: 22 Jan 2026 – 31 Jan 2026 of 1 Jan 2026 – 31 Jan 2026, that is 10/31 of it (actual days).",
        "Discount D10 of 10 percent: −6.451612… EUR",
        "Discount D5 of 5.00 EUR: −5.00 EUR",
        "Exactly 53.064516… EUR, rounded once, halves away from zero: 53.06 EUR.",
    ]


def test_a_credit_says_what_was_booked_before_and_what_is_given_back():
    item = terms(flat(Decimal(310)), ends_before=date(2026, 1, 11))
    fee = Booked(7, Kind.FEE, Period(date(2026, 1, 1), date(2026, 2, 1)), Decimal("310.00"))
    assert sentences(item, "en", [fee]) == [
        "Flat price, whatever the quantity: 310.00 EUR.",
        "Part of a period: 1 Jan 2026 – 10 Jan 2026 of 1 Jan 2026 – 31 Jan 2026, that is 10/31 of it (actual days).",
        "Less what was booked for these days before: 310.00 EUR.",
        "To be booked: −210.00 EUR.",
    ]


def test_minimum_cap_free_quota_and_packages_are_named():
    packages = PriceTerms(
        Model.PACKAGE,
        (Tier(Decimal(0), Decimal(15)),),
        package_size=Decimal(1000),
        free_quota=Decimal(500),
        cap=Decimal(20),
    )
    assert sentences(terms(packages, "2000"), "en") == [
        "Of 2,000 units 500 are free.",
        "1,500 units in started packages of 1,000:",
        "2 × 15.00 EUR = 30.00 EUR",
        "Limited to the maximum of 20.00 EUR (−10.00 EUR).",
        "Price for a whole period: 20.00 EUR.",
    ]
    assert sentences(terms(per_unit(Decimal(1), minimum=Decimal(25)), "3"), "en") == [
        "3 × 1.00 EUR = 3.00 EUR",
        "Raised to the minimum of 25.00 EUR.",
        "Price for a whole period: 25.00 EUR.",
    ]


def test_german_sentences_have_german_figures():
    assert sentences(terms(GRADUATED, "1250"), "de") == [
        "1.250 Einheiten, jede zum Preis ihrer Staffel:",
        "10 × 0,90 EUR = 9,00 EUR",
        "90 × 0,80 EUR = 72,00 EUR",
        "1.150 × 0,0047 EUR = 5,405 EUR",
        "Preis für einen ganzen Zeitraum: 86,405 EUR.",
        "Genau 86,405 EUR, einmal kaufmännisch gerundet: 86,41 EUR.",
    ]


def test_a_trace_that_says_nothing_gives_no_sentence():
    assert explain({}, "EUR") == []
