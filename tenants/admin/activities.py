"""What was done and by whom; and the messages on their way."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from tenants import intents
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, is_key
from tenants.models import Activity, Intent, Message
from tenants.transactions import wake

INTENT_COLOURS = {
    Intent.State.DONE: "success",
    Intent.State.WAITING: "info",
    Intent.State.WORKING: "info",
    Intent.State.UNKNOWN: "danger",
    Intent.State.PARKED: "danger",
    Intent.State.WITHDRAWN: "",
}
ACTIONS = [
    ("insert", _("added")),
    ("update", _("changed")),
    ("delete", _("deleted")),
    ("billed", _("worked on")),
    ("released", _("released")),
    ("held", _("held")),
    ("discarded", _("discarded")),
    ("issued", _("issued")),
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
FACTS = {"payers": _("payers"), "documents": _("documents"), "lines": _("lines"), "keys": _("key")}


def intent_badge(intent: Intent) -> SafeString:
    return figures.badge(intent.get_state_display(), INTENT_COLOURS[Intent.State(intent.state)])


def done_badge(activity: Activity) -> SafeString:
    """What was done, in the user's language."""
    return figures.badge(dict(ACTIONS).get(activity.action, activity.action), ACTION_COLOURS.get(activity.action, ""))


@cache
def models_by_table() -> dict[str, type[models.Model]]:
    return {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}


def column_name(table: str, column: str) -> str:
    """The column as forms call it."""
    model = models_by_table().get(table)
    for field in model._meta.concrete_fields if model else ():
        if field.column == column:
            return str(field.verbose_name)
    return str(FACTS.get(column, column))


def changes(activity: Activity) -> list[tuple[str, Any, Any]]:
    """(column, before, after) of one activity; columns that are empty before and after are left out."""
    before, after = activity.before or {}, activity.after or {}
    return [
        (column_name(activity.table, column), before.get(column), after.get(column))
        for column in dict.fromkeys([*before, *after])
        if before.get(column) not in (None, "") or after.get(column) not in (None, "")
    ]


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


@admin.register(Activity)
class ActivityAdmin(RecordAdmin):
    list_display = ["at", "actor", "channel", "what", "row", "done", "summary", "reason"]
    list_filter = [ActionFilter, TableFilter]
    search_fields = ["actor__startswith", "row"]
    search_help_text = _("Who, or the key of the record")
    fields = ["at", "actor", "channel", "reason", "what", "row", "done", "differences"]
    readonly_fields = ["what", "done", "differences"]

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if is_key(term):
            return queryset.filter(row=int(term)), False
        return (queryset.filter(actor__startswith=term) if term else queryset), False

    def lookup_allowed(self, lookup: str, value: str, request: Any) -> bool:
        return lookup in ("row", "table", "action") or super().lookup_allowed(lookup, value, request)

    @display(description=_("record"))
    def what(self, activity: Activity) -> str:
        model = models_by_table().get(activity.table)
        return str(model._meta.verbose_name) if model else activity.table

    @display(description=_("action"))
    def done(self, activity: Activity) -> SafeString:
        return done_badge(activity)

    @display(description=_("changes"))
    def summary(self, activity: Activity) -> SafeString:
        found = changes(activity)
        shown = format_html_join(
            ", ", "{}", ((f"{name}: {shortened(before)} → {shortened(after)}",) for name, before, after in found[:2])
        )
        return format_html('<span class="k-clip">{}{}</span>', shown, " …" if len(found) > 2 else "")

    @display(description=_("changes"))
    def differences(self, activity: Activity) -> SafeString:
        rows = [(name, shown_value(before), shown_value(after)) for name, before, after in changes(activity)]
        return format_html(
            '<table class="k-table"><thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>{}</tbody></table>',
            _("column"),
            _("before"),
            _("after"),
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def shown_value(value: Any) -> str:
    return "–" if value in (None, "") else str(value)


def shortened(value: Any) -> str:
    text = shown_value(value)
    return text if len(text) <= 30 else f"{text[:29]}…"


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    list_display = ["created_at", "recipient", "subject", "tenant", "progress", "attempts", "sent_at", "reason"]
    list_select_related = ["tenant"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["recipient__startswith", "subject__startswith"]
    search_accounts = ("tenant",)
    fieldsets = [
        (None, {"fields": [("progress", "attempts", "next_at", "sent_at"), "reason"]}),
        (_("Message"), {"fields": ["tenant", ("sender", "recipient"), "subject", "body", ("file_name", "message_id")]}),
    ]
    readonly_fields = ["progress"]
    actions = ["send_again", "withdraw"]

    @display(description=_("state"), ordering="state")
    def progress(self, message: Message) -> SafeString:
        return intent_badge(message)

    @admin.action(description=_("Send again what failed or is unknown"), permissions=["decide"])
    def send_again(self, request: HttpRequest, queryset: models.QuerySet[Message]) -> None:
        """A person has looked: whether the mail may arrive twice is decided here, never by a worker."""

        def station() -> int:
            wake("tenants.send_pending")
            return intents.release(queryset, now=timezone.now())

        worked, count = self.call(request, station)
        if worked:
            text = ngettext("%(count)d message is sent again.", "%(count)d messages are sent again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Withdraw what is not sent"), permissions=["decide"])
    def withdraw(self, request: HttpRequest, queryset: models.QuerySet[Message]) -> None:
        said = gettext("Withdrawn by %(user)s.") % {"user": request.user.get_username()}
        worked, count = self.call(request, intents.withdraw, queryset, reason=said)
        if worked:
            text = ngettext("%(count)d message withdrawn.", "%(count)d messages withdrawn.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.change_message")
