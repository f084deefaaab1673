"""One plain function per model, with overrides by keyword and no surprises."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from billing.models import Discount, Grant, Item, Price, PriceClass, Product, Subscription, Tier
from tenants.models import Issuer, Tenant

_serial = count(1)


def make_issuer(**fields: Any) -> Issuer:
    serial = next(_serial)
    return Issuer.objects.create(
        **{
            "reference": f"MAIN{serial}",
            "name": "Beispiel Telefonie GmbH",
            "street": "Hauptstraße 1",
            "postcode": "88326",
            "city": "Aulendorf",
            "country": "DE",
            "vat_id": "DE812415868",
            "tax_number": "77/123/45678",
            "email": "rechnung@example.com",
            "iban": "DE74291417776317066907",
            "bic": "SOLADES1XXX",
        }
        | fields
    )


def make_tenant(**fields: Any) -> Tenant:
    serial = next(_serial)
    return Tenant.objects.create(
        **{
            "reference": f"T{serial:06}",
            "name": f"Café Zentral {serial} GmbH",
            "street": "Königsplatz 13",
            "postcode": "80331",
            "city": "München",
            "country": "DE",
            "language": "de",
            "currency": "EUR",
            "price_class": 1,
            "collection": "invoice",
            "email": f"rechnung{serial}@example.com",
        }
        | fields
    )


def make_price_class(number: int = 1) -> PriceClass:
    return PriceClass.objects.get_or_create(number=number)[0]


def make_product(**fields: Any) -> Product:
    serial = next(_serial)
    return Product.objects.create(
        **{
            "reference": f"P{serial}",
            "name_de": "Telefonie-Connector, Arbeitsplatz",
            "name_en": "Telephony connector, seat",
        }
        | fields
    )


def make_price(*tiers: tuple[str | None, str, str], **fields: Any) -> Price:
    """``tiers`` are (up_to or None, unit price, flat amount); without any: 100.00 per unit."""
    price = Price.objects.create(
        **{
            "product": fields.pop("product", None) or make_product(),
            "price_class": fields.pop("price_class", None) or make_price_class(),
            "currency": "EUR",
            "model": "per_unit",
        }
        | fields
    )
    for up_to, unit_price, flat_amount in tiers or [(None, "100.00", "0")]:
        Tier.objects.create(
            price=price,
            up_to=None if up_to is None else Decimal(up_to),
            unit_price=Decimal(unit_price),
            flat_amount=Decimal(flat_amount),
        )
    return price


def make_subscription(**fields: Any) -> Subscription:
    serial = next(_serial)
    return Subscription.objects.create(
        **{
            "issuer": fields.pop("issuer", None) or make_issuer(),
            "tenant": fields.pop("tenant", None) or make_tenant(),
            "price_class": fields.pop("price_class", None) or make_price_class(),
            "reference": f"V{serial:06}",
            "currency": "EUR",
            "starts_on": date(2026, 1, 1),
        }
        | fields
    )


def make_item(**fields: Any) -> Item:
    subscription = fields.pop("subscription", None) or make_subscription()
    price = fields.pop("price", None) or make_price(price_class=subscription.price_class)
    return Item.objects.create(
        **{
            "subscription": subscription,
            "price": price,
            "product": price.product,
            "quantity": Decimal(1),
            "interval": price.product.interval,
            "starts_on": subscription.starts_on,
            "ends_before": subscription.ends_before,
        }
        | fields
    )


def make_grant(**fields: Any) -> Grant:
    """A discount of 10 percent unless ``percent`` or ``amount`` says otherwise, given to ``subscription``."""
    serial = next(_serial)
    subscription = fields.pop("subscription", None) or make_subscription()
    value = {name: fields.pop(name) for name in ("percent", "amount") if name in fields} or {"percent": Decimal(10)}
    discount = Discount.objects.create(
        **{
            "reference": f"D{serial}",
            "name_de": "Rabatt",
            "name_en": "Discount",
            "kind": "fixed" if "amount" in value else "percent",
            "currency": "EUR" if "amount" in value else "",
        }
        | value
        | fields
    )
    return Grant.objects.create(subscription=subscription, discount=discount)
