from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing.models.subscription import Item
from tenants.models.columns import amount, below_infinity, days, fits_currency, same
from tenants.models.visibility import Visibility, VisibleQuerySet

DAY = timedelta(days=1)


class ChargeQuerySet(VisibleQuerySet["Charge"]):
    def standing(self) -> ChargeQuerySet:
        """Neither reversed nor itself a reversal."""
        return self.filter(reversed_by=None, reverses=None)


class Charge(models.Model):
    """One billable amount with its service period and the trace that explains it: the hand-over to invoicing.

    A fee is positive or zero; a credit is negative and names the fee it corrects. A row that ``reverses`` another
    undoes all of it: the same days, the opposite kind and amount. An ``addition`` charges usage that came in late, on
    top of a fee for the same days. Final once its line is on an issued document.
    """

    class Kind(models.TextChoices):
        FEE = "fee", _("fee")
        CREDIT = "credit", pgettext_lazy("kind of charge", "credit")

    item = models.ForeignKey(Item, models.PROTECT, related_name="charges", verbose_name=_("contract position"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.FEE)
    starts_on = models.DateField(_("first day of service"))
    ends_before = models.DateField(_("first day no longer covered"))
    quantity = models.DecimalField(_("quantity"), max_digits=19, decimal_places=4)
    currency = models.CharField(_("currency"), max_length=3)
    net = amount(_("net"))
    corrects = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="credits", verbose_name=_("corrects")
    )
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="reversal", verbose_name=_("reverses")
    )
    reversed_by = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("reversed by")
    )
    addition = models.PositiveSmallIntegerField(
        _("addition no."),
        default=0,
        db_default=0,
        help_text=_("Usage that came in when its period was charged already is added by fees numbered from 1."),
    )
    trace = models.JSONField(_("trace"), default=dict)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(through=("item",))
    objects = ChargeQuerySet.as_manager()

    class Meta:
        verbose_name = _("charge")
        verbose_name_plural = _("charges")
        ordering = ["item", "starts_on", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "kind", "starts_on", "addition"],
                name="charge_once",
                condition=Q(reversed_by=None, reverses=None),
                violation_error_message=_("This day of the position is charged already."),
            ),
            ExclusionConstraint(
                name="charge_standing_fees_do_not_overlap",
                expressions=[(same("item"), RangeOperators.OVERLAPS), (days(), RangeOperators.OVERLAPS)],
                condition=Q(kind="fee", addition=0, reversed_by=None, reverses=None),
                violation_error_message=_("These days of the position are charged already."),
            ),
            ExclusionConstraint(
                name="charge_standing_credits_do_not_overlap",
                expressions=[(same("item"), RangeOperators.OVERLAPS), (days(), RangeOperators.OVERLAPS)],
                condition=Q(kind="credit", reversed_by=None, reverses=None),
                violation_error_message=_("These days of the position are credited already."),
            ),
            models.CheckConstraint(name="charge_covers_days", condition=Q(ends_before__gt=F("starts_on"))),
            models.CheckConstraint(
                name="charge_credit_names_its_fee",
                condition=Q(reverses__isnull=False, corrects=None)
                | Q(reverses=None, kind="fee", corrects=None)
                | Q(reverses=None, kind="credit", corrects__isnull=False),
            ),
            models.CheckConstraint(
                name="charge_addition_is_a_fee",
                condition=Q(addition=0) | Q(addition__gt=0, kind="fee", reverses=None),
            ),
            models.CheckConstraint(
                name="charge_sign_follows_kind",
                condition=Q(reverses__isnull=False) | Q(kind="fee", net__gte=0) | Q(kind="credit", net__lte=0),
            ),
            models.CheckConstraint(
                name="charge_figures_fit", condition=fits_currency("net") & below_infinity("quantity")
            ),
        ]

    def __str__(self) -> str:
        first, last = (date_format(day, "SHORT_DATE_FORMAT") for day in (self.starts_on, self.ends_before - DAY))
        return f"{self.item.subscription} {self.item.product} {first} – {last}"
