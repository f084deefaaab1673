"""What was done and by whom, each field before and after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from tenants.admin import figures
from tenants.admin.base import QuietChangeList, RecordAdmin, is_key
from tenants.admin.names import Key, Named, models_by_table, names_of, naming, page_of, readable
from tenants.models import Activity

ACTIONS = [
    ("insert", _("added")),
    ("update", _("changed")),
    ("delete", _("deleted")),
    ("billed", _("worked on")),
    ("released", _("released")),
    ("held", _("held")),
    ("discarded", _("discarded")),
    ("issued", _("issued")),
    ("export", _("exported")),
]
ACTION_COLOURS = {
    "insert": "success",
    "update": "info",
    "delete": "danger",
    "released": "primary",
    "held": "warning",
    "discarded": "danger",
    "issued": "success",
}
FACTS = {
    "payers": _("payers"),
    "documents": _("documents"),
    "lines": _("lines"),
    "keys": _("which"),
    "rows": _("rows"),
    "format": _("format"),
}
KEYS_OF = {"keys": "invoicing_invoice"}  # facts that are the keys of records
MANY = 20  # of them, after which no more are named


def done_badge(activity: Activity) -> SafeString:
    """What was done, in the user's language."""
    return figures.badge(dict(ACTIONS).get(activity.action, activity.action), ACTION_COLOURS.get(activity.action, ""))


@dataclass(frozen=True, slots=True)
class Change:
    """A column of a record before and after, as the reader writes it; ``refers`` are the records that it names."""

    column: str
    before: str
    after: str
    refers: tuple[Key | None, Key | None] = (None, None)

    def summed_up(self, action: str) -> str:
        """What was set up or taken away by its value, what was changed by both."""
        if action == "update":
            return f"{self.column}: {shortened(self.before)} → {shortened(self.after)}"
        return f"{self.column}: {shortened(self.before if action == 'delete' else self.after)}"


def field_of(table: str, column: str) -> models.Field[Any, Any] | None:
    model = models_by_table().get(table)
    return next((field for field in model._meta.concrete_fields if field.column == column), None) if model else None


def keys_in(activity: Activity) -> Iterator[Key]:
    """The records that an activity speaks of: its own, and those that its columns refer to."""
    yield activity.table, activity.row
    for facts in (activity.before or {}, activity.after or {}):
        for column, value in facts.items():
            if key := referred(activity.table, column, value):
                yield key
            elif column in KEYS_OF and isinstance(value, list):
                yield from ((KEYS_OF[column], one) for one in value[:MANY] if isinstance(one, int))


def referred(table: str, column: str, value: Any) -> Key | None:
    field = field_of(table, column)
    if isinstance(field, models.ForeignKey) and isinstance(value, int):
        return field.related_model._meta.db_table, value
    return None


def changes(activity: Activity, names: Mapping[Key, Named]) -> list[Change]:
    """What an activity tells of; columns that are empty before and after, and the key, are left out."""
    before, after = activity.before or {}, activity.after or {}
    found = []
    for column in dict.fromkeys([*before, *after]):
        was, is_now = before.get(column), after.get(column)
        field = field_of(activity.table, column)
        if (was in (None, "") and is_now in (None, "")) or (field is not None and field.primary_key):
            continue
        found.append(
            Change(
                str(field.verbose_name) if field is not None else str(FACTS.get(column, column)),
                said(activity.table, column, was, names),
                said(activity.table, column, is_now, names),
                (referred(activity.table, column, was), referred(activity.table, column, is_now)),
            )
        )
    return found


def said(table: str, column: str, value: Any, names: Mapping[Key, Named]) -> str:
    """A value of a column in the reader's words: a record by its name, a choice by its label, days and figures."""
    field = field_of(table, column)
    key = referred(table, column, value)
    if value in (None, ""):
        return figures.EMPTY
    if key is not None:
        return names[key].name if key in names else f"#{value}"
    if column in KEYS_OF and isinstance(value, list):
        known = [names.get((KEYS_OF[column], one)) for one in value[:MANY]]
        listed = ", ".join(one.name if one else f"#{row}" for one, row in zip(known, value, strict=False))
        return f"{listed} …" if len(value) > MANY else listed
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if field is not None and field.flatchoices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(value, int | float):
        return figures.number(Decimal(str(value)))
    if isinstance(field, models.DateTimeField) and (at := parse_datetime(str(value))):
        return figures.instant(at)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return readable(value)


