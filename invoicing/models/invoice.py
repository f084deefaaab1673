from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.models.bill_run import BillRun
from invoicing.models.number_range import Kind, NumberRange
from invoicing.models.verdict import Verdict
from tenants.models import Issuer, Tenant
from tenants.models.columns import amount, currency_is_a_code, fits_currency
from tenants.models.issuer import LANGUAGES
from tenants.models.visibility import Visibility, VisibleQuerySet, customers_of_issuers

customers_of_issuers(
    "select unnest(array[payer_id, recipient_id]) from invoicing_invoice where issuer_id in ({issuers})"
)


class InvoiceQuerySet(VisibleQuerySet["Invoice"]):
    def drafts(self) -> InvoiceQuerySet:
        """Still to be decided: proposed, held or released."""
        return self.filter(state__in=[Invoice.State.DRAFT, Invoice.State.HELD, Invoice.State.RELEASED])

    def payers(self) -> list[int]:
        """Keys of those who pay and of those billed with: whoever decides about the documents holds them."""
        named = self.order_by().values_list("payer_id", "billed_with_id").distinct()
        return sorted({key for both in named for key in both if key is not None})

    def billed_for(self, payers: Iterable[int]) -> InvoiceQuerySet:
        """Those of which the outcomes of ``payers`` (tenant keys) in their run tell."""
        keys = list(payers)
        return self.filter(Q(billed_with=None, payer__in=keys) | Q(billed_with__in=keys))

    def issued(self) -> InvoiceQuerySet:
        return self.filter(state=Invoice.State.ISSUED)

    def cancelled(self) -> InvoiceQuerySet:
        """Of which a cancellation was issued."""
        cancellations = Invoice.objects.issued().filter(kind=Kind.CANCELLATION, corrects=OuterRef("pk"))
        return self.filter(Exists(cancellations))

    def credited(self) -> InvoiceQuerySet:
        """Of which a credit note gives back a part, by hand or by its lines; without those cancelled themselves."""
        cancellations = Invoice.objects.issued().filter(kind=Kind.CANCELLATION, corrects=OuterRef("pk"))
        notes = Invoice.objects.issued().filter(~Exists(cancellations), kind=Kind.CREDIT_NOTE)
        by_line = notes.filter(lines__corrects__invoice=OuterRef("pk"))
        return self.filter(Exists(notes.filter(corrects=OuterRef("pk"))) | Exists(by_line))

    def electronic(self) -> InvoiceQuerySet:
        """Made as e-invoice, not as PDF alone."""
        return self.filter(parties__has_key="format")

    def unjudged(self, rules: str) -> InvoiceQuerySet:
        """E-invoices whose content has passed no rules yet, and on which those of version ``rules`` have not spoken."""
        reached = Verdict.objects.filter(Q(passed=True) | Q(rules=rules), content_hash=OuterRef("content_hash"))
        return self.electronic().filter(~Exists(reached))

    def printed(self) -> InvoiceQuerySet:
        """With their PDF."""
        return self.filter(files__kind="pdf")

    def unprinted(self) -> InvoiceQuerySet:
        """Without a PDF."""
        return self.exclude(files__kind="pdf")


