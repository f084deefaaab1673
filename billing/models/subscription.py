from __future__ import annotations

from collections.abc import Collection
from datetime import date

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.catalog import Interval, Price, PriceClass, Product, Proration, Timing
from tenants.models import Issuer, Tenant
from tenants.models.columns import below_infinity, currency_is_a_code, days, same
from tenants.models.visibility import Visibility, VisibleQuerySet, customers_of_issuers

customers_of_issuers("select tenant_id from billing_subscription where issuer_id in ({issuers})")


class SubscriptionQuerySet(VisibleQuerySet["Subscription"]):
    def active_on(self, day: date) -> SubscriptionQuerySet:
        """Started, and not yet over, on ``day``."""
        return self.filter(Q(ends_before=None) | Q(ends_before__gt=day), starts_on__lte=day)

    def waiting_to_start(self) -> SubscriptionQuerySet:
        """Not charged as long as the day is missing with which billing starts."""
        starts_with = Subscription.BillingStart
        return self.filter(
            Q(billing_starts_with=starts_with.ACTIVATION, activated_on=None)
            | Q(billing_starts_with=starts_with.ACCEPTANCE, accepted_on=None)
        )

    def under(self, tenant: Tenant) -> SubscriptionQuerySet:
        """Of the account or any account below it."""
        return self.filter(tenant__tree_id=tenant.tree_id, tenant__lft__gte=tenant.lft, tenant__rght__lte=tenant.rght)

    def paid_by(self, payers: Collection[int]) -> SubscriptionQuerySet:
        """That one of ``payers`` (keys of accounts) pays for, because the contract names it or its account does."""
        own = Q(tenant__pay_by__in=payers) | Q(tenant__pay_by=None, tenant__in=payers)
        return self.filter(Q(pay_by__in=payers) | Q(pay_by=None) & own)


