"""Products and prices from a file: prices of many rows, prices in use, prices to come."""

import io
from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from billing import catalog_import, charging
from billing.kernel.pricing import rate
from billing.models import Price, PriceClass, Product, Tier
from tenants import staging
from tests.builders import make_item

pytestmark = pytest.mark.django_db

HEADER = (
    "product;name_de;name_en;unit;tax_category;interval;price_class;currency;model;package_size;up_to;unit_price"
    ";flat_amount"
)
SEAT = "SEAT;Platz;Seat;C62;standard;monthly;1;EUR;"


@pytest.fixture(autouse=True)
def kept_apart(settings, tmp_path):
    settings.FILES_ROOT = tmp_path
    with translation.override("en"):
        yield


def offer(*rows, header=HEADER, skip_bad=False):
    text = "\r\n".join([header, *rows, ""])
    return staging.offer(catalog_import.RECIPE, io.BytesIO(text.encode()), file_name="catalog.csv", skip_bad=skip_bad)


def apply(batch):
    staging.apply(catalog_import.RECIPE, batch, actor="clerk", channel="import")


def errors(batch):
    return [str(error) for row in batch.rows.filter(state="error") for error in staging.errors_of(row)]


def tiers(price):
    return [(tier.up_to, tier.unit_price, tier.flat_amount) for tier in price.tiers.all()]


def test_the_rows_of_a_price_may_stand_anywhere():
    apply(
        offer(
            SEAT + "graduated;;;2.20;",
            "BOX;Paket;Box;E34;reduced;yearly;2;USD;package;1000;;1.255;",
            SEAT + "graduated;;10;2.50;1",
        )
    )
    product = Product.objects.get(reference="BOX")
    assert (product.name_de, product.unit, product.tax_category, product.interval) == (
        "Paket",
        "E34",
        "reduced",
        "yearly",
    )
    box, seat = Price.objects.get(product=product), Price.objects.get(product__reference="SEAT")
    assert (box.model, box.package_size, box.price_class.number, box.currency) == ("package", 1000, 2, "USD")
    assert tiers(box) == [(None, Decimal("1.255"), Decimal(0))]
    assert tiers(seat) == [(Decimal(10), Decimal("2.5"), Decimal(1)), (None, Decimal("2.2"), Decimal(0))]
    assert sorted(PriceClass.objects.values_list("number", flat=True)) == [1, 2]


def test_a_price_that_no_contract_uses_is_changed_with_its_tiers():
    apply(offer(SEAT + "volume;;10;2.50;", SEAT + "volume;;;2.20;"))
    batch = offer(SEAT + "volume;;20;2.40;", SEAT + "volume;;;2.20;")
    assert [row.difference for row in batch.rows.all()] == [
        {"up_to": ["10", "20"], "unit_price": ["", "2.4"], "flat_amount": ["", "0"]},
        {},
    ]
    apply(batch)
    assert tiers(Price.objects.get()) == [(Decimal(20), Decimal("2.4"), Decimal(0)), (None, Decimal("2.2"), Decimal(0))]


def test_a_price_in_use_stays_and_a_new_one_begins_on_its_day():
    apply(offer(SEAT + "per_unit;;;12.90;"))
    make_item(price=Price.objects.get())
    assert errors(offer(SEAT + "per_unit;;;13.50;")) == [
        "Row 2, column unit_price: contracts use this price, so it stays; state the first day of a new one (valid_from)"
    ]
    header = HEADER + ";valid_from"
    rows = (SEAT + "per_unit;;;15.00;;2027-01-01", SEAT + "per_unit;;;13.50;;2026-07-01")
    apply(offer(*rows, header=header))
    assert [
        (price.starts_on, price.ends_before, price.tiers.get().unit_price)
        for price in Price.objects.order_by("ends_before")
    ] == [
        (None, date(2026, 7, 1), Decimal("12.9")),
        (date(2026, 7, 1), date(2027, 1, 1), Decimal("13.5")),
        (date(2027, 1, 1), None, Decimal(15)),
    ]
    assert offer(*rows, header=header).counts["unchanged"] == 2
    assert offer(SEAT + "per_unit;;;12.90;").counts["unchanged"] == 1


