from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.columns import amount, fits_currency
from tenants.models.issuer import Issuer
from tenants.models.visibility import Visibility, VisibleQuerySet


class Approval(models.Model):
    """Four eyes: what one person asked for, bound to the hash of its content, and what another one decided.

    ``table`` and ``row`` name what it is about; ``facts`` holds what is needed to do it. Append-only but for the
    decision, which is written once.
    """

    class Action(models.TextChoices):
        CANCEL = "cancel", _("cancel the document")
        CREDIT = "credit", _("credit note")
        DEBIT = "debit", _("payment run")
        REFUND = "refund", _("refund")

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")
        LAPSED = "lapsed", _("lapsed: the content has changed since")
        WITHDRAWN = "withdrawn", _("withdrawn")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="approvals", verbose_name=_("issuer"))
    table = models.CharField(_("table"), max_length=60)
    row = models.BigIntegerField(_("row"))
    action = models.CharField(_("action"), max_length=10, choices=Action)
    subject = models.CharField(_("subject"), max_length=100)
    currency = models.CharField(_("currency"), max_length=3)
    gross = amount(_("gross"))
    content_hash = models.CharField(_("hash of the content"), max_length=64)
    facts = models.JSONField(_("what is asked for"), default=dict)
    reason = models.TextField(_("reason"))
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("requested by")
    )
    requested_at = models.DateTimeField(_("requested at"), db_default=Now())
    decision = models.CharField(_("decision"), max_length=10, choices=Decision, null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    note = models.TextField(_("note"), null=True, blank=True)

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        ordering = ["-id"]
        permissions = [("decide_approval", _("Can approve and refuse what others ask for"))]
        constraints = [
            models.UniqueConstraint(
                fields=["table", "row"],
                name="approval_one_open",
                condition=Q(decision=None),
                violation_error_message=_("An approval for it is asked for already."),
            ),
            models.CheckConstraint(
                name="approval_by_another_person",
                condition=Q(decision=None, decided_by=None, decided_at=None)
                | Q(decision__in=["approved", "refused"], decided_by__isnull=False, decided_at__isnull=False)
                & ~Q(decided_by=F("requested_by"))
                | Q(decision__in=["lapsed", "withdrawn"], decided_at__isnull=False),
                violation_error_message=_("Whoever asks for something cannot approve it."),
            ),
            models.CheckConstraint(name="approval_amount_fits", condition=fits_currency("gross")),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.subject}"
