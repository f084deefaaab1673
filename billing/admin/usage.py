"""Applications and meters, the sources of usage with their tokens, and the events as they came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing import usage_import, usage_tokens
from billing.models import (
    Application,
    Meter,
    UsageBatch,
    UsageConflict,
    UsageEvent,
    UsageKey,
    UsageSource,
    UsageToken,
    UsageTotal,
)
from tenants import import_rows
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, RecordAdmin, RecordInline, RowsInline, is_key
from tenants.admin.scope import AccountScoped
from tenants.admin.sheets import SheetResource, SheetScreen


class MeterInline(RowsInline):
    model = Meter
    fields = ["reference", "name_de", "name_en", "aggregation", "property"]
    tab = False


@admin.register(Application)
class ApplicationAdmin(MasterAdmin):
    list_display = ["reference", "name_de", "name_en"]
    search_fields = ["reference__startswith", "name_de__icontains", "name_en__icontains"]
    fields = ["reference", ("name_de", "name_en")]
    inlines = [MeterInline]


@admin.register(Meter)
class MeterAdmin(MasterAdmin):
    list_display = ["reference", "application", "aggregation", "property", "name_de"]
    list_select_related = ["application"]
    list_filter = [("application", RelatedDropdownFilter), ("aggregation", ChoicesDropdownFilter)]
    search_fields = ["reference__startswith", "name_de__icontains", "name_en__icontains"]
    fields = [("application", "reference"), ("aggregation", "property"), ("name_de", "name_en")]
    autocomplete_fields = ["application"]


class TokenInline(RecordInline):
    model = UsageToken
    fields = ["hint", "created_by", "created_at", "used_at", "revoked_at"]
    tab = False


@admin.register(UsageSource)
class UsageSourceAdmin(MasterAdmin):
    """Tokens are issued and revoked here; what a token says is shown once."""

    list_display = ["reference", "name", "issuer", "application"]
    list_select_related = ["issuer", "application"]
    list_filter = [("issuer", RelatedDropdownFilter), ("application", RelatedDropdownFilter)]
    search_fields = ["reference__startswith", "name__icontains"]
    fields = [("reference", "name"), ("issuer", "application")]
    autocomplete_fields = ["application"]
    inlines = [TokenInline]
    change_form_outer_before_template = "billing/admin/usage_source_tools.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.token_view)
        return [path("<int:object_id>/token/", view, name="billing_usagesource_token"), *super().get_urls()]

    def token_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Issue a token of a source. It goes with the session to the next page, not into any record."""
        source = get_object_or_404(self.get_queryset(request), pk=object_id)
        if request.method != "POST" or not request.user.has_perm("billing.issue_usagetoken"):
            raise PermissionDenied
        _token, text = usage_tokens.issue(source, by=request.user)
        self.message_user(
            request,
            gettext("The token of %(source)s, shown this once: %(token)s") % {"source": source, "token": text},
            messages.WARNING,
        )
        return HttpResponseRedirect(reverse("admin:billing_usagesource_change", args=[object_id]))


