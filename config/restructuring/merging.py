"""An account goes up in another one; or a part of it becomes an account of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing import contracts
from billing.models import Subscription
from config.restructuring.effects import (
    ContractChange,
    Effect,
    FieldChange,
    check_open,
    compare_settings,
    hold,
    note_staying,
    references,
    refused,
    settings_of,
    take_over,
)
from config.restructuring.moving import OF_CONTRACT, OF_TENANT, hand_over
from config.restructuring.rights import copy_rights
from config.restructuring.unbilled import unbilled
from invoicing.models import Invoice, OpenItem
from tenants import tree
from tenants.models import Contact, Tenant
from tenants.transactions import tree_lock

COPIED = [
    field.name
    for field in Tenant._meta.local_concrete_fields
    if field.name not in {"id", "reference", "name", "sort_name", "status", "lft", "rght", "tree_id", "level"}
]


def merge(
    tenant: Tenant, into: Tenant, *, takes_over: bool, on: date, reason: str, by: User | None, channel: str
) -> Effect:
    """Let ``into`` take over contracts, contacts, accounts below and, with ``takes_over``, open items; then close it.

    Contracts end here and go on there, from ``on`` or their first day, by amendments. Issued documents stay as they
    are; whoever has rights here has them there, too. As long as something is to be billed, say what was paid ahead for
    the days that go on there, it stays open: the effect's ``waits_for`` says for what; the same call takes over what
    came of it and closes it. In the caller's transaction. Raises ``RestructuringRefused`` and
    what transferring a contract raises.
    """
    tree_lock()
    tenant, into = Tenant.objects.get(pk=tenant.pk), Tenant.objects.get(pk=into.pk)
    check_open(tenant)
    check_open(into)
    if into.is_descendant_of(tenant, include_self=True):
        raise refused(
            _("%(into)s lies below %(account)s: move it first."), into=into.reference, account=tenant.reference
        )
    check_no_drafts(tenant)
    below = list(Tenant.objects.under(tenant).exclude(pk=tenant.pk).values_list("pk", flat=True))
    payer = into.pay_by_id or into.pk
    hold([tenant.pk, into.pk, payer, *below])
    before = settings_of(below)
    effect = Effect(accounts=len(below))
    transfer_all(effect, Subscription.objects.filter(tenant=tenant), into, on, reason, by, channel)
    bring_below(effect, list(tenant.get_children()), into)
    gone = {tenant.pk, *tenant.get_ancestors().values_list("pk", flat=True)}
    into.refresh_from_db()
    stay = {into.pk, *into.get_ancestors().values_list("pk", flat=True)}
    hand_over(effect, below, gone - stay, into)
    compare_settings(effect, before, settings_of(below))
    moving = Contact.objects.filter(tenant=tenant)
    effect.contacts = list(moving.order_by("name").values_list("name", flat=True))
    moving.update(tenant=into)
    copy_rights(effect, tenant, into)
    if takes_over:
        take_over(effect, {item.pk: payer for item in OpenItem.objects.filter(payer=tenant, moved_to=None)}, on=on)
    note_staying(effect, list(OpenItem.objects.filter(payer=tenant).values_list("pk", flat=True)))
    effect.waits_for = unbilled(tenant, on)
    if not effect.waits_for:
        set_closed(effect, tenant)
    return effect


def split(
    tenant: Tenant,
    *,
    reference: str,
    name: str,
    contracts_moved: Sequence[int],
    children: Sequence[int],
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> tuple[Tenant, Effect]:
    """Open an account beside this one, with its settings, and give it some of the contracts and accounts below.

    Open items and issued documents stay. Returns the new account. In the caller's transaction. Raises
    ``RestructuringRefused`` and what transferring a contract raises.
    """
    tree_lock()
    tenant = Tenant.objects.get(pk=tenant.pk)
    check_open(tenant)
    if not contracts_moved and not children:
        raise refused(_("Choose at least one contract or account below that goes to the new account."))
    if Tenant.objects.filter(reference=reference).exists():
        raise refused(_("There is an account %(account)s already."), account=reference)
    moved = [*Tenant.objects.filter(parent=tenant, pk__in=children)]
    below = [key for child in moved for key in Tenant.objects.under(child).values_list("pk", flat=True)]
    hold([tenant.pk, *below])
    before = settings_of(below)
    new = Tenant(reference=reference, name=name, **{field: getattr(tenant, field) for field in COPIED})
    new.save()
    hold([new.pk])
    itself = [name for name in OF_TENANT if getattr(tenant, f"{name}_id") == tenant.pk]
    if itself:
        Tenant.objects.filter(pk=new.pk).update(**dict.fromkeys(itself, new.pk))
        new.refresh_from_db()
    effect = Effect(accounts=len(below))
    effect.fields.append(FieldChange(reference, "name", "", name))
    chosen = Subscription.objects.filter(tenant=tenant, pk__in=contracts_moved)
    transfer_all(effect, chosen, new, on, reason, by, channel)
    bring_below(effect, moved, new)
    hand_over(effect, below, {tenant.pk}, new)
    compare_settings(effect, before, settings_of(below))
    note_staying(effect, list(OpenItem.objects.filter(payer=tenant).values_list("pk", flat=True)))
    return new, effect


def check_no_drafts(tenant: Tenant) -> None:
    """Raises ``RestructuringRefused`` while drafts of the account wait for a decision."""
    drafts = Invoice.objects.drafts().filter(Q(payer=tenant) | Q(recipient=tenant)).count()
    if drafts:
        raise refused(
            _("Drafts of %(account)s wait for a decision (%(count)d): issue or discard them first."),
            count=drafts,
            account=tenant.reference,
        )


def transfer_all(
    effect: Effect,
    found: Any,
    to: Tenant,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> None:
    """Let contracts that are not over go on at ``to``, each from ``on`` or its first day if that is later.

    Who receives or pays for a contract by its own terms does so on, if it is above ``to``; else ``to`` decides.
    """
    line = set(to.get_ancestors(include_self=True).values_list("pk", flat=True))
    for subscription in found.filter(Q(ends_before=None) | Q(ends_before__gt=on)).order_by("reference"):
        day = max(on, subscription.starts_on)
        reference = free_reference(subscription)
        _ending, successor = contracts.transfer(
            subscription, tenant=to, reference=reference, effective=day, reason=reason, by=by, channel=channel
        )
        _hand_on(effect, subscription, successor, line)
        effect.contracts.append(ContractChange(subscription.reference, to.reference, reference, day))


def _hand_on(effect: Effect, subscription: Subscription, successor: Subscription, line: set[int]) -> None:
    """Keep who receives and pays for the contract as long as it stands in the account's ``line``, and note who not."""
    named = {name: getattr(subscription, f"{name}_id") for name in OF_CONTRACT}
    names = references([*named.values(), successor.tenant_id])
    for name, old in named.items():
        now = successor.tenant_id if old == subscription.tenant_id else old if old in line else None
        if now is not None:
            Subscription.objects.filter(pk=successor.pk).update(**{name: now})
        if now != old:
            effect.fields.append(FieldChange(successor.reference, name, names[old], names[now]))


def free_reference(subscription: Subscription) -> str:
    """The reference of the contract that follows: the same with a number behind it that nobody has."""
    stem = subscription.reference[:55]
    taken = set(
        Subscription.objects.filter(issuer=subscription.issuer_id, reference__startswith=stem).values_list(
            "reference", flat=True
        )
    )
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def bring_below(effect: Effect, children: Iterable[Tenant], parent: Tenant | None) -> None:
    """Hang accounts under ``parent`` or at the top, all at once, and note it; under the tree's lock."""
    moved = list(children)
    for child in moved:
        old = child.parent.reference if child.parent else ""
        effect.fields.append(FieldChange(child.reference, "parent", old, parent.reference if parent else ""))
    tree.hang(moved, parent)


def set_closed(effect: Effect, tenant: Tenant) -> None:
    effect.fields.append(FieldChange(tenant.reference, "status", tenant.status, Tenant.Status.CLOSED))
    Tenant.objects.filter(pk=tenant.pk).update(status=Tenant.Status.CLOSED)
