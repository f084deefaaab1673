from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models import JournalEntry
from payments.models.collection import Collection
from payments.models.payment import Payment, Refund
from tenants.models import Intent, Issuer, Tenant
from tenants.models.columns import amount, fits_currency
from tenants.models.intent import IntentQuerySet, in_tray
from tenants.models.visibility import Visibility, VisibleQuerySet


class ProviderAccount(models.Model):
    """An issuer's account at a payment provider, with the keys to it, encrypted.

    After an exchange of the secret of webhooks the one before still counts until ``old_webhook_secret_until``.
    """

    class Provider(models.TextChoices):
        STRIPE = "stripe", "Stripe"

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="provider_accounts", verbose_name=_("issuer"))
    provider = models.CharField(_("provider"), max_length=10, choices=Provider, default=Provider.STRIPE)
    name = models.CharField(_("name"), max_length=100)
    is_live = models.BooleanField(
        _("real money"), default=False, help_text=_("Follows from the key: one for tests moves no money.")
    )
    publishable_key = models.CharField(_("publishable key"), max_length=200, blank=True)
    secret_key = models.CharField(_("encrypted secret key"), max_length=600, editable=False)
    webhook_secret = models.CharField(_("encrypted secret of webhooks"), max_length=600, blank=True, editable=False)
    old_webhook_secret = models.CharField(
        _("encrypted secret of webhooks before"), max_length=600, blank=True, editable=False
    )
    old_webhook_secret_until = models.DateTimeField(
        _("secret before counts until"), null=True, blank=True, editable=False
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("account at a payment provider")
        verbose_name_plural = _("accounts at payment providers")
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "provider"],
                name="provider_account_one_in_use",
                condition=Q(is_active=True),
                violation_error_message=_("The issuer has an active account at this provider already."),
            ),
            models.CheckConstraint(
                name="provider_account_has_its_key",
                condition=~Q(secret_key=""),
                violation_error_message=_("An account at a provider needs its secret key."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ProviderCustomer(models.Model):
    """A payer as the provider knows it."""

    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, related_name="customers", verbose_name=_("account at the provider")
    )
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="provider_customers", verbose_name=_("account"))
    external_id = models.CharField(_("id at the provider"), max_length=100)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("tenant",), issuers=("account__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("customer at the provider")
        verbose_name_plural = _("customers at the provider")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "tenant"], name="provider_customer_once"),
            models.UniqueConstraint(fields=["account", "external_id"], name="provider_customer_once_there"),
        ]

    def __str__(self) -> str:
        return self.external_id


class PaymentMethodQuerySet(VisibleQuerySet["PaymentMethod"]):
    def usable(self) -> PaymentMethodQuerySet:
        """Those by which a payer may be charged without being asked."""
        return self.filter(is_active=True, customer__account__is_active=True)


