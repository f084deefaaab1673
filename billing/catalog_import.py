"""Take products and their prices in from a file: one row per tier, the rows of a price wherever they stand in it.

A price that contracts use is never changed: a running contract keeps its price. A new one needs its first day
(``valid_from``); the one before it then ends there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils.translation import gettext

from billing.models import Application, Item, Meter, Price, PriceClass, Product, Tier
from billing.models.catalog import Interval, Timing
from tenants import import_rows
from tenants.cells import Choice, Day, Number, Text, Whole
from tenants.import_rows import CHANGED, ERROR, NEW, UNCHANGED, Recipe, Staged, Verdict
from tenants.models import ImportBatch
from tenants.tabular import RowError

COLUMNS = (
    Text(name="product", required=True, max_length=60),
    Text(name="name_de", required=True, max_length=200),
    Text(name="name_en", required=True, max_length=200),
    Text(name="unit", max_length=3, upper=True, pattern="[A-Z0-9]{2,3}", example="C62"),
    Choice(name="tax_category", choices=tuple(Product.TaxCategory.values)),
    Choice(name="interval", choices=tuple(Interval.values)),
    Choice(name="timing", choices=tuple(Timing.values)),
    Whole(name="price_class", required=True, minimum=1, maximum=32767),
    Text(name="currency", required=True, max_length=3, upper=True),
    Choice(name="model", required=True, choices=tuple(Price.Model.values)),
    Number(name="package_size", digits=15, places=4, above=Decimal(0)),
    Choice(name="package_rounding", choices=("total", "per_tier")),
    Number(name="up_to", digits=15, places=4, above=Decimal(0)),
    Number(name="unit_price", digits=15, places=10),
    Number(name="flat_amount", digits=15, places=4),
    Number(name="tier_package_size", digits=15, places=4, above=Decimal(0)),
    Number(name="free_quantity", digits=15, places=4),
    Choice(name="free_quantity_prorated", choices=("yes", "no")),
    Choice(name="flat_amount_at_zero", choices=("yes", "no")),
    Number(name="minimum", digits=15, places=4),
    Number(name="maximum", digits=15, places=4),
    Day(name="valid_from"),
    Text(name="application", max_length=60),
    Text(name="meter", max_length=60),
    Choice(name="aggregation", choices=tuple(Meter.Aggregation.values)),
    Text(name="property", max_length=60),
)
OF_THE_METER = ("application", "meter", "aggregation", "property")
OF_THE_PRODUCT = ("name_de", "name_en", "unit", "tax_category", "interval", "timing", *OF_THE_METER)
OF_THE_PRICE = (
    "model",
    "package_size",
    "package_rounding",
    "free_quantity",
    "free_quantity_prorated",
    "flat_amount_at_zero",
    "minimum",
    "maximum",
)
FIELDS = {
    "maximum": "cap",
    "package_rounding": "package_per_tier",
    "free_quantity_prorated": "quota_prorated",
    "flat_amount_at_zero": "flat_when_zero",
}
WORDS = {  # of what is kept as yes or no
    "package_rounding": {True: "per_tier", False: None},
    "free_quantity_prorated": {True: "yes", False: None},
    "flat_amount_at_zero": {True: "yes", False: None},
}
MODELS = Price.Model
NEEDS = {  # model -> the figures that each of its rows must have
    MODELS.FLAT: ("flat_amount",),
    MODELS.PER_UNIT: ("unit_price",),
    MODELS.GRADUATED: ("unit_price",),
    MODELS.VOLUME: ("unit_price",),
    MODELS.PACKAGE: ("unit_price", "package_size"),
    MODELS.STAIRSTEP: ("flat_amount",),
    MODELS.PERCENTAGE: ("unit_price",),
    MODELS.COMMITMENT: ("flat_amount",),
}
TIERED = (MODELS.GRADUATED, MODELS.VOLUME, MODELS.STAIRSTEP, MODELS.PACKAGE, MODELS.PERCENTAGE)
NO_UNIT_PRICE = (MODELS.FLAT, MODELS.STAIRSTEP, MODELS.COMMITMENT)
TIERS_OF_PACKAGES = (MODELS.GRADUATED, MODELS.VOLUME)


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the price list; ``valid_from`` is empty for the price that holds from the beginning."""

    product: str
    price_class: int
    currency: str
    valid_from: date | None

    @classmethod
    def of(cls, row: Staged) -> "Cell":
        values: Mapping[str, Any] = row.values
        return cls(values["product"], values["price_class"], values["currency"], values.get("valid_from"))


