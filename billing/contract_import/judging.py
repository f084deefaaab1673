"""What each row of a file would do."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext

from billing import operators, strategies
from billing.contract_import.columns import BY_NAME, DISCOUNT_COLUMNS, ONE_DAY, PRICED, RESPONSIBLE
from billing.contract_import.stored import (
    Account,
    Contract,
    column,
    named_accounts,
    price_on,
    read_accounts,
    read_contracts,
    read_prices,
)
from billing.models import Price, Product, Subscription
from billing.models.catalog import Interval
from tenants import import_rows, responsibility
from tenants.import_rows import CHANGED, NEW, UNCHANGED, Staged, Verdict
from tenants.models import ImportBatch, Tenant
from tenants.tabular import RowError


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
