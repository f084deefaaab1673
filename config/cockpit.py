"""The start page, and the page that shows all of one account: what, since when, how much, next invoice when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext, ngettext
from django_celery_beat.models import PeriodicTask

from billing import charging
from billing.contracts import term_of
from billing.kernel.schedule import Timing
from billing.models import Item, Product, Subscription
from config import account_panels
from config.schedules import shown_name
from invoicing import delivery, pdf
from invoicing.admin.documents import STATE_COLOURS
from invoicing.admin.ledger import with_open_amount
from invoicing.models import BillRun, Invoice, OpenItem, Outcome
from payments import dunning as dunning_letters
from payments.models import DunningBlock, Letter
from tenants.admin import figures
from tenants.admin.accounts import STATUS_COLOURS, settings_table
from tenants.admin.activities import ACTION_COLOURS, ACTIONS, changes, keys_in, record_name, subject
from tenants.admin.names import names_of
from tenants.errors import OperatorError
from tenants.models import Activity, Intent, Issuer, Message, Tenant
from tenants.models.visibility import is_bounded, visibility

LOOK_AHEAD = timedelta(days=400)  # a yearly invoice lies within it
MANY_CONTRACTS = 200  # of one payer: beyond, the next invoices are not reckoned while somebody waits for the page
MONTHS = 12


# The start page


@dataclass(frozen=True, slots=True)
class Card:
    """Something that may need a person: ``tone`` is ok, look or act."""

    title: str
    figure: str
    note: str
    url: str
    tone: str
    icon: str


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What needs attention, the last runs, and revenue by month; each only for who may see its records."""
    today = timezone.localdate()
    user = request.user
    cards: list[Card] = []
    if user.has_perm("invoicing.view_billrun"):
        cards += [drafts_card(user), parked_card(user)]
    if user.has_perm("invoicing.view_openitem"):
        cards.append(overdue_card(user, today))
    if user.has_perm("tenants.view_message"):
        cards.append(messages_card(user))
    if user.has_perm("billing.view_subscription"):
        cards.append(waiting_card(user))
    cards += stuck_cards(user, today)
    context |= {
        "title": gettext("Overview"),
        "cards": cards,
        "runs": last_runs(user) if user.has_perm("invoicing.view_billrun") else None,
        "revenue": revenue(user, today) if user.has_perm("invoicing.view_invoice") else None,
        "timetable": timetable() if user.has_perm("django_celery_beat.view_periodictask") else None,
        "may_start": user.has_perm("invoicing.start_billrun"),
        "steps": first_steps(user),
    }
    return context


def first_steps(user: Any) -> list[tuple[str, str, bool]]:
    """Until the first bill run: the way to it, in order, each step with its page and whether it is done."""
    if BillRun.objects.exists():
        return []
    ways: list[tuple[str, type[Model], str, str]] = [
        (gettext("Import your company as issuer"), Issuer, "tenants_issuer_import", "tenants.import_issuer"),
        (gettext("Import the catalog"), Product, "billing_product_import", "billing.import_product"),
        (gettext("Import the accounts"), Tenant, "tenants_tenant_import", "tenants.import_tenant"),
        (gettext("Import the contracts"), Subscription, "billing_subscription_import", "billing.import_subscription"),
        (gettext("Start a bill run"), BillRun, "invoicing_billrun_add", "invoicing.start_billrun"),
    ]
    return [
        (title, reverse(f"admin:{page}"), model._default_manager.exists())
        for title, model, page, right in ways
        if user.has_perm(right)
    ]


def drafts_card(user: Any) -> Card:
    drafts = Invoice.objects.visible_to(user).drafts().order_by().values_list("state").annotate(Count("pk"))
    counts: dict[str, int] = dict(drafts)
    count = sum(counts.values())
    run = (
        BillRun.objects.visible_to(user).filter(invoices__state__in=list(counts)).order_by("-pk").first()
        if count
        else None
    )
    note = gettext("%(held)d held, %(released)d released") % {
        "held": counts.get(Invoice.State.HELD, 0),
        "released": counts.get(Invoice.State.RELEASED, 0),
    }
    return Card(
        gettext("Drafts to decide"),
        figures.number(count),
        note if count else gettext("nothing waits"),
        reverse("admin:invoicing_billrun_change", args=[run.pk])
        if run
        else reverse("admin:invoicing_billrun_changelist"),
        "look" if count else "ok",
        "draft",
    )