@dataclass(frozen=True, slots=True)
class Stored:
    price: Price
    tiers: tuple[Tier, ...]
    is_used: bool


def judge(batch: ImportBatch, rows: Sequence[Staged]) -> dict[int, Verdict]:
    """All rows of the file at once: a price stretches over several, and is taken with all of them or not at all."""
    references = {row.reference for row in rows}
    products = read_products(references)
    metered = Metered.of(rows, references)
    stored = read_prices(references)
    groups = grouped(rows)
    spoilt = spoilt_by(batch, groups)
    verdicts: dict[int, Verdict] = {}
    leaders: dict[str, Staged] = {}  # the first row of a product speaks for it
    for cell, group in groups.items():
        errors = group_errors(group)
        for row in group:
            errors[row.number] += disagreement(row, leaders.setdefault(row.reference, row), OF_THE_PRODUCT)
            errors[row.number] += metered.errors(row, products.get(row.reference))
        if (found := stored.get(cell)) and found.is_used:
            reason = gettext("contracts use this price, so it stays; state the first day of a new one (valid_from)")
            for row, difference in zip(group, price_difference(group, found), strict=True):
                errors[row.number] += [RowError(row.number, name, reason) for name in [*difference][:1]]
        bad = next((number for number, reasons in errors.items() if reasons), spoilt.get(cell))
        if bad:
            reason = gettext("belongs to the same price as row %(row)d, which is in error") % {"row": bad}
            for row in group:
                verdicts[row.number] = Verdict(ERROR, errors=errors[row.number] or [RowError(row.number, "", reason)])
    spoken_for = set()
    for cell, group in groups.items():
        if group[0].number in verdicts:
            continue
        found = stored.get(cell)
        for row, difference in zip(group, price_difference(group, found), strict=True):
            product = products.get(row.reference)
            if product and row.reference not in spoken_for:
                difference = {**product_difference(product, row), **difference}
            spoken_for.add(row.reference)
            verdicts[row.number] = Verdict((CHANGED if difference else UNCHANGED) if found else NEW, difference)
    return verdicts


@dataclass(frozen=True, slots=True)
class Metered:
    """What meters are and are charged by already: by (application, meter), aggregation and property."""

    stored: Mapping[tuple[str, str], tuple[str, str]]
    named: Mapping[tuple[str, str], Staged]  # the first row that names it speaks for it
    charged: frozenset[str]  # products in contracts

    @classmethod
    def of(cls, rows: Sequence[Staged], references: Iterable[str]) -> "Metered":
        named: dict[tuple[str, str], Staged] = {}
        for row in rows:
            if row.values.get("meter"):
                named.setdefault(meter_of(row), row)
        if not named:
            meters, charged = Meter.objects.none(), Item.objects.filter(product__meter__isnull=False)
        else:
            meters = Meter.objects.filter(application__reference__in={application for application, _meter in named})
            charged = Item.objects.all()
        stored = meters.values_list("application__reference", "reference", "aggregation", "property")
        used = charged.filter(product__reference__in=references).order_by().values_list("product__reference", flat=True)
        return cls({(a, m): (way, name) for a, m, way, name in stored}, named, frozenset(used.distinct()))

    def errors(self, row: Staged, product: Product | None) -> list[RowError]:
        values: Mapping[str, Any] = row.values
        if not any(values.get(name) for name in OF_THE_METER):
            return []
        found = []

        def refuse(name: str, reason: str, /, **facts: Any) -> None:
            found.append(RowError(row.number, name, reason % facts))

        for name in ("application", "meter", "aggregation"):
            if not values.get(name):
                refuse(name, gettext("must not be empty for a product that is charged by use"))
        way, name = values.get("aggregation"), values.get("property") or ""
        if way == Meter.Aggregation.UNIQUE and not name:
            refuse("property", gettext("must not be empty: different values are those of a property"))
        if way == Meter.Aggregation.COUNT and name:
            refuse("property", gettext("must be empty: the number of events depends on no property"))
        if values.get("interval") == Interval.ONCE:
            refuse("interval", gettext("what is charged by use is charged by periods"))
        if values.get("timing") == Timing.ADVANCE:
            refuse("timing", gettext("what is charged by use is charged in arrears"))
        if values.get("model") in (MODELS.FLAT, MODELS.COMMITMENT):
            refuse("model", gettext("the price model %(model)s does not depend on use"), model=values["model"])
        if found:
            return found
        known = self.stored.get(meter_of(row))
        leader = self.named[meter_of(row)]
        if known and known != (way, name):
            refuse(
                "aggregation",
                gettext("the meter %(meter)s counts otherwise: %(known)s"),
                meter="/".join(meter_of(row)),
                known=" ".join(filter(None, known)),
            )
        elif (leader.values.get("aggregation"), leader.values.get("property") or "") != (way, name):
            refuse("aggregation", gettext("differs from row %(row)d, which speaks of the same"), row=leader.number)
        if product and product.reference in self.charged and meter_stored(product) != (*meter_of(row), way, name):
            refuse("meter", gettext("contracts are charged by this product, so its meter stays; make another product"))
        return found


