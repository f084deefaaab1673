"""Documents from draft to issued: shown, fetched as PDF, and, while drafts, held and released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.explanation import explain
from invoicing import delivery, explanation, issuing, pdf, review
from invoicing.admin import corrections, einvoices
from invoicing.models import Allowance, Delivery, DocumentFile, Invoice, Line, Posting, VatShare
from invoicing.models.invoice import InvoiceQuerySet
from tenants import files
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, RecordInline, is_key
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped
from tenants.errors import OperatorError

STATE_COLOURS = {
    Invoice.State.DRAFT: "info",
    Invoice.State.HELD: "warning",
    Invoice.State.RELEASED: "primary",
    Invoice.State.ISSUED: "success",
    Invoice.State.CLOSED: "",
}


class LineInline(RecordInline):
    model = Line
    fields = ["position", "words", "service", "quantity_shown", "rate", "net_shown", "reckoned"]
    readonly_fields = ["words", "service", "quantity_shown", "rate", "net_shown", "reckoned"]
    tab = False
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Line]:
        return super().get_queryset(request).select_related("section", "charge")

    @display(description=_("text"))
    def words(self, line: Line) -> SafeString:
        section = format_html('<br><span class="k-quiet">{}</span>', line.section.name) if line.section else ""
        contract = line.details.get("contract", "")
        return format_html('{}{}<br><span class="k-quiet">{}</span>', line.text, section, contract)

    @display(description=_("service period"))
    def service(self, line: Line) -> str:
        return f"{figures.day(line.starts_on)} – {figures.day(line.ends_before - timedelta(days=1))}"

    @display(description=_("quantity"))
    def quantity_shown(self, line: Line) -> SafeString:
        return figures.figure_cell(figures.number(line.quantity))

    @display(description=_("VAT rate"))
    def rate(self, line: Line) -> SafeString:
        return figures.figure_cell(f"{figures.number(line.vat_rate)}\N{NO-BREAK SPACE}%")

    @display(description=_("net"))
    def net_shown(self, line: Line) -> SafeString:
        return figures.money_cell(line.net.amount, line.currency)

    @display(description=_("how it was reckoned"))
    def reckoned(self, line: Line) -> SafeString:
        if line.charge is None:
            return format_html("{}", gettext("given back by hand"))
        steps = explain(line.charge.trace, line.currency)
        return format_html(
            '<details class="k-details"><summary>{}</summary><ol class="k-steps">{}</ol></details>',
            gettext("explain"),
            format_html_join("", "<li>{}</li>", ((step,) for step in steps)),
        )


class VatShareInline(RecordInline):
    model = VatShare
    fields = ["vat_case", "rate", "base_shown", "vat_shown", "reckoned"]
    readonly_fields = ["rate", "base_shown", "vat_shown", "reckoned"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[VatShare]:
        return super().get_queryset(request).select_related("invoice")

    @display(description=_("VAT rate"))
    def rate(self, share: VatShare) -> SafeString:
        return figures.figure_cell(f"{figures.number(share.vat_rate)}\N{NO-BREAK SPACE}%")

    @display(description=_("net"))
    def base_shown(self, share: VatShare) -> SafeString:
        return figures.money_cell(share.base.amount, share.currency)

    @display(description=_("VAT"))
    def vat_shown(self, share: VatShare) -> SafeString:
        return figures.money_cell(share.vat.amount, share.currency)

    @display(description=_("how it was reckoned"))
    def reckoned(self, share: VatShare) -> str:
        return explanation.vat(share, share.invoice.parties)


class AllowanceInline(RecordInline):
    model = Allowance
    fields = ["text", "rate", "base_shown", "amount_shown", "reckoned"]
    readonly_fields = ["rate", "base_shown", "amount_shown", "reckoned"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allowance]:
        return super().get_queryset(request).select_related("corrects__invoice")

    @display(description=_("VAT rate"))
    def rate(self, one: Allowance) -> SafeString:
        return figures.figure_cell(f"{figures.number(one.vat_rate)}\N{NO-BREAK SPACE}%")

    @display(description=_("net of the lines"))
    def base_shown(self, one: Allowance) -> SafeString:
        return figures.money_cell(one.base.amount, one.currency)

    @display(description=_("discount"))
    def amount_shown(self, one: Allowance) -> SafeString:
        return figures.money_cell(-one.amount.amount, one.currency)

    @display(description=_("how it was reckoned"))
    def reckoned(self, one: Allowance) -> SafeString:
        steps = explanation.discount(one)
        return format_html(
            '<details class="k-details"><summary>{}</summary><ol class="k-steps">{}</ol></details>',
            gettext("explain"),
            format_html_join("", "<li>{}</li>", ((step,) for step in steps)),
        )


class DeliveryInline(RecordInline):
    model = Delivery
    fields = ["recipient", "channel", "progress", "sent", "trouble"]
    readonly_fields = ["progress", "sent", "trouble"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related("message")

    @display(description=_("state"))
    def progress(self, delivery: Delivery) -> SafeString:
        if delivery.message is None:
            return figures.badge(gettext("not sent"))
        return intent_badge(delivery.message)

    @display(description=_("sent at"))
    def sent(self, delivery: Delivery) -> str:
        return figures.instant(delivery.message.sent_at if delivery.message else None)

    @display(description=_("reason"))
    def trouble(self, delivery: Delivery) -> str:
        return delivery.message.reason if delivery.message else ""


def why_parked(request: HttpRequest) -> str:
    """What a run says of payers whose drafts were discarded, so that their contracts can be corrected."""
    return gettext("The draft was discarded by %(user)s; correct the contract, then bill the payer again.") % {
        "user": request.user.get_username()
    }


class StateFilter(ChoicesDropdownFilter):
    """What was closed without becoming a document is shown, and counted, only if asked for."""

    all_option = ("", _("all but what was closed without a document"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        return super().queryset(request, queryset) if self.value() else queryset.exclude(state=Invoice.State.CLOSED)


class PaperFilter(DropdownFilter):
    """What is in the way of a document that is issued, but does not reach its recipient."""

    title = _("PDF and mail")
    parameter_name = "paper"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("missing", _("issued, but no PDF could be made")), ("no_address", _("no e-mail address to send to"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "missing":
            return queryset.filter(pk__in=pdf.overdue(timezone.now()).values("pk"))
        if self.value() == "no_address":
            return queryset.filter(pk__in=delivery.without_address().values("pk"))
        return queryset


@admin.register(Invoice)
class InvoiceAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer", "recipient")
    list_display = ["shown_number", "issued_on", "payer", "sort", "progress", "due_on", "net_shown", "gross_shown"]
    list_select_related = ["payer"]
    list_filter = [
        ("state", StateFilter),
        PaperFilter,
        ("kind", ChoicesDropdownFilter),
        ("vat_case", ChoicesDropdownFilter),
        ("issuer", RelatedDropdownFilter),
        ("issued_on", RangeDateFilter),
    ]
    search_fields = ["number__startswith"]
    search_accounts = ("payer", "recipient")
    search_help_text = _("Number of the document, or the account")
    sortable_by = ["issued_on", "due_on"]
    inlines = [LineInline, AllowanceInline, VatShareInline, DeliveryInline]
    actions = ["release", "discard"]
    fieldsets = [
        (None, {"fields": ["summary", "parties_shown"]}),
        (_("Books"), {"fields": ["booking"]}),
    ]
    readonly_fields = ["summary", "parties_shown", "booking"]
    change_form_outer_before_template = "invoicing/admin/document_tools.html"

    @display(description=_("number"), ordering="number")
    def shown_number(self, invoice: Invoice) -> str:
        return invoice.number or gettext("draft %d") % invoice.pk

    @display(description=_("kind"))
    def sort(self, invoice: Invoice) -> str:
        return invoice.get_kind_display()

    @display(description=_("state"))
    def progress(self, invoice: Invoice) -> SafeString:
        state = figures.badge(invoice.get_state_display(), STATE_COLOURS[Invoice.State(invoice.state)])
        mark = getattr(invoice, "mark", None)
        return format_html("{} {}", state, figures.badge(*mark)) if mark else state

    @display(description=_("net"))
    def net_shown(self, invoice: Invoice) -> SafeString:
        return figures.money_cell(invoice.net.amount, invoice.currency)

    @display(description=_("gross"))
    def gross_shown(self, invoice: Invoice) -> SafeString:
        return figures.money_cell(invoice.gross.amount, invoice.currency)

    @display(description=_("document"))
    def summary(self, invoice: Invoice) -> SafeString:
        return render_to_string("invoicing/admin/document_summary.html", summary_of(invoice))

    @display(description=_("parties"))
    def parties_shown(self, invoice: Invoice) -> SafeString:
        return render_to_string(
            "invoicing/admin/parties.html",
            {
                "seller": address(invoice.parties.get("seller", {})),
                "buyer": address(invoice.parties.get("buyer", {})),
                "payer": address(invoice.parties.get("payer", {})),
            },
        )

    @display(description=_("journal entry and open item"))
    def booking(self, invoice: Invoice) -> SafeString:
        return render_to_string("invoicing/admin/booking.html", booking_of(invoice))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With the marks of the rows that are shown."""
        changes = super().get_changelist_instance(request)
        rows = list(changes.result_list)
        marks = corrections.marks_of(row.pk for row in rows)
        for row in rows:
            row.mark = marks.get(row.pk)
        changes.result_list = rows
        return changes

    # What is done to drafts

    @admin.action(description=_("Release the selected drafts"), permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> None:
        worked, _answer = self.call(request, review.release, queryset, by=request.user)
        if worked:
            self.message_user(request, gettext("The drafts are released."), messages.SUCCESS)

    @admin.action(description=_("Discard the selected drafts"), permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> None:
        worked, _answer = self.call(request, review.discard, queryset, by=request.user, waits_for=why_parked(request))
        if worked:
            self.message_user(
                request,
                gettext("The drafts and their charges are gone; the next run bills them, or this one on its page."),
                messages.SUCCESS,
            )

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("invoicing.release_invoice")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("invoicing.discard_invoice")

    # Corrections

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """With the corrections that were made of it, and those the user is offered."""
        invoice = self.get_object(request, object_id)
        more = corrections.tools_of(invoice, request.user) if invoice else {}
        if invoice and invoice.run_id and invoice.state == Invoice.State.HELD:
            more["is_outdated"] = issuing.is_outdated(invoice)
            more["discard"] = self.has_discard_permission(request)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "tools": more})

    # PDF

    def get_urls(self) -> list[Any]:
        return [
            path(
                "<int:object_id>/pdf/",
                self.admin_site.admin_view(self.pdf_view),
                name="invoicing_invoice_pdf",
            ),
            *corrections.correction_urls(self),
            *einvoices.einvoice_urls(self),
            *super().get_urls(),
        ]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The file of an issued document as it was sent; of a draft a preview that is not kept."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        invoice = get_object_or_404(self.get_queryset(request), pk=object_id)
        kept = DocumentFile.objects.select_related("file").filter(invoice=invoice, kind=DocumentFile.Kind.PDF).first()
        page = HttpResponseRedirect(reverse("admin:invoicing_invoice_change", args=[object_id]))
        if kept is None and invoice.state == Invoice.State.ISSUED:
            self.message_user(request, why_no_file(invoice), messages.WARNING)
            return page
        if kept is None:
            worked, content = self.call_in_steps(request, pdf.preview, invoice.pk)
        else:
            worked, content = self.call_in_steps(request, files.read, kept.file)
        if not worked:
            return page
        name = f"{invoice.number or f'draft-{invoice.pk}'}.pdf".replace("/", "-")
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'inline; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response