@admin.register(UsageToken)
class UsageTokenAdmin(RecordAdmin):
    list_display = ["hint", "source", "created_by", "created_at", "used_at", "revoked_at"]
    list_select_related = ["source", "created_by"]
    list_filter = [("source", RelatedDropdownFilter)]
    fields = [("hint", "source"), ("created_by", "created_at"), ("used_at", "revoked_at")]
    actions = ["revoke"]

    @admin.action(description=_("Revoke"), permissions=["issue"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[UsageToken]) -> None:
        self.each(request, queryset, usage_tokens.revoke, now=timezone.now(), by=request.user)

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.issue_usagetoken")


@admin.register(UsageBatch)
class UsageBatchAdmin(RecordAdmin):
    list_display = ["id", "created_at", "source", "channel", "accepted", "replayed", "conflicting", "refused"]
    list_select_related = ["source"]
    list_filter = [("source", RelatedDropdownFilter), ("channel", ChoicesDropdownFilter)]
    fields = [("created_at", "source", "channel"), "import_batch", ("accepted", "replayed", "conflicting", "refused")]


class MeterFilter(DropdownFilter):
    title = _("meter")
    parameter_name = "meter"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [(str(meter.pk), str(meter)) for meter in Meter.objects.select_related("application")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(meter=int(self.value())) if is_key(self.value() or "") else queryset


class AssignedFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            ("counted", _("counted")),
            ("unassigned", _("of nobody known")),
            ("reversed", _("taken back")),
            ("reversing", _("takes another back")),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        match self.value():
            case "counted":
                return queryset.counted()
            case "unassigned":
                return queryset.unassigned()
            case "reversed":
                return queryset.exclude(reversed_by=None)
            case "reversing":
                return queryset.exclude(reverses_key="")
        return queryset


class UsageSheet(SheetResource):
    """Events in the columns in which they came."""

    recipe = usage_import.RECIPE

    def lines(self, records: Sequence[UsageEvent]) -> Iterator[Mapping[str, Any]]:
        wanted = UsageKey.objects.filter(pk__in=[one.pk for one in records]).select_related("source")
        keys = {key.pk: key for key in wanted}
        for one in records:
            key = keys[one.pk]
            yield {
                "event": key.key,
                "occurred_at": one.occurred_at.isoformat(),
                "tenant": one.tenant_reference,
                "application": one.application_reference,
                "meter": one.meter_reference,
                "user": one.user_name,
                "quantity": one.quantity,
                "properties": json.dumps(one.properties, ensure_ascii=False),
                "reverses": one.reverses_key,
                "source": key.source.reference,
            }


@admin.register(UsageEvent)
class UsageEventAdmin(AccountScoped, SheetScreen, RecordAdmin):
    """By number, which is the order of arrival: so the first pages are quick however many there are."""

    sheet = UsageSheet
    scope_accounts = ("tenant",)
    import_needs_issuer = True
    list_display = ["event", "occurred_at", "account", "meter_named", "user_name", "amount", "standing"]
    list_select_related = ["key__source", "tenant", "meter"]
    list_filter = [AssignedFilter, MeterFilter]
    search_fields = ["key__key__exact"]
    search_accounts = ("tenant",)
    fields = [
        ("event", "source", "came_with"),
        ("occurred_at", "day"),
        ("tenant_reference", "tenant"),
        ("application_reference", "meter_reference", "meter"),
        ("user_name", "stated"),
        "content",
        ("reckoned", "label"),
        ("reverses_key", "reversed_by", "standing"),
    ]
    readonly_fields = ["event", "source", "came_with", "stated", "content", "reckoned", "standing"]

    @display(description=_("event"))
    def event(self, event: UsageEvent) -> str:
        return event.key.key

    @display(description=_("usage source"))
    def source(self, event: UsageEvent) -> str:
        return str(event.key.source)

    @display(description=_("usage batch"))
    def came_with(self, event: UsageEvent) -> SafeString:
        url = reverse("admin:billing_usagebatch_change", args=[event.key.batch_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, event.key.batch_id)

    @display(description=_("account"))
    def account(self, event: UsageEvent) -> str:
        return str(event.tenant) if event.tenant_id else event.tenant_reference

    @display(description=_("meter"))
    def meter_named(self, event: UsageEvent) -> str:
        return f"{event.application_reference} / {event.meter_reference}"

    @display(description=_("quantity"))
    def stated(self, event: UsageEvent) -> str:
        return figures.number(event.quantity)

    @display(description=_("value"))
    def reckoned(self, event: UsageEvent) -> str:
        return figures.EMPTY if event.value is None else figures.number(event.value)

    @display(description=_("value"))
    def amount(self, event: UsageEvent) -> SafeString:
        if event.label is not None:
            return figures.figure_cell(event.label)
        return figures.figure_cell(figures.number(event.quantity if event.value is None else event.value))

    @display(description=_("state"))
    def standing(self, event: UsageEvent) -> SafeString:
        if event.reversed_by_id:
            return figures.badge(gettext("taken back"), "")
        if event.reverses_key:
            return figures.badge(gettext("takes another back"), "info")
        if event.tenant_id:
            return figures.badge(gettext("counted"), "success")
        return figures.badge(gettext("of nobody known"), "warning")

    @display(description=_("properties"))
    def content(self, event: UsageEvent) -> SafeString:
        return format_html('<code class="k-code">{}</code>', json.dumps(event.properties, ensure_ascii=False))


@admin.register(UsageTotal)
class UsageTotalAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("tenant",)
    list_display = ["day", "tenant", "meter", "counted", "summed", "highest", "latest"]
    list_select_related = ["tenant", "meter__application"]
    list_filter = [MeterFilter]
    search_accounts = ("tenant",)
    search_fields = ["meter__reference__startswith"]
    ordering = ["-id"]
    fields = [("tenant", "meter", "day"), "counted", ("summed", "highest"), ("latest", "last_at", "last_key")]
    readonly_fields = ["counted", "summed", "highest", "latest"]

    @display(description=_("events"))
    def counted(self, total: UsageTotal) -> SafeString:
        return figures.figure_cell(figures.number(total.count))

    @display(description=_("sum"))
    def summed(self, total: UsageTotal) -> SafeString:
        return figures.figure_cell(figures.number(total.total))

    @display(description=_("highest value"))
    def highest(self, total: UsageTotal) -> SafeString:
        return figures.figure_cell(figures.EMPTY if total.maximum is None else figures.number(total.maximum))

    @display(description=_("last value"))
    def latest(self, total: UsageTotal) -> SafeString:
        return figures.figure_cell(figures.EMPTY if total.last_value is None else figures.number(total.last_value))


@admin.register(UsageConflict)
class UsageConflictAdmin(RecordAdmin):
    list_display = ["key", "source", "batch"]
    list_select_related = ["key__source", "batch"]
    search_fields = ["key__key__exact"]
    fields = [("key", "source", "batch"), "counts", "came"]
    readonly_fields = ["source", "counts", "came"]

    @display(description=_("usage source"))
    def source(self, conflict: UsageConflict) -> str:
        return str(conflict.key.source)

    @display(description=_("what counts"))
    def counts(self, conflict: UsageConflict) -> SafeString:
        key = conflict.key
        event = UsageEvent.objects.filter(pk=key.pk, occurred_at=key.occurred_at).first()
        if event is None:
            return format_html("{}", gettext("The event was aged out."))
        stored = usage_import.as_event(key.key, event)
        return _shown(
            {
                "occurred_at": stored.occurred_at.isoformat(),
                "tenant": stored.tenant,
                "application": stored.application,
                "meter": stored.meter,
                "user": stored.user_name,
                "quantity": import_rows.as_text(stored.quantity),
                "properties": event.properties,
                "reverses": stored.reverses,
            }
        )

    @display(description=_("what came"))
    def came(self, conflict: UsageConflict) -> SafeString:
        return _shown(conflict.content)


def _shown(content: Mapping[str, Any]) -> SafeString:
    names = ("occurred_at", "tenant", "application", "meter", "user", "quantity", "properties", "reverses")
    lines = json.dumps({name: content.get(name) for name in names}, ensure_ascii=False, indent=2)
    return format_html('<pre class="k-code">{}</pre>', lines)