def meter_of(row: Staged) -> tuple[str, str]:
    return str(row.values.get("application") or ""), str(row.values.get("meter") or "")


def meter_stored(product: Product) -> tuple[str, str, str, str]:
    """Application, meter, aggregation and property of a product; empty where it is not charged by use."""
    meter = product.meter
    return (meter.application.reference, meter.reference, meter.aggregation, meter.property) if meter else ("",) * 4


def read_products(references: Iterable[str]) -> dict[str, Product]:
    found = Product.objects.filter(reference__in=references).select_related("meter__application")
    return {product.reference: product for product in found}


def spoilt_by(batch: ImportBatch, groups: Mapping[Cell, Sequence[Staged]]) -> dict[Cell, int]:
    """The prices that a row already in error belongs to, or may belong to as far as it can be read."""
    spoilt: dict[Cell, int] = {}
    for row in batch.rows.filter(state=ERROR).order_by("number").iterator():
        known = {name: row.cells[name] for name in ("product", "price_class", "currency") if row.cells.get(name)}
        for cell in groups:
            if all(str(getattr(cell, name)) == text for name, text in known.items()):
                spoilt.setdefault(cell, row.number)
    return spoilt


def group_errors(group: Sequence[Staged]) -> dict[int, list[RowError]]:
    """What is wrong with the rows of one price, by row."""
    errors: dict[int, list[RowError]] = defaultdict(list)

    def refuse(row: Staged, name: str, reason: str, /, **facts: Any) -> None:
        errors[row.number].append(RowError(row.number, name, reason % facts))

    model = group[0].values["model"]
    bounds: dict[Any, int] = {}
    for row in group:
        values: Mapping[str, Any] = row.values
        if values["currency"] not in settings.CURRENCIES:
            refuse(
                row, "currency", gettext("“%(currency)s” is none of the currencies in use"), currency=values["currency"]
            )
        errors[row.number] += disagreement(row, group[0], OF_THE_PRICE)
        for name in NEEDS[model]:
            if values.get(name) is None:
                refuse(row, name, gettext("must not be empty for the price model %(model)s"), model=model)
        if model in NO_UNIT_PRICE and values.get("unit_price"):
            refuse(row, "unit_price", gettext("the price model %(model)s has no unit price"), model=model)
        if model != MODELS.PACKAGE and values.get("package_size"):
            refuse(row, "package_size", gettext("the price model %(model)s has no packages"), model=model)
        if model not in TIERS_OF_PACKAGES and values.get("tier_package_size"):
            refuse(row, "tier_package_size", gettext("the price model %(model)s has no packages per tier"), model=model)
        if model != MODELS.PACKAGE and values.get("package_rounding") == "per_tier":
            refuse(row, "package_rounding", gettext("the price model %(model)s has no packages"), model=model)
        if model == MODELS.COMMITMENT:
            for name in ("minimum", "maximum", "free_quantity"):
                if values.get(name):
                    refuse(row, name, gettext("must be empty for the price model %(model)s"), model=model)
        minimum, maximum = values.get("minimum"), values.get("maximum")
        if minimum is not None and maximum is not None and minimum > maximum:
            refuse(row, "minimum", gettext("is above the maximum"))
        bound = values.get("up_to")
        if bound is not None and model not in TIERED:
            refuse(row, "up_to", gettext("the price model %(model)s has no tiers"), model=model)
        elif bound in bounds:
            refuse(row, "up_to", gettext("row %(row)d has the same upper bound"), row=bounds[bound])
        bounds.setdefault(bound, row.number)
        size = values.get("package_size")
        in_total = model == MODELS.PACKAGE and values.get("package_rounding") != "per_tier"
        if in_total and bound is not None and size and bound % size:
            refuse(
                row, "up_to", gettext("ends inside a package; round up per tier (package_rounding), or end with one")
            )
    if None not in bounds and model in TIERED:
        refuse(group[-1], "up_to", gettext("the last tier must be open: one row of the price without an upper bound"))
    return errors


