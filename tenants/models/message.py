from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.file import File
from tenants.models.intent import Intent, IntentQuerySet, in_tray
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class Message(Intent):
    """An e-mail to send once. Its Message-ID is fixed before the first attempt.

    Sent is what our mail server took; a server further on may still send it back, which ``bounce`` then tells.
    """

    key = models.CharField(_("key"), max_length=100, unique=True)
    tenant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, blank=True, related_name="messages", verbose_name=_("account")
    )
    sender = models.CharField(_("sender"), max_length=250)
    recipient = models.EmailField(_("recipient"))
    subject = models.CharField(_("subject"), max_length=250)
    body = models.TextField(_("text"))
    file = models.ForeignKey(File, models.PROTECT, null=True, blank=True, verbose_name=_("attachment"))
    file_name = models.CharField(_("name of the attachment"), max_length=100, blank=True)
    message_id = models.CharField("Message-ID", max_length=200, unique=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    bounced_at = models.DateTimeField(_("came back at"), null=True, blank=True)
    bounce = models.CharField(_("why it came back"), max_length=300, blank=True, default="", db_default="")

    visibility = Visibility(accounts=("tenant",))
    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-id"]
        indexes = [
            in_tray("message_in_tray"),
            models.Index(fields=["-id"], name="message_bounced", condition=Q(bounced_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject


class MessageAttachment(models.Model):
    """A file that goes with a message beside the one it is about, such as a PDF for reading beside an XML invoice."""

    message = models.ForeignKey(Message, models.PROTECT, related_name="attachments", verbose_name=_("message"))
    position = models.PositiveSmallIntegerField(_("position"))
    file = models.ForeignKey(File, models.PROTECT, verbose_name=_("file"))
    file_name = models.CharField(_("name of the attachment"), max_length=100)

    visibility = Visibility(through=("message",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("further attachment")
        verbose_name_plural = _("further attachments")
        ordering = ["message_id", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["message", "position"],
                name="attachment_once_per_message_and_position",
                violation_error_message=_("The message has another attachment at this position."),
            ),
            models.UniqueConstraint(
                fields=["message", "file_name"],
                name="attachment_name_once_per_message",
                violation_error_message=_("The message has another attachment of this name."),
            ),
        ]

    def __str__(self) -> str:
        return self.file_name
