"""Our own legal entities."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from stdnum import bic, iban

from tenants import vat_id
from tenants.admin.base import MasterAdmin, MasterForm
from tenants.admin.resources import IssuerSheet
from tenants.admin.sheets import SheetScreen
from tenants.models import Issuer


class IssuerForm(MasterForm):
    """Refuses by hand what the import refuses, too: it stands on every invoice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, hint in HINTS.items():
            if name in self.fields:
                self.fields[name].help_text = hint
        if "without_confirmation" in self.fields and not settings.VIES_URL:
            self.fields["without_confirmation"].help_text = gettext(
                "VIES is not connected to this installation: nobody is asked, and whatever is chosen here, documents"
                " without VAT rest on the check digits of the VAT id alone."
            )

    def clean_vat_id(self) -> str:
        return vat_id.compact(self.cleaned_data["vat_id"])

    def clean_iban(self) -> str:
        stated = iban.compact(self.cleaned_data["iban"]).upper()
        if stated and not iban.is_valid(stated):
            raise forms.ValidationError(gettext("The check digits of the IBAN are wrong."))
        return str(stated)

    def clean_bic(self) -> str:
        stated = bic.compact(self.cleaned_data["bic"])
        if stated and not bic.is_valid(stated):
            raise forms.ValidationError(gettext("“%(bic)s” is no BIC.") % {"bic": stated})
        return str(stated)


HINTS = {
    "register_entry": _("as printed, such as Amtsgericht Köln, HRB 12345"),
    "managing_directors": _("as printed, such as Geschäftsführung: Anna Muster"),
}


@admin.register(Issuer)
class IssuerAdmin(SheetScreen, MasterAdmin):
    form = IssuerForm
    sheet = IssuerSheet
    list_display = ["reference", "name", "city", "country", "vat_id", "currency", "issues_by_itself"]
    search_fields = ["reference__startswith", "name__icontains"]
    autocomplete_fields = ["operated_by"]
    fieldsets = [
        (None, {"fields": [("reference", "name"), ("street", "postcode", "city", "country"), "operated_by"]}),
        (_("Tax and register"), {"fields": [("vat_id", "tax_number"), ("register_entry", "managing_directors")]}),
        (_("Contact"), {"fields": [("contact", "email", "phone")]}),
        (_("Bank"), {"fields": [("iban", "bic")]}),
        (
            _("Invoices"),
            {
                "fields": [
                    ("language", "currency", "time_zone"),
                    ("payment_days", "document_format", "issues_by_itself"),
                    ("is_small_business", "uses_oss"),
                    ("without_confirmation", "vat_check_max_age_days"),
                    ("largest_document", "most_periods", "correction_limit"),
                ]
            },
        ),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whoever corrects documents does not say up to which amount nobody else need look."""
        given, user = super().get_readonly_fields(request, obj), request.user
        corrects = any(user.has_perm(right) for right in ("invoicing.cancel_invoice", "invoicing.credit_invoice"))
        return [*given, "correction_limit"] if corrects and not user.is_superuser else given

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str]:
        return {"country": "DE", **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Issuer, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        answer = vat_id.check(obj.vat_id, obj.country)
        if obj.vat_id and not answer.is_valid:
            self.message_user(request, gettext("Please check the VAT id: %s.") % answer.reason, "warning")
