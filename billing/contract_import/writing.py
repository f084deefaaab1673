"""New and changed contracts -> rows."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from billing import contracts
from billing.contract_import.columns import DISCOUNT_COLUMNS, ONE_DAY, OWN_DISCOUNTS, RESPONSIBLE
from billing.contract_import.stored import (
    Account,
    Contract,
    column_of,
    named_accounts,
    price_on,
    read_accounts,
    read_contracts,
    read_prices,
)
from billing.models import Amendment, Discount, Grant, Item, Price, PriceClass, Product, Subscription
from billing.models.catalog import Timing
from tenants import import_rows
from tenants.copying import new_keys, table_of
from tenants.import_rows import CHANGED, NEW, Staged, Verdict, insert
from tenants.models import ImportBatch
from tenants.transactions import lock_payers_of


def begin(batch: ImportBatch) -> None:
    """Hold the payers of the contracts that will change, so that no run reckons with the old terms meanwhile."""
    references = batch.rows.filter(state=CHANGED).values("reference")
    changed = Subscription.objects.filter(issuer=batch.issuer, reference__in=references).order_by()
    named = changed.filter(pay_by__isnull=False).values_list("pay_by_id", flat=True)
    lock_payers_of(list(changed.values_list("tenant_id", flat=True).union(named)))


def write(batch: ImportBatch, rows: Sequence[tuple[Staged, Verdict]]) -> None:
    """Store the new and the changed contracts of a chunk."""
    assert batch.issuer_id is not None
    values = [row.values for row, _verdict in rows]
    accounts = read_accounts(batch, named_accounts(values))
    products = {
        product.reference: product for product in Product.objects.filter(reference__in=column_of(values, "product"))
    }
    prices = read_prices(products.values())
    classes = dict(PriceClass.objects.values_list("number", "pk"))
    discounts = Discounts()
    new = [row for row, verdict in rows if verdict.state == NEW]
    subscriptions, items, grants = [], [], []
    table = table_of(Subscription)
    for row, key in zip(new, new_keys(**{table: len(new)})[table], strict=True):
        account, product = accounts[str(row.values["tenant"])], products[str(row.values["product"])]
        subscription = Subscription(
            pk=key,
            issuer_id=batch.issuer_id,
            reference=row.reference,
            tenant_id=account.key,
            currency=account.currency,
            price_class_id=classes[account.price_class or 0],
        )
        set_terms(subscription, {"billing_day": account.billing_day, **row.values})
        set_responsible(subscription, row.values, accounts)
        item = Item(subscription_id=key)
        set_position(
            item, subscription, row.values, product, price_on(prices, product, account, subscription.starts_on)
        )
        subscriptions.append(subscription)
        items.append(item)
        grants += [Grant(subscription_id=key, discount_id=pk) for pk in discounts.of(row.values, account.currency)]
    insert(Subscription, subscriptions)
    insert(Item, items)
    insert(Grant, grants)
    contracts = read_contracts(batch, (row.reference for row, verdict in rows if verdict.state == CHANGED))
    for row, verdict in rows:
        if verdict.state == CHANGED:
            account, product = accounts[str(row.values["tenant"])], products[str(row.values["product"])]
            set_responsible(contracts[row.reference].subscription, row.values, accounts)
            change(contracts[row.reference], row, verdict, account, product, prices, discounts)


def change(
    contract: Contract,
    row: Staged,
    verdict: Verdict,
    account: Account,
    product: Product,
    prices: Mapping[tuple[int, int, str], list[Price]],
    discounts: "Discounts",
) -> None:
    """Bring one stored contract in line with its row. Columns the file does not have keep their values."""
    subscription, item = contract.subscription, contract.item
    cells = {**contract.cells, **row.values}
    if contract.is_fixed:
        set_conditions(subscription, cells)
        subscription.save()
        if "last_day" in verdict.difference:
            last_day = cells["last_day"]
            author = contracts.Author(gettext("contract file"), None, Amendment.Channel.CSV)
            contracts.follow_file(subscription, last_day + ONE_DAY if last_day else None, author)
        return
    set_terms(subscription, cells)
    subscription.save()
    item = item or Item(subscription=subscription)
    price = item.price if item.pk else None
    if {"product", "starts_on"} & verdict.difference.keys():
        price = price_on(prices, product, account, subscription.starts_on)
    if "product" in verdict.difference and not row.values.get("interval"):
        cells["interval"] = product.interval
    set_position(item, subscription, cells, product, price)
    item.save()
    if DISCOUNT_COLUMNS & verdict.difference.keys():
        Grant.objects.filter(subscription=subscription, discount__reference__startswith=OWN_DISCOUNTS).delete()
        Grant.objects.bulk_create(
            Grant(subscription=subscription, discount_id=pk) for pk in discounts.of(cells, subscription.currency)
        )


def set_terms(subscription: Subscription, cells: Mapping[str, Any]) -> None:
    subscription.starts_on = cells["starts_on"]
    last_day, trial_days = cells.get("last_day"), cells.get("trial_days")
    subscription.ends_before = last_day + ONE_DAY if last_day else None
    subscription.trial_ends_before = subscription.starts_on + trial_days * ONE_DAY if trial_days else None
    for name in ("billing_day", "billed_before"):
        setattr(subscription, name, cells.get(name))
    set_conditions(subscription, cells)


def set_conditions(subscription: Subscription, cells: Mapping[str, Any]) -> None:
    """What no charge rests on."""
    for name in ("term_months", "renewal_months", "notice_days"):
        setattr(subscription, name, cells.get(name))
    subscription.po_number = cells.get("po_number") or ""


def set_responsible(subscription: Subscription, cells: Mapping[str, Any], accounts: Mapping[str, Account]) -> None:
    """Who is invoiced and who pays, where the file says so; an empty cell: as the account."""
    for name in RESPONSIBLE:
        if name in cells:
            setattr(subscription, f"{name}_id", accounts[str(cells[name])].key if cells[name] else None)


def set_position(
    item: Item, subscription: Subscription, cells: Mapping[str, Any], product: Product, price: Price | None
) -> None:
    assert price is not None
    by_use = product.meter_id is not None
    item.product, item.price, item.quantity = product, price, Decimal(1) if by_use else cells["quantity"]
    item.interval = cells.get("interval") or product.interval
    item.timing, item.proration = Timing.ARREARS if by_use else product.timing, product.proration
    item.starts_on, item.ends_before = subscription.starts_on, subscription.ends_before


class Discounts:
    """The discounts of the file, each made once and shared by all contracts that have it."""

    def __init__(self) -> None:
        self.keys = dict(Discount.objects.filter(reference__startswith=OWN_DISCOUNTS).values_list("reference", "pk"))

    def of(self, cells: Mapping[str, Any], currency: str) -> list[int]:
        """The keys of a row's discounts; a percentage comes before an amount."""
        periods = cells.get("discount_periods")
        found = []
        if percent := cells.get("discount_percent"):
            text = import_rows.as_text(percent)
            found.append(
                self._key(
                    f"{text}%",
                    periods,
                    name_de=f"Rabatt {str(text).replace('.', ',')} %",
                    name_en=f"Discount {text} %",
                    kind=Discount.Kind.PERCENT,
                    percent=percent,
                    sequence=10,
                )
            )
        if amount := cells.get("discount_amount"):
            text = f"{amount:.2f}" if amount == round(amount, 2) else import_rows.as_text(amount)
            found.append(
                self._key(
                    f"{import_rows.as_text(amount)}{currency}",
                    periods,
                    name_de=f"Rabatt {str(text).replace('.', ',')} {currency}",
                    name_en=f"Discount {currency} {text}",
                    kind=Discount.Kind.FIXED,
                    amount=amount,
                    currency=currency,
                    sequence=20,
                )
            )
        return found

    def _key(self, name: str, periods: int | None, **fields: Any) -> int:
        reference = f"{OWN_DISCOUNTS}{name}" + (f"/{periods}" if periods else "")
        if reference not in self.keys:
            self.keys[reference] = Discount.objects.get_or_create(
                reference=reference, defaults={"periods": periods, **fields}
            )[0].pk
        return self.keys[reference]
