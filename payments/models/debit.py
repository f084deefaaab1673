"""What goes to the bank: a debit under a mandate, a transfer to a payer, and who was left out of a run and why."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from invoicing.models import OpenItem
from payments.models.collection import Collection, PaymentRun
from payments.models.payment import PaymentReturn, Refund
from tenants.models import Mandate, MandateAccount, Message, Tenant
from tenants.models.columns import amount, fits_currency
from tenants.models.visibility import Visibility, VisibleQuerySet


class Debit(models.Model):
    """A collection by SEPA direct debit: under which mandate, from which of its accounts, on which day."""

    class Sequence(models.TextChoices):
        FIRST = "FRST", _("first of several")
        RECURRENT = "RCUR", _("one of several")
        ONE_OFF = "OOFF", _("the only one")

    collection = models.OneToOneField(Collection, models.PROTECT, related_name="debit", verbose_name=_("collection"))
    mandate = models.ForeignKey(Mandate, models.PROTECT, related_name="debits", verbose_name=_("mandate"))
    account = models.ForeignKey(MandateAccount, models.PROTECT, related_name="debits", verbose_name=_("bank account"))
    sequence = models.CharField(_("sequence"), max_length=4, choices=Sequence)
    has_new_account = models.BooleanField(_("from a new account"), default=False)
    collect_on = models.DateField(_("day of the debit"))
    purpose = models.CharField(_("purpose"), max_length=140)
    is_announced = models.BooleanField(
        _("announced by its document"),
        help_text=_("The invoice says day and amount, in time: no further notice is due."),
    )
    batch = models.CharField(_("batch of the file"), max_length=35, null=True, blank=True)
    notice = models.OneToOneField(
        Message, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("pre-notification")
    )

    visibility = Visibility(through=("collection",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("direct debit")
        verbose_name_plural = _("direct debits")
        ordering = ["collection"]

    def __str__(self) -> str:
        return str(self.collection)


class LeftOut(models.Model):
    """A payer who pays by direct debit and is not collected from in a run, and why. Append-only."""

    class Reason(models.TextChoices):
        THRESHOLD = "threshold", _("below the amount from which is collected")
        CREDIT = "credit", _("credits cover what is due")
        RHYTHM = "rhythm", _("collected already in this period")
        BLOCK = "block", _("blocked")
        DISPUTE = "dispute", _("disputed")
        NO_MANDATE = "no_mandate", _("no mandate")
        REVOKED = "revoked", _("mandate revoked")
        EXPIRED = "expired", _("mandate unused for 36 months")
        UNAPPROVED = "unapproved", _("bank details not approved yet")
        UNDER_WAY = "under_way", _("being collected already")
        RETURNED = "returned", _("returned before: a person decides")
        CURRENCY = "currency", _("not in euros")

    run = models.ForeignKey(PaymentRun, models.PROTECT, related_name="left_out", verbose_name=_("payment run"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="+", verbose_name=_("payer"))
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("due"))

    visibility = Visibility(accounts=("payer",), through=("run",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("payer left out")
        verbose_name_plural = _("payers left out")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "payer", "currency", "reason"], name="left_out_once_per_reason"),
            models.CheckConstraint(name="left_out_amount_fits", condition=fits_currency("amount")),
        ]

    def __str__(self) -> str:
        return f"{self.payer} {self.get_reason_display()}"


class Transfer(models.Model):
    """A refund by SEPA transfer: to which account, and in which run. ``iban`` is encrypted; its tail is shown."""

    refund = models.OneToOneField(Refund, models.PROTECT, related_name="transfer", verbose_name=_("refund"))
    run = models.ForeignKey(
        PaymentRun, models.PROTECT, null=True, blank=True, related_name="transfers", verbose_name=_("payment run")
    )
    holder = models.CharField(_("account holder"), max_length=70)
    iban = models.CharField(_("encrypted IBAN"), max_length=400, editable=False)
    iban_hash = models.CharField(_("hash of the IBAN"), max_length=64, editable=False)
    iban_tail = models.CharField(_("IBAN ends in"), max_length=4)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    purpose = models.CharField(_("purpose"), max_length=140)

    visibility = Visibility(through=("refund",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        ordering = ["refund"]
        constraints = [
            models.CheckConstraint(name="transfer_account_tail", condition=Q(iban_tail__regex=r"^[A-Z0-9]{4}$")),
        ]

    def __str__(self) -> str:
        return str(self.refund)


class CollectionBlock(models.Model):
    """Nothing is collected from a payer, or of one open item, for a stretch of days, with the reason.

    After a return the items that were collected are blocked until a person ends it: they are not tried again unasked.
    """

    tenant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, blank=True, related_name="collection_blocks", verbose_name=_("payer")
    )
    open_item = models.ForeignKey(
        OpenItem, models.PROTECT, null=True, blank=True, related_name="collection_blocks", verbose_name=_("open item")
    )
    reason = models.CharField(_("reason"), max_length=200)
    starts_on = models.DateField(_("first day"))
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    after_return = models.ForeignKey(
        PaymentReturn, models.PROTECT, null=True, blank=True, related_name="blocks", verbose_name=_("returned payment")
    )

    visibility = Visibility(accounts=("tenant",), through=("open_item",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("collection block")
        verbose_name_plural = _("collection blocks")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="collection_block_names_one",
                condition=Q(tenant=None, open_item__isnull=False) | Q(tenant__isnull=False, open_item=None),
                violation_error_message=_("A block names either a payer or one open item."),
            ),
            models.CheckConstraint(
                name="collection_block_ends_after_it_starts",
                condition=Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),
                violation_error_message=_("The block ends before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return self.reason
