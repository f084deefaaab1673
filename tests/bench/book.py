"""A generated book: n contracts of n payers, four positions each, of mixed price models, VAT cases and stubs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import connections, transaction

from billing.models import Discount, Grant, Item, Subscription
from tenants.copying import copy_rows, new_keys, table_of
from tenants.models import Issuer, Tenant
from tests.builders import make_issuer, make_price, make_price_class, make_product

THROUGH = date(2026, 2, 1)
COUNTRIES = [("DE", "", False)] * 7 + [("AT", "ATU13585627", True), ("US", "", False), ("FR", "", False)]


@transaction.atomic
def make_book(contracts: int) -> Issuer:
    """Fill an empty database; every contract has four charges due on ``THROUGH``, one invoice."""
    issuer = make_issuer(reference="MAIN")
    price_class = make_price_class(1)
    prices = [
        make_price((None, "12.90", "0"), product=make_product(reference="SEAT"), price_class=price_class),
        make_price(
            ("10", "25", "0"),
            ("20", "24", "0"),
            (None, "22", "0"),
            product=make_product(reference="ROUTING"),
            price_class=price_class,
            model="graduated",
        ),
        make_price(
            ("25", "4.00", "0"),
            (None, "3.50", "0"),
            product=make_product(reference="ARCHIVE"),
            price_class=price_class,
            model="volume",
        ),
        make_price(
            (None, "0", "270.00"), product=make_product(reference="BRAND"), price_class=price_class, model="flat"
        ),
    ]
    discount = Discount.objects.create(
        reference="TEN", name_de="Rabatt", name_en="Discount", kind="percent", percent=Decimal(10)
    )
    tenants, subscriptions, items = (table_of(model) for model in (Tenant, Subscription, Item))
    keys = new_keys(**{tenants: contracts, subscriptions: contracts})
    copy_rows(
        tenants,
        (
            "id", "reference", "name", "kind", "status", "street", "postcode", "city", "country", "vat_id",
            "vat_id_valid", "email", "language", "currency", "price_class", "collection", "time_zone", "project_code",
            "notes", "lft", "rght", "tree_id", "level",
        ),
        (
            (
                key, f"T{n:07}", f"Kunde {n} GmbH", "company", "active", f"Hauptstraße {n % 200}", "80331", "München",
                *COUNTRIES[n % len(COUNTRIES)], f"rechnung{n}@example.com", "de" if n % 4 else "en", "EUR", 1,
                "invoice", "", "", "", 1, 2, n + 1, 0,
            )
            for n, key in enumerate(keys[tenants])
        ),
    )  # fmt: skip
    copy_rows(
        subscriptions,
        (
            "id", "issuer_id", "reference", "tenant_id", "currency", "price_class_id", "starts_on", "billing_day",
            "term_months", "renewal_months", "notice_days", "po_number", "notes",
        ),
        (
            (
                key, issuer.pk, f"V{n:07}", tenant, "EUR", price_class.pk,
                THROUGH if n % 5 else date(2026, 1, 16), None if n % 5 else 1, 12, 12, 90, "", "",
            )
            for n, (key, tenant) in enumerate(zip(keys[subscriptions], keys[tenants], strict=True))
        ),
    )  # fmt: skip
    copy_rows(
        items,
        (
            "subscription_id", "product_id", "price_id", "quantity", "interval", "timing", "proration", "starts_on",
            "ends_before",
        ),
        (
            (
                key, price.product_id, price.pk, 1 + (n * 7 + place) % 60, "monthly", "advance", "actual",
                THROUGH if n % 5 else date(2026, 1, 16), None if n % 5 else date(2026, 2, 1),
            )
            for n, key in enumerate(keys[subscriptions])
            for place, price in enumerate(prices)
        ),
    )  # fmt: skip
    copy_rows(
        table_of(Grant),
        ("subscription_id", "discount_id", "reason"),
        ((key, discount.pk, "") for n, key in enumerate(keys[subscriptions]) if not n % 10),
    )
    return issuer


def analyse() -> None:
    """Give the planner its statistics, as the owner: for other roles ANALYZE passes the tables over."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("analyze")
