"""The page that shows all of one account: what, since when, how much, next invoice when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext

from billing import charging
from billing.contracts import renewals
from billing.kernel.schedule import Timing
from billing.models import Item, Subscription
from config import account_panels, account_vat
from invoicing.admin import corrections
from invoicing.admin.documents import STATE_COLOURS
from invoicing.admin.ledger import with_open_amount
from invoicing.models import Invoice, OpenItem
from payments.models import DunningBlock, Letter
from tenants.admin import figures
from tenants.admin.accounts import STATUS_COLOURS, settings_table
from tenants.admin.activities import ACTION_COLOURS, ACTIONS, changes, keys_in, record_name, subject
from tenants.admin.names import names_of
from tenants.errors import OperatorError
from tenants.models import Activity, Tenant
from tenants.models.visibility import is_bounded, visibility

LOOK_AHEAD = timedelta(days=400)  # a yearly invoice lies within it
MANY_CONTRACTS = 200  # of one payer: beyond, the next invoices are not reckoned while somebody waits for the page


def page(request: HttpRequest, key: int) -> HttpResponse:
    """Everything about one account, each part only for who may see its records."""
    user = request.user
    if not user.has_perm("tenants.view_tenant"):
        raise PermissionDenied
    tenant = get_object_or_404(
        Tenant.objects.visible_to(user).select_related("parent", "contracting_party", "invoice_to", "pay_by"), pk=key
    )
    today = timezone.localdate()
    context = {
        **admin.site.each_context(request),
        "title": tenant.name,
        "opts": Tenant._meta,
        "original": tenant,
        "tenant": tenant,
        "status": (tenant.get_status_display(), STATUS_COLOURS[Tenant.Status(tenant.status)]),
        "line": list(tenant.get_ancestors().filter(visibility(Tenant, user))),
        "below": list(tenant.get_children().filter(visibility(Tenant, user)).order_by("sort_name")[:15]),
        "below_count": tenant.get_descendants().filter(visibility(Tenant, user)).count(),
        "recipient": tenant.invoice_to or tenant,
        "payer": tenant.pay_by or tenant,
        "operates": tenant.operates.all(),
        "settings": settings_table(tenant),
        "vat": account_vat.panel(user, tenant, today),
        "contacts": list(tenant.contacts.all()) if user.has_perm("tenants.view_contact") else None,
        "contracts": contracts(user, tenant, today) if user.has_perm("billing.view_subscription") else None,
        "open_items": open_items(user, tenant, today) if user.has_perm("invoicing.view_openitem") else None,
        "documents": documents(user, tenant) if user.has_perm("invoicing.view_invoice") else None,
        "dunning": dunning(user, tenant, today) if user.has_perm("payments.view_letter") else None,
        "messages_sent": list(tenant.messages.all()[:5]) if user.has_perm("tenants.view_message") else None,
        "activities": activities(tenant) if user.has_perm("tenants.view_activity") and not is_bounded(user) else None,
        "roll_up": account_panels.roll_up(user, tenant, today),
        "tree_changes": [] if is_bounded(user) else account_panels.tree_changes(tenant, today),
        "ways": account_panels.restructurings(tenant) if user.has_perm("tenants.restructure_tenant") else [],
        "may_change": user.has_perm("tenants.change_tenant"),
        "may_bill": user.has_perm("invoicing.start_billrun") and not is_bounded(user),
        "may_add_contract": user.has_perm("billing.add_subscription"),
    }
    return TemplateResponse(request, "admin/account.html", context)


def contracts(user: Any, tenant: Tenant, today: date) -> list[dict[str, Any]]:
    """Contracts of the account and of all below it: what, since when, how much, next invoice when."""
    found = list(
        Subscription.objects.visible_to(user)
        .under(tenant)
        .select_related("tenant", "issuer", "price_class")
        .prefetch_related("items__product")
        .annotate(renewed_until=renewals.last_renewal())
        .order_by("tenant__tree_id", "tenant__lft", "reference")[:MANY_CONTRACTS]
    )
    following = next_charges(found, today)
    return [contract_row(subscription, following, tenant, today) for subscription in found]


def next_charges(subscriptions: Sequence[Subscription], today: date) -> dict[int, tuple[date, Decimal]] | None:
    """Per contract: the day its next charges fall due, and their net; ``None`` if it cannot be reckoned now."""
    payers: dict[int, set[int]] = {}
    for subscription in subscriptions:
        payer = subscription.pay_by_id or subscription.tenant.pay_by_id or subscription.tenant_id
        payers.setdefault(subscription.issuer_id, set()).add(payer)
    following: dict[int, tuple[date, Decimal]] = {}
    for issuer, keys in payers.items():
        paid_for = Subscription.objects.paid_by(keys).filter(issuer=issuer).count()
        if paid_for > MANY_CONTRACTS:
            return None
        try:
            proposal = charging.propose(issuer, sorted(keys), through=today + LOOK_AHEAD)
        except OperatorError:
            return None
        for charge in proposal.charges:
            contract = charge.position.contract.key
            is_late = (
                charge.position.terms.schedule.timing is Timing.ARREARS and not charge.position.terms.schedule.once
            )
            due_on = charge.due.period.end if is_late else charge.due.period.start
            day, net = following.get(contract, (due_on, Decimal(0)))
            if due_on == day:
                following[contract] = (day, net + charge.due.net)
            elif due_on < day:
                following[contract] = (due_on, charge.due.net)
    return following


def contract_row(
    subscription: Subscription, following: dict[int, tuple[date, Decimal]] | None, tenant: Tenant, today: date
) -> dict[str, Any]:
    items = [item for item in subscription.items.all() if item.ends_before is None or item.ends_before > today]
    term = renewals.next_term(subscription, subscription.renewed_until, on=today)  # type: ignore[attr-defined]
    due = (following or {}).get(subscription.pk)
    is_over = subscription.ends_before is not None and subscription.ends_before <= today
    return {
        "url": reverse("admin:billing_subscription_change", args=[subscription.pk]),
        "reference": subscription.reference,
        "account": subscription.tenant if subscription.tenant_id != tenant.pk else None,
        "since": figures.day(subscription.starts_on),
        "until": figures.day(subscription.ends_before - timedelta(days=1)) if subscription.ends_before else "",
        "is_over": is_over,
        "items": [item_text(item) for item in items],
        "next_on": figures.day(due[0]) if due else figures.EMPTY,
        "next_net": figures.money(due[1], subscription.currency) if due else figures.EMPTY,
        "renews_on": figures.day(term.renews_on) if term else "",
        "notice_by": figures.day(term.notice_by) if term else "",
    }


def item_text(item: Item) -> tuple[str, str, str]:
    """Quantity, product and interval of a position."""
    name = item.product.name_de if get_language() == "de" else item.product.name_en
    return figures.number(item.quantity), name, item.get_interval_display()


def open_items(user: Any, tenant: Tenant, today: date) -> dict[str, Any]:
    items = list(
        with_open_amount(OpenItem.objects.visible_to(user).filter(payer=tenant))
        .exclude(open_amount=0)
        .select_related("invoice")
        .order_by("due_on", "pk")[:50]
    )
    sums: dict[str, Decimal] = {}
    for item in items:
        sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.open_amount
    return {
        "sums": [figures.money(amount, currency) for currency, amount in sums.items()],
        "rows": [
            {
                "document": str(item),
                "url": reverse("admin:invoicing_openitem_change", args=[item.pk])
                if item.invoice_id is None
                else reverse("admin:invoicing_invoice_change", args=[item.invoice_id]),
                "due_on": figures.day(item.due_on),
                "late": max(0, (today - item.due_on).days) if item.open_amount > 0 else 0,
                "open": figures.money(item.open_amount, item.currency),
            }
            for item in items
        ],
    }


def documents(user: Any, tenant: Tenant) -> list[dict[str, Any]]:
    seen = Invoice.objects.visible_to(user)
    own = seen.filter(Q(payer=tenant) | Q(recipient=tenant)).exclude(state=Invoice.State.CLOSED)
    found = list(own.order_by("-issued_on", "-pk")[:12])
    marks = corrections.marks_of(invoice.pk for invoice in found)
    return [
        {
            "number": invoice.number or gettext("draft %d") % invoice.pk,
            "url": reverse("admin:invoicing_invoice_change", args=[invoice.pk]),
            "pdf": reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]),
            "issued_on": figures.day(invoice.issued_on),
            "kind": invoice.get_kind_display(),
            "state": invoice.get_state_display(),
            "colour": STATE_COLOURS[Invoice.State(invoice.state)],
            "mark": marks.get(invoice.pk),
            "gross": figures.money(invoice.gross.amount, invoice.currency),
        }
        for invoice in found
    ]


def dunning(user: Any, tenant: Tenant, today: date) -> dict[str, Any]:
    seen = DunningBlock.objects.visible_to(user)
    blocks = seen.filter(Q(tenant=tenant) | Q(open_item__payer=tenant), starts_on__lte=today)
    return {
        "letters": [
            {
                "day": figures.day(letter.sent_on),
                "level": letter.level,
                "total": figures.money(letter.total.amount, letter.currency),
                "url": reverse("admin:payments_letter_change", args=[letter.pk]),
            }
            for letter in Letter.objects.visible_to(user).filter(payer=tenant)[:5]
        ],
        "blocks": list(blocks.filter(Q(ends_before=None) | Q(ends_before__gt=today))[:5]),
    }


def activities(tenant: Tenant) -> list[dict[str, Any]]:
    """What was last done to the account, its contacts and its contracts."""
    contracts_of = list(tenant.subscriptions.values_list("pk", flat=True)[:MANY_CONTRACTS])
    contacts_of = list(tenant.contacts.values_list("pk", flat=True))
    found = Activity.objects.filter(
        Q(table="tenants_tenant", row=tenant.pk)
        | Q(table="tenants_contact", row__in=contacts_of)
        | Q(table="billing_subscription", row__in=contracts_of)
    )[:12]
    names = names_of(key for activity in found for key in keys_in(activity))
    return [
        {
            "at": activity.at,
            "actor": activity.actor or activity.channel,
            "what": record_name(activity),
            "which": subject(activity, names) if activity.table != "tenants_tenant" else "",
            "action": dict(ACTIONS).get(activity.action, activity.action),
            "colour": ACTION_COLOURS.get(activity.action, ""),
            "changes": [change.summed_up("update") for change in changes(activity, names)[:3]]
            if activity.action == "update"
            else [],
            "reason": activity.reason,
            "url": reverse("admin:tenants_activity_change", args=[activity.pk]),
        }
        for activity in found
    ]
