"""A trace as sentences: what a bookkeeper needs to reckon an amount again."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from django.utils import translation

from billing.explanation import explain
from billing.kernel.charges import Booked, ItemTerms, Kind, due_less_booked
from billing.kernel.commitment import true_up
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.period import Period
from billing.kernel.pricing import Model, PriceTerms, Tier, flat, per_unit
from billing.kernel.schedule import Grid, Interval, Schedule
from billing.kernel.usage import Record, UsageTerms, usage_due

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


PACKED = (Tier(Decimal(0), Decimal(2), Decimal(1), Decimal(10)), Tier(Decimal(25), Decimal(1), Decimal(5)))


@pytest.mark.parametrize(
    ("price", "quantity", "english", "german"),
    [
        pytest.param(
            PriceTerms(Model.VOLUME, (Tier(Decimal(0), Decimal(3)), Tier(Decimal(10), Decimal(2), Decimal(7)))),
            "12",
            ["12 units, all at the price of the tier reached:", "12 × 2.00 EUR + 7.00 EUR = 31.00 EUR"],
            ["12 Einheiten, alle zum Preis der erreichten Staffel:", "12 × 2,00 EUR + 7,00 EUR = 31,00 EUR"],
            id="volume",
        ),
        pytest.param(
            PriceTerms(
                Model.STAIRSTEP, (Tier(Decimal(0), Decimal(0), Decimal(49)), Tier(Decimal(10), Decimal(0), Decimal(89)))
            ),
            "10.5",
            ["10.5 units reach the step with the amount 89.00 EUR."],
            ["10,5 Einheiten erreichen die Stufe mit dem Betrag 89,00 EUR."],
            id="stairstep",
        ),
        pytest.param(
            PriceTerms(Model.PERCENTAGE, (Tier(Decimal(0), Decimal("1.4"), Decimal("0.25")),)),
            "1000",
            ["1,000.00 EUR × 1.4 % + 0.25 EUR = 14.25 EUR"],
            ["1.000,00 EUR × 1,4 % + 0,25 EUR = 14,25 EUR"],
            id="percentage",
        ),
        pytest.param(
            PriceTerms(Model.PERCENTAGE, (Tier(Decimal(0), Decimal(2)), Tier(Decimal(500), Decimal(1)))),
            "800",
            [
                "800 units:",
                "500.00 EUR × 2 % = 10.00 EUR",
                "300.00 EUR × 1 % = 3.00 EUR",
                "Price for a whole period: 13.00 EUR.",
            ],
            [
                "800 Einheiten:",
                "500,00 EUR × 2 % = 10,00 EUR",
                "300,00 EUR × 1 % = 3,00 EUR",
                "Preis für einen ganzen Zeitraum: 13,00 EUR.",
            ],
            id="percentage in tiers",
        ),
        pytest.param(
            PriceTerms(Model.GRADUATED, PACKED),
            "31",
            [
                "31 units, in started packages where their tier has them:",
                "3 × 2.00 EUR + 1.00 EUR = 7.00 EUR",
                "6 × 1.00 EUR + 5.00 EUR = 11.00 EUR",
                "Price for a whole period: 18.00 EUR.",
            ],
            [
                "31 Einheiten, in angefangenen Paketen, wo ihre Staffel solche hat:",
                "3 × 2,00 EUR + 1,00 EUR = 7,00 EUR",
                "6 × 1,00 EUR + 5,00 EUR = 11,00 EUR",
                "Preis für einen ganzen Zeitraum: 18,00 EUR.",
            ],
            id="tiers with packages",
        ),
        pytest.param(
            PriceTerms(Model.PER_UNIT, (Tier(Decimal(0), Decimal(2), Decimal(5)),), flat_when_zero=True),
            "0",
            ["0 × 2.00 EUR + 5.00 EUR = 5.00 EUR"],
            ["0 × 2,00 EUR + 5,00 EUR = 5,00 EUR"],
            id="a flat amount at zero units",
        ),
    ],
)
def test_every_price_model_is_told(price, quantity, english, german):
    told = {language: sentences(terms(price, quantity), language) for language in ("en", "de")}
    assert told == {"en": english, "de": german}


def test_stacked_discounts_are_of_the_same_amount():
    discounts = tuple(
        DiscountTerms(DiscountKind.PERCENT, Decimal(value), stacked=True, key=f"D{value}") for value in (5, 10)
    )
    assert sentences(terms(flat(Decimal(200)), discounts=discounts), "de") == [
        "Pauschalpreis, unabhängig von der Menge: 200,00 EUR.",
        "Rabatt D5 von 5 Prozent: −10,00 EUR",
        "Rabatt D10 von 10 Prozent desselben Betrags: −20,00 EUR",
    ]


def test_usage_says_how_it_was_counted_and_which_part_of_the_limits_applies():
    price = per_unit(Decimal(2), minimum=Decimal(310))
    usage = UsageTerms(1, 2, terms(price, starts_on=date(2026, 1, 22)).schedule, price)
    due, *_later = usage_due(usage, [Record(date(2026, 1, 30), Decimal(3))], (), date(2026, 2, 1))
    with translation.override("en"):
        assert [sentence.replace(NBSP, " ") for sentence in explain(due.trace, "EUR")] == [
            "Usage of 22 Jan 2026 – 31 Jan 2026, all of it together: 3 units.",
            "Of minimum, maximum and free quantity of the price 10/31 apply.",
            "3 × 2.00 EUR = 6.00 EUR",
            "Raised to the minimum of 100.00 EUR.",
            "Price for a whole period: 100.00 EUR.",
        ]


def test_what_is_missing_to_a_commitment():
    trace = true_up(Decimal(500), Fraction(12, 31), [Decimal("100.00"), Decimal("30.00")], 2).trace
    told = {}
    for language in ("en", "de"):
        with translation.override(language):
            told[language] = [sentence.replace(NBSP, " ") for sentence in explain(trace, "EUR")]
    assert told == {
        "en": [
            "Minimum commitment of 500.00 EUR for a whole period; for these days 12/31 of it: 193.55 EUR.",
            "Charged for these days: 130.00 EUR.",
            "To be booked: 63.55 EUR.",
        ],
        "de": [
            "Mindestabnahme von 500,00 EUR für einen ganzen Zeitraum; für diese Tage 12/31 davon: 193,55 EUR.",
            "Für diese Tage berechnet: 130,00 EUR.",
            "Zu buchen: 63,55 EUR.",
        ],
    }
