"""Cancel a document or credit its lines: a form, then the document as it will be, then the document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from billing.kernel.money import places_of
from invoicing import correction
from invoicing.correction import Creditable, Preview, Wanted, approving
from invoicing.einvoice.facts import DocumentFacts
from invoicing.models import BillRun, Invoice
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, Screen
from tenants.admin.numbers import NumberField
from tenants.errors import OperatorError
from tenants.models import Approval

SHOWN = 200  # lines on one form; those of longer documents are credited by the command
A_WHILE = 20  # seconds for which one request cancels documents of a run


class CorrectionForm(forms.Form):
    """Why, and on which day."""

    reason = forms.CharField(
        label=_("reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("It is printed on the document."),
    )
    on = forms.DateField(label=_("document date"), initial=timezone.localdate, widget=UnfoldAdminSingleDateWidget)

    def __init__(self, *arguments: Any, original_day: date, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.original_day = original_day

    def clean_on(self) -> date:
        on: date = self.cleaned_data["on"]
        try:
            correction.refuse_ahead(self.original_day, on, today=timezone.localdate())
        except OperatorError as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return on


class CancelForm(CorrectionForm):
    bill_again = forms.BooleanField(
        label=_("bill the days again at once"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Proposes a draft from the contracts as they are now. Without it the next bill run bills them."),
    )


class CreditForm(CorrectionForm):
    """Beside them, for each line, how much of it is given back: an amount, a quantity or a percentage."""

    def __init__(self, lines: Sequence[Creditable], places: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lines = [line for line in lines if line.left][:SHOWN]
        figures_of_line = (
            ("amount", places, gettext("amount")),
            ("quantity", 4, gettext("quantity")),
            ("percent", 4, gettext("percent")),
        )
        for line in self.lines:
            for name, decimals, label in figures_of_line:
                field = NumberField(label=label, required=False, max_digits=19, decimal_places=decimals)
                field.widget.attrs["aria-label"] = f"{line.position}. {line.text}: {label}"
                self.fields[f"{name}_{line.position}"] = field

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"line": line, **{name: self[f"{name}_{line.position}"] for name in ("amount", "quantity", "percent")}}
            for line in self.lines
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for line in self.lines:
            given = [name for name in ("amount", "quantity", "percent") if cleaned.get(f"{name}_{line.position}")]
            if len(given) > 1:
                raise forms.ValidationError(
                    gettext("Line %(line)d: an amount, a quantity or a percentage, not several of them.")
                    % {"line": line.position}
                )
        if not self.errors and not self.wanted():
            raise forms.ValidationError(gettext("Say for one line at least how much of it is given back."))
        return cleaned

    def wanted(self) -> list[Wanted]:
        found = []
        for line in self.lines:
            figure: dict[str, Decimal | None] = {
                name: self.cleaned_data.get(f"{name}_{line.position}") for name in ("amount", "quantity", "percent")
            }
            if any(value is not None for value in figure.values()):
                found.append(Wanted(line.position, **figure))
        return found


def correction_urls(screen: Screen) -> list[Any]:
    view = screen.admin_site.admin_view
    return [
        path(
            "<int:object_id>/cancel/",
            view(lambda request, object_id: cancel_view(screen, request, object_id)),
            name="invoicing_invoice_cancel",
        ),
        path(
            "<int:object_id>/credit/",
            view(lambda request, object_id: credit_view(screen, request, object_id)),
            name="invoicing_invoice_credit",
        ),
    ]


def marks_of(documents: Iterable[int]) -> dict[int, tuple[str, str]]:
    """By key of a document that was corrected: a word beside its state, and the colour. Two queries for any number."""
    found = Invoice.objects.filter(pk__in=list(documents), state=Invoice.State.ISSUED).order_by()
    credited = {key: (gettext("corrected"), "warning") for key in found.credited().values_list("pk", flat=True)}
    return credited | {key: (gettext("cancelled"), "danger") for key in found.cancelled().values_list("pk", flat=True)}


def tools_of(invoice: Invoice, user: Any) -> dict[str, Any]:
    """What a document corrects, what corrected it, and which corrections the user is offered."""
    made = list(invoice.corrections.order_by("pk"))
    is_whole = invoice.state == Invoice.State.ISSUED and not any(one.kind == Invoice.Kind.CANCELLATION for one in made)
    is_invoice = is_whole and invoice.kind == Invoice.Kind.INVOICE
    return {
        "corrects": invoice.corrects,
        "corrected_by": made,
        "cancel": is_whole and invoice.kind != Invoice.Kind.CANCELLATION and user.has_perm("invoicing.cancel_invoice"),
        "credit": is_invoice and user.has_perm("invoicing.credit_invoice"),
        "dispute": is_invoice and user.has_perm("payments.add_dispute"),
    }


def cancel_view(screen: Screen, request: HttpRequest, object_id: int) -> HttpResponseBase:
    """Ask why, show the cancellation and, if wanted, what is billed anew; then make it."""
    invoice = _document(screen, request, object_id, "invoicing.cancel_invoice")
    form = CancelForm(request.POST or None, original_day=_day_of(invoice))
    preview = comparison = None
    if request.method == "POST" and form.is_valid():
        how = {"on": form.cleaned_data["on"], "reason": form.cleaned_data["reason"].strip()}
        again = form.cleaned_data["bill_again"]
        try:
            if "_confirm" in request.POST:
                return screen.on_record(
                    request, lambda: _cancelled(screen, request, invoice, again, request.POST.get("seen", ""), how)
                )
            preview = correction.preview_cancellation(invoice.pk, with_pdf="_pdf" in request.POST, **how)
            if "_pdf" in request.POST:
                return as_pdf(preview)
            comparison = correction.compare(invoice, **how) if again else None
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
    title = gettext("Cancel document %(document)s") % {"document": invoice}
    return _page(screen, request, invoice, title, form, preview, comparison=comparison)


def _cancelled(
    screen: Screen, request: HttpRequest, invoice: Invoice, again: bool, seen: str, how: dict[str, Any]
) -> HttpResponseBase:
    preview = correction.preview_cancellation(invoice.pk, **how)
    if preview.needs_approval:
        return _asked(screen, request, approving.request(invoice.pk, None, by=request.user, seen=seen, **how))
    if again:
        run = correction.bill_again(invoice, by=request.user, seen=seen, **how)
        screen.message_user(
            request, gettext("%(document)s is cancelled; its days are proposed anew.") % {"document": invoice}
        )
        return HttpResponseRedirect(reverse("admin:invoicing_billrun_change", args=[run.pk]))
    key = correction.cancel([invoice.pk], by=request.user, seen=seen, **how)[0]
    return _issued(screen, request, invoice, key)


def credit_view(screen: Screen, request: HttpRequest, object_id: int) -> HttpResponseBase:
    """Ask what is given back and why, show the credit note, then make it."""
    invoice = _document(screen, request, object_id, "invoicing.credit_invoice")
    lines, places = correction.creditable(invoice), places_of(invoice.currency)
    form = CreditForm(lines, places, request.POST or None, original_day=_day_of(invoice))
    preview = None
    if request.method == "POST" and form.is_valid():
        how = {"on": form.cleaned_data["on"], "reason": form.cleaned_data["reason"].strip()}
        try:
            if "_confirm" in request.POST:
                return screen.on_record(
                    request,
                    lambda: _credited(screen, request, invoice, form.wanted(), request.POST.get("seen", ""), how),
                )
            preview = correction.preview_credit(invoice.pk, form.wanted(), with_pdf="_pdf" in request.POST, **how)
            if "_pdf" in request.POST:
                return as_pdf(preview)
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
    title = gettext("Credit note for %(document)s") % {"document": invoice}
    return _page(screen, request, invoice, title, form, preview, rows=form.rows())


def _credited(
    screen: Screen, request: HttpRequest, invoice: Invoice, wanted: list[Wanted], seen: str, how: dict[str, Any]
) -> HttpResponseBase:
    if correction.preview_credit(invoice.pk, wanted, **how).needs_approval:
        return _asked(screen, request, approving.request(invoice.pk, wanted, by=request.user, seen=seen, **how))
    return _issued(screen, request, invoice, correction.credit(invoice.pk, wanted, by=request.user, seen=seen, **how))


def _document(screen: Screen, request: HttpRequest, object_id: int, right: str) -> Invoice:
    if not request.user.has_perm(right):
        raise PermissionDenied
    return get_object_or_404(screen.get_queryset(request).select_related("issuer", "payer", "run"), pk=object_id)


def _day_of(invoice: Invoice) -> date:
    """The document's own day; a draft has none, and is refused for that."""
    return invoice.issued_on or timezone.localdate()


