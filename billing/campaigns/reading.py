"""Which contracts a campaign is about, and what has to be known of them, some hundred at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Max, Q

from billing.charging import price_terms
from billing.coverage import reckonable
from billing.kernel.charges import ItemTerms
from billing.kernel.pricing import PriceTerms
from billing.models import Charge, Item, Price, PriceCampaign, PriceChange, Subscription


def select(campaign: PriceCampaign) -> Any:
    """The contracts that hold a position of the campaign's, in the order of the account tree."""
    items = Item.objects.filter(wanted(campaign), Q(ends_before=None) | Q(ends_before__gt=campaign.wanted_on))
    contracts = Subscription.objects.filter(
        Q(ends_before=None) | Q(ends_before__gt=campaign.wanted_on),
        issuer=campaign.issuer_id,
        pk__in=items.values("subscription"),
    )
    if campaign.price_class_id:
        contracts = contracts.filter(price_class=campaign.price_class_id)
    if campaign.currency:
        contracts = contracts.filter(currency=campaign.currency)
    if campaign.tenant is not None:
        contracts = contracts.under(campaign.tenant)
    if campaign.starts_from:
        contracts = contracts.filter(starts_on__gte=campaign.starts_from)
    if campaign.starts_before:
        contracts = contracts.filter(starts_on__lt=campaign.starts_before)
    return contracts.order_by("tenant__tree_id", "tenant__lft", "reference", "pk")


def wanted(campaign: PriceCampaign) -> Q:
    """The condition on items."""
    condition = ~Q(interval="once")
    if campaign.product_id:
        condition &= Q(product=campaign.product_id)
    if campaign.price_id:
        condition &= Q(price=campaign.price_id)
    return condition


@dataclass(slots=True)
class Book:
    """What is read for a chunk of contracts."""

    items: dict[int, list[dict[str, Any]]]  # by contract, in the order of positions and days
    terms: dict[int, ItemTerms]  # by item
    prices: dict[int, PriceTerms]
    agreed: set[int]
    listed: dict[tuple[int, int, str], list[Price]]  # by product, class and currency
    charged: dict[tuple[int, int], date]  # by contract and position
    elsewhere: dict[tuple[int, int], tuple[str, date]]  # by contract and position: another campaign, and its day
    refused: dict[int, str]


def read(campaign: PriceCampaign, contracts: Sequence[Subscription], on: date) -> Book:
    """Asks the same number of questions however many ``contracts`` there are."""
    keys = [contract.pk for contract in contracts]
    items: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows: Any = Item.objects.filter(subscription__in=keys).order_by("line", "starts_on", "pk").values()
    for row in rows:
        if row["ends_before"] is None or row["starts_on"] < row["ends_before"]:
            items[row["subscription_id"]].append(row)
    positions, refused = reckonable(keys)
    held = {row["price_id"] for own in items.values() for row in own}
    listed: dict[tuple[int, int, str], list[Price]] = defaultdict(list)
    products = {row["product_id"] for own in items.values() for row in own}
    for price in Price.objects.listed().filter(product__in=products):
        listed[price.product_id, price.price_class_id, price.currency].append(price)
    named = {campaign.new_price_id} if campaign.new_price_id else set()
    standing = Charge.objects.standing().filter(item__subscription__in=keys)
    charged = standing.values_list("item__subscription", "item__line").annotate(last=Max("ends_before"))
    others = PriceChange.objects.filter(
        subscription__in=keys,
        state__in=[PriceChange.State.PENDING, PriceChange.State.CHANGED],
        effective_on__gt=on,
    ).exclude(campaign=campaign)
    return Book(
        items=items,
        terms={position.terms.key: position.terms for position in positions},
        prices=price_terms(held | named | {price.pk for own in listed.values() for price in own}) if held else {},
        agreed=set(Price.objects.filter(pk__in=held, agreed_for__isnull=False).values_list("pk", flat=True)),
        listed=listed,
        charged={(contract, line): last for contract, line, last in charged.order_by()},
        elsewhere={
            (contract, line): (name, day)
            for contract, line, name, day in others.values_list(
                "subscription", "line", "campaign__name", "effective_on"
            )
            if day is not None
        },
        refused=refused,
    )
