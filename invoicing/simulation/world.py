"""The master data of a scenario, stored beside the live ones for as long as a rehearsal lasts.

An issuer of its own, so that its numbers, accounts and runs are nobody else's; references of its own, so that they meet
no live one; trees of accounts far above the live ones, so that the tree lock is left alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from billing import contracts
from billing.kernel.schedule import INTERVALS
from billing.models import Discount, Grant, Price, PriceClass, Product, Subscription, Tier
from billing.models.catalog import Interval, Proration
from invoicing.models import NumberRange
from invoicing.models.number_range import Kind
from invoicing.simulation.reading import Fault, Node, ScenarioRefused
from tenants.errors import OperatorError
from tenants.import_rows import insert
from tenants.models import Issuer, Tenant

CHANNEL = "command"
CUSTOMER = "CUSTOMER"
ADDRESS = {"street": "Musterstraße 1", "postcode": "10115", "city": "Berlin", "country": "DE"}
SHORT = {Kind.INVOICE: "RE", Kind.CREDIT_NOTE: "RK", Kind.CANCELLATION: "ST"}
# Trees of live accounts are counted from 1; two simulations at once meet in one of these once in a hundred million.
TREES_FROM, TREES = 1_900_000_000, 200_000_000


@dataclass(slots=True)
class World:
    """What a scenario made, by the names that it uses itself."""

    issuer: Issuer
    mark: str  # begins each of its references that must be unique in the installation
    products: dict[str, Product] = field(default_factory=dict)
    discounts: dict[str, Discount] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    contracts: list[Subscription] = field(default_factory=list)

    def plain(self, text: str) -> str:
        """Without the mark: as the file says it."""
        return text.replace(self.mark, "")

    def product(self, node: Node, name: str = "product") -> Product:
        return self._named(self.products, node, name, _("there is no product “%(reference)s” in the catalog."))

    def discount(self, node: Node, name: str = "discount") -> Discount:
        return self._named(self.discounts, node, name, _("there is no discount “%(reference)s” in the catalog."))

    def tenant(self, node: Node, name: str) -> Tenant:
        return self._named(self.tenants, node, name, _("there is no account “%(reference)s”; it must stand before."))

    def _named(self, known: dict[str, Any], node: Node, name: str, refusal: str) -> Any:
        reference = node.text(name)
        if reference not in known:
            node.refuse(refusal % {"reference": reference}, name)
        return known[reference]


def build(scenario: Node, *, language: str) -> World:
    """Store the issuer, the catalog, the accounts and the contracts of ``scenario`` as they are agreed.

    Raises ``ScenarioRefused`` naming the place in the file.
    """
    world = _issuer(scenario.group("issuer"), language)
    catalog = scenario.group("catalog")
    for node in catalog.groups("products"):
        _product(world, node)
    for node in catalog.groups("discounts"):
        _discount(world, node)
    _tenants(world, scenario.groups("tenants") or [Node({"reference": CUSTOMER}, "$.tenants[0]")])
    for node in scenario.groups("contracts"):
        _contract(world, node)
    return world


@contextmanager
def placed(world: World | None, path: str) -> Iterator[None]:
    """Refusals of stations and of the database, with the place in the file that they are about."""
    try:
        with transaction.atomic():
            yield
    except ScenarioRefused:
        raise
    except OperatorError as refusal:
        text = str(refusal)
        raise ScenarioRefused(Fault(path, world.plain(text) if world else text)) from refusal
    except IntegrityError as error:
        raise ScenarioRefused(Fault(path, _refusal_of(error))) from error


def _refusal_of(error: IntegrityError) -> str:
    """In the words of the constraint, which forms use, too."""
    name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or "?"
    for model in apps.get_models():
        for constraint in model._meta.constraints:
            if constraint.name == name and constraint.violation_error_message:
                return str(constraint.violation_error_message)
    return _("the database refuses it (%(constraint)s).") % {"constraint": name}


def _store(record: models.Model, node: Node, *exclude: str) -> None:
    _clean(record, node, *exclude)
    with placed(None, node.path):
        record.save(force_insert=True)


def _clean(record: models.Model, node: Node, *exclude: str) -> None:
    try:
        record.full_clean(exclude=exclude)
    except ValidationError as error:
        raise ScenarioRefused(
            *(
                Fault(node.at("" if name == NON_FIELD_ERRORS else name), reason)
                for name, reasons in error.message_dict.items()
                for reason in reasons
            )
        ) from error


def _issuer(node: Node, language: str) -> World:
    mark = f"~{secrets.token_hex(5)}~"
    issuer = Issuer(
        reference=f"{mark}ISSUER",
        name=node.text("name", "Simulation"),
        vat_id=node.text("vat_id", "DE123456788"),
        email="simulation@example.com",
        language=node.text("language", language),
        currency=node.text("currency", "EUR"),
        payment_days=node.data.get("payment_days", 14),
        **{name: node.text(name, default) for name, default in ADDRESS.items()},
    )
    _store(issuer, node)
    return World(issuer, mark)


def number_ranges(world: World, years: set[int]) -> None:
    """The issuer's own, with labels that nobody takes for a live number: SIM-RE-2026-00001."""
    NumberRange.objects.bulk_create(
        NumberRange(issuer=world.issuer, kind=kind, year=year, prefix=f"SIM-{short}-{year}-")
        for year in sorted(years)
        for kind, short in SHORT.items()
    )


