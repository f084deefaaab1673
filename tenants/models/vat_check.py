from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.intent import Intent, IntentQuerySet, in_tray
from tenants.models.issuer import Issuer
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class VatCheck(models.Model):
    """Evidence that a VAT id was checked: when, how, with which answer. Append-only."""

    class Method(models.TextChoices):
        CHECK_DIGITS = "check_digits", _("check digits")
        VIES = "vies", "VIES"

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="vat_checks", verbose_name=_("account"))
    vat_id = models.CharField(_("VAT id"), max_length=20)
    method = models.CharField(_("method"), max_length=20, choices=Method)
    is_valid = models.BooleanField(_("valid"))
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    requester = models.CharField(
        _("asked in the name of"), max_length=20, blank=True, default="", db_default="", help_text=_("our VAT id")
    )
    consultation_number = models.CharField(
        _("consultation number"), max_length=50, blank=True, default="", db_default=""
    )
    name_sent = models.CharField(_("name as sent"), max_length=200, blank=True, default="", db_default="")
    address_sent = models.CharField(_("address as sent"), max_length=350, blank=True, default="", db_default="")
    name_matches = models.BooleanField(_("name matches"), null=True, blank=True)
    address_matches = models.BooleanField(_("address matches"), null=True, blank=True)
    raw = models.TextField(_("answer as received"), blank=True, default="", db_default="")
    checked_at = models.DateTimeField(_("checked at"), db_default=Now())

    visibility = Visibility(accounts=("tenant",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT id check")
        verbose_name_plural = _("VAT id checks")
        ordering = ["-checked_at"]

    def __str__(self) -> str:
        return self.vat_id


class VatInquiry(Intent):
    """A VAT id that VIES is to be asked about, in the name of an issuer. Its answer is a ``VatCheck``."""

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="+", db_index=False, verbose_name=_("issuer"))
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="vat_inquiries", verbose_name=_("account"))
    vat_id = models.CharField(_("VAT id"), max_length=20)
    wanted_at = models.DateTimeField(_("wanted at"), db_default=Now())
    answer = models.OneToOneField(
        VatCheck, models.PROTECT, null=True, blank=True, related_name="inquiry", verbose_name=_("answer")
    )

    visibility = Visibility(accounts=("tenant",))
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("VAT id inquiry")
        verbose_name_plural = _("VAT id inquiries")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                name="vat_inquiry_once_under_way",
                condition=Q(state__in=["waiting", "working"]),
                violation_error_message=_("VIES is being asked about this account's VAT id already."),
            ),
            models.CheckConstraint(
                name="vat_inquiry_is_answered_when_done",
                condition=Q(state="done", answer__isnull=False) | ~Q(state="done") & Q(answer=None),
            ),
        ]
        indexes = [in_tray("vat_inquiry_in_tray")]

    def __str__(self) -> str:
        return self.vat_id
