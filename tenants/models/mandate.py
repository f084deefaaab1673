"""SEPA direct debit: who collects, who allowed it, and from which bank account."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.columns import below_infinity
from tenants.models.file import File
from tenants.models.issuer import Issuer
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet

# EPC130-08, 1.4: what references may hold; a mandate's has no blank
REFERENCE = r"^[A-Za-z0-9+?/:().,'-]{1,35}$"


class Creditor(models.Model):
    """How an issuer collects by SEPA direct debit: its creditor identifier, and what it may do by itself."""

    issuer = models.OneToOneField(Issuer, models.PROTECT, related_name="creditor", verbose_name=_("issuer"))
    identifier = models.CharField(
        _("creditor identifier"), max_length=35, help_text=_("as the Bundesbank gave it, such as DE98ZZZ09999999999")
    )
    prenotification_days = models.PositiveSmallIntegerField(
        _("days of pre-notification"),
        default=14,
        help_text=_("So many days before the debit the payer is told its day and amount: 14, unless agreed otherwise."),
    )
    days_ahead = models.PositiveSmallIntegerField(
        _("bank days ahead"),
        default=5,
        help_text=_("So many bank days before the due day a payment run is proposed, to be looked at and sent."),
    )
    releases_by_itself = models.BooleanField(
        _("runs are released without a person"),
        default=False,
        help_text=_("The file is written in the night, but never sent: a person takes it to the bank."),
    )
    run_limit = models.DecimalField(
        _("largest payment run without approval"),
        max_digits=19,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_("A run above this sum is released only when another person approves it. Empty: never needed."),
    )
    refund_limit = models.DecimalField(
        _("largest refund without approval"),
        max_digits=19,
        decimal_places=4,
        null=True,
        blank=True,
        default=0,
        help_text=_("A refund above this amount is paid only when another person approves it. Empty: never needed."),
    )
    checks_bank_details = models.BooleanField(
        _("bank details need a second person"),
        default=True,
        help_text=_("The bank account of a mandate counts only when somebody else than who entered it approves it."),
    )
    passes_charges_on = models.BooleanField(_("payers bear the bank's charges of returned debits"), default=False)

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("creditor")
        verbose_name_plural = _("creditors")
        ordering = ["issuer"]
        constraints = [
            models.CheckConstraint(
                name="creditor_identifier_has_its_form",
                condition=Q(identifier__regex=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{3}[A-Z0-9]{1,28}$"),
                violation_error_message=_("A creditor identifier looks like DE98ZZZ09999999999."),
            ),
            models.CheckConstraint(
                name="creditor_bounds",
                condition=Q(prenotification_days__gte=1, prenotification_days__lte=60)
                & Q(days_ahead__gte=1, days_ahead__lte=30)
                & (Q(run_limit=None) | Q(run_limit__gte=0) & below_infinity("run_limit"))
                & (Q(refund_limit=None) | Q(refund_limit__gte=0) & below_infinity("refund_limit")),
                violation_error_message=_(
                    "Pre-notification takes 1 to 60 days, runs are proposed 1 to 30 bank days ahead, limits are not"
                    " below zero."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.identifier


class Mandate(models.Model):
    """A payer's permission to collect from its bank account (SEPA mandate). Never changed, only revoked."""

    class Scheme(models.TextChoices):
        CORE = "CORE", _("core (SEPA-Basislastschrift)")
        B2B = "B2B", _("business to business (SEPA-Firmenlastschrift)")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="mandates", verbose_name=_("issuer"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="mandates", verbose_name=_("payer"))
    reference = models.CharField(_("mandate reference"), max_length=35)
    scheme = models.CharField(_("scheme"), max_length=4, choices=Scheme, default=Scheme.CORE)
    is_one_off = models.BooleanField(_("for one debit only"), default=False)
    signed_on = models.DateField(_("signed on"))
    original_reference = models.CharField(
        _("reference with the creditor before"), max_length=35, blank=True, help_text=_("where it was taken over")
    )
    original_creditor = models.CharField(_("creditor identifier before"), max_length=35, blank=True)
    paper = models.ForeignKey(File, models.PROTECT, null=True, blank=True, verbose_name=_("signed paper"))
    revoked_on = models.DateField(_("revoked on"), null=True, blank=True)
    revocation = models.CharField(_("why revoked"), max_length=200, null=True, blank=True)
    created_at = models.DateTimeField(_("entered at"), db_default=Now())

    visibility = Visibility(accounts=("payer",), issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("mandate")
        verbose_name_plural = _("mandates")
        ordering = ["-id"]
        permissions = [
            ("revoke_mandate", _("Can revoke mandates")),
            ("approve_mandate", _("Can approve bank details of mandates")),
            ("import_mandate", _("Can import mandates")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "reference"],
                name="mandate_reference_once",
                violation_error_message=_("The issuer has a mandate of this reference already."),
            ),
            models.CheckConstraint(
                name="mandate_reference_has_its_form",
                condition=Q(reference__regex=REFERENCE),
                violation_error_message=_(
                    "A mandate reference has at most 35 letters, digits and + ? / : ( ) . , ' -, and no blank."
                ),
            ),
            models.CheckConstraint(
                name="mandate_revoked_with_reason",
                condition=Q(revoked_on=None, revocation=None)
                | Q(revoked_on__gte=F("signed_on"), revocation__isnull=False),
                violation_error_message=_("A mandate cannot be revoked before it was signed, nor without a reason."),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class MandateAccount(models.Model):
    """A bank account under a mandate. The latest approved one holds; a change is a new row and keeps the old.

    ``iban`` is encrypted, ``iban_hash`` finds the same account again (``tenants.encryption``); only ``iban_tail`` is
    ever shown.
    """

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")

    mandate = models.ForeignKey(Mandate, models.PROTECT, related_name="accounts", verbose_name=_("mandate"))
    number = models.PositiveSmallIntegerField(_("number"))
    holder = models.CharField(_("account holder"), max_length=70)
    iban = models.CharField(_("encrypted IBAN"), max_length=400, editable=False)
    iban_hash = models.CharField(_("hash of the IBAN"), max_length=64, editable=False, db_index=True)
    iban_tail = models.CharField(_("IBAN ends in"), max_length=4)
    bic = models.CharField(_("BIC"), max_length=11, blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("entered by")
    )
    entered_at = models.DateTimeField(_("entered at"), db_default=Now())
    decision = models.CharField(_("decision"), max_length=10, choices=Decision, null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    visibility = Visibility(through=("mandate",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("bank account of a mandate")
        verbose_name_plural = _("bank accounts of mandates")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["mandate", "number"], name="mandate_account_once"),
            models.CheckConstraint(
                name="mandate_account_decided_by_another",
                condition=Q(decision=None, decided_by=None, decided_at=None)
                | Q(decision__isnull=False, decided_at__isnull=False)
                & (Q(decided_by=None) | Q(entered_by=None) | ~Q(decided_by=F("entered_by"))),
                violation_error_message=_("Whoever enters bank details cannot approve them."),
            ),
            models.CheckConstraint(name="mandate_account_tail", condition=Q(iban_tail__regex=r"^[A-Z0-9]{4}$")),
        ]

    def __str__(self) -> str:
        return f"…{self.iban_tail}"