def _issued(screen: Screen, request: HttpRequest, invoice: Invoice, key: int) -> HttpResponseBase:
    made = Invoice.objects.get(pk=key)
    text = gettext("%(made)s is issued; it corrects %(document)s.") % {"made": made, "document": invoice}
    screen.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:invoicing_invoice_change", args=[key]))


def _asked(screen: Screen, request: HttpRequest, asked: Approval) -> HttpResponseBase:
    text = gettext("Nothing is issued yet: another person must approve it.")
    screen.message_user(request, text, messages.WARNING)
    return HttpResponseRedirect(reverse("admin:tenants_approval_change", args=[asked.pk]))


def _page(
    screen: Screen,
    request: HttpRequest,
    invoice: Invoice,
    title: str,
    form: forms.Form,
    preview: Preview | None,
    **more: Any,
) -> HttpResponseBase:
    comparison = more.pop("comparison", None)
    context = {
        **screen.admin_site.each_context(request),
        "opts": Invoice._meta,
        "original": invoice,
        "title": title,
        "invoice": invoice,
        "gross": figures.money(invoice.gross.amount, invoice.currency),
        "issued_on": figures.day(invoice.issued_on),
        "form": form,
        "asked": [form[name] for name in ("reason", "on", "bill_again") if name in form.fields],
        "seen": preview.content_hash if preview else "",
        "needs_approval": preview is not None and preview.needs_approval,
        "preview": shown(preview.facts) if preview else None,
        "comparison": _compared(comparison, invoice.currency) if comparison else None,
        **more,
    }
    for row in context.get("rows", ()):
        line = row["line"]
        row["left"] = figures.money(line.left, invoice.currency)
        row["net"] = figures.money(line.net, invoice.currency)
        row["quantity_shown"] = figures.number(line.quantity)
        row["days"] = f"{figures.day(line.starts_on)} – {figures.day(line.last_day)}"
    return TemplateResponse(request, "invoicing/admin/correct.html", context)