def why_no_file(invoice: Invoice) -> str:
    """Why an issued document has no PDF: what of the document itself is in the way, else that it takes time."""
    try:
        pdf.preview(invoice.pk)
    except OperatorError as refusal:
        return str(refusal)
    return gettext("The file of this document is still being made. Try again in a moment.")


def summary_of(invoice: Invoice) -> dict[str, Any]:
    """The head of a document's page."""
    left = Posting.objects.filter(open_item__invoice=invoice).aggregate(left=Sum("amount"))["left"]
    return {
        "invoice": invoice,
        "number": invoice.number or gettext("draft %d") % invoice.pk,
        "state": invoice.get_state_display(),
        "colour": STATE_COLOURS[Invoice.State(invoice.state)],
        "mark": corrections.marks_of([invoice.pk]).get(invoice.pk),
        "net": figures.money(invoice.net.amount, invoice.currency),
        "vat": figures.money(invoice.vat.amount, invoice.currency),
        "gross": figures.money(invoice.gross.amount, invoice.currency),
        "issued_on": figures.day(invoice.issued_on),
        "due_on": figures.day(invoice.due_on),
        "open": figures.money(left, invoice.currency) if left is not None else "",
        "is_paid": left is not None and not left,
        "einvoice": einvoices.einvoice_of(invoice),
    }


def booking_of(invoice: Invoice) -> dict[str, Any]:
    entries = [
        {
            "entry": entry,
            "booked_on": figures.day(entry.booked_on),
            "postings": [
                (
                    posting.account,
                    figures.money(abs(posting.amount.amount), posting.currency),
                    posting.amount.amount < 0,
                )
                for posting in entry.postings.select_related("account")
            ],
        }
        for entry in invoice.entries.all()
    ]
    return {"entries": entries, "invoice": invoice}


def address(party: dict[str, Any]) -> list[str]:
    """The lines of a frozen party."""
    place = " ".join(part for part in (party.get("postcode"), party.get("city")) if part)
    return [
        str(line)
        for line in (
            party.get("name"),
            party.get("street"),
            place,
            party.get("country"),
            party.get("vat_id") and f"{gettext('VAT id')}: {party['vat_id']}",
        )
        if line
    ]


def drafts_of(run: Any, keys: Sequence[str] | None = None) -> InvoiceQuerySet:
    """Drafts of a run that are still to be decided; of those the ``keys``, if any are given."""
    drafts = Invoice.objects.drafts().filter(run=run)
    return drafts if keys is None else drafts.filter(pk__in=[int(key) for key in keys if is_key(key)])
