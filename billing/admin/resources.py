"""Catalog and contracts as sheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import prefetch_related_objects

from billing import catalog_import, contract_import
from billing.models import Product, Subscription
from tenants.admin.sheets import SheetResource


class CatalogSheet(SheetResource):
    """One line per tier."""

    recipe = catalog_import.RECIPE

    def lines(self, records: Sequence[Product]) -> Iterator[Mapping[str, Any]]:
        prefetch_related_objects(records, "prices__price_class", "prices__tiers")
        for product in records:
            of_the_product = {name: getattr(product, name) for name in catalog_import.OF_THE_PRODUCT}
            for price in product.prices.all():
                if price.agreed_for_id is not None:
                    continue
                of_the_price = catalog_import.cells_of_price(price)
                for tier in price.tiers.all():
                    flat = price.model in catalog_import.NO_UNIT_PRICE
                    yield {
                        "product": product.reference,
                        **of_the_product,
                        **of_the_price,
                        "price_class": price.price_class.number,
                        "currency": price.currency,
                        "valid_from": price.starts_on,
                        "up_to": tier.up_to,
                        "unit_price": None if flat else tier.unit_price,
                        "flat_amount": tier.flat_amount if flat or tier.flat_amount else None,
                        "tier_package_size": tier.package_size,
                    }


class ContractSheet(SheetResource):
    """A contract as it was agreed: its first position, the discounts of the import; amendments are not in the sheet."""

    recipe = contract_import.RECIPE

    def lines(self, records: Sequence[Subscription]) -> Iterator[Mapping[str, Any]]:
        prefetch_related_objects(records, "tenant", "items__product", "grants__discount")
        for subscription in records:
            discounts = [
                grant.discount
                for grant in subscription.grants.all()
                if grant.discount.reference.startswith(contract_import.OWN_DISCOUNTS)
            ]
            item = next(iter(subscription.items.all()), None)  # ordered by their first days
            yield {
                "contract": subscription.reference,
                "tenant": subscription.tenant.reference,
                **contract_import.as_cells(subscription, item, discounts),
            }