def shown(facts: DocumentFacts) -> dict[str, Any]:
    """A document as it will be, in words of the page."""
    return {
        "lines": [
            {
                "text": line.text,
                "contract": line.contract,
                "days": f"{figures.day(line.starts_on)} – {figures.day(line.last_day)}",
                "quantity": figures.number(line.quantity),
                "net": figures.money_cell(line.net, facts.currency),
            }
            for _n, line in zip(range(SHOWN), facts.lines, strict=False)
        ],
        "net": figures.money_cell(facts.net, facts.currency),
        "shares": [(figures.number(share.rate), figures.money_cell(share.vat, facts.currency)) for share in facts.vat],
        "gross": figures.money_cell(facts.gross, facts.currency),
    }


def _compared(comparison: correction.Comparison, currency: str) -> dict[str, Any]:
    return {
        "rows": [
            {
                "contract": row.contract,
                "text": row.text,
                "days": f"{figures.day(row.starts_on)} – {figures.day(row.last_day)}",
                "before": figures.money_cell(row.before, row.currency),
                "after": figures.money_cell(row.after, row.currency),
                "is_changed": row.is_changed,
            }
            for row in comparison.rows
        ],
        "before": figures.money_cell(comparison.gross_before, currency),
        "after": figures.money_cell(comparison.gross_after, currency),
        "difference": figures.money_cell(comparison.gross_after - comparison.gross_before, currency),
    }


def as_pdf(preview: Preview) -> HttpResponse:
    response = HttpResponse(preview.pdf, content_type="application/pdf")
    response["Content-Disposition"] = 'inline; filename="draft.pdf"'
    response["Cache-Control"] = "no-store"
    return response


def cancel_run_view(screen: RecordAdmin, request: HttpRequest, object_id: int) -> HttpResponseBase:
    """What of a run can be cancelled and what not, and the button that does it, a while at a time."""
    if not request.user.has_perm("invoicing.cancel_invoice"):
        raise PermissionDenied
    run = get_object_or_404(screen.get_queryset(request), pk=object_id)
    form = CorrectionForm(request.POST or None, original_day=run.issue_on)
    if request.method == "POST" and form.is_valid():
        how = {"on": form.cleaned_data["on"], "reason": form.cleaned_data["reason"].strip()}
        worked, done = screen.call_in_steps(
            request, correction.cancel_run, run, by=request.user, seconds=A_WHILE, **how
        )
        if worked:
            _tell(screen, request, done)
        return HttpResponseRedirect(request.get_full_path())
    left = list(correction.left_of_run(run).select_related("payer").order_by("pk"))
    refusals = correction.why_not([invoice.pk for invoice in left])
    sums: dict[str, Decimal] = {}
    for invoice in left:
        if invoice.pk not in refusals:
            sums[invoice.currency] = sums.get(invoice.currency, Decimal(0)) + invoice.gross.amount
    context = {
        **screen.admin_site.each_context(request),
        "opts": BillRun._meta,
        "original": run,
        "title": gettext("Cancel all documents of the run"),
        "run": run,
        "form": form,
        "count": len(left) - len(refusals),
        "sums": [figures.money(total, currency) for currency, total in sorted(sums.items())],
        "refused": [
            {"invoice": invoice, "payer": invoice.payer, "why": str(refusals[invoice.pk])}
            for invoice in left
            if invoice.pk in refusals
        ][:SHOWN],
    }
    return TemplateResponse(request, "invoicing/admin/cancel_run.html", context)


def _tell(screen: Screen, request: HttpRequest, done: Any) -> None:
    text = gettext("%(count)d documents are cancelled.") % {"count": done.documents}
    screen.message_user(request, text, messages.SUCCESS if done.documents else messages.WARNING)
    for refusal in list(done.parked.values())[:10]:
        screen.message_user(request, str(refusal), messages.ERROR)
    if not done.is_done:
        screen.message_user(request, gettext("Some are left: press the button again."), messages.WARNING)
