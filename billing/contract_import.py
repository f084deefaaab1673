"""Take contracts in from a file: one position per row, all of the file or nothing, a second time nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext

from billing import contracts, operators, strategies
from billing.models import Amendment, Charge, Discount, Grant, Item, Price, PriceClass, Product, Subscription
from billing.models.catalog import Interval, Timing
from tenants import import_rows, responsibility
from tenants.cells import Choice, Day, Number, Text, Whole
from tenants.copying import new_keys, table_of
from tenants.import_rows import CHANGED, NEW, UNCHANGED, Recipe, Staged, Verdict, insert
from tenants.models import ImportBatch, Tenant
from tenants.tabular import RowError
from tenants.transactions import lock_payers_of

COLUMNS = (
    Text(name="contract", required=True, max_length=60),
    Text(name="tenant", required=True, max_length=60),
    Text(name="product", required=True, max_length=60),
    Number(name="quantity", digits=15, places=4, above=Decimal(0)),
    Day(name="starts_on", required=True),
    Day(name="last_day"),
    Whole(name="billing_day", minimum=1, maximum=31),
    Whole(name="trial_days", maximum=3660),
    Whole(name="term_months", maximum=1200),
    Whole(name="renewal_months", maximum=1200),
    Whole(name="notice_days", maximum=3660),
    Number(name="discount_percent", digits=3, places=4, maximum=Decimal(100)),
    Number(name="discount_amount", digits=15, places=4),
    Whole(name="discount_periods", minimum=1, maximum=32767),
    Text(name="po_number", max_length=60),
    Text(name="invoice_to", max_length=60),
    Text(name="pay_by", max_length=60),
    Choice(name="interval", choices=tuple(Interval.values)),
    Day(name="billed_before"),
)
BY_NAME = {column.name: column for column in COLUMNS}
PRICED = (  # what decides an amount; once a contract is billed, only an amendment changes it
    "product",
    "quantity",
    "starts_on",
    "billing_day",
    "trial_days",
    "discount_percent",
    "discount_amount",
    "discount_periods",
    "interval",
    "billed_before",
)
RESPONSIBLE = ("invoice_to", "pay_by")
OWN_DISCOUNTS = "file:"  # discounts that this import makes and takes away; those given by hand stay
DISCOUNT_COLUMNS = {"discount_percent", "discount_amount", "discount_periods"}
ONE_DAY = timedelta(days=1)


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


def judge(batch: ImportBatch, rows: Sequence[Staged]) -> dict[int, Verdict]:
    """What each row would do, from a fixed number of queries for the chunk."""
    accounts = read_accounts(batch, named_accounts(row.values for row in rows))
    products = {product.reference: product for product in Product.objects.filter(reference__in=column(rows, "product"))}
    contracts = read_contracts(batch, (row.reference for row in rows))
    prices = read_prices(products.values())
    verdicts = {row.number: judge_row(batch, row, accounts, products, contracts, prices) for row in rows}
    return verdicts | charged_twice(rows, verdicts, accounts, products) | against_operator(batch, rows, verdicts)


def charged_twice(
    rows: Sequence[Staged],
    verdicts: Mapping[int, Verdict],
    accounts: Mapping[str, Account],
    products: Mapping[str, Product],
) -> dict[int, Verdict]:
    """The rows whose usage another contract charges; asked only where the chunk has any that is charged by use."""
    wanted: dict[strategies.Strategy, int] = {}
    for row in rows:
        product = products.get(str(row.values["product"]))
        if product is None or product.meter_id is None or verdicts[row.number].state not in (NEW, CHANGED):
            continue
        starts_on, last_day = row.values["starts_on"], row.values.get("last_day")
        assert isinstance(starts_on, date)
        end = last_day + ONE_DAY if isinstance(last_day, date) else None
        account = accounts[str(row.values["tenant"])].key
        wanted[strategies.Strategy(account, product.meter_id, row.reference, starts_on, end)] = row.number
    reason = gettext("the usage is charged by the contract %(contract)s on these days already")
    return {
        wanted[one]: Verdict(
            import_rows.ERROR, errors=[RowError(wanted[one], "product", reason % {"contract": contract})]
        )
        for one, contract in strategies.others(list(wanted)).items()
    }


def against_operator(batch: ImportBatch, rows: Sequence[Staged], verdicts: Mapping[int, Verdict]) -> dict[int, Verdict]:
    """The rows of accounts that the issuer, operated by an account, cannot invoice."""
    if batch.issuer is None or batch.issuer.operated_by_id is None:
        return {}
    wanted = [row for row in rows if verdicts[row.number].state in (NEW, CHANGED)]
    tenants = Tenant.objects.filter(reference__in=named_accounts(row.values for row in wanted))
    named = {tenant.reference: tenant for tenant in tenants.select_related("invoice_to")}
    lines = responsibility.lines_of(
        one for tenant in named.values() for one in (tenant, tenant.invoice_to) if one is not None
    )
    refused = {}
    for row in wanted:
        contract = Subscription(
            issuer=batch.issuer,
            tenant=named[str(row.values["tenant"])],
            invoice_to=named.get(str(row.values.get("invoice_to") or "")),
        )
        if reason := operators.reason_against(contract, lines):
            errors = [RowError(row.number, "tenant", reason)]
            refused[row.number] = Verdict(import_rows.ERROR, errors=errors)
    return refused


def judge_row(
    batch: ImportBatch,
    row: Staged,
    accounts: Mapping[str, Account],
    products: Mapping[str, Product],
    contracts: Mapping[str, Contract],
    prices: Mapping[tuple[int, int, str], list[Price]],
) -> Verdict:
    values = row.values
    errors: list[RowError] = []

    def refuse(name: str, reason: str, **facts: Any) -> None:
        errors.append(RowError(row.number, name, reason % facts))

    account = accounts.get(str(values["tenant"]))
    product = products.get(str(values["product"]))
    contract = contracts.get(row.reference)
    if not account:
        refuse("tenant", gettext("there is no account “%(reference)s”"), reference=values["tenant"])
    if not product:
        refuse("product", gettext("there is no product “%(reference)s”"), reference=values["product"])
    starts_on, last_day = values["starts_on"], values.get("last_day")
    assert isinstance(starts_on, date)
    if product:
        errors += quantity_errors(row, product)
    if isinstance(last_day, date) and last_day < starts_on:
        refuse("last_day", gettext("lies before the first day"))
    if values.get("discount_periods") and not (values.get("discount_percent") or values.get("discount_amount")):
        refuse("discount_periods", gettext("there is no discount that could last so long"))
    for name in RESPONSIBLE:
        named = values.get(name)
        if named and str(named) not in accounts:
            refuse(name, gettext("there is no account “%(reference)s”"), reference=named)
        elif named and account and not account.is_below(accounts[str(named)]):
            refuse(name, gettext("“%(reference)s” is neither the account nor one above it"), reference=named)
    if contract:
        subscription = contract.subscription
        if subscription.issuer_id != batch.issuer_id:
            refuse("contract", gettext("is a contract of another issuer"))
        elif account and subscription.tenant_id != account.key:
            refuse(
                "tenant",
                gettext("the contract belongs to the account %(tenant)s"),
                tenant=subscription.tenant.reference,
            )
        elif account and subscription.currency != account.currency:
            refuse(
                "tenant",
                gettext("the contract runs in %(old)s, the account now in %(new)s; that takes a new contract"),
                old=subscription.currency,
                new=account.currency or "–",
            )
        elif (
            isinstance(last_day, date)
            and contract.is_fixed
            and contract.latest
            and last_day < contract.latest.starts_on
        ):
            refuse(
                "last_day",
                gettext("lies before the latest amendment of the contract (%(day)s)"),
                day=date_format(contract.latest.starts_on, "SHORT_DATE_FORMAT"),
            )
    elif account and account.is_closed:
        refuse("tenant", gettext("the account %(reference)s is closed"), reference=values["tenant"])
    if (
        account
        and product
        and not (
            contract and (contract.cells["product"], contract.cells["starts_on"]) == (product.reference, starts_on)
        )
    ):
        errors += price_errors(row, account, product, prices)
    if errors:
        return Verdict(import_rows.ERROR, errors=errors)
    if not contract:
        return Verdict(NEW)
    stated: dict[str, Any] = {name: value for name, value in values.items() if name not in ("contract", "tenant")}
    if stated.get("interval") is None:  # nothing stated: what the contract has
        stated.pop("interval", None)
    stated |= {name: None for name in ("trial_days",) if name in stated and not stated[name]}
    stated |= {name: None for name in RESPONSIBLE if name in stated and not stated[name]}
    stated |= {name: None for name in DISCOUNT_COLUMNS if name in stated and not stated[name]}
    difference = import_rows.difference(contract.cells, stated)
    if not difference:
        return Verdict(UNCHANGED)
    if contract.is_fixed:
        for name in difference:
            if name in PRICED:
                refuse(
                    name,
                    gettext(
                        "the contract is billed or amended already; changing “%(old)s” to “%(new)s” takes an amendment"
                    ),
                    old=import_rows.displayed(BY_NAME[name], difference[name][0]),
                    new=import_rows.displayed(BY_NAME[name], difference[name][1]),
                )
    return Verdict(CHANGED, difference, errors)


def quantity_errors(row: Staged, product: Product) -> list[RowError]:
    """A quantity is stated, unless a meter counts it."""
    quantity = row.values.get("quantity")
    if product.meter_id is None:
        return [] if quantity else [RowError(row.number, "quantity", gettext("must not be empty"))]
    if quantity:
        reason = gettext("must be empty: the product %(product)s is charged by use")
        return [RowError(row.number, "quantity", reason % {"product": product.reference})]
    if row.values.get("interval") == Interval.ONCE:
        return [RowError(row.number, "interval", gettext("what is charged by use is charged by periods"))]
    return []


def price_errors(
    row: Staged, account: Account, product: Product, prices: Mapping[tuple[int, int, str], list[Price]]
) -> list[RowError]:
    """A contract uses exactly the cell of its account's class and currency; nothing is converted."""
    if account.price_class is None or not account.currency:
        return [RowError(row.number, "tenant", gettext("the account has no price class or no currency"))]
    starts_on = row.values["starts_on"]
    assert isinstance(starts_on, date)
    if price_on(prices, product, account, starts_on):
        return []
    reason = gettext("the product %(product)s has no price in class %(price_class)s and %(currency)s on the first day")
    facts = {"product": product.reference, "price_class": account.price_class, "currency": account.currency}
    return [RowError(row.number, "product", reason % facts)]


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


# --- what is stored ---


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


RECIPE = Recipe(
    kind=ImportBatch.Kind.CONTRACTS,
    columns=COLUMNS,
    key="contract",
    judge=judge,
    write=write,
    begin=begin,
    fills=(Subscription, Item, Grant),
)