def _names(node: Node) -> dict[str, str]:
    name = node.text("name", node.text("reference"))
    return {"name_de": node.text("name_de", name), "name_en": node.text("name_en", name)}


def _product(world: World, node: Node) -> None:
    reference = node.text("reference")
    if reference in world.products:
        node.refuse(_("stands twice."), "reference")
    interval = node.text("interval", Interval.MONTHLY)
    is_long = INTERVALS[interval].months > 1
    product = Product(
        reference=f"{world.mark}{reference}",
        **_names(node),
        unit=node.text("unit", "C62"),
        tax_category=node.text("tax_category", "standard"),
        interval=interval,
        timing=node.text("timing", "advance"),
        proration=node.text("proration", Proration.MONTH_FIRST if is_long else Proration.ACTUAL),
    )
    _store(product, node)
    world.products[reference] = product
    for price in node.groups("prices"):
        _price(world, product, price)


def _price(world: World, product: Product, node: Node) -> None:
    price = Price(
        product=product,
        price_class=PriceClass.objects.get_or_create(number=node.data.get("price_class", 1))[0],
        currency=node.text("currency", world.issuer.currency),
        model=node.text("model"),
        package_size=node.figure("package_size"),
        minimum=node.figure("minimum"),
        cap=node.figure("cap"),
        package_per_tier=node.flag("package_per_tier"),
        free_quantity=node.figure("free_quantity") or Decimal(0),
        quota_prorated=node.flag("quota_prorated"),
        flat_when_zero=node.flag("flat_when_zero"),
        starts_on=node.day("starts_on"),
        ends_before=node.day("ends_before"),
    )
    _store(price, node)
    tiers = node.groups("tiers") or [node]
    for n, tier in enumerate(tiers, 1):
        up_to = tier.figure("up_to")
        if (up_to is None) != (n == len(tiers)):
            tier.refuse(_("every tier but the last has an upper bound."), "up_to")
        before = tiers[n - 2].figure("up_to") if n > 1 else None
        if up_to is not None and before is not None and up_to <= before:
            tier.refuse(_("must be above the bound of the tier before."), "up_to")
        _store(
            Tier(
                price=price,
                up_to=up_to,
                unit_price=tier.figure("unit_price", 10) or Decimal(0),
                flat_amount=tier.figure("flat_amount") or Decimal(0),
                package_size=tier.figure("package_size") if tier is not node else None,
            ),
            tier,
        )


def _discount(world: World, node: Node) -> None:
    reference = node.text("reference")
    if reference in world.discounts:
        node.refuse(_("stands twice."), "reference")
    is_fixed = "amount" in node
    discount = Discount(
        reference=f"{world.mark}{reference}",
        **_names(node),
        kind=Discount.Kind.FIXED if is_fixed else Discount.Kind.PERCENT,
        percent=node.figure("percent"),
        amount=node.figure("amount"),
        currency=node.text("currency", world.issuer.currency) if is_fixed else "",
        sequence=node.data.get("sequence", 10),
        periods=node.whole("periods"),
        after_periods=node.data.get("after_periods", 0),
        level=node.text("level", Discount.Level.LINE),
        is_stacked=node.flag("is_stacked"),
        carry_remainder=node.flag("carry_remainder"),
    )
    _store(discount, node)
    world.discounts[reference] = discount