class Subscription(models.Model):
    """The contract: which tenant buys from which issuer, since when, for how long, on which day it is billed."""

    class BillingStart(models.TextChoices):
        CONTRACT = "contract", _("with the contract")
        ACTIVATION = "activation", _("with the activation of the service")
        ACCEPTANCE = "acceptance", _("with the acceptance by the customer")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="subscriptions", verbose_name=_("issuer"))
    reference = models.CharField(_("reference"), max_length=60)
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="subscriptions", verbose_name=_("account"))
    currency = models.CharField(_("currency"), max_length=3)
    price_class = models.ForeignKey(PriceClass, models.PROTECT, verbose_name=_("price class"))
    starts_on = models.DateField(_("first day"))
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    trial_ends_before = models.DateField(_("first day after the trial"), null=True, blank=True)
    billing_starts_with = models.CharField(
        _("billing starts"),
        max_length=12,
        choices=BillingStart,
        default=BillingStart.CONTRACT,
        db_default=BillingStart.CONTRACT,
    )
    activated_on = models.DateField(_("service activated on"), null=True, blank=True)
    accepted_on = models.DateField(_("accepted by the customer on"), null=True, blank=True)
    billing_day = models.PositiveSmallIntegerField(
        _("billing day"), null=True, blank=True, help_text=_("Empty: the day of the month on which paying begins.")
    )
    billed_before = models.DateField(
        _("taken over: first day not billed elsewhere"),
        null=True,
        blank=True,
        help_text=_("Earlier days were billed by another system and are waived here."),
    )
    term_months = models.PositiveSmallIntegerField(_("term in months"), null=True, blank=True)
    term_from = models.DateField(
        _("first day of the term"),
        null=True,
        blank=True,
        help_text=_("Empty: the first day of the contract. Earlier if it was taken over from another account."),
    )
    renewal_months = models.PositiveSmallIntegerField(_("renewal in months"), null=True, blank=True)
    notice_days = models.PositiveSmallIntegerField(_("notice in days"), null=True, blank=True)
    extended_days = models.PositiveSmallIntegerField(
        _("term longer by days"), default=0, db_default=0, help_text=_("By pauses that extend the term.")
    )
    keeps_last_period = models.BooleanField(
        _("last period stays charged"),
        default=False,
        db_default=False,
        help_text=_("Of what is billed in advance, the period in which the contract ends is charged in full."),
    )
    po_number = models.CharField(_("PO number"), max_length=60, blank=True)
    invoice_to = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("invoice to"),
        help_text=_("Empty: as the account."),
    )
    pay_by = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="subscriptions_paid_for",
        verbose_name=_("paid by"),
        help_text=_("Empty: as the account."),
    )
    is_invoiced_alone = models.BooleanField(
        _("invoiced alone"), default=False, db_default=False, help_text=_("Not together with other contracts.")
    )
    notes = models.TextField(_("notes"), blank=True)

    visibility = Visibility(accounts=("tenant",), issuers=("issuer",), right="sees_subscriptions")
    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("contract")
        verbose_name_plural = _("contracts")
        ordering = ["reference"]
        permissions = [
            ("import_subscription", _("Can import contracts")),
            ("export_subscription", _("Can export contracts")),
            ("amend_subscription", _("Can amend contracts")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "reference"],
                name="subscription_reference_once",
                violation_error_message=_("The issuer has another contract with this reference."),
            ),
            currency_is_a_code("subscription_currency_is_a_code"),
            models.CheckConstraint(
                name="subscription_ends_after_it_starts",
                condition=Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),
                violation_error_message=_("The contract ends before it starts."),
            ),
            models.CheckConstraint(
                name="subscription_trial_after_start",
                condition=Q(trial_ends_before=None) | Q(trial_ends_before__gte=F("starts_on")),
                violation_error_message=_("The trial ends before the contract starts."),
            ),
            models.CheckConstraint(
                name="subscription_billing_day_in_month",
                condition=Q(billing_day=None) | Q(billing_day__gte=1, billing_day__lte=31),
                violation_error_message=_("The billing day is a day of the month, 1 to 31."),
            ),
        ]
        indexes = [
            models.Index(fields=["reference"], name="subscription_reference_prefix", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["pay_by"], name="subscription_payer", condition=Q(pay_by__isnull=False)),
            models.Index(fields=["invoice_to"], name="subscription_recipient", condition=Q(invoice_to__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def billing_starts_on(self) -> date | None:
        """The day with which billing starts, trial or not; ``None`` as long as it is missing."""
        if self.billing_starts_with == self.BillingStart.ACTIVATION:
            return self.activated_on
        if self.billing_starts_with == self.BillingStart.ACCEPTANCE:
            return self.accepted_on
        return self.starts_on

    @property
    def paid_from(self) -> date:
        """The first day that is not free: the end of the trial, or the start of billing (if known)."""
        first = max(self.starts_on, self.billing_starts_on or self.starts_on)
        return max(first, self.trial_ends_before or first)


class Item(models.Model):
    """A quantity at one price, for a stretch of days. It changes once, when its end is set.

    Positions of one ``line`` continue each other: seats that were 5 and are 6 since March. ``anchor_on`` and
    ``anchor_day`` say where its periods begin if not where the contract's do; ``periods_before``: how many billed
    periods went before its first one, where the contract cannot tell (it came from another account).
    """

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="items", verbose_name=_("contract"))
    line = models.PositiveSmallIntegerField(_("position"), default=1, db_default=1)
    product = models.ForeignKey(Product, models.PROTECT, related_name="items", verbose_name=_("product"))
    price = models.ForeignKey(Price, models.PROTECT, related_name="items", verbose_name=_("price"))
    quantity = models.DecimalField(_("quantity"), max_digits=19, decimal_places=4)
    interval = models.CharField(_("interval"), max_length=20, choices=Interval)
    timing = models.CharField(_("billed"), max_length=10, choices=Timing, default=Timing.ADVANCE)
    proration = models.CharField(_("parts of a period"), max_length=20, choices=Proration, default=Proration.ACTUAL)
    starts_on = models.DateField(_("first day"))
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    anchor_on = models.DateField(_("first day of a period of its own"), null=True, blank=True)
    anchor_day = models.PositiveSmallIntegerField(_("day of the month of its own"), null=True, blank=True)
    periods_before = models.PositiveSmallIntegerField(_("billed periods before"), null=True, blank=True)
    amendment = models.ForeignKey(
        "billing.Amendment",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="items",
        verbose_name=_("opened by the amendment"),
    )

    visibility = Visibility(through=("subscription",), right="sees_subscriptions")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("contract position")
        verbose_name_plural = _("contract positions")
        ordering = ["starts_on", "id"]
        constraints = [
            models.CheckConstraint(
                name="item_ends_after_it_starts",
                condition=Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),  # equal: overtaken on its first day
                violation_error_message=_("The position ends before it starts."),
            ),
            models.CheckConstraint(
                name="item_anchor_is_whole",
                condition=Q(anchor_on=None, anchor_day=None)
                | Q(anchor_on__isnull=False, anchor_day__isnull=False, anchor_day__gte=1, anchor_day__lte=31),
                violation_error_message=_(
                    "A first day of its own comes with its day of the month (1 to 31), and that with a first day."
                ),
            ),
            models.CheckConstraint(
                name="item_quantity_above_zero",
                condition=Q(quantity__gt=0) & below_infinity("quantity"),
                violation_error_message=_("The quantity is above zero."),
            ),
            ExclusionConstraint(
                name="item_once_per_price_and_day",
                expressions=[
                    (same("subscription"), RangeOperators.OVERLAPS),
                    (same("price"), RangeOperators.OVERLAPS),
                    (days(), RangeOperators.OVERLAPS),
                ],
                violation_error_message=_("Another position of the contract has this price on these days."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}/{self.pk}"
