"""The files that were offered, and row by row what became of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from tenants import staging
from tenants.admin import figures
from tenants.admin.activities import shortened, shown_value
from tenants.admin.base import RecordAdmin, is_key
from tenants.models import ImportBatch, ImportRow

BATCH_COLOURS = {
    ImportBatch.State.READ: "info",
    ImportBatch.State.APPLIED: "success",
    ImportBatch.State.REFUSED: "danger",
}
IMPORT_PAGES = {
    ImportBatch.Kind.ISSUERS: "tenants_issuer",
    ImportBatch.Kind.CATALOG: "billing_product",
    ImportBatch.Kind.TENANTS: "tenants_tenant",
    ImportBatch.Kind.CONTRACTS: "billing_subscription",
    ImportBatch.Kind.MANDATES: "tenants_mandate",
    ImportBatch.Kind.USAGE: "billing_usageevent",
}
ROW_COLOURS = {
    ImportRow.State.NEW: "success",
    ImportRow.State.CHANGED: "info",
    ImportRow.State.UNCHANGED: "",
    ImportRow.State.ERROR: "danger",
}


def import_ways(request: HttpRequest) -> list[tuple[str, str]]:
    """The imports that the user may begin, in the order in which they build on one another."""
    return [
        (str(ImportBatch.Kind(kind).label), reverse(f"admin:{page}_import"))
        for kind, page in IMPORT_PAGES.items()
        if request.user.has_perm("{}.import_{}".format(*page.split("_")))
    ]


@admin.register(ImportBatch)
class ImportBatchAdmin(RecordAdmin):
    list_display = ["file_name", "kind", "progress", "counted", "created_by", "created_at", "applied_at"]
    list_select_related = ["created_by"]
    list_filter = [("kind", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter)]
    search_fields = ["file_name__startswith"]
    list_before_template = "tenants/admin/import_ways.html"
    fieldsets = [
        (None, {"fields": [("file_name", "kind", "progress"), ("counted", "skip_bad"), "refusal"]}),
        (None, {"fields": ["read_as", ("created_by", "created_at", "applied_at"), "sha256"]}),
    ]
    readonly_fields = ["progress", "counted", "read_as"]
    change_form_outer_before_template = "tenants/admin/import_tools.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        return super().changelist_view(request, (extra_context or {}) | {"import_ways": import_ways(request)})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """With the way to the page on which the file is compared and taken in, for who may import."""
        kept = ImportBatch.objects.exclude(kind=ImportBatch.Kind.MANDATES)  # of which neither file nor rows are kept
        kind = kept.filter(pk=int(object_id)).values_list("kind", flat=True) if is_key(object_id) else ()
        page = next((IMPORT_PAGES[ImportBatch.Kind(found)] for found in kind), "")
        may_import = page and request.user.has_perm("{}.import_{}".format(*page.split("_")))
        way = reverse(f"admin:{page}_import_batch", args=[object_id]) if may_import else ""
        return super().change_view(request, object_id, form_url, (extra_context or {}) | {"import_page": way})

    @display(description=_("state"), ordering="state")
    def progress(self, batch: ImportBatch) -> SafeString:
        return figures.badge(batch.get_state_display(), BATCH_COLOURS[ImportBatch.State(batch.state)])

    @display(description=_("rows"))
    def counted(self, batch: ImportBatch) -> str:
        counts = [(batch.counts.get(state), name) for state, name in ImportRow.State.choices]
        said = [f"{figures.number(count)} {name}" for count, name in counts if count]
        if warned := batch.counts.get("warnings"):
            said.append(ngettext("%(n)s warning", "%(n)s warnings", warned) % {"n": figures.number(warned)})
        return ", ".join(said) or figures.EMPTY

    @display(description=_("read as"))
    def read_as(self, batch: ImportBatch) -> str:
        if not batch.reading:
            return figures.EMPTY
        unknown = batch.reading.get("unknown_columns")
        left_out = [f"{gettext('Columns that are not known and not read:')} {', '.join(unknown)}"] if unknown else []
        return "; ".join([staging.reading_of(batch).described(), *left_out])


@admin.register(ImportRow)
class ImportRowAdmin(RecordAdmin):
    list_display = ["number", "reference", "progress", "changed", "trouble", "batch"]
    list_select_related = ["batch"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["reference__startswith"]
    ordering = ["-batch_id", "number"]
    fields = [("batch", "number", "reference"), "progress", "trouble", "difference_shown", "cells_shown"]
    readonly_fields = ["progress", "trouble", "difference_shown", "cells_shown"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in ("batch", "batch__id__exact") or super().lookup_allowed(lookup, value, request)

    @display(description=_("state"), ordering="state")
    def progress(self, row: ImportRow) -> SafeString:
        return figures.badge(
            row.get_state_display() or figures.EMPTY, ROW_COLOURS[ImportRow.State(row.state)] if row.state else ""
        )

    @display(description=_("changes"))
    def changed(self, row: ImportRow) -> SafeString:
        return format_html('<span class="k-clip">{}</span>', ", ".join(row.difference))

    @display(description=_("in error"))
    def trouble(self, row: ImportRow) -> SafeString:
        said = [(sentence_of(one),) for one in (*row.errors, *row.warnings)]
        return format_html_join("", "{}<br>", said)

    @display(description=_("changes"))
    def difference_shown(self, row: ImportRow) -> SafeString:
        return format_html_join(
            "", "{}: {}<br>", ((name, shown_difference(value)) for name, value in row.difference.items())
        )

    @display(description=_("cells"))
    def cells_shown(self, row: ImportRow) -> SafeString:
        return format_html_join("", "{}: {}<br>", ((name, shown_value(value)) for name, value in row.cells.items()))


def sentence_of(said: Any) -> str:
    """A mistake as it was stored: a sentence, or a column with its sentence."""
    if isinstance(said, dict):
        return ": ".join(str(part) for part in said.values() if part not in (None, ""))
    if isinstance(said, list | tuple):
        return ": ".join(str(part) for part in said)
    return str(said)


def shown_difference(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 2:
        return gettext("%(before)s → %(after)s") % {"before": shortened(value[0]), "after": shortened(value[1])}
    return shown_value(value)
