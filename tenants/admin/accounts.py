"""The account tree: who they are, which settings are in force and where these come from."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from stdnum.de import leitweg
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from tenants import responsibility, vat_id
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RecordAdmin, RecordInline, RowsInline
from tenants.admin.resources import TenantSheet
from tenants.admin.scope import AccountScoped
from tenants.admin.sheets import SheetScreen
from tenants.models import Contact, Issuer, NotificationPreference, Tenant, VatCheck

STATUS_COLOURS = {
    Tenant.Status.ACTIVE: "success",
    Tenant.Status.SUSPENDED: "warning",
    Tenant.Status.CLOSED: "",
}


XRECHNUNG = (Tenant.DocumentFormat.XRECHNUNG_CII, Tenant.DocumentFormat.XRECHNUNG_UBL)


def refuse_no_leitweg_id(text: str) -> None:
    """Form and check digits, as the import asks for them."""
    if not leitweg.is_valid(text):
        raise ValidationError(
            gettext(
                "“%(id)s” is no Leitweg-ID: its form or its check digits are wrong (example: 04011000-1234512345-06)."
            )
            % {"id": text}
        )


class TenantForm(MasterForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """An account is closed where it is shown what is left of it; one that is closed may be opened again here."""
        super().__init__(*args, **kwargs)
        status = self.fields.get("status")
        if status is not None and self.instance.status != Tenant.Status.CLOSED:
            status.choices = [choice for choice in status.choices if choice[0] != Tenant.Status.CLOSED]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        party = self.cleaned_data.get("contracting_party")
        parent = self.cleaned_data.get("parent") or self.instance.parent
        if party and not (parent and parent.is_descendant_of(party, include_self=True)):
            self.add_error("contracting_party", _("The contracting party is an account above this one."))
        return cleaned


class ContactInline(RowsInline):
    model = Contact
    fields = [
        "name",
        "email",
        "phone",
        "language",
        "is_billing",
        "receives_sections",
        "is_dunning",
        "is_technical",
        "is_approver",
    ]


class PreferenceInline(RowsInline):
    """Who is written to about what; what is not stated here is the parent's, at last the default."""

    model = NotificationPreference
    fields = ["event", "role", "is_wanted"]


class VatCheckInline(RecordInline):
    model = VatCheck
    fields = ["checked_at", "vat_id", "method", "is_valid", "answer"]


