from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class VatCheck(models.Model):
    """Evidence that a VAT id was checked: when, how, with which answer. Append-only."""

    class Method(models.TextChoices):
        CHECK_DIGITS = "check_digits", _("check digits")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="vat_checks", verbose_name=_("account"))
    vat_id = models.CharField(_("VAT id"), max_length=20)
    method = models.CharField(_("method"), max_length=20, choices=Method)
    is_valid = models.BooleanField(_("valid"))
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    checked_at = models.DateTimeField(_("checked at"), db_default=Now())

    visibility = Visibility(accounts=("tenant",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT id check")
        verbose_name_plural = _("VAT id checks")
        ordering = ["-checked_at"]

    def __str__(self) -> str:
        return self.vat_id
