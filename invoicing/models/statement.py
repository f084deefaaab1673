from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models.invoice import Invoice
from tenants.models import File, Issuer, Message, Tenant
from tenants.models.columns import amount, currency_is_a_code, fits_currency
from tenants.models.issuer import LANGUAGES
from tenants.models.visibility import Visibility, VisibleQuerySet


class CollectiveStatement(models.Model):
    """What a payer has to pay for documents of several recipients: one amount, one payment reference. No invoice."""

    issuer = models.ForeignKey(
        Issuer, models.PROTECT, related_name="collective_statements", db_index=False, verbose_name=_("issuer")
    )
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="collective_statements", verbose_name=_("payer"))
    reference = models.CharField(_("payment reference"), max_length=40)
    issued_on = models.DateField(_("date"))
    due_on = models.DateField(_("due"))
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    currency = models.CharField(_("currency"), max_length=3)
    collection = models.CharField(_("collection"), max_length=20, choices=Tenant.Collection)
    total = amount(_("total"))
    parties = models.JSONField(
        _("parties"), default=dict, help_text=_("Seller and payer as they were when the statement arose.")
    )
    file = models.OneToOneField(File, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("file"))
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("payer",), issuers=("issuer",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("collective statement")
        verbose_name_plural = _("collective statements")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["issuer", "reference"], name="statement_reference_once"),
            models.CheckConstraint(name="statement_total_fits", condition=fits_currency("total")),
            currency_is_a_code("statement_currency_is_a_code"),
        ]

    def __str__(self) -> str:
        return self.reference


class StatementEntry(models.Model):
    """One document on a collective statement."""

    statement = models.ForeignKey(
        CollectiveStatement,
        models.PROTECT,
        related_name="entries",
        db_index=False,  # indexed with the position
        verbose_name=_("collective statement"),
    )
    invoice = models.OneToOneField(Invoice, models.PROTECT, related_name="statement_entry", verbose_name=_("document"))
    position = models.PositiveIntegerField(_("position"))
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))

    visibility = Visibility(through=("statement",), right="sees_payments")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("entry of a collective statement")
        verbose_name_plural = _("entries of collective statements")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "position"], name="statement_position_once"),
            models.CheckConstraint(name="statement_entry_fits", condition=fits_currency("amount")),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.invoice}"


class StatementDelivery(models.Model):
    """A collective statement on its way to one recipient; the message knows how far it is."""

    statement = models.ForeignKey(
        CollectiveStatement,
        models.PROTECT,
        related_name="deliveries",
        db_index=False,  # indexed with the recipient
        verbose_name=_("collective statement"),
    )
    recipient = models.EmailField(_("recipient"))
    message = models.OneToOneField(Message, models.PROTECT, related_name="+", verbose_name=_("message"))

    visibility = Visibility(through=("statement",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery of a collective statement")
        verbose_name_plural = _("deliveries of collective statements")
        constraints = [
            models.UniqueConstraint(fields=["statement", "recipient"], name="statement_delivery_once_per_recipient")
        ]

    def __str__(self) -> str:
        return self.recipient