class PaymentMethod(models.Model):
    """A card or bank account that a payer saved at the provider; here stands how people know it, never its number."""

    class Kind(models.TextChoices):
        CARD = "card", _("card")
        SEPA_DEBIT = "sepa_debit", _("SEPA direct debit")
        OTHER = "other", _("other method")

    customer = models.ForeignKey(
        ProviderCustomer, models.PROTECT, related_name="methods", verbose_name=_("customer at the provider")
    )
    external_id = models.CharField(_("id at the provider"), max_length=100)
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    brand = models.CharField(_("brand"), max_length=30, blank=True)
    last4 = models.CharField(_("last four digits"), max_length=4, blank=True)
    expires_month = models.PositiveSmallIntegerField(_("expires in month"), null=True, blank=True)
    expires_year = models.PositiveSmallIntegerField(_("expires in year"), null=True, blank=True)
    is_default = models.BooleanField(_("standard"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(through=("customer",), accounts=("customer__tenant",), right="pays")
    objects = PaymentMethodQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment method")
        verbose_name_plural = _("payment methods")
        ordering = ["-is_default", "-id"]
        permissions = [("retire_paymentmethod", _("Can take payment methods out of use"))]
        constraints = [
            models.UniqueConstraint(fields=["customer", "external_id"], name="payment_method_once"),
            models.UniqueConstraint(
                fields=["customer"], name="payment_method_one_standard", condition=Q(is_default=True)
            ),
            models.CheckConstraint(
                name="payment_method_standard_is_active", condition=Q(is_active=True) | Q(is_default=False)
            ),
            models.CheckConstraint(name="payment_method_last_digits", condition=Q(last4__regex=r"^([0-9A-Z]{1,4})?$")),
            models.CheckConstraint(
                name="payment_method_expires_in_a_month",
                condition=Q(expires_month=None, expires_year=None)
                | Q(expires_month__gte=1, expires_month__lte=12, expires_year__gte=2000),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.brand or self.get_kind_display()} ••{self.last4}" if self.last4 else self.get_kind_display()


class ProviderOrder(models.Model):
    """How a collection is asked of the provider: by a saved method, or on a page where the customer pays himself.

    ``text`` and ``language`` stand here because a repeated request must say the same.
    """

    collection = models.OneToOneField(Collection, models.PROTECT, related_name="order", verbose_name=_("collection"))
    customer = models.ForeignKey(
        ProviderCustomer, models.PROTECT, related_name="orders", verbose_name=_("customer at the provider")
    )
    payment_method = models.ForeignKey(
        PaymentMethod, models.PROTECT, null=True, blank=True, related_name="orders", verbose_name=_("payment method")
    )
    text = models.CharField(_("text"), max_length=200)
    language = models.CharField(_("language"), max_length=5)
    made_on = models.DateField(_("made for"), null=True, blank=True)
    page_id = models.CharField(_("page of the provider"), max_length=100, blank=True)
    page_url = models.TextField(_("address of the page"), blank=True)
    page_until = models.DateTimeField(_("page is open until"), null=True, blank=True)
    charge_id = models.CharField(_("charge at the provider"), max_length=100, blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(through=("collection",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("order at the provider")
        verbose_name_plural = _("orders at the provider")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="provider_order_by_method_or_page",
                condition=Q(payment_method__isnull=False, page_until=None)
                | Q(payment_method=None, page_until__isnull=False),
            ),
            models.UniqueConstraint(fields=["page_id"], name="provider_order_one_page", condition=~Q(page_id="")),
        ]

    def __str__(self) -> str:
        return self.text


class ProviderRefund(models.Model):
    """A refund by way of the provider: of which payment, and who besides the requester agreed to it."""

    refund = models.OneToOneField(Refund, models.PROTECT, related_name="at_provider", verbose_name=_("refund"))
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="provider_refunds", verbose_name=_("payment"))
    order = models.ForeignKey(
        ProviderOrder, models.PROTECT, related_name="refunds", verbose_name=_("order at the provider")
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("requested by")
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("approved by")
    )
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)

    visibility = Visibility(through=("refund",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund at the provider")
        verbose_name_plural = _("refunds at the provider")
        ordering = ["-id"]
        permissions = [
            ("request_providerrefund", _("Can ask for refunds by way of the provider")),
            ("approve_providerrefund", _("Can approve refunds by way of the provider")),
        ]
        constraints = [
            models.CheckConstraint(
                name="provider_refund_by_two_persons",
                condition=Q(approved_by=None, approved_at=None)
                | Q(approved_by__isnull=False, approved_at__isnull=False) & ~Q(approved_by=F("requested_by")),
                violation_error_message=_("Whoever asks for a refund cannot approve it."),
            )
        ]

    def __str__(self) -> str:
        return str(self.refund)


class ProviderEvent(models.Model):
    """A webhook of a provider, byte for byte, stored before it is answered. Append-only."""

    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, related_name="events", verbose_name=_("account at the provider")
    )
    event_id = models.CharField(_("id of the event"), max_length=100)
    kind = models.CharField(_("event"), max_length=100)
    about = models.CharField(_("about"), max_length=100, blank=True)
    is_live = models.BooleanField(_("real money"))
    happened_at = models.DateTimeField(_("happened at"))
    received_at = models.DateTimeField(_("received at"), db_default=Now())
    payload = models.TextField(_("payload"))

    visibility = Visibility(issuers=("account__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("event of the provider")
        verbose_name_plural = _("events of the provider")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["account", "event_id"], name="provider_event_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.about}"


class EventHandling(Intent):
    """What becomes of an event of the provider: it waits, is applied, or is parked for a person."""

    event = models.OneToOneField(
        ProviderEvent, models.PROTECT, related_name="handling", verbose_name=_("event of the provider")
    )
    said = models.CharField(_("what it changed"), max_length=200, blank=True)

    visibility = Visibility(through=("event",))
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("handling of an event")
        verbose_name_plural = _("handling of events")
        ordering = ["-id"]
        permissions = [("release_eventhandling", _("Can have parked events of the provider worked off again"))]
        indexes = [in_tray("event_handling_in_tray")]

    def __str__(self) -> str:
        return str(self.event)


class ProviderPayout(models.Model):
    """What a provider transfers to our bank account, less what it keeps: the charges are booked with it.

    ``arrival`` is the entry that moves it from clearing to the bank, once it has arrived there. Append-only but for it.
    """

    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, related_name="payouts", verbose_name=_("account at the provider")
    )
    external_id = models.CharField(_("id at the provider"), max_length=100)
    currency = models.CharField(_("currency"), max_length=3)
    charges = amount(_("charges"), help_text=_("What the provider kept."))
    amount = amount(_("amount"))
    arrives_on = models.DateField(_("arrives on"))
    charges_entry = models.OneToOneField(
        JournalEntry, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("entry of the charges")
    )
    arrival = models.OneToOneField(
        JournalEntry,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="payout",
        verbose_name=_("entry of the arrival"),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(issuers=("account__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        ordering = ["-arrives_on", "-id"]
        permissions = [("confirm_providerpayout", _("Can confirm that payouts have arrived"))]
        constraints = [
            models.UniqueConstraint(fields=["account", "external_id"], name="provider_payout_once"),
            models.CheckConstraint(
                name="provider_payout_amounts_fit", condition=fits_currency("amount", "charges") & ~Q(amount=0)
            ),
            models.CheckConstraint(
                name="provider_payout_charges_are_booked",
                condition=Q(charges=0, charges_entry=None) | ~Q(charges=0) & Q(charges_entry__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class ProviderComparison(models.Model):
    """A day on which our books were compared with the provider's, and how much there was to compare."""

    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, related_name="comparisons", verbose_name=_("account at the provider")
    )
    day = models.DateField(_("day"))
    compared_at = models.DateTimeField(_("compared at"))
    payments = models.PositiveIntegerField(_("payments"))
    refunds = models.PositiveIntegerField(_("refunds"))
    chargebacks = models.PositiveIntegerField(_("chargebacks"))
    payouts = models.PositiveIntegerField(_("payouts"))
    differences = models.PositiveIntegerField(_("differences"))

    visibility = Visibility(issuers=("account__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("comparison with the provider")
        verbose_name_plural = _("comparisons with the provider")
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "day"], name="provider_comparison_once_a_day")]

    def __str__(self) -> str:
        return f"{self.account} {self.day}"


class ProviderFinding(models.Model):
    """A difference between our books and the provider's, found by comparing a day. A person explains it."""

    class Kind(models.TextChoices):
        MISSING_PAYMENT = "missing_payment", _("paid there, not booked here")
        OTHER_AMOUNT = "other_amount", _("booked with another amount")
        UNKNOWN_PAYMENT = "unknown_payment", _("booked here, not paid there")
        MISSING_REFUND = "missing_refund", _("paid back there, not booked here")
        UNKNOWN_REFUND = "unknown_refund", _("paid back here, not there")
        MISSING_RETURN = "missing_return", _("charged back there, not booked here")
        MISSING_PAYOUT = "missing_payout", _("paid out there, not noted here")
        PAYOUT_DIFFERS = "payout_differs", _("the payout has other lines than our books")

    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, related_name="findings", verbose_name=_("account at the provider")
    )
    day = models.DateField(_("day"))
    kind = models.CharField(_("difference"), max_length=20, choices=Kind)
    external_id = models.CharField(_("id at the provider"), max_length=100)
    ours = models.CharField(_("in our books"), max_length=100, blank=True)
    theirs = models.CharField(_("at the provider"), max_length=100, blank=True)
    found_at = models.DateTimeField(_("found at"), db_default=Now())
    explained_at = models.DateTimeField(_("explained at"), null=True, blank=True)
    explained_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("explained by"),
    )
    explanation = models.CharField(_("explanation"), max_length=300, blank=True)

    visibility = Visibility(issuers=("account__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("difference to the provider")
        verbose_name_plural = _("differences to the provider")
        ordering = ["-day", "-id"]
        permissions = [("explain_providerfinding", _("Can explain differences to the provider"))]
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "external_id"], name="provider_finding_once"),
            models.CheckConstraint(
                name="provider_finding_explained_with_reason",
                condition=Q(explained_at=None, explanation="") | Q(explained_at__isnull=False) & ~Q(explanation=""),
                violation_error_message=_("A difference is explained with a reason."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.external_id}"
