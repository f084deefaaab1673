"""The contracts, accounts and prices that are there, as a file describes them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from billing.contract_import.columns import ONE_DAY, OWN_DISCOUNTS, RESPONSIBLE
from billing.models import Amendment, Charge, Discount, Grant, Item, Price, Product, Subscription
from tenants import responsibility
from tenants.import_rows import Staged
from tenants.models import ImportBatch, Tenant


@dataclass(frozen=True, slots=True)
class Account:
    """What of a tenant counts for its contracts, inherited settings resolved."""

    key: int
    currency: str
    price_class: int | None
    is_closed: bool
    billing_day: int | None
    tree: tuple[int, int, int]

    def is_below(self, other: "Account") -> bool:
        """The other account itself, or one below it."""
        return self.tree[0] == other.tree[0] and other.tree[1] <= self.tree[1] and self.tree[2] <= other.tree[2]


@dataclass(frozen=True, slots=True)
class Contract:
    """A stored contract as the file describes it: by its first position. ``is_fixed``: billed, or amended since."""

    subscription: Subscription
    item: Item | None
    latest: Item | None
    cells: Mapping[str, Any]
    is_fixed: bool


def column(rows: Iterable[Staged], name: str) -> set[Any]:
    return column_of((row.values for row in rows), name)


def named_accounts(values: Iterable[Mapping[str, Any]]) -> set[Any]:
    """The references of all accounts in some rows."""
    return {cells[name] for cells in values for name in ("tenant", *RESPONSIBLE) if cells.get(name)}


def column_of(values: Iterable[Mapping[str, Any]], name: str) -> set[Any]:
    return {cells[name] for cells in values}


def read_accounts(batch: ImportBatch, references: Iterable[str]) -> dict[str, Account]:
    assert batch.issuer is not None
    tenants = list(Tenant.objects.filter(reference__in=references).order_by())
    settings = responsibility.effective(tenants, batch.issuer)
    return {
        tenant.reference: Account(
            tenant.pk,
            settings[tenant.pk].currency,
            settings[tenant.pk].price_class,
            is_closed=tenant.status == Tenant.Status.CLOSED,
            billing_day=settings[tenant.pk].billing_day,
            tree=(tenant.tree_id, tenant.lft, tenant.rght),
        )
        for tenant in tenants
    }


def read_prices(products: Iterable[Product]) -> dict[tuple[int, int, str], list[Price]]:
    """The prices of the products by product, number of the class, and currency."""
    prices = defaultdict(list)
    listed = Price.objects.listed().filter(product__in=[product.pk for product in products])
    for price in listed.select_related("price_class"):
        prices[price.product_id, price.price_class.number, price.currency].append(price)
    return prices


def price_on(
    prices: Mapping[tuple[int, int, str], list[Price]], product: Product, account: Account, day: date
) -> Price | None:
    for price in prices.get((product.pk, account.price_class or 0, account.currency), ()):
        if (price.starts_on is None or price.starts_on <= day) and (
            price.ends_before is None or day < price.ends_before
        ):
            return price
    return None


def read_contracts(batch: ImportBatch, references: Iterable[str]) -> dict[str, Contract]:
    """The stored contracts by reference; where another issuer uses the same one, the batch's own issuer wins."""
    found = Subscription.objects.filter(reference__in=list(references)).select_related("tenant", "invoice_to", "pay_by")
    subscriptions = {subscription.pk: subscription for subscription in found}
    items: dict[int, list[Item]] = defaultdict(list)
    for item in (
        Item.objects.filter(subscription__in=subscriptions)
        .select_related("product", "price")
        .order_by("subscription_id", "starts_on", "pk")
    ):
        items[item.subscription_id].append(item)
    billed = set(
        Charge.objects.filter(item__subscription__in=subscriptions)
        .order_by()
        .values_list("item__subscription_id", flat=True)
        .distinct()
    )
    discounts: dict[int, list[Discount]] = defaultdict(list)
    for grant in Grant.objects.filter(
        subscription__in=subscriptions, discount__reference__startswith=OWN_DISCOUNTS, starts_on=None
    ).select_related("discount"):
        assert grant.subscription_id is not None  # not one of an account
        discounts[grant.subscription_id].append(grant.discount)
    agreed = read_agreed(subscriptions)
    contracts = {}
    for pk, subscription in sorted(subscriptions.items(), key=lambda pair: pair[1].issuer_id == batch.issuer_id):
        first, latest = (items[pk][0], items[pk][-1]) if items[pk] else (None, None)
        contracts[subscription.reference] = Contract(
            subscription,
            first,
            latest,
            without_quantity(as_cells(subscription, first, discounts[pk]) | agreed.get(pk, {}), first),
            is_fixed=pk in billed or pk in agreed or len(items[pk]) > 1,
        )
    return contracts


def without_quantity(cells: dict[str, Any], item: Item | None) -> dict[str, Any]:
    """What is charged by use has none in a file."""
    return cells | {"quantity": None} if item is not None and item.product.meter_id is not None else cells


def read_agreed(subscriptions: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Of contracts that were amended: what the file knows of them, its own last word on the last day included."""
    agreed: dict[int, dict[str, Any]] = {}
    known = Amendment.objects.filter(subscription__in=list(subscriptions)).order_by("subscription_id", "sequence")
    for subscription, kind, channel, starts_on, data in known.values_list(
        "subscription_id", "kind", "channel", "effective_on", "data"
    ):
        if kind == Amendment.Kind.START:
            trial, item = day_or_none(data["trial_ends_before"]), data["items"][0] if data["items"] else None
            agreed[subscription] = {"trial_days": (trial - starts_on).days or None if trial else None}
            if item:
                agreed[subscription]["quantity"] = Decimal(item["quantity"])
        if kind == Amendment.Kind.START or (channel == Amendment.Channel.CSV and "ends_before" in data):
            end = day_or_none(data["ends_before"])
            agreed[subscription]["last_day"] = end - ONE_DAY if end else None
    return agreed


def day_or_none(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def as_cells(subscription: Subscription, item: Item | None, discounts: Iterable[Discount]) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "product": item.product.reference if item else None,
        "quantity": item.quantity if item else None,
        "interval": item.interval if item else None,
        "starts_on": subscription.starts_on,
        "last_day": subscription.ends_before - ONE_DAY if subscription.ends_before else None,
        "trial_days": (
            (subscription.trial_ends_before - subscription.starts_on).days or None
            if subscription.trial_ends_before
            else None
        ),
        "po_number": subscription.po_number,
        "invoice_to": subscription.invoice_to.reference if subscription.invoice_to else None,
        "pay_by": subscription.pay_by.reference if subscription.pay_by else None,
    }
    for name in ("billing_day", "billed_before", "term_months", "renewal_months", "notice_days"):
        cells[name] = getattr(subscription, name)
    for discount in discounts:
        if discount.kind == Discount.Kind.PERCENT:
            cells["discount_percent"] = discount.percent
        else:
            cells["discount_amount"] = discount.amount
        cells["discount_periods"] = discount.periods
    return cells