def subject(activity: Activity, names: Mapping[Key, Named]) -> str:
    """What the record is called; one that is gone by what it was called when it went."""
    if not activity.row:
        return ""
    if named := names.get((activity.table, activity.row)):
        return named.name
    facts = activity.before or activity.after or {}
    model = models_by_table().get(activity.table)
    parts = []
    for lookup in naming(model) if model else ():
        head, _below, rest = lookup.partition("__")
        column = f"{head}_id" if rest else head
        text = said(activity.table, column, facts[column], names) if facts.get(column) else ""
        if text and text not in parts:
            parts.append(text)
    return " ".join(parts) or f"#{activity.row}"


def record_name(activity: Activity) -> str:
    """The kind of record, in the reader's words."""
    model = models_by_table().get(activity.table)
    return str(model._meta.verbose_name) if model else activity.table


class ActionFilter(DropdownFilter):
    title = _("action")
    parameter_name = "action"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return ACTIONS

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(action=self.value()) if self.value() else queryset


class TableFilter(DropdownFilter):
    title = _("record")
    parameter_name = "table"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return sorted(
            ((table, str(model._meta.verbose_name)) for table, model in models_by_table().items() if is_ours(table)),
            key=lambda choice: choice[1].casefold(),
        )

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(table=self.value()) if self.value() else queryset


def is_ours(table: str) -> bool:
    return table.partition("_")[0] in ("tenants", "billing", "invoicing", "payments", "auth")


class ActivityList(QuietChangeList):
    """Names the records of its page, all in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found: list[Activity] = list(self.result_list)
        make_readable(found, request)
        self.result_list: Any = found


def make_readable(activities: Iterable[Any], request: HttpRequest) -> None:
    """Give activities the names of the records that they speak of, and the reader, for ``ActivityAdmin`` to show."""
    names = names_of(key for activity in activities for key in keys_in(activity))
    for activity in activities:
        activity.names, activity.reader = names, request


@admin.register(Activity)
class ActivityAdmin(RecordAdmin):
    list_display = ["at", "actor", "channel", "what", "which", "done", "summary", "reason"]
    list_filter = [ActionFilter, TableFilter]
    search_fields = ["actor__startswith", "row"]
    search_help_text = _("Who, or the key of the record")
    sortable_by = ("at",)
    fields = ["at", ("actor", "channel", "reason"), ("what", "which", "done"), "differences"]
    readonly_fields = ["what", "which", "done", "differences"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ActivityList]:
        return ActivityList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        activity = super().get_object(request, object_id, from_field)
        if activity is not None:
            make_readable([activity], request)
        return activity

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if is_key(term):
            return queryset.filter(row=int(term)), False
        return (queryset.filter(actor__startswith=term) if term else queryset), False

    def lookup_allowed(self, lookup: str, value: str, request: Any) -> bool:
        return lookup in ("row", "table", "action") or super().lookup_allowed(lookup, value, request)

    @display(description=_("record"))
    def what(self, activity: Activity) -> str:
        return record_name(activity)

    @display(description=_("reference"))
    def which(self, activity: Any) -> SafeString:
        link = linked(subject(activity, activity.names), (activity.table, activity.row), activity)
        return format_html('<span class="k-clip">{}</span>', link)

    @display(description=_("action"))
    def done(self, activity: Activity) -> SafeString:
        return done_badge(activity)

    @display(description=_("changes"))
    def summary(self, activity: Any) -> SafeString:
        found = changes(activity, activity.names)
        shown = format_html_join(", ", "{}", ((change.summed_up(activity.action),) for change in found[:2]))
        return format_html('<span class="k-clip">{}{}</span>', shown, " …" if len(found) > 2 else "")

    @display(description=_("changes"))
    def differences(self, activity: Any) -> SafeString:
        rows = [
            (change.column, *(linked(text, key, activity) for text, key in zip(texts, change.refers, strict=True)))
            for change in changes(activity, activity.names)
            for texts in [(change.before, change.after)]
        ]
        return format_html(
            '<table class="k-table"><thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>{}</tbody></table>',
            _("column"),
            _("before"),
            _("after"),
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def linked(text: str, key: Key | None, activity: Any) -> SafeString:
    """``text``, leading to the page of the record ``key`` if it has one that the reader may see."""
    if page := page_of(key, activity.names, activity.reader) if key else "":
        return format_html('<a class="k-link" href="{}">{}</a>', page, text)
    return format_html("{}", text)


def shown_value(value: Any) -> str:
    return "–" if value in (None, "") else str(value)


def shortened(value: Any) -> str:
    text = shown_value(value)
    return text if len(text) <= 30 else f"{text[:29]}…"
