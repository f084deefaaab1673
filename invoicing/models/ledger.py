from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from invoicing.models.invoice import Invoice
from tenants.models import Issuer, Tenant
from tenants.models.columns import amount, fits_currency
from tenants.models.visibility import Visibility, VisibleQuerySet

ZERO = Value(0, output_field=models.DecimalField(max_digits=19, decimal_places=4))


class LedgerAccount(models.Model):
    """An account of an issuer's chart. ``role`` says what the product books on it."""

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="ledger_accounts", verbose_name=_("issuer"))
    role = models.CharField(_("role"), max_length=30)
    code = models.CharField(_("account number"), max_length=12)
    name = models.CharField(_("name"), max_length=100)

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("ledger account")
        verbose_name_plural = _("ledger accounts")
        ordering = ["code"]
        constraints = [models.UniqueConstraint(fields=["issuer", "role"], name="ledger_account_once_per_role")]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class OpenItemQuerySet(VisibleQuerySet):
    def with_open_amount(self) -> OpenItemQuerySet:
        """With ``open_amount``: what is still open of each, the sum of the postings that name it."""
        booked = (
            Posting.objects.filter(open_item=OuterRef("pk"))
            .order_by()
            .values("open_item")
            .annotate(s=Sum("amount"))
            .values("s")
        )
        return self.annotate(open_amount=Coalesce(Subquery(booked, output_field=models.DecimalField()), ZERO))


class OpenItem(models.Model):
    """What one document leaves to be paid, or what a payer has paid ahead of its documents (a credit, below zero).

    What is still open is the sum of the postings that name it. An item that another payer takes over is closed by an
    entry, which opens a new one of the same document or payment there.
    """

    issuer = models.ForeignKey(
        Issuer, models.PROTECT, related_name="open_items", db_index=False, verbose_name=_("issuer")
    )
    invoice = models.ForeignKey(  # indexed with the item it was taken over from
        Invoice,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="open_items",
        db_index=False,
        verbose_name=_("document"),
    )
    reference = models.CharField(
        _("reference"),
        max_length=140,
        blank=True,
        db_default="",
        help_text=_("What it is, where it is not a document."),
    )
    moved_from = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="moved_to",
        db_index=False,  # indexed where there is one
        verbose_name=_("taken over from"),
    )
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="open_items", verbose_name=_("payer"))
    due_on = models.DateField(_("due"))
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))

    visibility = Visibility(accounts=("payer",), issuers=("issuer",), right="sees_payments")
    objects = OpenItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("open item")
        verbose_name_plural = _("open items")
        ordering = ["due_on", "id"]
        permissions = [("offset_openitem", _("Can set credits off and note wanted refunds"))]
        constraints = [
            models.CheckConstraint(name="open_item_amount_fits", condition=fits_currency("amount")),
            models.CheckConstraint(
                name="open_item_of_a_document_or_a_payment",
                condition=Q(invoice__isnull=False, reference="") | Q(~Q(reference=""), invoice=None, amount__lt=0),
            ),
            models.UniqueConstraint(
                fields=["invoice", "moved_from"],
                name="open_item_once_per_document",
                condition=Q(invoice__isnull=False),
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["moved_from"], name="open_item_taken_over_once", condition=Q(moved_from__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.invoice) if self.invoice_id else self.reference


class RefundRequest(models.Model):
    """A payer wants a credit balance paid out, not set off. Deleted, the wish is withdrawn: both are on record."""

    open_item = models.OneToOneField(
        OpenItem, models.PROTECT, related_name="refund_request", verbose_name=_("open item")
    )
    wanted_on = models.DateField(_("wanted on"))
    reason = models.CharField(_("reason"), max_length=200)

    visibility = Visibility(through=("open_item",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("wanted refund")
        verbose_name_plural = _("wanted refunds")

    def __str__(self) -> str:
        return str(self.open_item)


class JournalEntry(models.Model):
    """A business event in the books; its postings sum to zero per currency (deferred trigger). Append-only."""

    class Kind(models.TextChoices):
        ISSUE = "issue", _("document issued")
        OFFSET = "offset", _("credit set off")
        TRANSFER = "transfer", _("open item taken over")
        PAYMENT = "payment", _("payment received")
        ALLOCATION = "allocation", _("payment allocated")
        DEALLOCATION = "deallocation", _("allocation undone")
        RETURN = "payment_return", _("payment returned")
        REFUND = "refund", _("money paid back")
        CASH_DISCOUNT = "cash_discount", _("cash discount taken")
        WRITE_OFF = "write_off", _("written off")
        CHARGES = "charges", _("charges of bank or provider")
        PAYOUT = "payout", _("payout by the provider")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="entries", verbose_name=_("issuer"))
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    booked_on = models.DateField(_("booked on"))
    invoice = models.ForeignKey(
        Invoice, models.PROTECT, null=True, blank=True, related_name="entries", verbose_name=_("document")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(issuers=("issuer",), through=("invoice",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("journal entry")
        verbose_name_plural = _("journal entries")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice", "kind"],
                name="journal_entry_once",
                condition=Q(invoice__isnull=False) & ~Q(kind="transfer"),
            )
        ]
        indexes = [BrinIndex(fields=["created_at"], name="journal_entry_by_time")]  # rows come in its order

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.invoice or self.pk}"


class Posting(models.Model):
    """One side of an entry: debit positive, credit negative."""

    entry = models.ForeignKey(JournalEntry, models.PROTECT, related_name="postings", verbose_name=_("journal entry"))
    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="postings", verbose_name=_("ledger account")
    )
    open_item = models.ForeignKey(
        OpenItem, models.PROTECT, null=True, blank=True, related_name="postings", verbose_name=_("open item")
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))

    visibility = Visibility(through=("entry",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")
        ordering = ["id"]
        constraints = [models.CheckConstraint(name="posting_amount_fits", condition=fits_currency("amount"))]

    def __str__(self) -> str:
        return str(self.amount)
