from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models import OpenItem
from tenants.models import File, Issuer, Message, Tenant
from tenants.models.columns import amount
from tenants.models.issuer import LANGUAGES
from tenants.models.visibility import Visibility, VisibleQuerySet


class DunningPolicy(models.Model):
    """How an issuer reminds: its levels, and below which amount it does not.

    The standard one holds for all payers but those for whom another one is set, by its name (``Tenant``).
    """

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="dunning_policies", verbose_name=_("issuer"))
    name = models.CharField(_("name"), max_length=100)
    is_standard = models.BooleanField(
        _("standard"), default=False, help_text=_("Holds for accounts for which no other one is set.")
    )
    threshold = models.DecimalField(
        _("smallest amount"),
        max_digits=19,
        decimal_places=4,
        default=0,
        help_text=_("A payer who owes less than this, in the currency of the items, is not reminded."),
    )
    reminds_collected = models.BooleanField(
        _("remind of what is collected"),
        default=False,
        help_text=_("If off, items that are collected by direct debit or card are listed and not reminded."),
    )

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("dunning policy")
        verbose_name_plural = _("dunning policies")
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "name"],
                name="dunning_policy_name_once",
                violation_error_message=_("The issuer has a dunning policy of this name already."),
            ),
            models.UniqueConstraint(
                fields=["issuer"],
                name="dunning_policy_one_standard",
                condition=Q(is_standard=True),
                violation_error_message=_("The issuer has a standard dunning policy already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DunningLevel(models.Model):
    """One step: so many days after the due day (level 0) or after the reminder before."""

    policy = models.ForeignKey(DunningPolicy, models.CASCADE, related_name="levels", verbose_name=_("dunning policy"))
    level = models.PositiveSmallIntegerField(_("level"))
    days_after = models.PositiveSmallIntegerField(_("days after"))
    days_to_pay = models.PositiveSmallIntegerField(_("days to pay"), default=7)

    visibility = Visibility(through=("policy",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("dunning level")
        verbose_name_plural = _("dunning levels")
        ordering = ["level"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "level"], name="dunning_level_once"),
            models.CheckConstraint(
                name="dunning_level_0_to_3",
                condition=Q(level__lte=3),
                violation_error_message=_("Levels are 0 to 3."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.level)


class DunningRun(models.Model):
    """The reminders of one issuer on one day."""

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="dunning_runs", verbose_name=_("issuer"))
    on = models.DateField(_("day"))
    started_at = models.DateTimeField(_("started at"), db_default=Now())

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("dunning run")
        verbose_name_plural = _("dunning runs")
        ordering = ["-on"]
        permissions = [("start_dunningrun", _("Can start a dunning run"))]
        constraints = [models.UniqueConstraint(fields=["issuer", "on"], name="dunning_run_once_per_day")]

    def __str__(self) -> str:
        return self.on.isoformat()


class Letter(models.Model):
    """One letter to a payer: all items that reached one level in a run, in one currency."""

    run = models.ForeignKey(DunningRun, models.PROTECT, related_name="letters", verbose_name=_("dunning run"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="letters", verbose_name=_("payer"))
    level = models.PositiveSmallIntegerField(_("level"))
    sent_on = models.DateField(_("date"))
    pay_by = models.DateField(_("pay by"))
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    currency = models.CharField(_("currency"), max_length=3)
    total = amount(_("total"))
    parties = models.JSONField(_("parties"), default=dict)
    file = models.OneToOneField(File, models.PROTECT, null=True, blank=True, verbose_name=_("file"))

    visibility = Visibility(accounts=("payer",), issuers=("run__issuer",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("reminder letter")
        verbose_name_plural = _("reminder letters")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "payer", "level", "currency"], name="letter_once_per_payer_and_level"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sent_on.isoformat()} {self.level}"


class LetterDelivery(models.Model):
    """A letter on its way to one recipient; the message knows how far it is."""

    letter = models.ForeignKey(Letter, models.PROTECT, related_name="deliveries", verbose_name=_("letter"))
    recipient = models.EmailField(_("recipient"))
    message = models.OneToOneField(Message, models.PROTECT, related_name="+", verbose_name=_("message"))

    visibility = Visibility(through=("letter",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery of a letter")
        verbose_name_plural = _("deliveries of letters")
        constraints = [
            models.UniqueConstraint(fields=["letter", "recipient"], name="letter_delivery_once_per_recipient")
        ]

    def __str__(self) -> str:
        return self.recipient


class Reminder(models.Model):
    """An open item that reached a level, and the letter that says so."""

    open_item = models.ForeignKey(OpenItem, models.PROTECT, related_name="reminders", verbose_name=_("open item"))
    level = models.PositiveSmallIntegerField(_("level"))
    letter = models.ForeignKey(Letter, models.PROTECT, related_name="reminders", verbose_name=_("letter"))
    currency = models.CharField(_("currency"), max_length=3)
    open = amount(_("open"))

    visibility = Visibility(through=("letter",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [models.UniqueConstraint(fields=["open_item", "level"], name="reminder_once_per_item_and_level")]

    def __str__(self) -> str:
        return f"{self.open_item_id} {self.level}"


class DunningBlock(models.Model):
    """No reminders for a payer, or for one open item, for a stretch of days, with the reason."""

    tenant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, blank=True, related_name="dunning_blocks", verbose_name=_("payer")
    )
    open_item = models.ForeignKey(
        OpenItem, models.PROTECT, null=True, blank=True, related_name="dunning_blocks", verbose_name=_("open item")
    )
    reason = models.CharField(_("reason"), max_length=200)
    starts_on = models.DateField(_("first day"))
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)

    visibility = Visibility(accounts=("tenant",), through=("open_item",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("dunning block")
        verbose_name_plural = _("dunning blocks")
        constraints = [
            models.CheckConstraint(
                name="dunning_block_names_one",
                condition=Q(tenant=None, open_item__isnull=False) | Q(tenant__isnull=False, open_item=None),
                violation_error_message=_("A block names either a payer or one open item."),
            ),
            models.CheckConstraint(
                name="dunning_block_ends_after_it_starts",
                condition=Q(ends_before=None) | Q(ends_before__gt=F("starts_on")),
                violation_error_message=_("The block ends before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return self.reason
