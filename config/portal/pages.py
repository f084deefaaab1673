"""What a customer sees: documents, parts of others' documents, what is open, and contracts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import get_language, gettext

from billing.admin.catalog import summary_of
from billing.contracts import term_of
from billing.models import ChangeRequest, Subscription
from config.account_page import next_charges
from config.portal.doors import for_customers, rights_of
from invoicing.models import CollectiveStatement, DocumentFile, Invoice, Line, OpenItem, Posting, Section
from invoicing.sections import amounts_of, open_of
from payments.models import Letter, ProviderAccount
from payments.paid import paid_on
from tenants import files
from tenants.admin import figures
from tenants.models import Tenant
from tenants.models.visibility import accounts_granted

PER_PAGE = 25
MANY = 200


@for_customers()
def overview(request: HttpRequest) -> HttpResponse:
    user, rights, today = request.user, rights_of(request.user), timezone.localdate()
    accounts = Tenant.objects.visible_to(user).order_by("tree_id", "lft")
    context: dict[str, Any] = {"accounts": list(accounts[:MANY]), "rights": rights}
    if "sees_invoices" in rights:
        latest = Invoice.objects.visible_to(user).select_related("recipient", "payer").order_by("-issued_on", "-pk")
        context["documents"] = document_rows(user, latest[:5])
    if "sees_payments" in rights:
        context["open"] = open_sums(open_items(user), today)
    if "sees_subscriptions" in rights:
        context["contracts"] = Subscription.objects.visible_to(user).active_on(today).count()
    return render(request, "portal/overview.html", context)


# Documents


@for_customers("sees_invoices")
def documents(request: HttpRequest) -> HttpResponse:
    """Documents to or paid by the customer's accounts, and their parts of documents that go to others."""
    seen = Invoice.objects.visible_to(request.user)
    page = Paginator(seen.select_related("recipient", "payer").order_by("-issued_on", "-pk"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    parts = (
        Section.objects.visible_to(request.user)
        .exclude(invoice__in=seen)
        .select_related("invoice__payer", "tenant")
        .order_by("-invoice__issued_on", "-pk")[:PER_PAGE]
    )
    context = {"page": page, "rows": document_rows(request.user, page), "parts": section_rows(parts)}
    return render(request, "portal/documents.html", context)


@for_customers("sees_invoices")
def document_file(request: HttpRequest, key: int, kind: str) -> HttpResponse:
    held = get_object_or_404(
        DocumentFile.objects.visible_to(request.user).select_related("file", "invoice"),
        invoice__in=Invoice.objects.visible_to(request.user),
        invoice_id=key,
        kind=kind,
    )
    return download(held.file, f"{held.invoice.number}.{held.kind}")


@for_customers("sees_invoices")
def section(request: HttpRequest, key: int) -> HttpResponse:
    """The lines of one account on a document, and who pays it."""
    part = get_object_or_404(
        Section.objects.visible_to(request.user).select_related("invoice__payer", "tenant"), pk=key
    )
    lines = Line.objects.visible_to(request.user).filter(section=part)
    rows = [
        {
            "text": line.text,
            "service": service(line),
            "quantity": figures.number(line.quantity),
            "net": figures.money(line.net.amount, line.currency),
        }
        for line in lines
    ]
    return render(request, "portal/section.html", {"part": section_rows([part])[0], "rows": rows})


def document_rows(user: Any, invoices: Iterable[Invoice]) -> list[dict[str, Any]]:
    """Rows of a list; five questions however many they are."""
    rows = list(invoices)
    left, paid = left_of(rows), paid_on(row.pk for row in rows)
    kinds: dict[int, list[str]] = {}
    for invoice, kind in DocumentFile.objects.filter(invoice__in=rows).order_by("kind").values_list("invoice", "kind"):
        kinds.setdefault(invoice, []).append(kind)
    own = set(
        Tenant.objects.visible_to(user).filter(pk__in={row.payer_id for row in rows}).values_list("pk", flat=True)
    )
    return [
        {
            "invoice": invoice,
            "kind": invoice.get_kind_display(),
            "issued_on": figures.day(invoice.issued_on),
            "due_on": figures.day(invoice.due_on),
            "gross": figures.money(invoice.gross.amount, invoice.currency),
            "state": state_of(
                invoice.payer,
                left.get(invoice.pk, Decimal(0)),
                is_own=invoice.payer_id in own,
                paid_on=paid.get(invoice.pk),
            ),
            "is_settled": not left.get(invoice.pk),
            "files": [(kind, kind.upper()) for kind in kinds.get(invoice.pk, [])],
        }
        for invoice in rows
    ]


def section_rows(sections: Iterable[Section]) -> list[dict[str, Any]]:
    rows = list(sections)
    documents = [row.invoice_id for row in rows]
    amounts, left, paid = amounts_of(documents), open_of(documents), paid_on(documents)
    return [
        {
            "section": part,
            "number": part.invoice.number,
            "account": part.tenant,
            "issued_on": figures.day(part.invoice.issued_on),
            "net": figures.money(part.net.amount, part.currency),
            "gross": figures.money(amounts[part.invoice_id][part.pk].gross, part.currency),
            "open": figures.money(left[part.invoice_id][part.pk], part.currency),
            "state": state_of(
                part.invoice.payer,
                left[part.invoice_id][part.pk],
                is_own=False,
                paid_on=paid.get(part.invoice_id),
            ),
            "is_settled": not left[part.invoice_id][part.pk],
        }
        for part in rows
    ]


def left_of(invoices: Iterable[Invoice]) -> dict[int, Decimal]:
    """What is still open of each document, by its key."""
    rows = (
        Posting.objects.filter(open_item__invoice__in=list(invoices))
        .order_by()
        .values_list("open_item__invoice")
        .annotate(left=Sum("amount"))
    )
    return dict(rows)


def state_of(payer: Tenant, left: Decimal, *, is_own: bool, paid_on: date | None) -> str:
    """Whether a document is paid, when, and by whom if that is not the customer himself."""
    facts = {"payer": payer.name, "day": figures.day(paid_on)}
    if left:
        return gettext("open") if is_own else gettext("to be paid by %(payer)s") % facts
    if paid_on is None:  # settled without money: by a credit note, for instance
        return gettext("settled") if is_own else gettext("paid by %(payer)s") % facts
    return (gettext("paid on %(day)s") if is_own else gettext("paid by %(payer)s on %(day)s")) % facts


def service(line: Line) -> str:
    return f"{figures.day(line.starts_on)} – {figures.day(line.ends_before - timedelta(days=1))}"


def download(file: Any, name: str) -> HttpResponse:
    response = HttpResponse(files.read(file), content_type=file.content_type)
    response["Content-Disposition"] = f'attachment; filename="{name.replace("/", "-")}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


# Payments


@for_customers("sees_payments")
def payments(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate()
    items = open_items(request.user)
    paying = set(accounts_paid_by(request.user))
    letters = Letter.objects.visible_to(request.user).exclude(file=None).order_by("-sent_on", "-pk")[:PER_PAGE]
    statements = CollectiveStatement.objects.visible_to(request.user).exclude(file=None).select_related("payer")
    context = {
        "sums": open_sums(items, today),
        "pays_online": bool(paying) and ProviderAccount.objects.filter(is_active=True).exists(),
        "rows": [
            {
                "item": item,
                "due_on": figures.day(item.due_on),
                "is_late": item.open_amount > 0 and item.due_on < today,
                "open": figures.money(item.open_amount, item.currency),
                "bank": bank_of(item) if item.payer_id in paying else None,
            }
            for item in items
        ],
        "statements": [
            {
                "statement": statement,
                "issued_on": figures.day(statement.issued_on),
                "total": figures.money(statement.total.amount, statement.currency),
            }
            for statement in statements[:PER_PAGE]
        ],
        "letters": [
            {
                "letter": letter,
                "sent_on": figures.day(letter.sent_on),
                "total": figures.money(letter.total.amount, letter.currency),
            }
            for letter in letters
        ],
    }
    return render(request, "portal/payments.html", context)


@for_customers("sees_payments")
def statement_file(request: HttpRequest, key: int) -> HttpResponse:
    statement = get_object_or_404(
        CollectiveStatement.objects.visible_to(request.user).exclude(file=None).select_related("file"), pk=key
    )
    return download(statement.file, f"{statement.reference}.pdf")


@for_customers("sees_payments")
def letter_file(request: HttpRequest, key: int) -> HttpResponse:
    letter = get_object_or_404(
        Letter.objects.visible_to(request.user).exclude(file=None).select_related("file"), pk=key
    )
    return download(letter.file, f"{letter.sent_on.isoformat()}-{letter.pk}.pdf")


def open_items(user: Any) -> list[Any]:
    found = OpenItem.objects.visible_to(user).with_open_amount().exclude(open_amount=0)
    return list(found.select_related("invoice", "issuer", "payer").order_by("due_on", "pk")[:MANY])


def open_sums(items: Iterable[Any], today: date) -> list[dict[str, Any]]:
    """By currency: what is open, and what of it is overdue."""
    sums: dict[str, list[Decimal]] = {}
    for item in items:
        row = sums.setdefault(item.currency, [Decimal(0), Decimal(0)])
        row[0] += item.open_amount
        if item.due_on < today:
            row[1] += item.open_amount
    return [
        {"open": figures.money(whole, currency), "late": figures.money(late, currency) if late > 0 else ""}
        for currency, (whole, late) in sorted(sums.items())
    ]


def accounts_paid_by(user: Any) -> Any:
    return Tenant.objects.filter(pk__in=accounts_granted(user, "pays")).values_list("pk", flat=True)


def bank_of(item: Any) -> dict[str, str] | None:
    """Where to transfer an open item to; nothing where it is collected, or is a credit."""
    issuer = item.issuer
    if (
        item.invoice is None
        or item.invoice.collection != Tenant.Collection.INVOICE
        or item.open_amount <= 0
        or not issuer.iban
    ):
        return None
    iban = " ".join(issuer.iban[i : i + 4] for i in range(0, len(issuer.iban), 4))
    return {"name": issuer.name, "iban": iban, "bic": issuer.bic, "reference": item.invoice.number}


# Contracts


@for_customers("sees_subscriptions")
def contracts(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate()
    seen = Subscription.objects.visible_to(request.user).select_related("tenant", "issuer", "price_class")
    page = Paginator(
        seen.prefetch_related("items__product", "items__price__tiers").order_by("tenant__sort_name", "reference"),
        PER_PAGE,
    ).get_page(request.GET.get("page"))
    found = list(page)
    following = next_charges(found, today) or {}
    asking = set(
        Subscription.objects.filter(
            pk__in=[row.pk for row in found], tenant__in=accounts_granted(request.user, "requests_changes")
        ).values_list("pk", flat=True)
    )
    waiting: dict[int, list[ChangeRequest]] = {}
    for asked in ChangeRequest.objects.visible_to(request.user).filter(subscription__in=found)[:MANY]:
        waiting.setdefault(asked.subscription_id, []).append(asked)
    rows = [
        contract_row(row, following.get(row.pk), today) | {"may_ask": row.pk in asking, "requests": waiting.get(row.pk)}
        for row in found
    ]
    return render(request, "portal/contracts.html", {"page": page, "rows": rows})


def contract_row(subscription: Subscription, due: tuple[date, Decimal] | None, today: date) -> dict[str, Any]:
    term = term_of(subscription, today) if subscription.ends_before is None else None
    is_over = subscription.ends_before is not None and subscription.ends_before <= today
    return {
        "contract": subscription,
        "account": subscription.tenant,
        "since": figures.day(subscription.starts_on),
        "until": figures.day(subscription.ends_before - timedelta(days=1)) if subscription.ends_before else "",
        "is_over": is_over,
        "items": [
            {
                "quantity": figures.number(item.quantity),
                "product": item.product.name_de if get_language() == "de" else item.product.name_en,
                "price": summary_of(item.price),
                "interval": item.get_interval_display(),
            }
            for item in subscription.items.all()
            if item.ends_before is None or item.ends_before > today
        ],
        "next_on": figures.day(due[0]) if due else "",
        "next_net": figures.money(due[1], subscription.currency) if due else "",
        "renews_on": figures.day(term.renews_on) if term else "",
        "notice_by": figures.day(term.notice_by) if term else "",
    }


def contract_of(user: Any, key: int) -> Subscription:
    """A contract that the customer sees and may ask about; 404 otherwise."""
    found = Subscription.objects.visible_to(user).filter(tenant__in=accounts_granted(user, "requests_changes"))
    contract = found.select_related("tenant", "issuer").filter(pk=key).first()
    if contract is None:
        raise Http404
    return contract