def disagreement(row: Staged, leader: Staged, names: Iterable[str]) -> list[RowError]:
    return [
        RowError(
            row.number, name, gettext("differs from row %(row)d, which speaks of the same") % {"row": leader.number}
        )
        for name in names
        if row.values.get(name) != leader.values.get(name)
    ]


def product_difference(product: Product, row: Staged) -> dict[str, list[str]]:
    meter = dict(zip(OF_THE_METER, meter_stored(product), strict=True))
    kept = {name: meter[name] if name in meter else getattr(product, name) for name in OF_THE_PRODUCT}
    return import_rows.difference(kept, stated_of_product(row))


def stated_of_product(row: Staged) -> dict[str, Any]:
    return {name: row.values[name] for name in OF_THE_PRODUCT if row.values.get(name)}


def price_difference(group: Sequence[Staged], found: Stored | None) -> list[dict[str, list[str]]]:
    """What each row of a price changes of the stored one; a tier that the file lost is shown at the first row."""
    if not found:
        return [{} for _row in group]
    tiers = {tier.up_to: tier for tier in found.tiers}
    differences = []
    for row in group:
        tier = tiers.pop(row.values.get("up_to"), None)
        stated = {name: row.values.get(name) or Decimal(0) for name in ("unit_price", "flat_amount")}
        if "tier_package_size" in row.values:
            stated["tier_package_size"] = row.values["tier_package_size"]
        if tier:
            old = {
                "unit_price": tier.unit_price,
                "flat_amount": tier.flat_amount,
                "tier_package_size": tier.package_size,
            }
            differences.append(import_rows.difference(old, stated))
        else:
            differences.append(import_rows.difference({}, {"up_to": row.values.get("up_to") or "∞", **stated}))
    if tiers:
        gone = ", ".join(import_rows.as_text(bound) or "∞" for bound in tiers)
        differences[0]["up_to"] = [gone, import_rows.as_text(group[0].values.get("up_to")) or "∞"]
    old = {name: getattr(found.price, FIELDS.get(name, name)) for name in OF_THE_PRICE}
    differences[0] = import_rows.difference(old, stated_of_price(group[0])) | differences[0]
    return differences


def stated_of_price(row: Staged) -> dict[str, Any]:
    stated = {name: row.values[name] for name in OF_THE_PRICE if name in row.values}
    for name, words in WORDS.items():
        if name in stated:
            stated[name] = stated[name] == words[True]
    if "free_quantity" in stated and stated["free_quantity"] is None:
        stated["free_quantity"] = Decimal(0)
    return stated


def cells_of_price(price: Price) -> dict[str, Any]:
    """A stored price as a file says it."""
    kept = {name: getattr(price, FIELDS.get(name, name)) for name in OF_THE_PRICE}
    return {name: WORDS[name][value] if name in WORDS else value for name, value in kept.items()}


