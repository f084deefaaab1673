"""Tax rules with worked examples, VAT rates and exchange rates: kept by finance staff."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.models import Product
from invoicing import taxation
from invoicing.kernel.german_rules import cited
from invoicing.kernel.taxation import Customer, buyer_of
from invoicing.kernel.vat import EU
from invoicing.models import ExchangeRate, Invoice, TaxRate, TaxRule, VatShare
from tenants.admin import figures
from tenants.admin.base import MasterAdmin
from tenants.errors import OperatorError
from tenants.models import Issuer

# country, VAT id, customer, product
EXAMPLES: Final = (
    ("DE", "", Customer.BUSINESS_WITHOUT_ID, "standard"),
    ("DE", "", Customer.CONSUMER, "reduced"),
    ("DE", "", Customer.BUSINESS_WITHOUT_ID, "exempt"),
    ("AT", "ATU13585627", Customer.BUSINESS_WITH_ID, "standard"),
    ("AT", "", Customer.BUSINESS_WITHOUT_ID, "standard"),
    ("AT", "ATU13585627", Customer.BUSINESS_WITH_ID, "goods"),
    ("AT", "", Customer.CONSUMER, "digital"),
    ("AT", "", Customer.PUBLIC, "standard"),
    ("CH", "", Customer.BUSINESS_WITHOUT_ID, "standard"),
    ("US", "", Customer.CONSUMER, "digital"),
    ("CH", "", Customer.BUSINESS_WITHOUT_ID, "goods"),
    ("GB", "XI123456789", Customer.BUSINESS_WITH_ID, "goods"),
)


def examples(issuer: Issuer, on: date) -> list[dict[str, Any]]:
    """Supplies as they would be taxed on a day, with the rule that decides."""
    try:
        law = taxation.law_of(issuer)
    except OperatorError as refusal:
        return [{"refusal": str(refusal)}]
    rows: list[dict[str, Any]] = []
    language = get_language() or "en"
    for country, vat_id, customer, category in EXAMPLES:
        buyer = buyer_of(issuer.country, country, "", vat_id, customer=customer, home_is_eu=issuer.country in EU)
        row = {
            "country": country,
            "customer": TaxRule.Customer(customer.value).label,
            "product": Product.TaxCategory(category).label,
        }
        try:
            found = law.treatment(buyer, category, on)
        except ValueError as error:
            rows.append(row | {"refusal": str(error)})
            continue
        rows.append(
            row
            | {
                "rule": found.rule.name,
                "case": Invoice.VatCase(found.rule.case.value).label,
                "rate": figures.number(found.rate),
                "in": found.country,
                "notice": found.rule.notice(language),
                "law": cited(found.rule.law, language),
            }
        )
    return rows


@admin.register(TaxRule)
class TaxRuleAdmin(MasterAdmin):
    """A rule that stands on an issued document is ended and followed by another one, never rewritten."""

    list_display = ["name", "issuer", "where", "customer", "tax_category", "vat_case", "rate", "days", "source"]
    list_filter = [("issuer", RelatedDropdownFilter), ("vat_case", ChoicesDropdownFilter)]
    list_select_related = ["issuer"]
    search_fields = ["name__icontains"]
    ordering = ["issuer", "id"]
    list_before_template = "invoicing/admin/tax_examples.html"
    fieldsets = [
        (None, {"fields": [("issuer", "name")]}),
        (
            _("When it holds"),
            {
                "fields": [("tax_category", "customer", "place"), ("scheme", "starts_on", "ends_before")],
                "description": _("What is empty holds for all. Of the rules that fit, the one that says most decides."),
            },
        ),
        (
            _("What it says"),
            {
                "fields": [
                    ("vat_case", "taxed_in", "rate_kind"),
                    ("exemption_code", "law"),
                    ("notice_de", "notice_en"),
                    "ledger_role",
                ]
            },
        ),
    ]

    @display(description=_("place"), ordering="place")
    def where(self, rule: TaxRule) -> str:
        """A group of countries in words, or a country's code."""
        words = {"domestic": _("domestic"), "eu": _("other member states"), "third": _("outside the EU")}
        return str(words.get(rule.place, rule.place)) or figures.EMPTY

    @display(description=_("VAT rate"))
    def rate(self, rule: TaxRule) -> str:
        return f"{rule.get_rate_kind_display()}" if rule.rate_kind else figures.EMPTY

    @display(description=_("days"))
    def days(self, rule: TaxRule) -> SafeString | str:
        first = figures.day(rule.starts_on) if rule.starts_on else ""
        end = figures.day(rule.ends_before) if rule.ends_before else ""
        return f"{first} – {end}" if first or end else figures.EMPTY

    @display(description=_("source in law"))
    def source(self, rule: TaxRule) -> str:
        return cited(rule.law, get_language() or "en")

    def get_readonly_fields(self, request: HttpRequest, obj: TaxRule | None = None) -> Any:
        if obj is not None and VatShare.objects.filter(rule=obj, invoice__state=Invoice.State.ISSUED).exists():
            kept = {"ends_before", "name"}
            return [name for row in _names(self.fieldsets) for name in row if name not in kept]
        return super().get_readonly_fields(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: TaxRule | None = None) -> bool:
        """A rule is ended."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        issuers = Issuer.objects.visible_to(request.user).order_by("reference")
        wanted = request.GET.get("issuer__id__exact", "")
        issuer = (issuers.filter(pk=wanted) if wanted.isdigit() else issuers).first()
        worked = [(issuer, examples(issuer, timezone.localdate()))] if issuer else []
        context = {"worked_examples": worked, **(extra_context or {})}
        return super().changelist_view(request, context)  # type: ignore[return-value]


def _names(fieldsets: Any) -> Any:
    for _title, options in fieldsets:
        for field in options["fields"]:
            yield (field,) if isinstance(field, str) else field


@admin.register(TaxRate)
class TaxRateAdmin(MasterAdmin):
    list_display = ["country", "kind", "percent", "starts_on", "ends_before", "source"]
    list_filter = [("kind", ChoicesDropdownFilter)]
    search_fields = ["country__startswith"]
    search_help_text = _("Country")

    def has_delete_permission(self, request: HttpRequest, obj: TaxRate | None = None) -> bool:
        """A rate is ended: documents were reckoned by it."""
        return False


@admin.register(ExchangeRate)
class ExchangeRateAdmin(MasterAdmin):
    list_display = ["day", "base", "currency", "rate", "source"]
    search_fields = ["currency__startswith"]
    search_help_text = _("Currency")
