from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from invoicing.models.invoice import Invoice
from invoicing.models.line import Section
from invoicing.models.verdict import Verdict
from tenants.models import File, Message
from tenants.models.visibility import Visibility, VisibleQuerySet


class DocumentFile(models.Model):
    """A file of an issued document: rendered once, stored with its hash, never rendered again.

    ``seal`` ties it to the document's place in the chain: SHA-256 over the chain's hash, the kind of file and all that
    is kept of the file. The database makes it.
    """

    class Kind(models.TextChoices):
        PDF = "pdf", "PDF"
        XML = "xml", "XML"

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="files", verbose_name=_("document"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    file = models.OneToOneField(File, models.PROTECT, related_name="+", verbose_name=_("file"))
    verdict = models.ForeignKey(  # of an e-invoice: why it could be released
        Verdict, models.PROTECT, null=True, blank=True, related_name="+", db_index=False, verbose_name=_("verdict")
    )
    seal = models.CharField(_("seal"), max_length=64, editable=False, db_default="")

    visibility = Visibility(through=("invoice",), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("document file")
        verbose_name_plural = _("document files")
        constraints = [models.UniqueConstraint(fields=["invoice", "kind"], name="document_file_once")]

    def __str__(self) -> str:
        return self.kind


class SectionCopy(models.Model):
    """The section of a consolidated document as a copy for its own account, which is to be printed and sent."""

    section = models.OneToOneField(Section, models.PROTECT, related_name="copy", verbose_name=_("section"))
    file = models.OneToOneField(File, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("file"))

    visibility = Visibility(through=("section",), right="sees_invoices")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("copy of a section")
        verbose_name_plural = _("copies of sections")

    def __str__(self) -> str:
        return str(self.section)


class Delivery(models.Model):
    """What was decided about a document: sent to one recipient, whose message knows how far it is, or not sent.

    With a ``section`` it is a copy of that section that was sent.
    """

    class Channel(models.TextChoices):
        EMAIL = "email", _("e-mail")
        NONE = "none", _("not sent: the account does not want it")

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="deliveries", verbose_name=_("document"))
    section = models.ForeignKey(
        Section, models.PROTECT, null=True, blank=True, related_name="deliveries", verbose_name=_("section")
    )
    recipient = models.EmailField(_("recipient"), blank=True)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.EMAIL)
    message = models.OneToOneField(
        Message, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("message")
    )

    visibility = Visibility(through=("invoice",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "recipient", "channel", "section"],
                name="delivery_once_per_recipient",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="delivery_by_mail_has_a_message",
                condition=Q(channel="email", message__isnull=False) & ~Q(recipient="")
                | Q(channel="none", message=None, recipient="", section=None),
            ),
        ]

    def __str__(self) -> str:
        return self.recipient or str(self.get_channel_display())