def write(batch: ImportBatch, rows: Sequence[tuple[Staged, Verdict]]) -> None:
    references = {row.reference for row, _verdict in rows}
    products = read_products(references)
    meters: dict[tuple[str, str], Meter] = {}
    for row, _verdict in rows:
        product = products.get(row.reference) or Product(reference=row.reference)
        stated = stated_of_product(row)
        if stated.keys() & set(OF_THE_METER):
            stated = {name: value for name, value in stated.items() if name not in OF_THE_METER}
            if meter_of(row) not in meters:
                meters[meter_of(row)] = taken_meter(row)
            stated |= {"meter": meters[meter_of(row)], "timing": Timing.ARREARS}
        if not product.pk or any(getattr(product, name) != value for name, value in stated.items()):
            for name, value in stated.items():
                setattr(product, name, value)
            product.save()
        products[row.reference] = product
    classes = {level.number: level for level in PriceClass.objects.all()}
    for number in sorted({int(str(row.values["price_class"])) for row, _verdict in rows} - classes.keys()):
        classes[number] = PriceClass.objects.create(number=number)
    stored = read_prices(references)
    groups = grouped(import_rows.sound_rows(RECIPE, batch))
    touched = {Cell.of(row) for row, _verdict in rows}
    for cell in sorted(touched, key=lambda cell: cell.valid_from or date.min):
        group, found = groups[cell], stored.get(cell)
        if found and not any(price_difference(group, found)):
            continue  # its product alone changed
        price = (
            found.price
            if found
            else Price(product=products[cell.product], price_class=classes[cell.price_class], currency=cell.currency)
        )
        for name, value in stated_of_price(group[0]).items():
            setattr(price, FIELDS.get(name, name), value)
        if not found:
            fit_between(price, cell)
        price.save()
        Tier.objects.filter(price=price).delete()
        Tier.objects.bulk_create(
            Tier(
                price=price,
                up_to=row.values.get("up_to"),
                unit_price=row.values.get("unit_price") or Decimal(0),
                flat_amount=row.values.get("flat_amount") or Decimal(0),
                package_size=row.values.get("tier_package_size"),
            )
            for row in group
        )


def taken_meter(row: Staged) -> Meter:
    """The meter that a row names; a new one, and its application, where there is none."""
    values: Mapping[str, Any] = row.values
    application, _made = Application.objects.get_or_create(reference=values["application"])
    meter, _made = Meter.objects.get_or_create(
        application=application,
        reference=values["meter"],
        defaults={"aggregation": values["aggregation"], "property": values.get("property") or ""},
    )
    return meter


def fit_between(price: Price, cell: Cell) -> None:
    """Give a new price its days: up to the first day of the next one; the one before it ends where it begins."""
    listed = Price.objects.listed()
    others = listed.filter(product=price.product, price_class=price.price_class, currency=price.currency)
    later = others.filter(starts_on__gt=cell.valid_from) if cell.valid_from else others.filter(starts_on__isnull=False)
    following = later.order_by("starts_on").first()
    price.starts_on, price.ends_before = cell.valid_from, following.starts_on if following else None
    if cell.valid_from:
        earlier = others.filter(Q(starts_on=None) | Q(starts_on__lt=cell.valid_from))
        before = earlier.order_by(F("starts_on").desc(nulls_last=True)).first()
        if before and (before.ends_before is None or before.ends_before > cell.valid_from):
            before.ends_before = cell.valid_from
            before.save(update_fields=["ends_before"])


# --- what is stored ---


def grouped(rows: Iterable[Staged]) -> dict[Cell, list[Staged]]:
    groups: dict[Cell, list[Staged]] = defaultdict(list)
    for row in rows:
        groups[Cell.of(row)].append(row)
    return groups


def read_prices(references: Iterable[str]) -> dict[Cell, Stored]:
    prices = list(
        Price.objects.listed()
        .filter(product__reference__in=references)
        .select_related("product", "price_class")
        .prefetch_related("tiers")
    )
    used = set(Item.objects.filter(price__in=prices).order_by().values_list("price_id", flat=True).distinct())
    return {
        Cell(price.product.reference, price.price_class.number, price.currency, price.starts_on): Stored(
            price, tuple(price.tiers.all()), price.pk in used
        )
        for price in prices
    }


RECIPE = Recipe(
    kind=ImportBatch.Kind.CATALOG,
    columns=COLUMNS,
    key="product",
    judge=judge,
    write=write,
    unique=False,
    whole=True,
    fills=(Product, Price, Tier),
)
