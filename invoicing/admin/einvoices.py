"""The e-invoice of a document: its XML to fetch, what the rules say of it, and where what is wrong is put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext

from invoicing import judging
from invoicing.einvoice.advice import Subject
from invoicing.einvoice.reading import facts_of
from invoicing.einvoice.writing import written
from invoicing.models import DocumentFile, Invoice, Verdict
from tenants import files
from tenants.models import Tenant

if TYPE_CHECKING:
    from invoicing.admin.documents import InvoiceAdmin


def einvoice_urls(page: InvoiceAdmin) -> list[Any]:
    def xml_view(request: HttpRequest, object_id: int) -> HttpResponseBase:
        return fetch(page, request, object_id)

    return [path("<int:object_id>/xml/", page.admin_site.admin_view(xml_view), name="invoicing_invoice_xml")]


def fetch(page: InvoiceAdmin, request: HttpRequest, object_id: int) -> HttpResponseBase:
    """The XML of an issued document as it was sent; of a draft what it would be, with a placeholder for its number."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    invoice = get_object_or_404(page.get_queryset(request), pk=object_id)
    kept = DocumentFile.objects.select_related("file").filter(invoice=invoice, kind=DocumentFile.Kind.XML).first()
    back = HttpResponseRedirect(reverse("admin:invoicing_invoice_change", args=[object_id]))
    if invoice.format == Tenant.DocumentFormat.PDF:
        page.message_user(request, gettext("This document is no e-invoice."), messages.WARNING)
        return back
    if kept is None and invoice.state == Invoice.State.ISSUED:
        page.message_user(
            request,
            gettext("The file of this document is still being made. Try again in a moment."),
            messages.WARNING,
        )
        return back
    if kept is None:
        worked, content = page.call_in_steps(request, preview, invoice.pk)
    else:
        worked, content = page.call_in_steps(request, files.read, kept.file)
    if not worked:
        return back
    name = f"{invoice.number or f'draft-{invoice.pk}'}.xml".replace("/", "-")
    response = HttpResponse(content, content_type="application/xml")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def preview(invoice_id: int) -> bytes:
    return written(*facts_of([invoice_id]))


def einvoice_of(invoice: Invoice) -> dict[str, Any] | None:
    """For the head of a document's page: format, verdict, and each thing that is wrong with the page to mend it on."""
    if invoice.format == Tenant.DocumentFormat.PDF:
        return None
    verdict = Verdict.objects.filter(content_hash=invoice.content_hash).order_by("-passed", "-pk").first()
    pages = {
        Subject.ACCOUNT: reverse("admin:tenants_tenant_change", args=[invoice.recipient_id]),
        Subject.ISSUER: reverse("admin:tenants_issuer_change", args=[invoice.issuer_id]),
    }
    return {
        "format": Tenant.DocumentFormat(invoice.format).label,
        "verdict": verdict,
        "wrong": [(text, pages.get(subject, "")) for text, subject in judging.sentences(invoice, verdict)]
        if verdict
        else [],
    }