class Invoice(models.Model):
    """A document of any kind, from draft to issued. Issued, it is frozen by the database; it is corrected by others."""

    Kind = Kind

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        HELD = "held", _("held")
        RELEASED = "released", _("released")
        ISSUED = "issued", _("issued")
        CLOSED = "closed", _("closed without a document")

    class VatCase(models.TextChoices):
        """EN 16931 categories in use."""

        STANDARD = "S", _("taxed")
        REVERSE_CHARGE = "AE", _("reverse charge")
        OUTSIDE = "O", _("not taxable in Germany")
        WITHIN_EU = "K", _("intra-community supply")
        EXPORT = "G", _("export of goods")
        EXEMPT = "E", _("exempt")
        ZERO_RATED = "Z", _("zero rated")

    class WaitsFor(models.TextChoices):
        """What a held draft waits for; then it goes on by itself."""

        VAT_CHECK = "vat_check", _("confirmation of the VAT id")

    run = models.ForeignKey(
        BillRun, models.PROTECT, null=True, blank=True, related_name="invoices", verbose_name=_("bill run")
    )
    issuer = models.ForeignKey(  # indexed with the number
        Issuer, models.PROTECT, related_name="invoices", db_index=False, verbose_name=_("issuer")
    )
    recipient = models.ForeignKey(Tenant, models.PROTECT, related_name="invoices_received", verbose_name=_("recipient"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="invoices_to_pay", verbose_name=_("payer"))
    billed_with = models.ForeignKey(  # few: what contracts give back that another pays by now
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("billed with"),
        help_text=_("The payer in whose turn of the run it arose, where that is not its own."),
    )
    kind = models.CharField(_("kind"), max_length=15, choices=Kind, default=Kind.INVOICE)
    corrects = models.ForeignKey(  # by hand: of what follows from contracts, each line names its document
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        db_index=False,
        verbose_name=_("document it corrects"),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    range = models.ForeignKey(  # indexed with the sequence
        NumberRange, models.PROTECT, null=True, blank=True, db_index=False, verbose_name=_("number range")
    )
    sequence = models.PositiveIntegerField(_("place in its range"), null=True, blank=True)
    number = models.CharField(_("number"), max_length=40, null=True, blank=True)
    issued_on = models.DateField(_("invoice date"))
    due_on = models.DateField(_("due"))
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    currency = models.CharField(_("currency"), max_length=3)
    collection = models.CharField(_("collection"), max_length=20, choices=Tenant.Collection)
    po_number = models.CharField(_("PO number"), max_length=60, blank=True)
    vat_case = models.CharField(_("VAT case"), max_length=2, choices=VatCase)
    net = amount(_("net"))
    vat = amount(_("VAT"))
    gross = amount(_("gross"))
    parties = models.JSONField(
        _("parties"), default=dict, help_text=_("Seller and buyer as they were when the document arose.")
    )
    waits_for = models.CharField(_("waits for"), max_length=10, choices=WaitsFor, blank=True, default="", db_default="")
    content_hash = models.CharField(_("hash of the content"), max_length=64)
    chain_hash = models.CharField(_("hash of the chain"), max_length=64, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(
        accounts=("payer", "recipient"), issuers=("issuer",), right="sees_invoices", shown=Q(state="issued")
    )
    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["-id"]
        permissions = [
            ("release_invoice", _("Can release and hold drafts")),
            ("issue_invoice", _("Can issue released drafts")),
            ("discard_invoice", _("Can discard drafts")),
            ("cancel_invoice", _("Can cancel issued documents")),
            ("credit_invoice", _("Can write credit notes by hand")),
            ("export_invoice", _("Can export documents for an audit")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["range", "sequence"], name="invoice_sequence_once"),
            models.UniqueConstraint(fields=["issuer", "number"], name="invoice_number_once"),
            models.CheckConstraint(
                name="invoice_numbered_exactly_when_issued",
                condition=Q(state="issued", number__isnull=False, sequence__isnull=False, range__isnull=False)
                | (~Q(state="issued") & Q(number=None, sequence=None, range=None)),
            ),
            models.CheckConstraint(
                name="invoice_adds_up",
                condition=Q(gross=F("net") + F("vat")),
                violation_error_message=_("Net and VAT do not add up to the gross amount."),
            ),
            models.CheckConstraint(name="invoice_amounts_fit", condition=fits_currency("net", "vat")),
            models.CheckConstraint(
                name="invoice_sign_follows_kind",
                condition=Q(kind="invoice", gross__gte=0)
                | Q(kind="credit_note", gross__lte=0)
                | Q(kind="cancellation"),
            ),
            models.UniqueConstraint(
                fields=["corrects"],
                name="invoice_cancelled_once",
                condition=Q(kind="cancellation"),
                violation_error_message=_("The document is cancelled already."),
            ),
            models.CheckConstraint(
                name="invoice_cancellation_names_its_document",
                condition=Q(kind="cancellation", corrects__isnull=False)
                | Q(kind="credit_note")
                | Q(kind="invoice", corrects=None),
            ),
            models.CheckConstraint(
                name="invoice_no_vat_without_ground",
                condition=Q(vat_case="S") | Q(vat=0),
                violation_error_message=_("Only a taxed document shows VAT (§ 14c UStG)."),
            ),
            models.CheckConstraint(
                name="invoice_billed_with_another",
                condition=Q(billed_with=None) | ~Q(billed_with=F("payer")),
                violation_error_message=_("A document is billed with its own payer unless another is named."),
            ),
            models.CheckConstraint(
                name="invoice_waits_while_held",
                condition=Q(waits_for="") | Q(state="held"),
                violation_error_message=_("Only a held draft waits for something."),
            ),
            currency_is_a_code("invoice_currency_is_a_code"),
        ]
        indexes = [
            models.Index(fields=["run", "state"], name="invoice_in_tray", condition=~Q(state="issued")),
            models.Index(fields=["issued_on"], name="invoice_by_day"),
            models.Index(fields=["corrects"], name="invoice_corrections", condition=Q(corrects__isnull=False)),
            models.Index(fields=["billed_with"], name="invoice_billed_with", condition=Q(billed_with__isnull=False)),
            models.Index(fields=["number"], name="invoice_number_prefix", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return self.number or f"#{self.pk}"

    @property
    def billed_payer(self) -> int:
        """The key of the payer whose outcome in the run tells of it."""
        return self.billed_with_id or self.payer_id

    @property
    def format(self) -> str:
        """Of ``Tenant.DocumentFormat``; part of the frozen parties, and so of the content that is hashed."""
        return str(self.parties.get("format", Tenant.DocumentFormat.PDF.value))
