from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from invoicing.models import JournalEntry, LedgerAccount
from tenants.models import File, Issuer, Tenant
from tenants.models.columns import amount, below_infinity, currency_is_a_code, fits_currency
from tenants.models.visibility import Visibility, VisibleQuerySet

ZERO = Value(0, output_field=models.DecimalField(max_digits=19, decimal_places=4))


class BankAccount(models.Model):
    """An account of an issuer at a bank, whose statements are read, and what may be booked of them by itself."""

    class Books(models.TextChoices):
        NEVER = "never", _("nothing: a person decides on every line")
        CERTAIN = "certain", _("documents named, amount exact, payer known")
        NAMED = "named", _("documents named and amount exact, whoever paid")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="bank_accounts", verbose_name=_("issuer"))
    name = models.CharField(_("name"), max_length=100)
    iban = models.CharField(
        _("IBAN"), max_length=34, unique=True, error_messages={"unique": _("This bank account is entered already.")}
    )
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    ledger_account = models.OneToOneField(
        LedgerAccount, models.PROTECT, related_name="bank_account", verbose_name=_("ledger account")
    )
    books_by_itself = models.CharField(
        _("booked without a person"), max_length=10, choices=Books, default=Books.CERTAIN
    )
    small_difference = models.DecimalField(
        _("small difference"),
        max_digits=19,
        decimal_places=4,
        default=0,
        help_text=_("A document that is paid but for so much at most is settled, and the difference written off."),
    )
    layout = models.JSONField(
        _("layout of CSV files"),
        null=True,
        blank=True,
        help_text=_("Which column means what, for a bank whose files are not known by themselves."),
    )
    is_active = models.BooleanField(_("active"), default=True)

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("bank account")
        verbose_name_plural = _("bank accounts")
        ordering = ["name"]
        constraints = [
            currency_is_a_code("bank_account_currency"),
            models.CheckConstraint(
                name="bank_account_iban_has_its_form",
                condition=Q(iban__regex=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"),
                violation_error_message=_("An IBAN is two letters and digits, written without blanks."),
            ),
            models.CheckConstraint(
                name="bank_account_small_difference",
                condition=Q(small_difference__gte=0) & below_infinity("small_difference"),
                violation_error_message=_("The small difference is not below zero."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} …{self.iban[-4:]}"


class BankStatement(models.Model):
    """What a bank told of an account in one file; its lines are those that no file had told before. Append-only.

    ``identity`` is a hash of what it says, so that the same statement is known again whatever file it comes in.
    """

    bank_account = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="statements", verbose_name=_("bank account")
    )
    identity = models.CharField(_("identity"), max_length=64, editable=False)
    file = models.ForeignKey(File, models.PROTECT, related_name="+", verbose_name=_("file"))
    file_name = models.CharField(_("file name"), max_length=200, blank=True)
    file_sha256 = models.CharField(_("hash of the file"), max_length=64, db_index=True)
    form = models.CharField(_("form"), max_length=10)
    is_final = models.BooleanField(_("end-of-day statement"))
    reference = models.CharField(_("reference"), max_length=100, blank=True)
    number = models.CharField(_("statement number"), max_length=20, blank=True)
    starts_on = models.DateField(_("first day"), null=True, blank=True)
    ends_on = models.DateField(_("last day"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3)
    opening = amount(_("opening balance"), null=True, blank=True)
    closing = amount(_("closing balance"), null=True, blank=True)
    told = models.PositiveIntegerField(_("lines in the file"))
    known = models.PositiveIntegerField(_("known before"))
    troubles = models.JSONField(_("to be noted"), default=list, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    imported_at = models.DateTimeField(_("imported at"), db_default=Now())

    visibility = Visibility(through=("bank_account",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("bank statement")
        verbose_name_plural = _("bank statements")
        ordering = ["-ends_on", "-id"]
        permissions = [("import_bankstatement", _("Can import bank statements"))]
        constraints = [
            models.UniqueConstraint(fields=["bank_account", "identity"], name="bank_statement_once"),
            models.CheckConstraint(
                name="bank_statement_balances_fit",
                condition=(Q(opening=None) | fits_currency("opening")) & (Q(closing=None) | fits_currency("closing")),
            ),
            models.CheckConstraint(name="bank_statement_known_are_told", condition=Q(known__lte=F("told"))),
        ]

    def __str__(self) -> str:
        return self.number or self.reference or self.file_name


class BankLineQuerySet(VisibleQuerySet["BankLine"]):
    def with_booked(self) -> BankLineQuerySet:
        """With ``booked``: how much of each line stands in the books."""
        booked = (
            LineBooking.objects.filter(line=OuterRef("pk")).order_by().values("line").annotate(s=Sum("amount"))
        ).values("s")
        return self.annotate(booked=Coalesce(Subquery(booked, output_field=models.DecimalField()), ZERO))

    def undecided(self) -> BankLineQuerySet:
        """Neither booked nor set aside."""
        return self.with_booked().filter(
            ~Q(booked=F("amount")), ~Exists(LineSetAside.objects.filter(line=OuterRef("pk")))
        )


class BankLine(models.Model):
    """One movement of money as a bank told it, once however many files tell it again. Append-only.

    ``fingerprint`` is a hash of what any file would say of it; of several alike, ``ordinal`` counts. The other side's
    IBAN is encrypted; its hash finds it again, its last four signs are shown.
    """

    statement = models.ForeignKey(BankStatement, models.PROTECT, related_name="lines", verbose_name=_("bank statement"))
    bank_account = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="lines", db_index=False, verbose_name=_("bank account")
    )
    position = models.PositiveIntegerField(_("position"))
    fingerprint = models.CharField(_("fingerprint"), max_length=64, editable=False)
    ordinal = models.PositiveSmallIntegerField(_("of several alike"), editable=False)
    entry_key = models.CharField(_("booking of the bank"), max_length=64, editable=False)
    entry_size = models.PositiveIntegerField(_("payments in the booking"), default=1)
    booked_on = models.DateField(_("booked on"))
    value_on = models.DateField(_("value date"))
    currency = models.CharField(_("currency"), max_length=3)
    fee = amount(_("fee of the bank"))
    amount = amount(_("amount"))
    purpose = models.TextField(_("purpose"), blank=True)
    name = models.CharField(_("name"), max_length=140, blank=True)
    iban = models.CharField(_("encrypted IBAN"), max_length=400, blank=True, editable=False)
    iban_hash = models.CharField(_("hash of the IBAN"), max_length=64, blank=True, editable=False)
    iban_tail = models.CharField(_("IBAN ends in"), max_length=4, blank=True)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    end_to_end_id = models.CharField(_("end-to-end id"), max_length=100, blank=True)
    mandate = models.CharField(_("mandate reference"), max_length=100, blank=True)
    bank_reference = models.CharField(_("reference of the bank"), max_length=100, blank=True)
    code = models.CharField(_("bank's code"), max_length=30, blank=True)
    is_return = models.BooleanField(_("return"), default=False)
    return_code = models.CharField(_("reason code"), max_length=35, blank=True)
    return_text = models.CharField(_("reason"), max_length=200, blank=True)

    visibility = Visibility(through=("bank_account",))
    objects = BankLineQuerySet.as_manager()

    class Meta:
        verbose_name = _("bank line")
        verbose_name_plural = _("bank lines")
        ordering = ["-booked_on", "-id"]
        permissions = [
            ("book_bankline", _("Can book bank lines and undo bookings")),
            ("set_aside_bankline", _("Can set bank lines aside")),
            ("write_off_bankline", _("Can write differences off and grant cash discounts")),
        ]
        indexes = [
            models.Index(fields=["bank_account", "entry_key"], name="bank_line_by_entry"),
            models.Index(fields=["iban_hash"], name="bank_line_by_iban", condition=~Q(iban_hash="")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["bank_account", "fingerprint", "ordinal"], name="bank_line_once"),
            models.UniqueConstraint(fields=["statement", "position"], name="bank_line_once_per_position"),
            models.CheckConstraint(
                name="bank_line_amounts_fit", condition=fits_currency("amount", "fee") & ~Q(amount=0) & Q(fee__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.booked_on:%Y-%m-%d} {self.name or self.purpose[:40]}"


class MatchProposal(models.Model):
    """Whose money an undecided line may be, and what it may settle. Reckoned anew whenever something changes."""

    class Certainty(models.IntegerChoices):
        UNCLEAR = 0, _("unclear")
        POSSIBLE = 1, _("possible")
        LIKELY = 2, _("likely")
        CERTAIN = 3, _("certain")

    class Reason(models.TextChoices):
        NUMBER = "number", _("the purpose names the document")
        NUMBER_ALIKE = "number_alike", _("the purpose names a number much like it")
        END_TO_END = "end_to_end", _("our own end-to-end id")
        MANDATE = "mandate", _("the mandate's reference")
        ACCOUNT = "account", _("the payer paid from this bank account before")
        CUSTOMER = "customer", _("the purpose names the customer")
        NAME = "name", _("the payer's name")
        AMOUNT_ALONE = "amount_alone", _("only one open item has this amount")
        OTHER_PAYER = "other_payer", _("the money comes from somebody else's bank account")
        OTHER_TREE = "other_tree", _("the documents belong to different customers")
        SEVERAL_FIT = "several_fit", _("several open items would fit")
        SETTLED = "settled", _("nothing of the named document is open")
        RETURN = "return", _("a payment comes back")
        OUTGOING = "outgoing", _("money that went out")

    line = models.OneToOneField(BankLine, models.CASCADE, related_name="proposal", verbose_name=_("bank line"))
    payer = models.ForeignKey(Tenant, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("payer"))
    certainty = models.PositiveSmallIntegerField(_("certainty"), choices=Certainty, default=Certainty.UNCLEAR)
    reasons = models.JSONField(_("reasons"), default=list)
    shares = models.JSONField(
        _("shares"), default=list, help_text=_("Open item, amount, rule, discount and difference of each.")
    )
    payment = models.ForeignKey(
        "payments.Payment", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("payment")
    )
    made_at = models.DateTimeField(_("made at"), db_default=Now())

    visibility = Visibility(through=("line",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        indexes = [models.Index(fields=["certainty"], name="match_proposal_by_certainty")]

    def __str__(self) -> str:
        return str(self.line)


class LineBooking(models.Model):
    """So much of a bank line stands in the books, by this entry; what is undone stands with its sign turned."""

    line = models.ForeignKey(BankLine, models.PROTECT, related_name="bookings", verbose_name=_("bank line"))
    entry = models.OneToOneField(
        JournalEntry, models.PROTECT, related_name="line_booking", verbose_name=_("journal entry")
    )
    currency = models.CharField(_("currency"), max_length=3)
    amount = amount(_("amount"))

    visibility = Visibility(through=("line",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("booking of a bank line")
        verbose_name_plural = _("bookings of bank lines")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(name="line_booking_amount_fits", condition=fits_currency("amount") & ~Q(amount=0))
        ]

    def __str__(self) -> str:
        return str(self.line)


class LineSetAside(models.Model):
    """A line that is no matter of receivables, and why. Deleted, it waits again: both are on record."""

    line = models.OneToOneField(BankLine, models.PROTECT, related_name="set_aside", verbose_name=_("bank line"))
    reason = models.CharField(_("reason"), max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    at = models.DateTimeField(_("at"), db_default=Now())

    visibility = Visibility(through=("line",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("line set aside")
        verbose_name_plural = _("lines set aside")
        constraints = [
            models.CheckConstraint(
                name="line_set_aside_with_reason",
                condition=~Q(reason=""),
                violation_error_message=_("A line is set aside for a reason."),
            )
        ]

    def __str__(self) -> str:
        return self.reason
