from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from tenants.models import Issuer, Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class BillRun(models.Model):
    """A reviewable batch: every payer of an issuer, or one, charged through a day, with an outcome per payer."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        FINISHED = "finished", _("finished")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="bill_runs", verbose_name=_("issuer"))
    payer = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="own_bill_runs",
        verbose_name=_("only this payer"),
        help_text=_("Empty: every payer of the issuer."),
    )
    through = models.DateField(_("charged through"))
    issue_on = models.DateField(_("invoice date"))
    issues_by_itself = models.BooleanField(
        _("issues by itself"), default=False, help_text=_("If off, a person releases the drafts first.")
    )
    chunk_size = models.PositiveIntegerField(_("payers per step"), default=500)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, verbose_name=_("started by")
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    visibility = Visibility(accounts=("payer",), issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("bill run")
        verbose_name_plural = _("bill runs")
        ordering = ["-id"]
        permissions = [("start_billrun", _("Can start a bill run"))]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "issue_on", "payer"],
                name="bill_run_one_open_per_issuer_and_day",
                condition=Q(state="running"),
                nulls_distinct=False,
                violation_error_message=_("A run of this issuer for this invoice date is in progress."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.issuer.reference} {date_format(self.issue_on, 'SHORT_DATE_FORMAT')}"


class OutcomeQuerySet(VisibleQuerySet["Outcome"]):
    def pending(self) -> OutcomeQuerySet:
        return self.filter(state=Outcome.State.PENDING)

    def claim(self, size: int) -> OutcomeQuerySet:
        """At most ``size`` rows nobody else holds, until the transaction ends."""
        return self.select_for_update(skip_locked=True, of=("self",), no_key=True).order_by("payer_id")[:size]


class Outcome(models.Model):
    """What a run did for one payer. Written in the payer's own transaction."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        PROPOSED = "proposed", _("proposed")
        ISSUED = "issued", _("issued")
        NOTHING_DUE = "nothing_due", _("nothing due")
        SKIPPED = "skipped", _("skipped")
        PARKED = "parked", _("parked")

    run = models.ForeignKey(BillRun, models.PROTECT, related_name="outcomes", verbose_name=_("bill run"))
    payer = models.ForeignKey(Tenant, models.PROTECT, related_name="outcomes", verbose_name=_("payer"))
    state = models.CharField(_("outcome"), max_length=12, choices=State, default=State.PENDING)
    reason = models.TextField(_("reason"), blank=True)
    documents = models.PositiveIntegerField(_("documents"), default=0)
    lines = models.PositiveIntegerField(_("lines"), default=0)

    visibility = Visibility(accounts=("payer",), issuers=("run__issuer",))
    objects = OutcomeQuerySet.as_manager()

    class Meta:
        verbose_name = _("outcome")
        verbose_name_plural = _("outcomes")
        ordering = ["payer_id"]
        constraints = [models.UniqueConstraint(fields=["run", "payer"], name="outcome_once_per_run_and_payer")]
        indexes = [
            models.Index(fields=["run", "payer"], name="outcome_in_tray", condition=Q(state="pending")),
            models.Index(fields=["run", "state"], name="outcome_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.payer_id} {self.state}"
