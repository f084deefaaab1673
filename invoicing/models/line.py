from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models import Charge
from invoicing.models.invoice import Invoice
from tenants.models import Tenant, VatCheck
from tenants.models.columns import amount, below_infinity, fits_currency
from tenants.models.visibility import Visibility, VisibleQuerySet


class Section(models.Model):
    """The part of a consolidated document that concerns one account."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="sections", verbose_name=_("document"))
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="+", verbose_name=_("account"))
    position = models.PositiveIntegerField(_("position"))
    name = models.CharField(_("name"), max_length=200)
    project_code = models.CharField(_("project code"), max_length=60, blank=True, default="", db_default="")
    currency = models.CharField(_("currency"), max_length=3)
    net = amount(_("net"))

    visibility = Visibility(
        accounts=("tenant",), through=("invoice",), right="sees_invoices", shown=Q(invoice__state="issued")
    )
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("section")
        verbose_name_plural = _("sections")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "tenant"], name="section_once_per_tenant"),
            models.CheckConstraint(name="section_net_fits", condition=fits_currency("net")),
        ]

    def __str__(self) -> str:
        return self.name


class Line(models.Model):
    """One charge as printed, or part of an issued line given back by hand, which ``corrects`` names.

    ``details`` holds what was true when it arose (``invoicing.drafting``).
    """

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="lines", verbose_name=_("document"))
    section = models.ForeignKey(
        Section, models.CASCADE, null=True, blank=True, related_name="lines", verbose_name=_("section")
    )
    charge = models.OneToOneField(
        Charge, models.PROTECT, null=True, blank=True, related_name="line", verbose_name=_("charge")
    )
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        db_index=False,
        verbose_name=_("line it corrects"),
    )
    position = models.PositiveIntegerField(_("position"))
    text = models.CharField(_("text"), max_length=250)
    quantity = models.DecimalField(_("quantity"), max_digits=19, decimal_places=4)
    unit = models.CharField(_("unit"), max_length=3)
    starts_on = models.DateField(_("first day of service"))
    ends_before = models.DateField(_("first day no longer covered"))
    vat_case = models.CharField(_("VAT case"), max_length=2, choices=Invoice.VatCase)
    vat_rate = models.DecimalField(_("VAT rate"), max_digits=6, decimal_places=3)
    currency = models.CharField(_("currency"), max_length=3)
    net = amount(_("net"))
    details = models.JSONField(_("details"), default=dict)

    visibility = Visibility(through=("invoice", "section"), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="line_position_once"),
            models.CheckConstraint(
                name="line_of_a_charge_or_a_line",
                condition=Q(charge__isnull=False, corrects=None) | Q(charge=None, corrects__isnull=False),
            ),
            models.CheckConstraint(
                name="line_figures_fit", condition=fits_currency("net") & below_infinity("quantity")
            ),
        ]
        indexes = [models.Index(fields=["corrects"], name="line_corrections", condition=Q(corrects__isnull=False))]

    def __str__(self) -> str:
        return f"{self.position}. {self.text}"


class VatShare(models.Model):
    """VAT of one category and rate on a document: rounded once on the sum of its lines (EN 16931 BR-CO-17)."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="vat_shares", verbose_name=_("document"))
    vat_case = models.CharField(_("VAT case"), max_length=2, choices=Invoice.VatCase)
    vat_rate = models.DecimalField(_("VAT rate"), max_digits=6, decimal_places=3)
    currency = models.CharField(_("currency"), max_length=3)
    base = amount(_("net"))
    vat = amount(_("VAT"))
    rule = models.ForeignKey(  # what it said then stands beside it
        "invoicing.TaxRule",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("tax rule"),
    )
    country = models.CharField(
        _("country of the VAT"),
        max_length=2,
        blank=True,
        default="",
        db_default="",
        help_text=_("Empty: the issuer's own."),
    )
    exemption_code = models.CharField(_("exemption reason code"), max_length=30, blank=True, default="", db_default="")
    notice = models.CharField(_("notice"), max_length=200, blank=True, default="", db_default="")
    ledger_role = models.CharField(
        _("role of the ledger accounts"), max_length=15, blank=True, default="", db_default=""
    )
    vat_check = models.ForeignKey(
        VatCheck,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("VAT id check"),
    )

    visibility = Visibility(through=("invoice",), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT share")
        verbose_name_plural = _("VAT shares")
        constraints = [
            models.UniqueConstraint(fields=["invoice", "vat_case", "vat_rate"], name="vat_share_once"),
            models.CheckConstraint(name="vat_share_rate_by_case", condition=Q(vat_case="S") | Q(vat_rate=0, vat=0)),
            models.CheckConstraint(
                name="vat_share_country_is_a_code", condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$")
            ),
            models.CheckConstraint(name="vat_share_notice_is_a_line", condition=~Q(notice__regex=r"[\t\r\n]")),
            models.CheckConstraint(name="vat_share_amounts_fit", condition=fits_currency("base", "vat")),
        ]

    def __str__(self) -> str:
        return f"{self.vat_case} {self.vat_rate}"
