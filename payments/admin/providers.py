"""Accounts at payment providers, what they told us, what they paid out, and where their books differ from ours."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from payments import payouts, provider_accounts, reconciliation
from payments.models import (
    EventHandling,
    ProviderAccount,
    ProviderComparison,
    ProviderFinding,
    ProviderPayout,
)
from tenants import intents
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RecordAdmin
from tenants.admin.outgoing import intent_badge
from tenants.transactions import wake

KEYS = ("secret_key", "webhook_secret", "publishable_key")
NOT_SHOWN = _("Not shown again once it is saved. Empty: it stays as it is.")


class AccountForm(MasterForm):
    """Keys go in and never come out."""

    entered_secret_key = forms.CharField(
        label=_("secret key"), required=False, max_length=250, widget=UnfoldAdminPasswordWidget, help_text=NOT_SHOWN
    )
    entered_webhook_secret = forms.CharField(
        label=_("secret of webhooks"),
        required=False,
        max_length=250,
        widget=UnfoldAdminPasswordWidget,
        help_text=NOT_SHOWN,
    )
    entered_publishable_key = forms.CharField(
        label=_("publishable key"), required=False, max_length=200, widget=UnfoldAdminTextInputWidget
    )

    class Meta:
        model = ProviderAccount
        fields = ["name", "issuer", "is_active"]

    def clean_entered_secret_key(self) -> str:
        entered: str = self.cleaned_data["entered_secret_key"]
        if not entered and self.instance.pk is None:
            raise forms.ValidationError(gettext("An account at a provider needs its secret key."))
        return entered


@admin.register(ProviderAccount)
class ProviderAccountAdmin(MasterAdmin):
    form = AccountForm
    list_display = ["name", "issuer", "mode", "is_active", "has_webhooks"]
    list_select_related = ["issuer"]
    list_filter = [("issuer", RelatedDropdownFilter)]
    readonly_fields = ["mode", "webhook_address"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        keys = {"fields": [f"entered_{name}" for name in KEYS]}
        if obj is None:
            return [(None, {"fields": [("name", "issuer")]}), (_("Keys"), keys)]
        return [
            (None, {"fields": [("name", "issuer"), ("mode", "is_active"), "webhook_address"]}),
            (_("Exchange keys"), keys),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["issuer"] if obj else [])]

    @display(description=_("mode"))
    def mode(self, account: ProviderAccount) -> SafeString:
        return (
            figures.badge(gettext("real money"), "success")
            if account.is_live
            else figures.badge(gettext("test"), "warning")
        )

    @display(description=_("webhooks"), boolean=True)
    def has_webhooks(self, account: ProviderAccount) -> bool:
        return bool(account.webhook_secret)

    @display(description=_("address for webhooks"))
    def webhook_address(self, account: ProviderAccount) -> str:
        return settings.PUBLIC_URL.rstrip("/") + reverse("stripe_webhook", args=[account.pk])

    def save_model(self, request: HttpRequest, obj: ProviderAccount, form: Any, change: bool) -> None:
        keys = {name: form.cleaned_data.get(f"entered_{name}") or "" for name in KEYS}
        if change:
            ProviderAccount.objects.filter(pk=obj.pk).update(name=obj.name, is_active=obj.is_active)
            provider_accounts.exchange_keys(obj, now=timezone.now(), by=request.user, **keys)
            return
        made = provider_accounts.open_account(obj.issuer, name=obj.name, by=request.user, **keys)
        obj.pk = made.pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(EventHandling)
class EventHandlingAdmin(RecordAdmin):
    """The in-tray of webhooks: what came, and what it changed."""

    list_display = ["happened_at", "kind", "about", "account", "progress", "said", "reason"]
    list_select_related = ["event__account"]
    list_filter = [("state", ChoicesDropdownFilter), ("event__account", RelatedDropdownFilter)]
    search_fields = ["event__about__startswith", "event__event_id__startswith", "event__kind__startswith"]
    sortable_by = ()
    actions = ["work_off_again"]
    fields = [
        ("kind", "about"),
        ("happened_at", "received_at"),
        ("account", "event_id"),
        ("progress", "attempts", "next_at"),
        "said",
        "reason",
        "payload",
    ]
    readonly_fields = ["kind", "about", "happened_at", "received_at", "account", "event_id", "progress", "payload"]

    @display(description=_("happened at"))
    def happened_at(self, handling: EventHandling) -> str:
        return figures.instant(handling.event.happened_at)

    @display(description=_("received at"))
    def received_at(self, handling: EventHandling) -> str:
        return figures.instant(handling.event.received_at)

    @display(description=_("event"))
    def kind(self, handling: EventHandling) -> str:
        return handling.event.kind

    @display(description=_("about"))
    def about(self, handling: EventHandling) -> str:
        return handling.event.about

    @display(description=_("id of the event"))
    def event_id(self, handling: EventHandling) -> str:
        return handling.event.event_id

    @display(description=_("account at the provider"))
    def account(self, handling: EventHandling) -> str:
        return str(handling.event.account)

    @display(description=_("payload"))
    def payload(self, handling: EventHandling) -> str:
        return handling.event.payload

    @display(description=_("state"))
    def progress(self, handling: EventHandling) -> SafeString:
        return intent_badge(handling)

    @admin.action(description=_("Work off again what is parked"), permissions=["release"])
    def work_off_again(self, request: HttpRequest, queryset: QuerySet[EventHandling]) -> None:
        def station() -> int:
            wake("payments.work_off_events")
            return intents.release(queryset, now=timezone.now())

        worked, count = self.call(request, station)
        if worked:
            text = ngettext("%(count)d event is worked off again.", "%(count)d events are worked off again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.release_eventhandling")


@admin.register(ProviderPayout)
class ProviderPayoutAdmin(RecordAdmin):
    list_display = ["arrives_on", "external_id", "account", "amount_shown", "charges_shown", "progress"]
    list_select_related = ["account"]
    list_filter = [("account", RelatedDropdownFilter)]
    search_fields = ["external_id__startswith"]
    sortable_by = ()
    actions = ["confirm"]
    fields = [("external_id", "account"), ("amount_shown", "charges_shown"), ("arrives_on", "progress")]
    readonly_fields = ["amount_shown", "charges_shown", "progress"]

    @display(description=_("amount"))
    def amount_shown(self, payout: ProviderPayout) -> SafeString:
        return figures.money_cell(payout.amount.amount, payout.currency)

    @display(description=_("charges"))
    def charges_shown(self, payout: ProviderPayout) -> SafeString:
        return figures.money_cell(payout.charges.amount, payout.currency)

    @display(description=_("state"))
    def progress(self, payout: ProviderPayout) -> SafeString:
        if payout.arrival_id:
            return figures.badge(gettext("arrived"), "success")
        return figures.badge(gettext("under way to the bank"), "info")

    @admin.action(description=_("Confirm that it is on the bank account"), permissions=["confirm"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[ProviderPayout]) -> None:
        today = timezone.localdate()
        self.each(request, queryset, lambda payout: payouts.arrive(payout.pk, on=today, by=request.user))

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.confirm_providerpayout")


class ExplainedFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("open", _("open")), ("explained", _("explained"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        match self.value():
            case "open":
                return queryset.filter(explained_at=None)
            case "explained":
                return queryset.exclude(explained_at=None)
        return queryset


@admin.register(ProviderFinding)
class ProviderFindingAdmin(RecordAdmin):
    list_display = ["day", "kind", "external_id", "account", "ours", "theirs", "progress"]
    list_select_related = ["account"]
    list_filter = [ExplainedFilter, ("kind", ChoicesDropdownFilter), ("account", RelatedDropdownFilter)]
    search_fields = ["external_id__startswith"]
    sortable_by = ()
    actions = ["make_up"]
    fields = [
        ("day", "kind"),
        ("external_id", "account"),
        ("ours", "theirs"),
        ("progress", "explained_at", "explained_by"),
        "explanation",
    ]
    readonly_fields = ["progress"]
    change_form_outer_before_template = "payments/admin/finding_tools.html"

    @display(description=_("state"))
    def progress(self, finding: ProviderFinding) -> SafeString:
        if finding.explained_at:
            return figures.badge(gettext("explained"), "success")
        return figures.badge(gettext("open"), "danger")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.explain_view)
        return [path("<int:object_id>/explain/", view, name="payments_providerfinding_explain"), *super().get_urls()]

    def explain_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Close a difference with its explanation."""
        if request.method != "POST" or not self.has_explain_permission(request):
            raise PermissionDenied
        finding = get_object_or_404(self.get_queryset(request), pk=object_id)
        words = request.POST.get("explanation", "")
        how: dict[str, Any] = {"explanation": words, "now": timezone.now(), "by": request.user}
        if self.call(request, reconciliation.explain, finding, **how)[0]:
            self.message_user(request, gettext("The difference is explained."), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:payments_providerfinding_change", args=[object_id]))

    @admin.action(description=_("Read it from the provider and book it"), permissions=["explain"])
    def make_up(self, request: HttpRequest, queryset: QuerySet[ProviderFinding]) -> None:
        for finding in queryset.select_related("account__issuer"):
            worked, said = self.call_in_steps(request, reconciliation.make_up, finding, now=timezone.now())
            if worked:
                text = said or gettext("nothing was left to book")
                self.message_user(request, f"{finding.external_id}: {text}", messages.SUCCESS)

    def has_explain_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.explain_providerfinding")


@admin.register(ProviderComparison)
class ProviderComparisonAdmin(RecordAdmin):
    list_display = ["day", "account", "payments", "refunds", "chargebacks", "payouts", "result", "compared_at"]
    list_select_related = ["account"]
    list_filter = [("account", RelatedDropdownFilter)]
    sortable_by = ()
    fields = [("day", "account"), ("payments", "refunds"), ("chargebacks", "payouts"), ("result", "compared_at")]
    readonly_fields = ["result"]

    @display(description=_("differences"))
    def result(self, comparison: ProviderComparison) -> SafeString:
        count = comparison.differences
        return figures.badge(figures.number(count), "danger" if count else "success")
