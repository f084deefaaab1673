from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models import JournalEntry, OpenItem
from tenants.models import Intent, Issuer, Tenant
from tenants.models.columns import amount, fits_currency
from tenants.models.intent import IntentQuerySet, in_tray
from tenants.models.visibility import Visibility, VisibleQuerySet


class Payment(models.Model):
    """Money that came in from a payer. Its open item is a credit of that payer, to which claims are applied.

    What is not applied is what is left of that credit (``OpenItem.with_open_amount``, below zero). Append-only: what is
    wrong is returned or allocated anew.
    """

    class Source(models.TextChoices):
        BANK = "bank", _("bank transfer")
        DEBIT = "direct_debit", _("direct debit")
        PROVIDER = "provider", _("payment provider")
        MANUAL = "manual", _("entered by hand")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="payments", verbose_name=_("issuer"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="payments", verbose_name=_("payer"))
    source = models.CharField(_("source"), max_length=15, choices=Source)
    origin = models.CharField(
        _("origin"), max_length=100, help_text=_("What it came from, once per source: a line of a statement, a charge.")
    )
    received_on = models.DateField(_("received on"), help_text=_("The value date."))
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))
    reference = models.CharField(_("purpose"), max_length=140, help_text=_("As the payer wrote it."))
    open_item = models.OneToOneField(
        OpenItem, models.PROTECT, related_name="payment", verbose_name=_("credit of the payer")
    )
    entry = models.OneToOneField(JournalEntry, models.PROTECT, related_name="payment", verbose_name=_("journal entry"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("payer",), issuers=("issuer",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-received_on", "-id"]
        constraints = [
            models.CheckConstraint(
                name="payment_amount_fits",
                condition=fits_currency("amount") & Q(amount__gt=0),
                violation_error_message=_("A payment has an amount above zero, no finer than its currency."),
            ),
            models.UniqueConstraint(
                fields=["issuer", "source", "origin"],
                name="payment_once_per_origin",
                violation_error_message=_("This money is booked already."),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Allocation(models.Model):
    """So much of a payment is applied to an open item; below zero, an earlier allocation is undone. Append-only."""

    class Rule(models.TextChoices):
        REFERENCE = "reference", _("the purpose names the document")
        EXACT = "exact_amount", _("the amount is what is open")
        OLDEST = "oldest_due", _("what was due first")
        COLLECTION = "collection", _("collected for this document")
        PERSON = "person", _("decided by a person")
        RETURN = "payment_return", _("the payment was returned")

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="allocations", verbose_name=_("payment"))
    open_item = models.ForeignKey(OpenItem, models.PROTECT, related_name="allocations", verbose_name=_("open item"))
    entry = models.OneToOneField(
        JournalEntry, models.PROTECT, related_name="allocation", verbose_name=_("journal entry")
    )
    allocated_on = models.DateField(_("allocated on"))
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))
    rule = models.CharField(_("reason"), max_length=15, choices=Rule)
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="reversed_by", verbose_name=_("undoes")
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(through=("payment", "open_item"), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("allocation")
        verbose_name_plural = _("allocations")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="allocation_amount_fits",
                condition=fits_currency("amount")
                & (Q(amount__gt=0, reverses=None) | Q(amount__lt=0, reverses__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return str(self.payment)


class PaymentReturn(models.Model):
    """Money that a payer, a bank or a card scheme took back: a return debit, a chargeback. Append-only."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="returns", verbose_name=_("payment"))
    entry = models.OneToOneField(
        JournalEntry, models.PROTECT, related_name="payment_return", verbose_name=_("journal entry")
    )
    origin = models.CharField(_("origin"), max_length=100)
    returned_on = models.DateField(_("returned on"))
    currency = models.CharField(_("currency"), max_length=3)
    charges = amount(_("bank charges"), help_text=_("What the bank took for it on top."))
    amount = amount(_("amount"))
    reason_code = models.CharField(_("reason code"), max_length=35, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(through=("payment",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("returned payment")
        verbose_name_plural = _("returned payments")
        ordering = ["-returned_on", "-id"]
        constraints = [
            models.CheckConstraint(
                name="payment_return_amounts_fit",
                condition=fits_currency("amount", "charges") & Q(amount__gt=0, charges__gte=0),
            ),
            models.UniqueConstraint(fields=["payment", "origin"], name="payment_return_once_per_origin"),
        ]

    def __str__(self) -> str:
        return self.reason or self.reason_code


class Refund(Intent):
    """Money that we pay back out of a credit of the payer: of a payment, or of a credit note.

    ``key`` goes to the bank (end-to-end id) or the provider (idempotency key) and is committed before anyone is called.
    """

    class Method(models.TextChoices):
        TRANSFER = "sepa_transfer", _("SEPA transfer")
        PROVIDER = "provider", _("payment provider")
        MANUAL = "manual", _("outside of the product")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="refunds", verbose_name=_("issuer"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="refunds", verbose_name=_("payer"))
    open_item = models.ForeignKey(OpenItem, models.PROTECT, related_name="refunds", verbose_name=_("credit balance"))
    method = models.CharField(_("method"), max_length=15, choices=Method)
    key = models.CharField(_("key"), max_length=35, unique=True)
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))
    grounds = models.CharField(_("grounds"), max_length=200)
    entry = models.OneToOneField(
        JournalEntry, models.PROTECT, null=True, blank=True, related_name="refund", verbose_name=_("journal entry")
    )
    external_id = models.CharField(_("id at the provider"), max_length=100, blank=True)
    settled_on = models.DateField(_("carried out on"), null=True, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("requested by"),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("payer",), issuers=("issuer",), right="sees_payments")
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ["-id"]
        indexes = [in_tray("refund_in_tray")]
        constraints = [
            models.CheckConstraint(
                name="refund_amount_fits",
                condition=fits_currency("amount") & Q(amount__gt=0),
                violation_error_message=_("A refund has an amount above zero, no finer than its currency."),
            ),
        ]

    def __str__(self) -> str:
        return self.key