def _tenants(world: World, nodes: list[Node]) -> None:
    """Accounts are put in with their places in the trees: only accounts that stand before can be above."""
    children: dict[str, list[str]] = {}
    found: dict[str, tuple[Node, Tenant]] = {}
    for node in nodes:
        reference = node.text("reference")
        if reference in found:
            node.refuse(_("stands twice."), "reference")
        parent = node.text("parent")
        if parent and parent not in found:
            world.tenant(node, "parent")
        found[reference] = node, _tenant(world, node)
        children.setdefault(parent, []).append(reference)
        children.setdefault(reference, [])
    first = TREES_FROM + secrets.randbelow(TREES)
    for tree, reference in enumerate(children.get("", []), first):  # documents come in the order of the trees
        _number(reference, 0, tree, 1, children, found)
    for reference, (node, tenant) in found.items():
        for name in ("parent", "contracting_party", "invoice_to", "pay_by"):
            if name in node and node.text(name) != reference:
                setattr(tenant, name, world.tenant(node, name))
        _clean(tenant, node)
        insert(Tenant, [tenant])
        world.tenants[reference] = Tenant.objects.get(reference=tenant.reference)


def _number(
    reference: str,
    level: int,
    tree: int,
    first: int,
    children: dict[str, list[str]],
    found: dict[str, tuple[Node, Tenant]],
) -> int:
    """Give an account and those below it their places; returns the next free number."""
    tenant = found[reference][1]
    following = first + 1
    for child in children[reference]:
        following = _number(child, level + 1, tree, following, children, found)
    tenant.tree_id, tenant.level, tenant.lft, tenant.rght = tree, level, first, following
    return following + 1


def _tenant(world: World, node: Node) -> Tenant:
    below = "parent" in node
    return Tenant(
        reference=f"{world.mark}{node.text('reference')}",
        name=node.text("name", node.text("reference")),
        kind=node.text("kind", "company"),
        vat_id=node.text("vat_id"),
        vat_id_valid=node.flag("vat_id_valid"),
        email="simulation@example.com",
        language=node.text("language"),
        currency=node.text("currency", "" if below else world.issuer.currency),
        price_class=node.whole("price_class"),
        collection=node.text("collection", "" if below else "invoice"),
        payment_days=node.whole("payment_days"),
        project_code=node.text("project_code"),
        **{name: node.text(name, default) for name, default in ADDRESS.items()},
    )


def _contract(world: World, node: Node) -> None:
    tenant = _tenant_of(world, node)
    number = len(world.contracts) + 1
    starts_on = node.required_day("starts_on")
    trial_days = node.whole("trial_days")
    line = list(tenant.get_ancestors(ascending=True, include_self=True))
    price_class = node.whole("price_class") or next((one.price_class for one in line if one.price_class), 1)
    subscription = Subscription(
        issuer=world.issuer,
        reference=node.text("reference", f"V{number}"),
        tenant=tenant,
        currency=node.text("currency") or next((one.currency for one in line if one.currency), world.issuer.currency),
        price_class=PriceClass.objects.get_or_create(number=price_class)[0],
        starts_on=starts_on,
        ends_before=node.day("ends_before"),
        trial_ends_before=starts_on + timedelta(days=trial_days) if trial_days else node.day("trial_ends_before"),
        billing_starts_with=node.text("billing_starts_with", Subscription.BillingStart.CONTRACT),
        activated_on=node.day("activated_on"),
        accepted_on=node.day("accepted_on"),
        billing_day=node.whole("billing_day"),
        billed_before=node.day("billed_before"),
        term_months=node.whole("term_months"),
        renewal_months=node.whole("renewal_months"),
        notice_days=node.whole("notice_days"),
        po_number=node.text("po_number"),
    )
    _clean(subscription, node)
    positions = [
        contracts.Position(
            world.product(part),
            part.figure("quantity") or Decimal(1),
            part.figure("unit_price", 10),
            part.figure("flat_amount"),
        )
        for part in node.groups("positions")
    ]
    with placed(world, node.path):
        contracts.start(subscription, positions, reason="", by=None, channel=CHANNEL)
    for part in node.groups("discounts"):
        discount = world.discount(part)
        if discount.currency not in ("", subscription.currency):
            reason = _("the contract runs in %(currency)s, the discount in %(other)s.")
            part.refuse(reason % {"currency": subscription.currency, "other": discount.currency}, "discount")
        _store(
            Grant(
                subscription=subscription,
                discount=discount,
                reason=_("agreed"),
                periods=part.whole("periods"),
            ),
            part,
        )
    world.contracts.append(subscription)


def _tenant_of(world: World, node: Node) -> Tenant:
    if "tenant" in node:
        return world.tenant(node, "tenant")
    if len(world.tenants) > 1:
        node.refuse(_("is missing; there is more than one account."), "tenant")
    return next(iter(world.tenants.values()))
