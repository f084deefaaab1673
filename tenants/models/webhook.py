from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants.models.intent import Intent, IntentQuerySet, in_tray
from tenants.models.issuer import Issuer
from tenants.models.visibility import Visibility, VisibleQuerySet


class WebhookEvent(models.TextChoices):
    """What happens to documents of an issuer that others can be told of; and a try whether telling works."""

    INVOICE_ISSUED = "invoice.issued", _("invoice issued")
    CREDIT_NOTE_ISSUED = "credit_note.issued", _("credit note issued")
    CANCELLATION_ISSUED = "cancellation.issued", _("cancellation issued")
    INVOICE_PAID = "invoice.paid", _("invoice paid")
    TEST = "endpoint.test", pgettext_lazy("event", "test")


class WebhookEndpoint(models.Model):
    """An address that wants to be told of events, each as an HTTP request signed with its secret.

    Both secrets are encrypted. After an exchange the one before still signs, too, until ``old_secret_until``.
    """

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="webhook_endpoints", verbose_name=_("issuer"))
    url = models.URLField(_("address"), max_length=300)
    name = models.CharField(_("name"), max_length=100, help_text=_("What receives it, such as the name of a shop."))
    events = ArrayField(models.CharField(max_length=30, choices=WebhookEvent), verbose_name=_("events"))
    is_active = models.BooleanField(_("active"), default=True)
    secret = models.CharField(_("encrypted secret"), max_length=300, editable=False)
    old_secret = models.CharField(_("encrypted secret before"), max_length=300, blank=True, editable=False)
    old_secret_until = models.DateTimeField(_("secret before signs until"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "url"],
                name="webhook_endpoint_once",
                violation_error_message=_("The issuer has this address already."),
            ),
            models.CheckConstraint(
                name="webhook_endpoint_wants_something",
                condition=Q(events__len__gt=0),
                violation_error_message=_("Choose at least one event."),
            ),
            models.CheckConstraint(
                name="webhook_endpoint_address_is_one",
                condition=Q(url__regex=r"^https?://[^\s/@]+(/\S*)?$"),
                violation_error_message=_("The address begins with https:// and names no user."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WebhookMessage(Intent):
    """An event to tell one endpoint of, at least once; ``payload`` is sent byte for byte as it stands."""

    endpoint = models.ForeignKey(
        WebhookEndpoint, models.PROTECT, related_name="messages", db_index=False, verbose_name=_("webhook endpoint")
    )
    key = models.CharField(_("key"), max_length=100)
    event = models.CharField(_("event"), max_length=30, choices=WebhookEvent)
    about = models.CharField(_("document"), max_length=60)
    payload = models.TextField(_("payload"))
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    visibility = Visibility(through=("endpoint",))
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook message")
        verbose_name_plural = _("webhook messages")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "key"], name="webhook_message_once_per_event"),
        ]
        indexes = [in_tray("webhook_message_in_tray")]

    def __str__(self) -> str:
        return f"{self.event} {self.about}"


class WebhookAttempt(models.Model):
    """One request that was made, and what the other side answered; ``status`` is empty if it gave none. Append-only."""

    message = models.ForeignKey(WebhookMessage, models.PROTECT, related_name="log", verbose_name=_("webhook message"))
    at = models.DateTimeField(_("at"))
    milliseconds = models.PositiveIntegerField(_("milliseconds"))
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    answer = models.CharField(_("answer"), max_length=300, blank=True)

    visibility = Visibility(through=("message",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt of a webhook")
        verbose_name_plural = _("attempts of webhooks")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.status or self.answer}"
