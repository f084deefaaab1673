from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models import Grant
from invoicing.models.invoice import Invoice
from tenants.models.columns import amount, currency_is_a_code, fits_currency
from tenants.models.visibility import Visibility, VisibleQuerySet


class Allowance(models.Model):
    """What a discount takes off a document, of one VAT category and rate (EN 16931 BG-20); frozen with the document.

    ``base`` is the net of the lines it covers, before it; below zero where lines give back what a discount had lowered,
    and the discount's share with it: ``corrects`` then names the allowance of the document that they correct.
    """

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="allowances", verbose_name=_("document"))
    position = models.PositiveIntegerField(_("position"))
    grant = models.ForeignKey(
        Grant, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("granted discount")
    )
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        verbose_name=_("allowance of which it gives a share back"),
    )
    text = models.CharField(_("text"), max_length=250)
    percent = models.DecimalField(_("percent"), max_digits=7, decimal_places=4, null=True, blank=True)
    vat_case = models.CharField(_("VAT case"), max_length=2, choices=Invoice.VatCase)
    vat_rate = models.DecimalField(_("VAT rate"), max_digits=6, decimal_places=3)
    currency = models.CharField(_("currency"), max_length=3)
    base = amount(_("net of the lines"))
    amount = amount(_("amount"))
    trace = models.JSONField(_("how it was reckoned"), default=dict)

    visibility = Visibility(through=("invoice",), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="allowance_position_once"),
            models.CheckConstraint(name="allowance_amounts_fit", condition=fits_currency("base", "amount")),
            models.CheckConstraint(
                name="allowance_within_its_base",
                condition=Q(base__gte=0, amount__gte=0, amount__lte=F("base"))
                | Q(base__lte=0, amount__lte=0, amount__gte=F("base")),
                violation_error_message=_("A discount takes off at most what the lines come to."),
            ),
            currency_is_a_code("allowance_currency_is_a_code"),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.text}"
