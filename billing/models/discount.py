from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.subscription import Subscription
from tenants.models import Tenant
from tenants.models.columns import below_infinity
from tenants.models.visibility import Visibility, VisibleQuerySet


class Discount(models.Model):
    """A reduction to grant: a percentage, or an amount (never prorated, never below zero).

    Of level ``line`` it is taken off a contract's charges, period by period; of level ``document`` off what the lines
    of a document come to, and its periods are billed documents.
    """

    class Level(models.TextChoices):
        LINE = "line", _("of positions")
        DOCUMENT = "document", _("of documents")

    class Kind(models.TextChoices):
        PERCENT = "percent", _("percent")
        FIXED = "fixed", _("fixed amount")

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name_de = models.CharField(_("name (German)"), max_length=200)
    name_en = models.CharField(_("name (English)"), max_length=200)
    level = models.CharField(
        _("discount level"),
        max_length=10,
        choices=Level,
        default=Level.LINE,
        db_default=Level.LINE,
        help_text=_(
            "Of positions: each line shows it. Of documents: below the lines, after the discounts of the lines."
        ),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    percent = models.DecimalField(_("percent"), max_digits=7, decimal_places=4, null=True, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=19, decimal_places=4, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    sequence = models.PositiveSmallIntegerField(
        _("sequence"), default=10, help_text=_("Lower first; percentages before amounts of the same sequence.")
    )
    periods = models.PositiveSmallIntegerField(
        _("billed periods"),
        null=True,
        blank=True,
        help_text=_("How many billed periods (of documents: how many documents) it lasts; empty: always."),
    )
    after_periods = models.PositiveSmallIntegerField(
        _("after billed periods"), default=0, help_text=_("So many billed periods or documents go before it.")
    )
    is_stacked = models.BooleanField(
        _("stacked"),
        default=False,
        db_default=False,
        help_text=_(
            "Percentages that follow one another are added up (5 + 10 = 15 percent), not taken one off the other."
        ),
    )
    carry_remainder = models.BooleanField(
        _("carries its remainder"),
        default=False,
        db_default=False,
        help_text=_("What a period or document cannot use of an amount is kept for the next ones."),
    )

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
            models.CheckConstraint(
                name="discount_stacks_or_carries",
                condition=Q(kind="percent", carry_remainder=False) | Q(kind="fixed", is_stacked=False),
                violation_error_message=_("Only percentages are stacked, and only amounts have a remainder."),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Grant(models.Model):
    """A discount given to a contract or, of documents, to all that an account pays; with the reason."""

    subscription = models.ForeignKey(
        Subscription, models.PROTECT, null=True, blank=True, related_name="grants", verbose_name=_("contract")
    )
    tenant = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="grants",
        verbose_name=_("account"),
        help_text=_("Lowered is whatever it pays, whoever it is addressed to."),
    )
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

    visibility = Visibility(accounts=("tenant",), through=("subscription",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("granted discount")
        verbose_name_plural = _("granted discounts")
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "tenant", "discount", "starts_on"],
                name="grant_once",
                nulls_distinct=False,
                violation_error_message=_("The contract or account has this discount already."),
            ),
            models.CheckConstraint(
                name="grant_to_a_contract_or_an_account",
                condition=Q(subscription__isnull=False, tenant=None) | Q(subscription=None, tenant__isnull=False),
                violation_error_message=_("A discount is granted to a contract or to an account, not to both."),
            ),
            models.CheckConstraint(
                name="grant_ends_after_it_starts",
                condition=Q(starts_on=None) | Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),
                violation_error_message=_("The discount ends before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.discount)