def parked_card(user: Any) -> Card:
    last = (
        BillRun.objects.visible_to(user)
        .filter(payer=None)
        .order_by("issuer_id", "-pk")
        .distinct("issuer_id")
        .values_list("pk", flat=True)
    )
    parked = Outcome.objects.filter(run__in=list(last), state=Outcome.State.PARKED)
    count = parked.count()
    run = parked.values_list("run_id", flat=True).first()
    return Card(
        gettext("Parked payers"),
        figures.number(count),
        gettext("could not be billed in the last run") if count else gettext("everybody was billed"),
        f"{reverse('admin:invoicing_billrun_change', args=[run])}#parked"
        if run
        else reverse("admin:invoicing_billrun_changelist"),
        "act" if count else "ok",
        "person_alert",
    )


def overdue_card(user: Any, today: date) -> Card:
    overdue = (
        with_open_amount(OpenItem.objects.visible_to(user).filter(due_on__lt=today))
        .filter(open_amount__gt=0)
        .order_by()
    )
    sums = list(overdue.values_list("currency").annotate(left=Sum("open_amount"), count=Count("pk")).order_by("-count"))
    count = sum(row[2] for row in sums)
    return Card(
        gettext("Overdue"),
        figures.money(sums[0][1], sums[0][0]) if sums else figures.EMPTY,
        " · ".join([*(figures.money(amount, currency) for currency, amount, _count in sums[1:4]), overdue_text(count)]),
        f"{reverse('admin:invoicing_openitem_changelist')}?state=overdue",
        "look" if count else "ok",
        "pending_actions",
    )


def overdue_text(count: int) -> str:
    if not count:
        return gettext("nothing is overdue")
    return ngettext("%(count)s open item", "%(count)s open items", count) % {"count": figures.number(count)}


def messages_card(user: Any) -> Card:
    troubled = [Intent.State.UNKNOWN, Intent.State.PARKED]
    seen = Message.objects.visible_to(user)
    counts = dict(seen.filter(state__in=troubled).order_by().values_list("state").annotate(Count("pk")))
    count = sum(counts.values())
    note = gettext("%(failed)d failed, %(unknown)d of unknown outcome") % {
        "failed": counts.get(Intent.State.PARKED, 0),
        "unknown": counts.get(Intent.State.UNKNOWN, 0),
    }
    return Card(
        gettext("Messages in trouble"),
        figures.number(count),
        note if count else gettext("everything was sent"),
        f"{reverse('admin:tenants_message_changelist')}?{urlencode([('state__exact', state) for state in troubled])}"
        if count
        else reverse("admin:tenants_message_changelist"),
        "act" if count else "ok",
        "mark_email_unread",
    )


def waiting_card(user: Any) -> Card:
    waiting = Subscription.objects.visible_to(user).waiting_to_start().exclude(tenant__status="closed").count()
    return Card(
        gettext("Contracts to look at"),
        figures.number(Decimal(waiting)),
        ngettext("waits for the day of its start", "wait for the day of their start", waiting),
        reverse("contracts_attention"),
        "look" if waiting else "ok",
        "hourglass_top",
    )


