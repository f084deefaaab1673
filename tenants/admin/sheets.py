"""Import and export pages of what comes in files: django-import-export's buttons, forms and rights, our stations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tablib
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from import_export import resources
from import_export.admin import ImportExportMixin
from import_export.formats import base_formats
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from tenants import import_rows, staging
from tenants.admin.base import is_key, refusal_of
from tenants.admin.figures import number
from tenants.cells import neutralised
from tenants.errors import OperatorError
from tenants.import_rows import CHANGED, ERROR, NEW, UNCHANGED, Recipe, as_text
from tenants.models import Activity, ImportBatch, ImportRow, Issuer
from tenants.models.visibility import is_bounded
from tenants.tabular import ENCODINGS, Declared
from tenants.transactions import wake

AT_ONCE = 5_000  # rows that a page waits for; longer files are a worker's
AS_THE_FILE_SAYS = ("", _("as the file says"))


# --- export ---


class ExcelCSV(base_formats.CSV):
    """Semicolons, and UTF-8 with a mark: a German Excel opens it with a double click."""

    def get_title(self) -> str:
        return gettext("CSV for Excel (semicolons, UTF-8)")

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        return "\ufeff" + str(dataset.export("csv", delimiter=";"))


class SheetResource(resources.Resource):
    """Records in the columns in which the import takes them, so that an exported file can be imported again."""

    recipe: ClassVar[Recipe]

    @classmethod
    def get_display_name(cls) -> str:
        return str(ImportBatch.Kind(cls.recipe.kind).label)

    def lines(self, records: Sequence[Any]) -> Iterable[Mapping[str, Any]]:
        """The cells of some records, by column; asks a fixed number of questions."""
        raise NotImplementedError

    def export(self, queryset: Any = None, *, force_native_type: bool = False, **_kwargs: Any) -> tablib.Dataset:
        """Texts neutralised; numbers and days as such where the format has them, else as text (12.5, 2026-01-31)."""
        names = [column.name for column in self.recipe.columns]
        dataset = tablib.Dataset(headers=names)
        for records in import_rows.chunked(queryset.iterator(import_rows.CHUNK), import_rows.CHUNK):
            for cells in self.lines(records):
                values = (cells.get(name) for name in names)
                if not force_native_type:
                    values = (value if isinstance(value, str) else as_text(value) for value in values)
                dataset.append(
                    [
                        neutralised(value) if isinstance(value, str) else "" if value is None else value
                        for value in values
                    ]
                )
        return dataset


# --- import ---


class FileForm(ImportForm):
    """A file and how it is to be read; what is left open is proposed from the file."""

    encoding = forms.ChoiceField(label=_("encoding"), required=False, choices=[AS_THE_FILE_SAYS, *ENCODINGS.items()])
    delimiter = forms.ChoiceField(
        label=_("delimiter"), required=False, choices=[AS_THE_FILE_SAYS, (";", ";"), (",", ","), ("tab", _("tab"))]
    )
    decimal = forms.ChoiceField(
        label=_("decimal sign"), required=False, choices=[AS_THE_FILE_SAYS, (",", "1234,5"), (".", "1234.5")]
    )
    dates = forms.ChoiceField(
        label=_("dates"), required=False, choices=[AS_THE_FILE_SAYS, ("dmy", "31.01.2026"), ("iso", "2026-01-31")]
    )
    issuer = forms.ModelChoiceField(label=_("issuer"), queryset=Issuer.objects.all(), empty_label=None)
    skip_bad = forms.BooleanField(
        label=_("take the good rows only"),
        required=False,
        help_text=_("Otherwise nothing of a file is taken in which a row is in error."),
    )
    field_order = [
        "resource",
        "format",
        "import_file",
        "issuer",
        "encoding",
        "delimiter",
        "decimal",
        "dates",
        "skip_bad",
    ]

    def __init__(self, *args: Any, needs_issuer: bool, has_file: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["format"].widget = forms.HiddenInput()
        self.fields["format"].required = False
        if not needs_issuer:
            del self.fields["issuer"]
        if has_file:
            del self.fields["import_file"]
        for field in self.fields.values():
            if isinstance(field, forms.ChoiceField) and not field.widget.is_hidden:
                field.widget = UnfoldAdminSelectWidget(choices=field.choices)
        self.fields["skip_bad"].widget = UnfoldBooleanSwitchWidget()

    def declared(self) -> Declared:
        return Declared(*(self.cleaned_data[name] for name in ("encoding", "delimiter", "decimal", "dates")))


class SheetScreen(ImportExportMixin):
    """To be mixed into the screen of records that files bring in; ``sheet`` says which import and export are theirs.

    Upload, then the difference row by row with the reading as a form, then "take in": it applies just what was shown.
    """

    sheet: ClassVar[type[SheetResource]]
    import_needs_issuer = False
    export_form_class = ExportForm

    @property
    def recipe(self) -> Recipe:
        return self.sheet.recipe

    @property
    def resource_classes(self) -> list[type[SheetResource]]:
        return [self.sheet]

    def get_import_formats(self) -> list[Any]:
        return [ExcelCSV]

    def get_export_formats(self) -> list[Any]:
        return [ExcelCSV, base_formats.XLSX]

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any) -> Any:
        """Every export is on record with its number of rows."""
        data = super().get_export_data(file_format, request, queryset, **kwargs)
        Activity.objects.create(
            actor=request.user.get_username(),
            channel="admin",
            table=self.model._meta.db_table,
            row=0,
            action="export",
            after={"rows": queryset.count(), "format": file_format.get_extension()},
        )
        return data

    def get_urls(self) -> list[Any]:
        name = "{}_{}".format(*self.get_model_info())
        return [
            path("import/<int:batch_id>/", self.admin_site.admin_view(self.batch_view), name=f"{name}_import_batch"),
            path(
                "import/<int:batch_id>/progress/",
                self.admin_site.admin_view(self.progress_view),
                name=f"{name}_import_progress",
            ),
            *super().get_urls(),
        ]

    def import_action(self, request: HttpRequest, **_kwargs: Any) -> HttpResponse:
        """The first page: which file, and how it is to be read."""
        self.may_import(request)
        form = self.file_form(request)
        if request.method == "POST" and form.is_valid():
            upload = form.cleaned_data["import_file"]
            batch = self.offered(request, form, upload.file, upload.name)
            if batch:
                return HttpResponseRedirect(self.url("import_batch", batch.pk))
        return self.page(
            request,
            "tenants/admin/import_file.html",
            form=form,
            columns=self.recipe.columns,
            title=gettext("Import: %(kind)s") % {"kind": self.sheet.get_display_name()},
        )

    def batch_view(self, request: HttpRequest, batch_id: int) -> HttpResponse:
        """The second page: what the file would change. It can be read another way here, or taken in."""
        self.may_import(request)
        batch = self.batch(batch_id)
        form = self.file_form(request, batch)
        if request.method == "POST" and form.is_valid():
            with staging.kept_file(batch).open("rb") as file:
                again = self.offered(request, form, file, batch.file_name)
            if again:
                return HttpResponseRedirect(self.url("import_batch", again.pk))
        only = request.GET.get("only", "")
        rows = batch.rows.order_by("number")
        if only == "warnings":
            rows = rows.exclude(warnings=[])
        elif only in ImportRow.State.values:
            rows = rows.filter(state=only)
        elif batch.counts.get(ERROR):
            only, rows = ERROR, rows.filter(state=ERROR)
        else:
            rows = rows.exclude(state=UNCHANGED)
        looked_at = staging.is_looked_at(batch)
        page = Paginator(rows if looked_at else rows.none(), 100).get_page(request.GET.get("page"))
        return self.page(
            request,
            "tenants/admin/import_batch.html",
            title=gettext("Import: %(kind)s") % {"kind": self.sheet.get_display_name()},
            batch=batch,
            form=form,
            reading=staging.reading_of(batch).described(),
            is_waiting=self.is_waiting(batch),
            is_looked_at=looked_at,
            may_apply=looked_at
            and batch.state == ImportBatch.State.READ
            and (batch.skip_bad or not batch.counts[ERROR])
            and batch.counts[NEW] + batch.counts[CHANGED] > 0,
            chips=[
                (state, ImportRow.State(state).label, batch.counts.get(state, 0))
                for state in (NEW, CHANGED, UNCHANGED, ERROR)
            ]
            + [("warnings", _("with a warning"), batch.counts.get("warnings", 0))],
            only=only,
            rows=[(row, list(self.described(row))) for row in page],
            page=page,
            percent=self.progress(batch)["percent"],
            progress_text=self.progress(batch)["text"],
            progress_url=self.url("import_progress", batch.pk),
            apply_url=reverse("admin:{}_{}_process_import".format(*self.get_model_info())),
        )

    def process_import(self, request: HttpRequest, **_kwargs: Any) -> HttpResponse:
        """Take in what was shown."""
        self.may_import(request)
        if request.method != "POST" or not is_key(request.POST.get("batch", "")):
            raise Http404
        batch = self.batch(int(request.POST["batch"]))
        if request.POST.get("again"):
            self.start(batch, "look", request)
        elif batch.counts.get("rows", 0) > AT_ONCE:
            ImportBatch.objects.filter(pk=batch.pk, state=ImportBatch.State.READ).update(
                counts=batch.counts | {"applying": 1}
            )
            self.start(batch, "apply", request)
        else:
            try:
                staging.apply(self.recipe, batch, actor=request.user.get_username(), channel="import")
            except OperatorError as refusal:
                messages.error(request, str(refusal))
            except DatabaseError as error:
                if not (sentence := refusal_of(error)):
                    raise
                messages.error(request, sentence)
            else:
                taken = batch.counts[NEW] + batch.counts[CHANGED]
                text = ngettext("%(count)d row was taken in.", "%(count)d rows were taken in.", taken)
                messages.success(request, text % {"count": taken})
        return HttpResponseRedirect(self.url("import_batch", batch.pk))

    def progress_view(self, request: HttpRequest, batch_id: int) -> JsonResponse:
        self.may_import(request)
        return JsonResponse(self.progress(self.batch(batch_id)))

    def offered(self, request: HttpRequest, form: FileForm, file: Any, name: str) -> ImportBatch | None:
        """Keep the file and have it looked at: here if it is short, by a worker otherwise. None if it was refused."""
        try:
            batch = staging.keep(
                self.recipe,
                file,
                file_name=name,
                declared=form.declared(),
                issuer=form.cleaned_data.get("issuer"),
                skip_bad=form.cleaned_data["skip_bad"],
                by=request.user,
            )
            if batch.counts["rows"] > AT_ONCE:
                self.start(batch, "look", request)
            else:
                staging.look(self.recipe, batch)
        except OperatorError as refusal:
            form.add_error("import_file" if "import_file" in form.fields else None, str(refusal))
            return None
        return batch

    def start(self, batch: ImportBatch, what: str, request: HttpRequest) -> None:
        app, _model = self.get_model_info()
        wake(f"{app}.{what}_import", batch_id=batch.pk, user_id=request.user.pk, language=get_language() or "de")

    def progress(self, batch: ImportBatch) -> dict[str, Any]:
        counts = batch.counts
        if not staging.is_looked_at(batch):
            facts = {"laid": number(counts.get("laid", 0)), "rows": number(counts["rows"])}
            text = gettext("%(laid)s of %(rows)s rows read") % facts
            if counts.get("laid") == counts["rows"]:
                text = gettext("%(rows)s rows read; they are being compared with what is stored") % facts
            percent = 70 * counts.get("laid", 0) // max(counts["rows"], 1)
        else:
            text = gettext("%(rows)s rows are being taken in") % {"rows": number(counts["rows"])}
            percent = 80
        return {"percent": percent, "text": text, "finished": not self.is_waiting(batch)}

    def is_waiting(self, batch: ImportBatch) -> bool:
        """Whether a worker is at it, or should be."""
        if batch.state != ImportBatch.State.READ:
            return False
        return not staging.is_looked_at(batch) or bool(batch.counts.get("applying"))

    def described(self, row: ImportRow) -> Iterator[tuple[str, str, str, str]]:
        """What a page shows of a row, line by line: kind of line, column, old and new value or the reason."""
        columns = {column.name: column for column in self.recipe.columns}
        for error in import_rows.errors_of(row):
            yield "error", error.column, "", error.reason
        for warning in import_rows.warnings_of(row):
            yield "warning", warning.column, "", warning.reason
        for name, (old, new) in row.difference.items():
            column = columns[name]
            yield "change", name, import_rows.displayed(column, old), import_rows.displayed(column, new)
        if row.state == NEW:
            for name, column in columns.items():
                if row.cells.get(name) and name != self.recipe.key:
                    yield "new", name, "", import_rows.displayed(column, row.cells[name])

    def file_form(self, request: HttpRequest, batch: ImportBatch | None = None) -> FileForm:
        initial: dict[str, Any] = {"resource": 0, "format": 0}
        if batch:
            read = staging.reading_of(batch)
            initial |= {
                "encoding": read.encoding,
                "delimiter": "tab" if read.delimiter == "\t" else read.delimiter,
                "decimal": read.decimal,
                "dates": read.dates,
                "issuer": batch.issuer_id,
                "skip_bad": batch.skip_bad,
            }
        posted = request.method == "POST"
        return FileForm(
            self.get_import_formats(),
            self.resource_classes,
            data=request.POST if posted else None,
            files=request.FILES if posted else None,
            initial=initial,
            needs_issuer=self.import_needs_issuer,
            has_file=batch is not None,
        )

    def has_import_permission(self, request: HttpRequest) -> bool:
        """A file reaches records of all customers: staff with bounds bring none in."""
        return not is_bounded(request.user) and super().has_import_permission(request)

    def may_import(self, request: HttpRequest) -> None:
        if not self.has_import_permission(request):
            raise PermissionDenied

    def batch(self, batch_id: int) -> ImportBatch:
        return get_object_or_404(ImportBatch.objects.select_related("issuer"), pk=batch_id, kind=self.recipe.kind)

    def url(self, name: str, *arguments: Any) -> str:
        app, model = self.get_model_info()
        return reverse(f"admin:{app}_{model}_{name}", args=arguments)

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.model._meta, **context}
        )
