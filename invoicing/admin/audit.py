"""The page for the tax audit: number ranges without gap, what was cancelled, and files of documents to take along."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from invoicing import archive, numbering
from invoicing.models import Invoice
from tenants.admin import figures
from tenants.admin.scope import part_misleads
from tenants.models import Issuer
from tenants.models.visibility import is_bounded, whole_issuers

VOIDS = 200


class ExportForm(forms.Form):
    """Which days, and whose documents."""

    first = forms.DateField(label=gettext_lazy("issued from"))
    through = forms.DateField(label=gettext_lazy("issued through"))
    issuer = forms.ModelChoiceField(
        Issuer.objects.none(),
        label=gettext_lazy("issuer"),
        required=False,
        empty_label=gettext_lazy("all issuers"),
    )

    def __init__(self, issuers: QuerySet[Issuer], *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.fields["issuer"].queryset = issuers
        for name in ("first", "through"):
            self.fields[name].widget = forms.DateInput(attrs={"type": "date", "class": "k-input"}, format="%Y-%m-%d")
        self.fields["issuer"].widget.attrs["class"] = "k-input"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, through = cleaned.get("first"), cleaned.get("through")
        if first and through and first > through:
            raise forms.ValidationError(gettext("The first day is after the last."))
        return cleaned


@require_GET
def page(request: HttpRequest) -> HttpResponseBase:
    """Number ranges and cancelled documents; the form of the export for those who may.

    Of the issuers that the user sees whole; staff who see a part of one alone see why nothing is told.
    """
    if not request.user.has_perm("invoicing.view_numberrange"):
        raise PermissionDenied
    issuers = _issuers(request)
    if is_bounded(request.user) and not issuers:
        return part_misleads(request, gettext("Tax audit"))
    return _page(request, ExportForm(issuers, initial=_last_year(timezone.localdate())))


@require_POST
def download(request: HttpRequest) -> HttpResponseBase:
    """The files of the documents as a ZIP file, made while it is being sent; on record."""
    if not request.user.has_perm("invoicing.export_invoice"):
        raise PermissionDenied
    seen = _issuers(request)
    if is_bounded(request.user) and not seen:
        return part_misleads(request, gettext("Tax audit"))
    form = ExportForm(seen, request.POST)
    if not form.is_valid():
        return _page(request, form)
    first, through, issuer = (form.cleaned_data[name] for name in ("first", "through", "issuer"))
    issuers = [issuer] if issuer else list(seen)
    count = Invoice.objects.issued().filter(issued_on__range=(first, through), issuer__in=issuers).count()
    if not count:
        form.add_error(None, gettext("No document was issued on these days."))
        return _page(request, form)
    archive.record(request.user.get_username(), "admin", first, through, count)
    pieces = archive.zipped(archive.documents(first, through, issuers))
    return StreamingHttpResponse(
        pieces,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="documents-{first}-{through}.zip"'},
    )


def _issuers(request: HttpRequest) -> QuerySet[Issuer]:
    return Issuer.objects.filter(whole_issuers(request.user)).order_by("reference")


def _last_year(today: date) -> dict[str, date]:
    return {"first": date(today.year - 1, 1, 1), "through": date(today.year - 1, 12, 31)}


def _page(request: HttpRequest, form: ExportForm) -> HttpResponse:
    ranges = numbering.report(set(_issuers(request).values_list("pk", flat=True)))
    voids = [_void_row(void) for one in ranges for void in one.voids]
    context = {
        **admin.site.each_context(request),
        "title": gettext("Tax audit"),
        "ranges": [_range_row(one) for one in ranges],
        "faults": sum(not one.is_whole for one in ranges),
        "voids": voids[:VOIDS],
        "void_count": figures.number(len(voids)),
        "is_cut": len(voids) > VOIDS,
        "form": form if request.user.has_perm("invoicing.export_invoice") else None,
    }
    return TemplateResponse(request, "invoicing/admin/audit.html", context)


def _range_row(one: numbering.Range) -> dict[str, Any]:
    return {
        "prefix": one.prefix,
        "url": reverse("admin:invoicing_numberrange_change", args=[one.key]),
        "issuer": one.issuer,
        "kind": Invoice.Kind(one.kind).label,
        "numbers": f"{one.first} – {one.last}" if one.count else figures.EMPTY,
        "count": figures.number(one.count),
        "state": figures.badge(gettext("without gap"), "success")
        if one.is_whole
        else figures.badge(gettext("in error"), "danger"),
        "detail": _detail(one),
        "kept_through": figures.day(one.kept_through),
    }


def _detail(one: numbering.Range) -> str:
    found = [gettext("missing: %(first)s to %(last)s") % {"first": first, "last": last} for first, last in one.missing]
    found += [gettext("given twice: %(number)s") % {"number": number} for number in one.twice]
    if not found and not one.is_whole:
        found.append(
            gettext("the next number is %(next)s, the last one given is %(last)s")
            % {"next": one.next_number, "last": one.last_sequence}
        )
    return "; ".join(found)


def _void_row(void: numbering.Void) -> dict[str, Any]:
    return {
        "number": void.number,
        "url": reverse("admin:invoicing_invoice_change", args=[void.key]),
        "by": void.by,
        "by_url": reverse("admin:invoicing_invoice_change", args=[void.by_key]),
        "day": figures.day(void.on),
        "reason": void.reason,
    }
