from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.issuer import Issuer
from tenants.models.visibility import Visibility, VisibleQuerySet


class ImportBatch(models.Model):
    """One file that was offered, how it was read, and what became of it."""

    class Kind(models.TextChoices):
        ISSUERS = "issuers", _("issuers")
        CATALOG = "catalog", _("catalog")
        TENANTS = "tenants", _("accounts")
        CONTRACTS = "contracts", _("contracts")
        MANDATES = "mandates", _("mandates")
        USAGE = "usage", _("usage")

    class State(models.TextChoices):
        READ = "read", _("looked at")
        APPLIED = "applied", _("taken in")
        REFUSED = "refused", _("refused")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    issuer = models.ForeignKey(Issuer, models.PROTECT, null=True, blank=True, verbose_name=_("issuer"))
    file_name = models.CharField(_("file"), max_length=250)
    path = models.CharField(_("kept at"), max_length=300, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64)
    reading = models.JSONField(_("read as"), default=dict)
    skip_bad = models.BooleanField(_("take the good rows only"), default=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.READ)
    refusal = models.TextField(_("reason"), blank=True)
    counts = models.JSONField(_("counts"), default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    applied_at = models.DateTimeField(_("taken in at"), null=True, blank=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name


class ImportRow(models.Model):
    """One row of an offered file: its cells, what it would change, and what is wrong with it."""

    class State(models.TextChoices):
        NEW = "new", _("new")
        CHANGED = "changed", _("changed")
        UNCHANGED = "unchanged", _("unchanged")
        ERROR = "error", _("in error")

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="rows", verbose_name=_("import"))
    number = models.PositiveIntegerField(_("row"))
    reference = models.CharField(_("reference"), max_length=60, blank=True)
    cells = models.JSONField(_("cells"), default=dict)
    state = models.CharField(_("state"), max_length=10, choices=State, blank=True)
    difference = models.JSONField(_("difference"), default=dict)
    errors = models.JSONField(_("errors"), default=list)
    warnings = models.JSONField(_("warnings"), default=list)

    visibility = Visibility(through=("batch",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("import row")
        verbose_name_plural = _("import rows")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="import_row_once")]

    def __str__(self) -> str:
        return str(self.number)
