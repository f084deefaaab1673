"""Change a contract: a form for each kind of change, its money before it is saved, and what was changed so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelect2Widget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing import contracts
from billing.contract_import import OWN_DISCOUNTS
from billing.kernel.changes import MoneyPolicy, When
from billing.models import Amendment, Discount, Grant, Pause, Product, Subscription
from tenants.admin import figures
from tenants.admin.base import RecordAdmin, Screen, is_key
from tenants.admin.numbers import NumberField
from tenants.admin.scope import AccountScoped
from tenants.errors import OperatorError
from tenants.models import Tenant

RIGHT = "billing.amend_subscription"
ICONS = {
    Amendment.Kind.QUANTITY: "exposure",
    Amendment.Kind.PRICE: "swap_vert",
    Amendment.Kind.OVERRIDE: "handshake",
    Amendment.Kind.ADD: "add_circle",
    Amendment.Kind.END: "do_not_disturb_on",
    Amendment.Kind.DISCOUNT: "percent",
    Amendment.Kind.DISCOUNT_END: "percent",
    Amendment.Kind.PAUSE: "pause",
    Amendment.Kind.RESUME: "play_arrow",
    Amendment.Kind.TRIAL: "hourglass_top",
    Amendment.Kind.ACTIVATION: "flag",
    Amendment.Kind.ALIGNMENT: "event_repeat",
    Amendment.Kind.CANCELLATION: "event_busy",
    Amendment.Kind.REINSTATEMENT: "restart_alt",
    Amendment.Kind.TRANSFER: "move_item",
    Amendment.Kind.RESPONSIBILITY: "account_tree",
    Amendment.Kind.WITHDRAWAL: "undo",
}
WHENS = {
    When.IMMEDIATE: _("at once"),
    When.PERIOD_END: _("with the next period"),
    When.TERM_END: _("at the end of the term"),
    When.ON_DATE: _("on the day below"),
}
MONEY = {
    MoneyPolicy.CREDIT: _("what was charged beyond the end is given back"),
    MoneyPolicy.REFUND: _("it is given back and to be paid out"),
    MoneyPolicy.NONE: _("the last period stays charged in full"),
}
BY_THE_HOUR = {Amendment.Kind.PAUSE, Amendment.Kind.RESUME}  # may be asked for by a moment
NAMES_THE_DAY = {Amendment.Kind.CANCELLATION, Amendment.Kind.END}


class RecordField(forms.ModelChoiceField):
    """Records by reference and name; what an import made for itself has a name alone."""

    def label_from_instance(self, record: Any) -> str:
        name = getattr(record, "name", "") or getattr(record, f"name_{get_language()}", "") or record.name_en
        return str(name) if record.reference.startswith(OWN_DISCOUNTS) else f"{record.reference} {name}"


class AccountField(forms.CharField):
    """An account by its reference: there are too many to choose from a list."""

    def clean(self, value: Any) -> Any:
        reference = super().clean(value)
        account = Tenant.objects.filter(reference=reference).first() if reference else None
        if reference and account is None:
            raise forms.ValidationError(_("There is no account “%(reference)s”."), params={"reference": reference})
        return account


def day_field(label: Any, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=UnfoldAdminSingleDateWidget, **options)


def choice_field(label: Any, choices: Any, **options: Any) -> forms.ChoiceField:
    """The first is proposed."""
    options["initial"] = next((value for value, _name in choices), None)
    return forms.ChoiceField(label=label, choices=choices, widget=UnfoldAdminSelectWidget, **options)


def whole_field(label: Any, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=1, widget=UnfoldAdminTextInputWidget, **options)


class ChangeForm(forms.Form):
    """The values that one kind of change takes."""

    def __init__(self, contract: Subscription, kind: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kind = kind
        self.zone = contracts.zone_of(contract) if kind in BY_THE_HOUR else ""
        asked = contracts.values_of(kind)
        known = self.known_fields(contract, kind)
        for name, is_needed in asked.items():
            if name == "effective":
                self.add_effective(is_needed)
            elif name in known:
                field = known[name]
                field.required = is_needed and not isinstance(field, forms.BooleanField)
                self.fields[name] = field
        self.fields["reason"] = forms.CharField(
            label=_("reason"),
            max_length=500,
            required=kind == Amendment.Kind.DISCOUNT,
            widget=UnfoldAdminTextInputWidget,
        )

    def known_fields(self, contract: Subscription, kind: str) -> dict[str, forms.Field]:
        german = get_language() == "de"
        lines = {
            item.line: f"{item.line}: {figures.number(item.quantity)} × "
            f"{item.product.name_de if german else item.product.name_en}"
            for item in contract.items.select_related("product")
        }
        granted = Grant.objects.filter(subscription=contract, ends_before=None).select_related("discount")
        open_changes = contract.amendments.exclude(kind__in=[Amendment.Kind.START, Amendment.Kind.WITHDRAWAL])
        number = {"max_digits": 19, "decimal_places": 4}
        return {
            "line": choice_field(_("position"), list(lines.items())),
            "quantity": NumberField(label=_("quantity"), **number),
            "product": RecordField(Product.objects.all(), label=_("product"), widget=UnfoldAdminSelect2Widget),
            "unit_price": NumberField(
                label=_("agreed price per unit"), max_digits=25, decimal_places=10, help_text=_("Or a flat amount.")
            ),
            "flat_amount": NumberField(label=_("agreed amount per period"), **number),
            "instalments": whole_field(
                _("instalments"), help_text=_("It ends after so many periods. Empty: it goes on.")
            ),
            "discount": RecordField(Discount.objects.all(), label=_("discount"), widget=UnfoldAdminSelect2Widget),
            "grant": forms.ModelChoiceField(granted, label=_("discount"), widget=UnfoldAdminSelectWidget),
            "periods": whole_field(_("billed periods"), help_text=_("Empty: as long as the discount lasts.")),
            "until": day_field(_("first day after the pause"), help_text=_("Empty: until somebody ends the pause.")),
            "policy": choice_field(_("policy"), Pause.Policy.choices),
            "ends_before": day_field(
                _("first day after the trial") if kind == Amendment.Kind.TRIAL else _("first day no longer covered")
            ),
            "activated_on": day_field(_("service activated on")),
            "accepted_on": day_field(_("accepted by the customer on")),
            "billing_day": whole_field(_("billing day"), max_value=31),
            "money": choice_field(_("charged days"), list(MONEY.items())),
            "override": forms.BooleanField(
                label=_("before the notice is over"),
                widget=UnfoldBooleanSwitchWidget,
                help_text=_("Takes a reason."),
            ),
            "tenant": AccountField(
                label=_("account"), help_text=_("Its reference."), widget=UnfoldAdminTextInputWidget
            ),
            "invoice_to": AccountField(
                label=_("invoice to"),
                help_text=_("Reference of the account or of one above it."),
                widget=UnfoldAdminTextInputWidget,
            ),
            "pay_by": AccountField(
                label=_("paid by"),
                help_text=_("Reference of the account or of one above it."),
                widget=UnfoldAdminTextInputWidget,
            ),
            "as_account": forms.BooleanField(label=_("again as the account says"), widget=UnfoldBooleanSwitchWidget),
            "reference": forms.CharField(
                label=_("reference of the new contract"), max_length=60, widget=UnfoldAdminTextInputWidget
            ),
            "sequence": choice_field(
                _("amendment of a contract"),
                [
                    (one.sequence, f"{one.sequence} {one.get_kind_display()} ({figures.day(one.effective_on)})")
                    for one in open_changes
                ],
            ),
        }

    def add_effective(self, is_needed: bool) -> None:
        label = _("first day without it") if self.kind in NAMES_THE_DAY else _("effective from")
        if self.kind in contracts.BY_DAY_ALONE:
            self.fields["day"] = day_field(label, required=is_needed, initial=timezone.localdate if is_needed else None)
            if self.kind in BY_THE_HOUR:
                self.fields["time"] = forms.TimeField(
                    label=_("time of the day"),
                    required=False,
                    widget=forms.TimeInput(attrs={"type": "time", "class": "k-input"}),
                    help_text=_("Only to find the day: what is charged begins with the day at the account."),
                )
                self.fields["zone"] = forms.CharField(
                    label=_("time zone"),
                    required=False,
                    initial=self.zone,
                    widget=UnfoldAdminTextInputWidget,
                    help_text=_("Of the time, such as Asia/Tokyo. The account's own is %(zone)s.")
                    % {"zone": self.zone},
                )
            return
        usual = _("as usual for this change")
        self.fields["when"] = choice_field(_("when"), [("", usual), *WHENS.items()], required=False)
        self.fields["day"] = day_field(label, required=False)

    def clean_zone(self) -> str:
        zone = str(self.cleaned_data["zone"]).strip()
        if zone and zone not in available_timezones():
            raise forms.ValidationError(_("“%(zone)s” is no time zone, such as Europe/Berlin"), params={"zone": zone})
        return zone

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        when = self.cleaned_data.get("when")
        if when == When.ON_DATE and not self.cleaned_data.get("day") and "day" not in self.errors:
            self.add_error("day", _("Say the day from which the change holds."))
        return cleaned

    @property
    def values(self) -> dict[str, Any]:
        """As ``contracts.asked`` takes them; what was left empty is not given."""
        values = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        day, when = values.pop("day", None), values.pop("when", "")
        time, zone = values.pop("time", None), values.pop("zone", "") or self.zone
        if day is not None and time is not None:
            day = datetime.combine(day, time, ZoneInfo(zone))
        if day is not None and when in ("", When.ON_DATE):
            values["effective"] = day
        elif when:
            values["effective"] = When(when)
        for name in ("line", "sequence"):
            if name in values:
                values[name] = int(values[name])
        return values


def kinds_of(contract: Subscription, given: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The kinds of change, as links to their forms; these start with what is ``given``."""
    url = reverse("admin:billing_subscription_amend", args=[contract.pk])
    return [
        {
            "kind": kind,
            "name": Amendment.Kind(kind).label,
            "icon": icon,
            "url": f"{url}?{urlencode({'kind': str(kind), **(given or {})})}",
        }
        for kind, icon in ICONS.items()
    ]