def stuck_cards(user: Any, today: date) -> list[Card]:
    """What is made out but does not reach anybody, each with its list; nothing where all is well."""
    cards = []
    now = timezone.now()
    kinds: list[tuple[str, str, str, str, QuerySet[Any], str, str, str]] = [
        (
            "invoicing.view_invoice",
            "admin:invoicing_invoice_changelist",
            "missing",
            "act",
            pdf.overdue(now),
            gettext("Documents without a PDF"),
            gettext("issued, but neither printed nor sent"),
            "picture_as_pdf",
        ),
        (
            "invoicing.view_invoice",
            "admin:invoicing_invoice_changelist",
            "no_address",
            "act",
            delivery.without_address(),
            gettext("Documents without an address"),
            gettext("nobody to send them to by e-mail"),
            "contact_mail",
        ),
        (
            "payments.view_letter",
            "admin:payments_letter_changelist",
            "missing",
            "act",
            dunning_letters.overdue(now),
            gettext("Reminder letters without a PDF"),
            gettext("neither printed nor sent"),
            "picture_as_pdf",
        ),
        (
            "payments.view_letter",
            "admin:payments_letter_changelist",
            "to_post",
            "look",
            dunning_letters.to_post(today),
            gettext("Reminder letters to post"),
            gettext("without an e-mail address, of the last 30 days"),
            "local_post_office",
        ),
        (
            "tenants.view_message",
            "admin:tenants_message_changelist",
            "came_back",
            "act",
            Message.objects.filter(bounced_at__gte=now - timedelta(days=30)),
            gettext("Mails that came back"),
            gettext("within 30 days: correct the address, send again"),
            "unsubscribe",
        ),
    ]
    for right, page, choice, tone, records, title, note, icon in kinds:
        if user.has_perm(right) and (count := records.filter(visibility(records.model, user)).count()):
            cards.append(Card(title, figures.number(count), note, f"{reverse(page)}?paper={choice}", tone, icon))
    return cards


def last_runs(user: Any) -> list[dict[str, Any]]:
    runs = list(BillRun.objects.visible_to(user).select_related("issuer")[:5])
    rows = (
        Outcome.objects.filter(run__in=runs)
        .order_by()
        .values_list("run_id")
        .annotate(
            payers=Count("pk"),
            pending=Count("pk", filter=Q(state=Outcome.State.PENDING)),
            parked=Count("pk", filter=Q(state=Outcome.State.PARKED)),
            made=Sum("documents"),
        )
    )
    counts = {row[0]: row[1:] for row in rows}
    table = []
    for run in runs:
        payers, pending, parked, documents = counts.get(run.pk, (0, 0, 0, 0))
        table.append(
            {
                "run": run,
                "url": reverse("admin:invoicing_billrun_change", args=[run.pk]),
                "day": figures.day(run.issue_on),
                "through": figures.day(run.through),
                "percent": (payers - pending) * 100 // payers if payers else 100,
                "documents": figures.number(documents or 0),
                "parked": parked,
            }
        )
    return table


def revenue(user: Any, today: date) -> dict[str, Any]:
    """Net of issued documents by month of their date, in the currency that has most of them."""
    first = months_before(today.replace(day=1), MONTHS - 1)
    issued = (
        Invoice.objects.visible_to(user)
        .issued()
        .filter(issued_on__gte=first, issued_on__lte=months_before(today.replace(day=1), -1))
    )
    currencies = list(issued.order_by().values_list("currency").annotate(count=Count("pk")).order_by("-count"))
    if not currencies:
        return {}
    currency = currencies[0][0]
    rows = (
        issued.filter(currency=currency)
        .annotate(month=TruncMonth("issued_on"))
        .order_by()
        .values_list("month")
        .annotate(Sum("net"), Count("pk"))
    )
    nets = {month: (net, count) for month, net, count in rows}
    highest = max(max(net for net, _count in nets.values()), Decimal(1))
    months = []
    for n in range(MONTHS):
        month = months_before(first, -n)
        net, count = nets.get(month, (Decimal(0), 0))
        months.append(
            {
                "label": date_format(month, "M y"),
                "net": figures.money(net, currency),
                "count": count,
                "height": max(0, int(net * 100 / highest)),
                "is_current": n == MONTHS - 1,
            }
        )
    total = sum((net for net, _count in nets.values()), Decimal(0))
    return {
        "currency": currency,
        "months": months,
        "total": figures.money(total, currency),
        "others": [code for code, _count in currencies[1:]],
    }