def test_a_products_name_may_change_while_contracts_use_its_price():
    apply(offer(SEAT + "per_unit;;;12.90;"))
    make_item(price=Price.objects.get())
    batch = offer(SEAT.replace("Platz", "Arbeitsplatz") + "per_unit;;;12.90;")
    assert batch.rows.get().difference == {"name_de": ["Platz", "Arbeitsplatz"]}
    apply(batch)
    assert (Product.objects.get().name_de, Tier.objects.get().unit_price) == ("Arbeitsplatz", Decimal("12.9"))


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        (
            ["graduated;;10;2.50;"],
            ["Row 2, column up_to: the last tier must be open: one row of the price without an upper bound"],
        ),
        (
            ["graduated;;10;2.50;", "graduated;;10;2.40;", "graduated;;;2.30;"],
            [
                "Row 2: belongs to the same price as row 3, which is in error",
                "Row 3, column up_to: row 2 has the same upper bound",
                "Row 4: belongs to the same price as row 3, which is in error",
            ],
        ),
        (["flat;;;;"], ["Row 2, column flat_amount: must not be empty for the price model flat"]),
        (["stairstep;;;2;5"], ["Row 2, column unit_price: the price model stairstep has no unit price"]),
        (["package;;;2;"], ["Row 2, column package_size: must not be empty for the price model package"]),
        (["per_unit;;10;2;"], ["Row 2, column up_to: the price model per_unit has no tiers"]),
        (["per_unit;;;-2;"], ["Row 2, column unit_price: “-2” must be at least 0"]),
        (
            ["volume;;10;2;", "graduated;;;1;"],
            [
                "Row 2: belongs to the same price as row 3, which is in error",
                "Row 3, column model: differs from row 2, which speaks of the same",
            ],
        ),
        (
            ["volume;;10;2x;", "volume;;;1;"],
            [
                "Row 2, column unit_price: “2x” is not a number written like 1234,5, without thousands separators",
                "Row 3: belongs to the same price as row 2, which is in error",
            ],
        ),
    ],
)
def test_a_price_is_taken_with_all_its_rows_or_not_at_all(rows, sentences):
    batch = offer(*(SEAT + row for row in rows))
    assert errors(batch) == sentences
    with pytest.raises(staging.RowsRefused):
        apply(batch)
    assert (Product.objects.count(), Price.objects.count()) == (0, 0)
    good = offer(*(SEAT + row for row in rows), "GOOD;Gut;Good;C62;standard;monthly;1;EUR;flat;;;;5.00", skip_bad=True)
    apply(good)
    assert [price.product.reference for price in Price.objects.all()] == ["GOOD"]


def test_a_product_has_one_name():
    batch = offer(SEAT + "flat;;;;5.00", SEAT.replace("Seat", "Chair").replace("EUR", "USD") + "flat;;;;5.00")
    assert errors(batch) == ["Row 3, column name_en: differs from row 2, which speaks of the same"]


def test_only_currencies_in_use():
    assert errors(offer(SEAT.replace("EUR", "XAU") + "flat;;;;5.00")) == [
        "Row 2, column currency: “XAU” is none of the currencies in use"
    ]


ALL = HEADER + ";tier_package_size;package_rounding;free_quantity;free_quantity_prorated;flat_amount_at_zero"


def test_every_figure_of_a_price_comes_from_the_file():
    batch = offer(
        SEAT + "graduated;;1000;1.25;;100;;50;yes;yes",
        SEAT + "graduated;;;1.00;;;;50;yes;yes",
        "BOX;Paket;Box;C62;standard;monthly;1;EUR;package;10;25;5;;;per_tier;;;",
        "BOX;Paket;Box;C62;standard;monthly;1;EUR;package;10;;4;;;per_tier;;;",
        "SHARE;Anteil;Share;C62;standard;monthly;1;EUR;percentage;;1000;2.5;;;;;;",
        "SHARE;Anteil;Share;C62;standard;monthly;1;EUR;percentage;;;1.5;;;;;;",
        "LEAST;Mindestumsatz;Minimum;C62;standard;monthly;1;EUR;commitment;;;;500;;;;;",
        header=ALL,
    )
    assert errors(batch) == []
    apply(batch)
    seat, box, share, least = (Price.objects.get(product__reference=name) for name in ("SEAT", "BOX", "SHARE", "LEAST"))
    assert (seat.free_quantity, seat.quota_prorated, seat.flat_when_zero) == (50, True, True)
    assert [tier.package_size for tier in seat.tiers.all()] == [100, None]
    assert (box.package_size, box.package_per_tier) == (10, True)
    assert (share.model, tiers(share)[0][1]) == ("percentage", Decimal("2.5"))
    assert (least.model, tiers(least)[0][2]) == ("commitment", 500)
    terms = charging.price_terms({seat.pk, box.pk, share.pk, least.pk})
    assert rate(terms[seat.pk], Decimal(101)).amount == Decimal("1.25")
    assert rate(terms[box.pk], Decimal(31)).amount == Decimal(19)  # 25 units: 3 packages at 5; 6 units: 1 at 4
    assert rate(terms[share.pk], Decimal(2000)).amount == Decimal(40)
    assert rate(terms[least.pk], Decimal(1)).amount == 0


def test_the_same_file_again_changes_nothing():
    rows = (SEAT + "graduated;;1000;1.25;;100;;50;yes;no", SEAT + "graduated;;;1.00;;;;50;yes;no")
    apply(offer(*rows, header=ALL))
    assert set(offer(*rows, header=ALL).rows.values_list("state", flat=True)) == {"unchanged"}
    changed = offer(*(row.replace(";100;", ";200;") for row in rows), header=ALL)
    assert sorted(changed.rows.values_list("state", flat=True)) == ["changed", "unchanged"]
    apply(changed)
    assert Tier.objects.get(up_to=1000).package_size == 200


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            "per_unit;;;1.00;;10;;;;",
            "Row 2, column tier_package_size: the price model per_unit has no packages per tier",
            id="packages per tier",
        ),
        pytest.param(
            "volume;;;1.00;;;per_tier;;;",
            "Row 2, column package_rounding: the price model volume has no packages",
            id="no packages",
        ),
        pytest.param(
            "commitment;;;;500;;;10;;",
            "Row 2, column free_quantity: must be empty for the price model commitment",
            id="a commitment with a free quantity",
        ),
        pytest.param(
            "package;10;25;5;;;;;;",
            "Row 2, column up_to: ends inside a package; round up per tier (package_rounding), or end with one",
            id="a tier that ends inside a package",
        ),
    ],
)
def test_figures_that_do_not_go_with_the_model_are_refused(row, expected):
    assert expected in errors(offer(SEAT + row, header=ALL))
