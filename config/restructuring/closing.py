"""An account is closed once nothing of it is left undone, or the operator has said what becomes of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import contracts
from billing.models import Subscription
from config.restructuring.effects import (
    ContractChange,
    Effect,
    check_open,
    compare_settings,
    hold,
    note_staying,
    refused,
    settings_of,
    take_over,
)
from config.restructuring.merging import bring_below, check_no_drafts, set_closed
from config.restructuring.moving import hand_over
from config.restructuring.unbilled import unbilled
from invoicing import review
from invoicing.models import Invoice, OpenItem
from tenants.admin import figures
from tenants.models import Tenant
from tenants.transactions import tree_lock


def close(
    tenant: Tenant,
    *,
    ends_contracts: bool,
    discards_drafts: bool,
    keeps_items: bool,
    heir: Tenant | None,
    lifts_children: bool,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> Effect:
    """Close the account from ``on``: runs skip it. What is left is refused, unless it is said what becomes of it.

    Running contracts end on ``on`` (``ends_contracts``), drafts are set aside (``discards_drafts``), open items stay to
    be paid (``keeps_items``) or go to ``heir``, accounts below come to its parent (``lifts_children``). As long as
    something is to be billed, credits for ended contracts included, it stays open: then the effect's ``waits_for`` says
    for what, and the same call closes it once that is billed. In the caller's transaction. Raises
    ``RestructuringRefused``.
    """
    tree_lock()
    tenant = Tenant.objects.get(pk=tenant.pk)
    check_open(tenant)
    children = list(tenant.get_children().exclude(status=Tenant.Status.CLOSED))
    below = list(Tenant.objects.under(tenant).exclude(pk=tenant.pk).values_list("pk", flat=True))
    hold([tenant.pk, *below], [heir.pk] if heir else [])
    effect = Effect()
    _end_contracts(effect, tenant, ends_contracts, on, reason, by, channel)
    if discards_drafts:
        drafts = Invoice.objects.drafts().filter(Q(payer=tenant) | Q(recipient=tenant))
        effect.drafts = review.discard(drafts, by=by)
    check_no_drafts(tenant)
    if children and not lifts_children:
        raise refused(
            _("Accounts stand below %(account)s (%(count)d): move or close them first."),
            count=len(children),
            account=tenant.reference,
        )
    open_items = list(OpenItem.objects.filter(payer=tenant).with_open_amount().exclude(open_amount=0))
    if open_items and not (keeps_items or heir):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for item in open_items:
            sums[item.currency] += item.open_amount
        raise refused(
            _("%(account)s has open items of %(sums)s: say whether they stay or who takes them over."),
            account=tenant.reference,
            sums=", ".join(figures.money(left, currency) for currency, left in sums.items()),
        )
    effect.waits_for = unbilled(tenant, on)
    if effect.waits_for:
        return effect
    if children:
        _lift(effect, tenant, children, below)
    if heir:
        payer = heir.pay_by_id or heir.pk
        take_over(effect, {item.pk: payer for item in open_items}, on=on)
    note_staying(effect, [item.pk for item in open_items])
    set_closed(effect, tenant)
    return effect


def _end_contracts(
    effect: Effect, tenant: Tenant, ends: bool, on: date, reason: str, by: User | None, channel: str
) -> None:
    running = Subscription.objects.filter(Q(ends_before=None) | Q(ends_before__gt=on), tenant=tenant)
    found = list(running.order_by("reference"))
    if found and not ends:
        names = ", ".join(one.reference for one in found[:10])
        raise refused(
            _("%(account)s has contracts that run: %(contracts)s. End or transfer them first."),
            account=tenant.reference,
            contracts=names,
        )
    for one in found:
        day = max(on, one.starts_on)
        contracts.cancel(
            one, on=on, effective=day, override=True, reason=reason or gettext("account closed"), by=by, channel=channel
        )
        effect.contracts.append(ContractChange(one.reference, "", "", day))


def _lift(effect: Effect, tenant: Tenant, children: list[Tenant], below: list[int]) -> None:
    """Accounts below come to the parent, or to the top."""
    before = settings_of(below)
    effect.accounts = len(below)
    bring_below(effect, children, tenant.parent)
    hand_over(effect, below, {tenant.pk}, tenant.parent)
    compare_settings(effect, before, settings_of(below))
