"""An account and all below it come to another parent, or to the top."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.utils.translation import gettext_lazy as _

from billing.models import Subscription
from config.restructuring.effects import (
    Effect,
    FieldChange,
    check_open,
    compare_settings,
    hold,
    items_of,
    note_staying,
    references,
    refused,
    settings_of,
    take_over,
)
from tenants import tree
from tenants.models import Tenant
from tenants.transactions import tree_lock

OF_TENANT = ("contracting_party", "invoice_to", "pay_by")
OF_CONTRACT = ("invoice_to", "pay_by")


def move(tenant: Tenant, parent: Tenant | None, *, follows: bool, takes_over: bool, on: date) -> Effect:
    """Hang the account under ``parent``, in the caller's transaction; open items stay with those who have to pay them.

    Who received, paid or contracted for it from above does no more: with ``follows`` the new parent does (or whoever
    does it for that one), else the account itself. With ``takes_over`` the new payer takes over what is open of
    documents that concern the moved accounts alone. Raises ``RestructuringRefused``.
    """
    tree_lock()
    tenant = Tenant.objects.get(pk=tenant.pk)
    parent = Tenant.objects.get(pk=parent.pk) if parent else None
    check_may_stand(tenant, parent)
    moved = list(Tenant.objects.under(tenant).values_list("pk", flat=True))
    above = set(tenant.get_ancestors().values_list("pk", flat=True))
    hold(moved, [parent.pk] if parent else [])
    payers = payers_of(moved)
    before = settings_of(moved)
    names = references([tenant.parent_id, parent and parent.pk])
    effect = Effect(accounts=len(moved))
    effect.fields.append(FieldChange(tenant.reference, "parent", names[tenant.parent_id], names[parent and parent.pk]))
    tree.hang([tenant], parent)
    stay = {parent.pk, *parent.get_ancestors().values_list("pk", flat=True)} if parent else set()
    hand_over(effect, moved, above - stay, parent if follows else None)
    compare_settings(effect, before, settings_of(moved))
    items = items_of(moved, payers)
    hold(items.values())
    if takes_over:
        take_over(effect, items, on=on)
    note_staying(effect, items)
    return effect


def check_may_stand(tenant: Tenant, parent: Tenant | None) -> None:
    """Raises ``RestructuringRefused`` where the account cannot come under ``parent``."""
    check_open(tenant)
    if parent is None:
        if tenant.parent_id is None:
            raise refused(_("%(account)s stands at the top already."), account=tenant.reference)
        return
    check_open(parent)
    if parent.is_descendant_of(tenant, include_self=True):
        raise refused(
            _("%(parent)s lies below %(account)s: an account cannot come to stand below itself."),
            parent=parent.reference,
            account=tenant.reference,
        )
    if tenant.parent_id == parent.pk:
        raise refused(
            _("%(account)s stands below %(parent)s already."), account=tenant.reference, parent=parent.reference
        )


def payers_of(tenants: Iterable[int]) -> set[int]:
    """Who pays for these accounts and their contracts."""
    keys = list(tenants)
    of_accounts = Tenant.objects.filter(pk__in=keys).values_list("pay_by_id", "pk")
    of_contracts = Subscription.objects.filter(tenant__in=keys).values_list("pay_by_id", flat=True)
    return {pay_by or key for pay_by, key in of_accounts} | {key for key in of_contracts if key}


def hand_over(effect: Effect, tenants: Iterable[int], gone: set[int], heir: Tenant | None) -> None:
    """What accounts ``gone`` from above did for ``tenants`` and their contracts, ``heir`` or its own does from now on.

    Without an heir each account does it for itself.
    """
    keys = list(tenants)
    names = references([*gone, heir and heir.pk])
    for name in OF_TENANT:
        successor = (getattr(heir, f"{name}_id") or heir.pk) if heir else None
        names |= references([successor])
        rows = Tenant.objects.filter(pk__in=keys, **{f"{name}__in": gone})
        for key, reference, old in rows.order_by("tree_id", "lft").values_list("pk", "reference", f"{name}_id"):
            effect.fields.append(FieldChange(reference, name, names[old], names[successor]))
        rows.update(**{name: successor})
    for name in OF_CONTRACT:
        successor = (getattr(heir, f"{name}_id") or heir.pk) if heir else None
        contracts = Subscription.objects.filter(tenant__in=keys, **{f"{name}__in": gone})
        for reference, old in contracts.order_by("reference").values_list("reference", f"{name}_id"):
            effect.fields.append(FieldChange(reference, name, names[old], names[successor]))
        contracts.update(**{name: successor})
