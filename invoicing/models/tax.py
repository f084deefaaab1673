from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _

from billing.models import Product
from invoicing.models.invoice import Invoice
from tenants.models import Issuer
from tenants.models.columns import amount, below_infinity, currency_is_a_code, days, fits_currency, same
from tenants.models.visibility import Visibility, VisibleQuerySet


def alike(column: str) -> Func:
    """A text as a range of one: it overlaps itself alone."""
    return Func(column, column, Value("[]"), function="kontor_textrange")


class RateKind(models.TextChoices):
    STANDARD = "standard", _("standard rate")
    REDUCED = "reduced", _("reduced rate")


class TaxRate(models.Model):
    """A country's VAT rate, for a stretch of days. Kept by staff; those of the member states come with the product."""

    country = models.CharField(_("country"), max_length=2)
    kind = models.CharField(_("kind"), max_length=10, choices=RateKind)
    percent = models.DecimalField(_("percent"), max_digits=6, decimal_places=3)
    starts_on = models.DateField(_("first day"), null=True, blank=True)
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    source = models.CharField(_("source"), max_length=200, blank=True)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT rate")
        verbose_name_plural = _("VAT rates")
        ordering = ["country", "kind", F("starts_on").asc(nulls_first=True)]
        constraints = [
            ExclusionConstraint(
                name="tax_rate_once_per_day",
                expressions=[
                    (alike("country"), RangeOperators.OVERLAPS),
                    (alike("kind"), RangeOperators.OVERLAPS),
                    (days(), RangeOperators.OVERLAPS),
                ],
                violation_error_message=_("Another rate of this country and kind holds on these days."),
            ),
            models.CheckConstraint(
                name="tax_rate_is_a_percentage",
                condition=Q(percent__gte=0, percent__lte=100),
                violation_error_message=_("A VAT rate is between 0 and 100 percent."),
            ),
            models.CheckConstraint(
                name="tax_rate_country_is_a_code",
                condition=Q(country__regex=r"^[A-Z]{2}$"),
                violation_error_message=_("The country is a code of two capital letters, such as DE."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.percent.normalize():f} %"


class TaxRule(models.Model):
    """Which VAT treatment an issuer's supplies have: by product, by customer, by place. What is empty holds for all.

    Of the rules that fit a supply, the one that says most decides (``invoicing.kernel.taxation``).
    """

    class Customer(models.TextChoices):
        BUSINESS_WITH_ID = "business_with_id", _("business with a valid VAT id")
        BUSINESS_WITHOUT_ID = "business", _("business without a valid VAT id")
        CONSUMER = "consumer", _("consumer")
        PUBLIC = "public", _("public body without a valid VAT id")

    class Scheme(models.TextChoices):
        NONE = "", _("always")
        SMALL_BUSINESS = "small_business", _("while the issuer is a small business")
        OSS = "oss", _("while the issuer takes part in the One-Stop Shop")

    class TaxedIn(models.TextChoices):
        NOWHERE = "", _("no VAT")
        ISSUER = "issuer", _("rate of the issuer's country")
        CUSTOMER = "customer", _("rate of the customer's country")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="tax_rules", verbose_name=_("issuer"))
    name = models.CharField(_("name"), max_length=100)
    tax_category = models.CharField(
        _("tax category of the product"), max_length=20, choices=Product.TaxCategory, blank=True
    )
    customer = models.CharField(_("customer"), max_length=20, choices=Customer, blank=True)
    place = models.CharField(
        _("place"),
        max_length=8,
        blank=True,
        help_text=_("domestic, eu, third, or the ISO code of one country"),
    )
    scheme = models.CharField(_("holds"), max_length=20, choices=Scheme, blank=True)
    starts_on = models.DateField(_("first day"), null=True, blank=True)
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    vat_case = models.CharField(_("VAT case"), max_length=2, choices=Invoice.VatCase)
    taxed_in = models.CharField(_("taxed at"), max_length=10, choices=TaxedIn, blank=True)
    rate_kind = models.CharField(_("kind of rate"), max_length=10, choices=RateKind, blank=True)
    exemption_code = models.CharField(
        _("exemption reason code"), max_length=30, blank=True, help_text=_("VATEX code of EN 16931 (BT-121)")
    )
    notice_de = models.CharField(_("notice (German)"), max_length=200, blank=True)
    notice_en = models.CharField(_("notice (English)"), max_length=200, blank=True)
    law = models.CharField(_("source in law"), max_length=200, blank=True)
    ledger_role = models.CharField(
        _("role of the ledger accounts"),
        max_length=15,
        blank=True,
        help_text=_(
            "Empty: by VAT case and rate. Otherwise the accounts whose roles are revenue_ and vat_ with this word."
        ),
    )

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("tax rule")
        verbose_name_plural = _("tax rules")
        ordering = ["issuer", "id"]
        constraints = [
            ExclusionConstraint(
                name="tax_rule_once_per_day",
                expressions=[
                    (same("issuer"), RangeOperators.OVERLAPS),
                    (alike("tax_category"), RangeOperators.OVERLAPS),
                    (alike("customer"), RangeOperators.OVERLAPS),
                    (alike("place"), RangeOperators.OVERLAPS),
                    (alike("scheme"), RangeOperators.OVERLAPS),
                    (days(), RangeOperators.OVERLAPS),
                ],
                violation_error_message=_(
                    "Another rule holds for this product, customer and place on these days: end it first."
                ),
            ),
            models.CheckConstraint(
                name="tax_rule_place_is_known",
                condition=Q(place__in=["", "domestic", "eu", "third"]) | Q(place__regex=r"^[A-Z]{2}$"),
                violation_error_message=_("The place is domestic, eu, third or a country's code, such as AT."),
            ),
            models.CheckConstraint(
                name="tax_rule_rate_by_case",
                condition=Q(vat_case="S") & ~Q(taxed_in="") & ~Q(rate_kind="")
                | ~Q(vat_case="S") & Q(taxed_in="", rate_kind=""),
                violation_error_message=_("A taxed case needs a rate; the others have none."),
            ),
            models.CheckConstraint(
                name="tax_rule_untaxed_says_why",
                condition=Q(vat_case__in=["S", "Z"]) | ~Q(notice_de="") & ~Q(notice_en=""),
                violation_error_message=_("Where no VAT is shown, the document must say why."),
            ),
            models.CheckConstraint(  # for some national exemptions, such as § 19 UStG, the list of codes has none
                name="tax_rule_has_its_code",
                condition=Q(vat_case__in=["S", "Z", "E"]) | ~Q(exemption_code=""),
                violation_error_message=_("This VAT case needs a code of the exemption reason."),
            ),
            models.CheckConstraint(
                name="tax_rule_texts_are_lines",
                condition=~Q(notice_de__regex=r"[\t\r\n]") & ~Q(notice_en__regex=r"[\t\r\n]"),
                violation_error_message=_("A notice is one line without tabs."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ExchangeRate(models.Model):
    """How much of ``currency`` one unit of ``base`` costs on a day, as the European Central Bank puts it."""

    base = models.CharField(_("base currency"), max_length=3, default="EUR")
    currency = models.CharField(_("currency"), max_length=3)
    day = models.DateField(_("day"))
    rate = models.DecimalField(_("rate"), max_digits=19, decimal_places=8)
    source = models.CharField(_("source"), max_length=100)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        ordering = ["-day", "currency"]
        permissions = [("import_exchangerate", _("Can import exchange rates"))]
        constraints = [
            models.UniqueConstraint(
                fields=["base", "currency", "day"],
                name="exchange_rate_once_per_day",
                violation_error_message=_("There is a rate of this currency on this day already."),
            ),
            models.CheckConstraint(
                name="exchange_rate_above_zero",
                condition=Q(rate__gt=0) & below_infinity("rate"),
                violation_error_message=_("An exchange rate is above zero."),
            ),
            models.CheckConstraint(
                name="exchange_rate_between_two",
                condition=~Q(base=F("currency")) & Q(base__regex=r"^[A-Z]{3}$"),
                violation_error_message=_("An exchange rate is between two different currencies."),
            ),
            currency_is_a_code("exchange_rate_currency_is_a_code"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.base} 1 = {self.currency} {self.rate.normalize():f}"


class BookVat(models.Model):
    """Net and VAT of a document in another currency, in the issuer's own (§ 16 (6) UStG; EN 16931 BT-111)."""

    invoice = models.OneToOneField(Invoice, models.CASCADE, related_name="book_vat", verbose_name=_("document"))
    currency = models.CharField(_("currency"), max_length=3)
    net = amount(_("net"))
    vat = amount(_("VAT"))
    rate = models.DecimalField(_("rate"), max_digits=19, decimal_places=8)
    rate_on = models.DateField(_("day of the rate"))
    source = models.CharField(_("source"), max_length=100)

    visibility = Visibility(through=("invoice",), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT in the issuer's currency")
        verbose_name_plural = _("VAT in the issuers' currencies")
        constraints = [
            models.CheckConstraint(name="book_vat_amounts_fit", condition=fits_currency("net", "vat")),
            models.CheckConstraint(name="book_vat_rate_above_zero", condition=Q(rate__gt=0) & below_infinity("rate")),
            currency_is_a_code("book_vat_currency_is_a_code"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.vat.amount}"
