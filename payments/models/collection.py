from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models import OpenItem
from payments.models.payment import Payment
from tenants.models import File, Intent, Issuer, Tenant
from tenants.models.columns import amount, fits_currency
from tenants.models.intent import IntentQuerySet, in_tray
from tenants.models.visibility import Visibility, VisibleQuerySet


class CollectionMethod(models.TextChoices):
    """The way money is taken from a payer who agreed to it."""

    SEPA = "sepa_debit", _("SEPA direct debit")
    PROVIDER = "provider", _("payment provider")


class PaymentRun(models.Model):
    """A reviewable batch of collections or refunds of one issuer; what goes to a bank goes there as one file."""

    class Kind(models.TextChoices):
        SEPA_DEBIT = "sepa_debit", _("SEPA direct debits")
        SEPA_TRANSFER = "sepa_transfer", _("SEPA transfers")
        PROVIDER = "provider", _("payment provider")

    class State(models.TextChoices):
        PROPOSED = "proposed", _("proposed")
        RELEASED = "released", _("released")
        SENT = "sent", _("sent")
        SETTLED = "settled", _("carried out")
        DISCARDED = "discarded", _("discarded")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="payment_runs", verbose_name=_("issuer"))
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    on = models.DateField(_("made for"), help_text=_("What is due by this day."))
    collect_on = models.DateField(_("execution date"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PROPOSED)
    content_hash = models.CharField(_("content hash"), max_length=64, blank=True, db_default="")
    file = models.ForeignKey(
        File, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("file for the bank")
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("made by")
    )
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("released by")
    )
    released_at = models.DateTimeField(_("released at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment run")
        verbose_name_plural = _("payment runs")
        ordering = ["-id"]
        permissions = [("release_paymentrun", _("Can release payment runs"))]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "kind"],
                name="payment_run_one_proposed",
                condition=Q(state="proposed"),
                violation_error_message=_("A payment run of this kind waits to be released or discarded."),
            ),
            models.CheckConstraint(
                name="payment_run_released_by_somebody",
                condition=Q(state__in=["proposed", "discarded"]) | Q(released_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class Collection(Intent):
    """One attempt to take what is due from a payer; ``key`` is committed before bank or provider hear of it.

    ``Intent.state`` says whether the attempt is still to be made, ``outcome`` what became of the money.
    """

    class Outcome(models.TextChoices):
        PENDING = "pending", _("not sent yet")
        SENT = "sent", _("sent")
        PROCESSING = "processing", _("being processed")
        CUSTOMER = "customer", _("waits for the customer")
        SUCCEEDED = "succeeded", _("received")
        FAILED = "failed", _("refused")
        RETURNED = "returned", _("returned")
        DISCARDED = "discarded", _("discarded")

    UNSETTLED = ("pending", "sent", "processing", "customer")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="collections", verbose_name=_("issuer"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="collections", verbose_name=_("payer"))
    run = models.ForeignKey(
        PaymentRun, models.PROTECT, null=True, blank=True, related_name="collections", verbose_name=_("payment run")
    )
    method = models.CharField(_("method"), max_length=15, choices=CollectionMethod)
    key = models.CharField(_("key"), max_length=35, unique=True)
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, default=Outcome.PENDING)
    external_id = models.CharField(_("id at the provider"), max_length=100, blank=True)
    failure_code = models.CharField(_("reason code"), max_length=60, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    settled_on = models.DateField(_("carried out on"), null=True, blank=True)
    payment = models.OneToOneField(
        Payment, models.PROTECT, null=True, blank=True, related_name="collection", verbose_name=_("payment")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("payer",), issuers=("issuer",), right="sees_payments")
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("collection attempt")
        verbose_name_plural = _("collection attempts")
        ordering = ["-id"]
        indexes = [in_tray("collection_in_tray")]
        constraints = [
            models.CheckConstraint(
                name="collection_amount_fits",
                condition=fits_currency("amount") & Q(amount__gt=0),
                violation_error_message=_("A collection has an amount above zero, no finer than its currency."),
            ),
            models.UniqueConstraint(
                fields=["external_id"], name="collection_once_at_the_provider", condition=~Q(external_id="")
            ),
        ]

    def __str__(self) -> str:
        return self.key


class CollectionItem(models.Model):
    """An open item that a collection is to settle, and how much of it; a credit that it nets has a negative amount."""

    collection = models.ForeignKey(
        Collection, models.PROTECT, related_name="items", verbose_name=_("collection attempt")
    )
    open_item = models.ForeignKey(
        OpenItem, models.PROTECT, related_name="collection_items", verbose_name=_("open item")
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))
    is_unsettled = models.BooleanField(
        _("under way"), default=True, db_default=True, help_text=_("Whether its collection is not settled yet.")
    )

    visibility = Visibility(through=("collection",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("collected item")
        verbose_name_plural = _("collected items")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="collection_item_amount_fits", condition=fits_currency("amount") & ~Q(amount=0)
            ),
            models.UniqueConstraint(fields=["collection", "open_item"], name="collection_item_once"),
            models.UniqueConstraint(
                fields=["open_item"],
                name="collection_item_one_attempt_at_a_time",
                condition=Q(is_unsettled=True),
                violation_error_message=_("This open item is being collected already."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.open_item)
