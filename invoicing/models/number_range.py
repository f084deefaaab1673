from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models import Issuer
from tenants.models.visibility import Visibility, VisibleQuerySet


class Kind(models.TextChoices):
    """Document kinds; German titles never say "Gutschrift" (§ 14 (2) UStG: self-billing)."""

    INVOICE = "invoice", _("invoice")
    CREDIT_NOTE = "credit_note", _("credit note")
    CANCELLATION = "cancellation", _("cancellation")


class NumberRange(models.Model):
    """Numbers 1..n without gap for one issuer, kind of document and year of issue; ``next_number`` is not yet given."""

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="number_ranges", verbose_name=_("issuer"))
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    year = models.PositiveSmallIntegerField(_("year"))
    prefix = models.CharField(_("prefix"), max_length=20)
    next_number = models.PositiveIntegerField(_("next number"), default=1)
    chain_head = models.CharField(_("head of the hash chain"), max_length=64, blank=True)

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("number range")
        verbose_name_plural = _("number ranges")
        constraints = [
            models.UniqueConstraint(fields=["issuer", "kind", "year"], name="number_range_once"),
            models.UniqueConstraint(fields=["issuer", "prefix"], name="number_range_prefix_once"),
        ]

    def __str__(self) -> str:
        return self.prefix
