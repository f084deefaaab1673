"""The start page: what needs attention, the last runs, revenue by month, and the timetable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Model, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django_celery_beat.models import PeriodicTask

from billing.kernel.period import months_after
from billing.models import Product, Subscription
from config.schedules import shown_name
from invoicing import delivery, pdf
from invoicing.admin.ledger import with_open_amount
from invoicing.models import BillRun, Invoice, OpenItem, Outcome
from payments import dunning as dunning_letters
from payments import reconciliation
from payments.models import BankAccount, BankLine, Collection, CollectionMethod, EventHandling
from tenants.admin import figures
from tenants.models import Intent, Issuer, Message, Tenant
from tenants.models.visibility import visibility

MONTHS = 12
State = Intent.State


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
    if user.has_perm("payments.view_bankline") and BankAccount.objects.visible_to(user).exists():
        cards.append(bank_lines_card(user))
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
    waiting = (
        Subscription.objects.visible_to(user).waiting_to_start().exclude(tenant__status=Tenant.Status.CLOSED).count()
    )
    return Card(
        gettext("Contracts to look at"),
        figures.number(Decimal(waiting)),
        ngettext("waits for the day of its start", "wait for the day of their start", waiting),
        reverse("contracts_attention"),
        "look" if waiting else "ok",
        "hourglass_top",
    )


def bank_lines_card(user: Any) -> Card:
    waiting = BankLine.objects.visible_to(user).undecided()
    count, proposed = waiting.count(), waiting.filter(proposal__certainty__gt=0).count()
    return Card(
        gettext("Bank lines to decide"),
        figures.number(count),
        gettext("%(proposed)d with a proposal") % {"proposed": proposed} if count else gettext("nothing waits"),
        reverse("admin:payments_bankline_changelist"),
        "look" if count else "ok",
        "playlist_add_check",
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
    return cards + provider_cards(user)


def provider_cards(user: Any) -> list[Card]:
    """Differences to a payment provider, its events that are parked, payments of which nobody knows what became."""
    lost = Collection.objects.filter(method=CollectionMethod.PROVIDER, state__in=[State.UNKNOWN, State.PARKED])
    kinds: list[tuple[str, QuerySet[Any], str, str, str, str]] = [
        (
            "providerfinding",
            reconciliation.open_findings(),
            gettext("Differences to the payment provider"),
            gettext("between its books and ours: look into each"),
            "?state=open",
            "balance",
        ),
        (
            "eventhandling",
            EventHandling.objects.filter(state=State.PARKED),
            gettext("Parked events of the provider"),
            gettext("they do not go with our books"),
            "?state__exact=parked",
            "notifications_paused",
        ),
        (
            "collection",
            lost,
            gettext("Payments without an answer"),
            gettext("at the provider; not tried again before it is known what became of them"),
            "?answer=none",
            "hourglass_disabled",
        ),
    ]
    cards = []
    for name, records, title, note, choice, icon in kinds:
        seen = records.filter(visibility(records.model, user))
        if user.has_perm(f"payments.view_{name}") and (count := seen.count()):
            page = f"{reverse(f'admin:payments_{name}_changelist')}{choice}"
            cards.append(Card(title, figures.number(count), note, page, "act", icon))
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
    first = months_after(today.replace(day=1), 1 - MONTHS)
    issued = (
        Invoice.objects.visible_to(user)
        .issued()
        .filter(issued_on__gte=first, issued_on__lte=months_after(today.replace(day=1), 1))
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
        month = months_after(first, n)
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
