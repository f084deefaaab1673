"""Our own legal entities."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from tenants.admin.base import MasterAdmin
from tenants.admin.resources import IssuerSheet
from tenants.admin.sheets import SheetScreen
from tenants.models import Issuer


@admin.register(Issuer)
class IssuerAdmin(SheetScreen, MasterAdmin):
    sheet = IssuerSheet
    list_display = ["reference", "name", "city", "country", "vat_id", "currency", "issues_by_itself"]
    search_fields = ["reference__startswith", "name__icontains"]
    fieldsets = [
        (None, {"fields": [("reference", "name"), ("street", "postcode", "city", "country")]}),
        (_("Tax and register"), {"fields": [("vat_id", "tax_number"), ("register_entry", "managing_directors")]}),
        (_("Contact"), {"fields": [("contact", "email", "phone")]}),
        (_("Bank"), {"fields": [("iban", "bic")]}),
        (
            _("Invoices"),
            {"fields": [("language", "currency", "time_zone"), ("payment_days", "issues_by_itself")]},
        ),
    ]