@admin.register(Tenant)
class TenantAdmin(AccountScoped, SheetScreen, MasterAdmin):
    """Master data of accounts; they are moved, merged, split and closed on pages of their own."""

    scope_accounts = ("pk",)
    sheet = TenantSheet
    form = TenantForm
    list_display = ["in_the_tree", "kind", "city", "country", "state", "currency", "collection", "vat_id"]
    list_display_links = None
    list_filter = [
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("collection", ChoicesDropdownFilter),
    ]
    search_fields = ["reference__startswith", "name__icontains"]
    search_help_text = _("Reference or name")
    ordering = ["tree_id", "lft"]
    sortable_by = ()
    list_per_page = 100
    autocomplete_fields = ["parent", "contracting_party", "invoice_to", "pay_by"]
    readonly_fields = ["settings_in_force", "vat_id_valid"]
    inlines = [ContactInline, PreferenceInline, VatCheckInline]
    fieldsets = [
        (None, {"fields": [("reference", "name"), ("kind", "status", "parent")]}),
        (
            _("Address"),
            {"fields": [("street", "postcode", "city", "country"), ("email", "buys_as"), ("vat_id", "vat_id_valid")]},
        ),
        (
            _("Who is invoiced and who pays"),
            {
                "fields": [("contracting_party", "invoice_to", "pay_by")],
                "description": _("Empty: the account itself."),
            },
        ),
        (
            _("Settings"),
            {
                "fields": [
                    ("language", "currency", "price_class"),
                    ("collection", "collection_threshold", "collection_rhythm"),
                    ("payment_days", "billing_day", "auto_mail"),
                    ("consolidation", "document_format", "pdf_beside_xml"),
                    ("leitweg_id", "po_number", "project_code"),
                    ("time_zone",),
                    "settings_in_force",
                ],
                "description": _("What is empty here is inherited from the account above, at last from the issuer."),
            },
        ),
        (_("Notes"), {"fields": ["notes"]}),
    ]

    @display(description=_("account"))
    def in_the_tree(self, tenant: Tenant) -> SafeString:
        return format_html(
            '<a class="k-node" data-level="{}" href="{}"><span class="k-code">{}</span> {}</a>',
            tenant.level,
            reverse("account", args=[tenant.pk]),
            tenant.reference,
            tenant.name,
        )

    @display(description=_("status"), ordering="status")
    def state(self, tenant: Tenant) -> SafeString:
        return figures.badge(tenant.get_status_display(), STATUS_COLOURS[Tenant.Status(tenant.status)])

    @display(description=_("in force"))
    def settings_in_force(self, tenant: Tenant) -> SafeString:
        if tenant.pk is None:
            return settings_table(tenant)
        return format_html(
            '{}<p><a class="k-link" href="{}">{}</a></p>',
            settings_table(tenant),
            reverse("account_settings", args=[tenant.pk]),
            gettext("Change them and see first whom it affects"),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        """Settings that others inherit, and the parent, are changed where the effect is shown first."""
        fields = super().get_readonly_fields(request, obj)
        if obj is None:
            return fields
        if obj.is_leaf_node():
            return [*fields, "parent"]
        return [*fields, "parent", *(name for name in responsibility.INHERITED if name not in fields)]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Also of the page on which settings are changed."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "leitweg_id":
            field.validators.append(refuse_no_leitweg_id)
        return field

    def warn_of_missing(self, request: HttpRequest, tenant: Tenant) -> None:
        """An XRechnung without Leitweg-ID is held back: said when the format is chosen, not when billing is due."""
        in_force = responsibility.origins(tenant, None)
        if in_force["document_format"].value in XRECHNUNG and not in_force["leitweg_id"].value:
            text = gettext(
                "XRechnung needs a Leitweg-ID, and none is in force for this account: its documents would be held back."
            )
            self.message_user(request, text, messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        """An account is closed, not deleted; one that was opened by mistake and holds nothing may go."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.is_leaf_node())

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        checked = {"vat_id", "country"} & set(form.changed_data)
        if checked:
            answer = vat_id.check(obj.vat_id, obj.country)
            obj.vat_id, obj.vat_id_valid = answer.vat_id, answer.is_valid
        super().save_model(request, obj, form, change)
        if {"document_format", "leitweg_id"} & set(form.changed_data):
            self.warn_of_missing(request, obj)
        if checked and obj.vat_id:
            VatCheck.objects.create(
                tenant=obj,
                vat_id=obj.vat_id,
                method=VatCheck.Method.CHECK_DIGITS,
                is_valid=answer.is_valid,
                answer=answer.reason[:200],
            )
            if not answer.is_valid:
                self.message_user(request, gettext("The VAT id counts as none: %s.") % answer.reason, "warning")


def settings_table(tenant: Tenant) -> SafeString:
    """Each inherited setting as it is in force, and whose it is."""
    if tenant.pk is None:
        return format_html("{}", "–")
    issuers = list(Issuer.objects.all()[:2])
    issuer = issuers[0] if len(issuers) == 1 else None
    found = responsibility.origins(tenant, issuer)
    currency = found["currency"].value or ""
    rows = [
        (
            tenant._meta.get_field(name).verbose_name,
            setting_text(tenant, name, setting.value, currency),
            gettext("own") if setting.account == tenant.pk else _origin(setting),
        )
        for name, setting in found.items()
    ]
    return format_html(
        '<table class="k-table k-narrow"><thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead>'
        "<tbody>{}</tbody></table>",
        gettext("setting"),
        gettext("in force"),
        gettext("origin"),
        format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
    )


def _origin(setting: responsibility.Setting) -> SafeString | str:
    """The account a value comes from, as a link to its settings."""
    if setting.account is None:
        return setting.origin
    url = reverse("account_settings", args=[setting.account])
    return format_html('<a class="k-link" href="{}">{}</a>', url, setting.origin)


def setting_text(tenant: Tenant, name: str, value: Any, currency: str = "") -> str:
    """A setting's value in words; an amount in the ``currency`` in force, if that is known."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name == "collection_threshold" and currency:
        return figures.money(value, currency)
    choices = dict(tenant._meta.get_field(name).flatchoices)
    return str(choices.get(value, value))


@admin.register(VatCheck)
class VatCheckAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("tenant",)
    list_display = ["checked_at", "vat_id", "tenant", "method", "is_valid", "answer"]
    list_select_related = ["tenant"]
    search_fields = ["vat_id__startswith"]
    search_accounts = ("tenant",)


@admin.register(Contact)
class ContactAdmin(AccountScoped, MasterAdmin):
    scope_accounts = ("tenant",)
    list_display = ["name", "tenant", "email", "phone", "is_billing", "is_dunning"]
    list_select_related = ["tenant"]
    search_fields = ["name__icontains", "email__startswith"]
    search_accounts = ("tenant",)
    autocomplete_fields = ["tenant"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).order_by("name", "pk")
