"""Who pays, who receives, and which setting of which account is in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from tenants.models import Issuer, Tenant

INHERITED = (
    "language",
    "currency",
    "price_class",
    "collection",
    "collection_threshold",
    "collection_rhythm",
    "payment_days",
    "billing_day",
    "consolidation",
    "document_format",
    "leitweg_id",
    "po_number",
    "dunning_policy",
    "auto_mail",
    "pdf_beside_xml",
    "time_zone",
)
FALLBACK: dict[str, Any] = {
    "collection": Tenant.Collection.INVOICE.value,
    "collection_threshold": Decimal(0),
    "collection_rhythm": Tenant.Rhythm.DUE.value,
    "consolidation": Tenant.Consolidation.TOGETHER.value,
    "document_format": Tenant.DocumentFormat.PDF.value,
    "leitweg_id": "",
    "po_number": "",
    "dunning_policy": "",
    "auto_mail": True,
    "pdf_beside_xml": False,
}
OF_THE_ISSUER = ("language", "currency", "payment_days", "document_format", "time_zone")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force and where it comes from: an account's reference, words for the issuer or the product."""

    value: Any
    origin: str
    account: int | None = None  # the key of the account it comes from


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force for one account, every inherited setting resolved."""

    language: str
    currency: str
    price_class: int | None
    collection: str
    collection_threshold: Decimal
    collection_rhythm: str
    payment_days: int
    billing_day: int | None
    consolidation: str
    document_format: str
    leitweg_id: str
    po_number: str
    dunning_policy: str
    auto_mail: bool
    pdf_beside_xml: bool
    time_zone: str


def origins(tenant: Tenant, issuer: Issuer | None) -> dict[str, Setting]:
    """Each inherited setting of ``tenant`` with its origin: its own, the nearest ancestor's, or the issuer's."""
    line = [*tenant.get_ancestors(ascending=True, include_self=True)]
    return {name: _nearest(name, line, issuer) for name in INHERITED}


def effective(tenants: Iterable[Tenant], issuer: Issuer) -> dict[int, Settings]:
    """What is in force for each of ``tenants``, by key; two queries however many they are."""
    wanted = list(tenants)
    parents = _parents(wanted)
    return {tenant.pk: settings_in_force(_line(tenant, parents), issuer) for tenant in wanted}


def settings_in_force(line: Sequence[Any], issuer: Issuer) -> Settings:
    """The settings of the first account in ``line``, which leads from it up to its root."""
    return Settings(**{name: _nearest(name, line, issuer).value for name in INHERITED})


def in_force(name: str, line: Sequence[Any], issuer: Issuer | None) -> Any:
    """The value of one setting in force for the first account in ``line``, which leads from it up to its root.

    Without its origin, which takes words: a bill run asks for every account.
    """
    for tenant in line:
        value = getattr(tenant, name)
        if value is not None and value != "":
            return value
    return _of_the_house(name, issuer)


def lines_of(tenants: Iterable[Tenant]) -> dict[int, list[Tenant]]:
    """Of each of ``tenants`` (its key) the way from it up to its root; one query."""
    wanted = list(tenants)
    parents = _parents(wanted)
    return {tenant.pk: _line(tenant, parents) for tenant in wanted}


def _parents(wanted: Iterable[Tenant]) -> dict[int, Tenant]:
    """The accounts with others below them, in the trees of ``wanted``."""
    trees = {tenant.tree_id for tenant in wanted}
    return {t.pk: t for t in Tenant.objects.filter(tree_id__in=trees, children__isnull=False).distinct()}


def _line(tenant: Tenant, parents: dict[int, Tenant]) -> list[Tenant]:
    line = [tenant]
    while line[-1].parent_id is not None:
        line.append(parents[line[-1].parent_id])
    return line


def _nearest(name: str, line: Sequence[Any], issuer: Issuer | None) -> Setting:
    for tenant in line:
        value = getattr(tenant, name)
        if value is not None and value != "":
            return Setting(value, tenant.reference, tenant.id)
    if issuer is not None and name in OF_THE_ISSUER:
        origin = str(_("issuer %(issuer)s") % {"issuer": issuer.reference})
    else:
        origin = str(_("product default"))
    return Setting(_of_the_house(name, issuer), origin)


def _of_the_house(name: str, issuer: Issuer | None) -> Any:
    """The value where no account says anything."""
    return getattr(issuer, name) if issuer is not None and name in OF_THE_ISSUER else FALLBACK.get(name)