def given_in(query: Mapping[str, str]) -> dict[str, str]:
    """The day and the reason that a link to the form brings along; what is no day is left out."""
    given = {name: query[name][:500] for name in ("day", "reason") if query.get(name)}
    try:
        date.fromisoformat(given.get("day", "2000-01-01"))
    except ValueError:
        del given["day"]
    return given


def proposed(given: Mapping[str, str]) -> dict[str, Any]:
    """Initial values of the form from what is ``given``."""
    if "day" not in given:
        return dict(given)
    return {**given, "day": date.fromisoformat(given["day"]), "when": When.ON_DATE}


def history_of(contract: Subscription) -> dict[str, Any]:
    """What was changed, latest first, and when the contract rests."""
    return {
        "amendments": contract.amendments.select_related("author").order_by("-sequence"),
        "pauses": contract.pauses.order_by("starts_on"),
        "idle": contracts.course_of(contract).idle,
    }


def amend_view(screen: Screen, request: HttpRequest, object_id: str) -> HttpResponseBase:
    """The form of one kind of change: shows its money first, and makes it when that is confirmed."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    if not is_key(object_id):
        raise Http404
    seen = Subscription.objects.visible_to(request.user)
    contract = get_object_or_404(seen.select_related("tenant", "issuer"), pk=object_id)
    kind = request.POST.get("kind") or request.GET.get("kind") or Amendment.Kind.QUANTITY
    if kind not in ICONS:
        raise Http404
    given = given_in(request.GET)
    form = ChangeForm(contract, kind, request.POST or None, initial=proposed(given))
    shown = None
    if request.method == "POST" and form.is_valid():
        today = timezone.localdate()
        try:
            change = contracts.asked(
                contract,
                kind,
                form.values,
                on=today,
                reason=form.cleaned_data["reason"],
                by=request.user,  # type: ignore[arg-type]
                channel=Amendment.Channel.ADMIN,
            )
            if "_confirm" in request.POST:
                return screen.on_record(request, lambda: _made(screen, request, contract, change))
            shown = contracts.preview(contract, change, through=today)
            if shown.effective_on > today:
                shown = contracts.preview(contract, change, through=shown.effective_on)
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
    context = {
        **screen.admin_site.each_context(request),
        "opts": Subscription._meta,
        "original": contract,
        "title": gettext("Change contract %(contract)s") % {"contract": contract.reference},
        "contract": contract,
        "kind": kind,
        "kind_name": Amendment.Kind(kind).label,
        "kinds": kinds_of(contract, given),
        "form": form,
        "preview": money_of(shown) if shown else None,
    }
    return TemplateResponse(request, "billing/admin/amend.html", context)


def _made(screen: Screen, request: HttpRequest, contract: Subscription, change: Any) -> HttpResponseBase:
    made = change()
    amendment = made[0] if isinstance(made, tuple) else made
    text = gettext("Amendment %(number)s: %(kind)s, effective from %(day)s.") % {
        "number": amendment.sequence,
        "kind": amendment.get_kind_display(),
        "day": figures.day(amendment.effective_on),
    }
    screen.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:billing_subscription_change", args=[contract.pk]))


def money_of(shown: contracts.MoneyPreview) -> dict[str, Any]:
    """A preview in words."""
    currency = shown.currency
    german = get_language() == "de"
    return {
        "effective_on": figures.day(shown.effective_on),
        "through": figures.day(shown.through),
        "lines": [
            {
                "contract": line.contract,
                "product": line.product.name_de if german else line.product.name_en,
                "period": days_of(line.period.start, line.period.end),
                "quantity": figures.number(line.quantity),
                "net": figures.money_cell(line.net, currency),
                "is_added": line in shown.added,
            }
            for line in shown.booked
        ],
        "dropped": [
            {
                "product": line.product.name_de if german else line.product.name_en,
                "period": days_of(line.period.start, line.period.end),
                "net": figures.money_cell(line.net, currency),
            }
            for line in shown.dropped
        ],
        "has_others": len({line.contract for line in shown.booked}) > 1,
        "net": figures.money(shown.net, currency),
        "net_without": figures.money(shown.net_without, currency),
        "difference": figures.money(shown.difference, currency),
        "months": [
            (name, *(figures.money(value, currency) for value in values))
            for name, values in (
                (_("per month"), (shown.mrr_before, shown.mrr_after, shown.mrr_change)),
                (total_value_until(shown), (shown.tcv_before, shown.tcv_after, shown.tcv_change)),
            )
        ],
        "overtaken": ", ".join(map(str, shown.overtaken)),
    }


def total_value_until(shown: contracts.MoneyPreview) -> str:
    """With the last day it counts; a pause or a cancellation may move that."""
    ends = [
        figures.day(end - timedelta(days=1))
        for end in (shown.value_ends_without, shown.value_ends_with)
        if end is not None
    ]
    if len(ends) == 2 and ends[0] != ends[1]:
        days = {"before": ends[0], "after": ends[1]}
        return gettext("total value (before: through %(before)s, afterwards: through %(after)s)") % days
    return gettext("total value through %(day)s") % {"day": ends[0]} if ends else gettext("total value")


def days_of(start: date, end: date) -> str:
    return f"{figures.day(start)} – {figures.day(end - timedelta(days=1))}"


@admin.register(Amendment)
class AmendmentAdmin(AccountScoped, RecordAdmin):
    """Every change of every contract, to search through."""

    scope_accounts = ("subscription__tenant",)
    list_display = ["written_at", "contract", "sequence", "sort", "effective_on", "channel", "author", "reason"]
    list_select_related = ["subscription", "author"]
    list_filter = [("kind", ChoicesDropdownFilter), ("channel", ChoicesDropdownFilter)]
    search_fields = ["subscription__reference__startswith"]
    search_accounts = ("subscription__tenant",)
    search_help_text = _("Reference of the contract, or the account")
    ordering = ["-id"]
    fields = ["contract", "sort", "effective_on", "written_at", "author", "channel", "reason", "data"]
    readonly_fields = ["contract", "sort"]

    @display(description=_("contract"), ordering="subscription__reference")
    def contract(self, amendment: Amendment) -> str:
        return amendment.subscription.reference

    @display(description=_("kind"), ordering="kind")
    def sort(self, amendment: Amendment) -> SafeString:
        return figures.badge(amendment.get_kind_display(), "info")
