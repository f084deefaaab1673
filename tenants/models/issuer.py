from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.columns import currency_is_a_code
from tenants.models.visibility import Visibility, VisibleQuerySet

LANGUAGES = [("de", _("German")), ("en", _("English"))]


class DocumentFormat(models.TextChoices):
    """As what a document goes out: on paper only, or as an e-invoice (EN 16931)."""

    PDF = "pdf", "PDF"
    ZUGFERD = "zugferd", "ZUGFeRD"
    XRECHNUNG_CII = "xrechnung_cii", "XRechnung (CII)"
    XRECHNUNG_UBL = "xrechnung_ubl", "XRechnung (UBL)"


class Issuer(models.Model):
    """A legal entity of ours that sells and invoices; it has its own numbers, tax ids, accounts and run settings."""

    class WithoutConfirmation(models.TextChoices):
        """What becomes of a document that would show no VAT because of a VAT id which VIES has not confirmed."""

        WAIT = "wait", _("the document waits in review")
        CHARGE = "charge", _("VAT is charged")
        ACCEPT = "accept", _("the check digits will do")

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=200)
    street = models.CharField(_("street"), max_length=200)
    postcode = models.CharField(_("postcode"), max_length=20)
    city = models.CharField(_("city"), max_length=100)
    country = models.CharField(_("country"), max_length=2, help_text=_("ISO code, such as DE"))
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    tax_number = models.CharField(_("tax number"), max_length=30, blank=True)
    register_entry = models.CharField(_("commercial register"), max_length=200, blank=True)
    managing_directors = models.CharField(_("managing directors"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"))
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    contact = models.CharField(_("contact"), max_length=100, blank=True)
    iban = models.CharField(_("IBAN"), max_length=34, blank=True)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, default="de")
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    time_zone = models.CharField(_("time zone"), max_length=50, default="Europe/Berlin")
    payment_days = models.PositiveSmallIntegerField(_("days to pay"), default=14)
    document_format = models.CharField(
        _("document format"),
        max_length=20,
        choices=DocumentFormat,
        default=DocumentFormat.PDF,
        db_default=DocumentFormat.PDF.value,
        help_text=_("Of accounts for which nothing else is set. Businesses in Germany are owed an e-invoice."),
    )
    issues_by_itself = models.BooleanField(
        _("the nightly run issues by itself"),
        default=True,
        help_text=_("If off, the nightly run prepares drafts and waits until a person releases them."),
    )
    is_small_business = models.BooleanField(
        _("small business"), default=False, db_default=False, help_text=_("Shows no VAT (§ 19 UStG).")
    )
    uses_oss = models.BooleanField(
        _("takes part in the One-Stop Shop"),
        default=False,
        db_default=False,
        help_text=_(
            "Electronic services to consumers in other member states are taxed there: above 10,000 EUR a year, or by"
            " choice (§ 3a (5) UStG)."
        ),
    )
    vat_check_max_age_days = models.PositiveSmallIntegerField(
        _("days a VAT id check holds"),
        default=90,
        db_default=90,
        help_text=_("An older confirmation by VIES is asked for anew before a document without VAT is issued."),
    )
    without_confirmation = models.CharField(
        _("while VIES has not confirmed a VAT id"),
        max_length=10,
        choices=WithoutConfirmation,
        default=WithoutConfirmation.WAIT,
        db_default=WithoutConfirmation.WAIT,
    )

    operated_by = models.ForeignKey(
        "tenants.Tenant",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="operates",
        verbose_name=_("operated by"),
        help_text=_("An account of ours that invoices those below it in its own name, such as a reseller."),
    )
    largest_document = models.DecimalField(
        _("largest document"),
        max_digits=19,
        decimal_places=4,
        default=1_000_000,
        db_default=1_000_000,
        help_text=_(
            "A payer with a document above this gross amount, in whatever currency, is parked instead of billed."
        ),
    )
    most_periods = models.PositiveSmallIntegerField(
        _("most periods at once"),
        default=36,
        db_default=36,
        help_text=_(
            "A payer of whom more periods of one contract position are due at once is parked instead of billed."
        ),
    )
    correction_limit = models.DecimalField(
        _("largest correction without approval"),
        max_digits=19,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_(
            "A cancellation or credit note above this gross amount, in whatever currency, is issued only when another"
            " person has approved it. Empty: no approval is needed."
        ),
    )

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("issuer")
        verbose_name_plural = _("issuers")
        ordering = ["reference"]
        permissions = [("import_issuer", _("Can import issuers")), ("export_issuer", _("Can export issuers"))]
        constraints = [
            currency_is_a_code("issuer_currency_is_a_code"),
            models.CheckConstraint(
                name="issuer_country_is_a_code",
                condition=Q(country__regex=r"^[A-Z]{2}$"),
                violation_error_message=_("The country is a code of two capital letters, such as DE."),
            ),
            models.CheckConstraint(
                name="issuer_bounds_above_zero",
                condition=Q(largest_document__gt=0, largest_document__lt=10**15, most_periods__gt=0),
                violation_error_message=_("The bounds of a bill run are above zero."),
            ),
            models.CheckConstraint(
                name="issuer_correction_limit_not_negative",
                condition=Q(correction_limit=None) | Q(correction_limit__gte=0, correction_limit__lt=10**15),
                violation_error_message=_("The largest correction without approval is not below zero."),
            ),
            models.CheckConstraint(
                name="issuer_vat_check_holds_a_while",
                condition=Q(vat_check_max_age_days__gt=0),
                violation_error_message=_("A VAT id check holds for at least a day."),
            ),
            models.CheckConstraint(
                name="issuer_has_a_tax_identity",
                condition=~Q(vat_id="") | ~Q(tax_number=""),
                violation_error_message=_("An issuer needs a VAT id or a tax number (§ 14 (4) no. 2 UStG)."),
            ),
        ]

    def __str__(self) -> str:
        return self.name