def months_before(first_of_month: date, months: int) -> date:
    year, month = divmod(first_of_month.year * 12 + first_of_month.month - 1 - months, 12)
    return date(year, month + 1, 1)


def timetable() -> list[dict[str, Any]]:
    tasks = (
        PeriodicTask.objects.filter(enabled=True)
        .exclude(task__startswith="celery.")
        .select_related("crontab", "interval")
    )
    return [
        {
            "name": shown_name(task),
            "url": reverse("admin:django_celery_beat_periodictask_change", args=[task.pk]),
            "when": clock(task),
            "last": task.last_run_at,
        }
        for task in tasks[:8]
    ]


def clock(task: PeriodicTask) -> str:
    """When a task comes, as briefly as it can be said."""
    cron = task.crontab
    if cron is None:
        interval = task.interval
        if interval is not None and interval.period == "minutes":
            return ngettext("every minute", "every %(n)d minutes", interval.every) % {"n": interval.every}
        return str(interval or "")
    if cron.minute.isdigit() and cron.hour.isdigit():
        at = f"{int(cron.hour):02}:{int(cron.minute):02}"
        if (cron.day_of_month, cron.month_of_year, cron.day_of_week) == ("*", "*", "*"):
            return gettext("daily at %s") % at
        return f"{at} · {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"
    return f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"


# The account's page


def account(request: HttpRequest, key: int) -> HttpResponse:
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
        "settings": settings_table(tenant),
        "vat_check": tenant.vat_checks.first(),
        "contacts": list(tenant.contacts.all()) if user.has_perm("tenants.view_contact") else None,
        "contracts": contracts(user, tenant, today) if user.has_perm("billing.view_subscription") else None,
        "open_items": open_items(user, tenant, today) if user.has_perm("invoicing.view_openitem") else None,
        "documents": documents(user, tenant) if user.has_perm("invoicing.view_invoice") else None,
        "dunning": dunning(user, tenant, today) if user.has_perm("payments.view_letter") else None,
        "messages_sent": list(tenant.messages.all()[:5]) if user.has_perm("tenants.view_message") else None,
        "activities": activities(tenant) if user.has_perm("tenants.view_activity") and not is_bounded(user) else None,
        "roll_up": None if is_bounded(user) else account_panels.roll_up(user, tenant, today),
        "tree_changes": [] if is_bounded(user) else account_panels.tree_changes(tenant),
        "ways": account_panels.restructurings(tenant) if user.has_perm("tenants.restructure_tenant") else [],
        "may_change": user.has_perm("tenants.change_tenant"),
        "may_bill": user.has_perm("invoicing.start_billrun"),
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
    term = term_of(subscription, today)
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
        "renews_on": figures.day(term.renews_on) if term and not subscription.ends_before else "",
        "notice_by": figures.day(term.notice_by) if term and not subscription.ends_before else "",
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
                "document": str(item.invoice),
                "url": reverse("admin:invoicing_invoice_change", args=[item.invoice_id]),
                "due_on": figures.day(item.due_on),
                "late": max(0, (today - item.due_on).days) if item.open_amount > 0 else 0,
                "open": figures.money(item.open_amount, item.currency),
            }
            for item in items
        ],
    }


def documents(user: Any, tenant: Tenant) -> list[dict[str, Any]]:
    seen = Invoice.objects.visible_to(user)
    found = seen.filter(Q(payer=tenant) | Q(recipient=tenant)).exclude(state=Invoice.State.CLOSED)
    return [
        {
            "number": invoice.number or gettext("draft %d") % invoice.pk,
            "url": reverse("admin:invoicing_invoice_change", args=[invoice.pk]),
            "pdf": reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]),
            "issued_on": figures.day(invoice.issued_on),
            "kind": invoice.get_kind_display(),
            "state": invoice.get_state_display(),
            "colour": STATE_COLOURS[Invoice.State(invoice.state)],
            "gross": figures.money(invoice.gross.amount, invoice.currency),
        }
        for invoice in found.order_by("-issued_on", "-pk")[:12]
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
