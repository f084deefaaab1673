from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.subscription import Subscription
from tenants.models.columns import below_infinity
from tenants.models.visibility import Visibility, VisibleQuerySet


class Discount(models.Model):
    """A reduction to grant: a percentage, or an amount per billed period (never prorated, never below zero)."""

    class Kind(models.TextChoices):
        PERCENT = "percent", _("percent")
        FIXED = "fixed", _("fixed amount")

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name_de = models.CharField(_("name (German)"), max_length=200)
    name_en = models.CharField(_("name (English)"), max_length=200)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    percent = models.DecimalField(_("percent"), max_digits=7, decimal_places=4, null=True, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=19, decimal_places=4, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    sequence = models.PositiveSmallIntegerField(
        _("sequence"), default=10, help_text=_("Lower first; percentages before amounts of the same sequence.")
    )
    periods = models.PositiveSmallIntegerField(
        _("billed periods"), null=True, blank=True, help_text=_("How many billed periods it lasts; empty: always.")
    )
    after_periods = models.PositiveSmallIntegerField(_("after billed periods"), default=0)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("discount")
        verbose_name_plural = _("discounts")
        ordering = ["reference"]
        constraints = [
            models.CheckConstraint(
                name="discount_amount_is_a_number",
                condition=below_infinity("amount"),
                violation_error_message=_("The amount is a number below 1,000,000,000,000,000."),
            ),
            models.CheckConstraint(
                name="discount_has_its_value",
                condition=Q(kind="percent", percent__isnull=False, percent__gt=0, percent__lte=100, amount=None)
                | Q(kind="fixed", amount__isnull=False, amount__gt=0, percent=None, currency__regex=r"^[A-Z]{3}$"),
                violation_error_message=_(
                    "A percentage is above 0 and at most 100; a fixed discount has an amount above zero and a currency."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Grant(models.Model):
    """A discount given to a contract, with the reason."""

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="grants", verbose_name=_("contract"))
    discount = models.ForeignKey(Discount, models.PROTECT, related_name="grants", verbose_name=_("discount"))
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    periods = models.PositiveSmallIntegerField(
        _("billed periods"), null=True, blank=True, help_text=_("Empty: as long as the discount lasts.")
    )
    starts_on = models.DateField(
        _("first day"), null=True, blank=True, help_text=_("It begins with the first period from this day on.")
    )
    ends_before = models.DateField(
        _("first day no longer covered"),
        null=True,
        blank=True,
        help_text=_("Periods that begin on this day or later are without it."),
    )

    visibility = Visibility(through=("subscription",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("granted discount")
        verbose_name_plural = _("granted discounts")
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "discount", "starts_on"],
                name="grant_once",
                nulls_distinct=False,
                violation_error_message=_("The contract has this discount already."),
            ),
            models.CheckConstraint(
                name="grant_ends_after_it_starts",
                condition=Q(starts_on=None) | Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),
                violation_error_message=_("The discount ends before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.discount)
