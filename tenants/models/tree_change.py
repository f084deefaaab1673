from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class TreeChangeQuerySet(VisibleQuerySet["TreeChange"]):
    def planned(self) -> TreeChangeQuerySet:
        return self.filter(state=TreeChange.State.PLANNED)

    def due(self, day: date) -> TreeChangeQuerySet:
        """Planned for ``day`` or earlier, in the order in which they are made."""
        return self.planned().filter(effective_on__lte=day).order_by("effective_on", "pk")

    def about(self, tenant: Tenant) -> TreeChangeQuerySet:
        """Of the account, or to it: where it is the new parent, takes another one over, or was split off."""
        return self.filter(Q(tenant=tenant) | Q(target=tenant))


class TreeChange(models.Model):
    """A move, merger, split or closing of an account: planned for a day, made on it or later, then kept as it was.

    The tree itself has no days: it is as it is now, and these rows and the activity record say how it came to be so.
    """

    class Kind(models.TextChoices):
        MOVE = "move", _("moved")
        MERGE = "merge", _("merged into another")
        SPLIT = "split", _("split")
        CLOSE = "close", _("closed")

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        DONE = "done", _("done")
        WITHDRAWN = "withdrawn", _("withdrawn")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="tree_changes", verbose_name=_("account"))
    target = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="tree_changes_here",
        verbose_name=_("other account"),
        help_text=_("The new parent, the account that takes over, or the one that was split off."),
    )
    effective_on = models.DateField(_("from"))
    options = models.JSONField(_("choices"), default=dict)
    outcome = models.JSONField(_("what it did"), default=dict)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PLANNED)
    reason = models.TextField(_("reason"), blank=True)
    refusal = models.TextField(_("why it could not be made"), blank=True)
    decided_by = models.CharField(_("who"), max_length=150, blank=True)
    planned_at = models.DateTimeField(_("planned at"), db_default=Now())
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    visibility = Visibility(accounts=("tenant",))
    objects = TreeChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("change of the account tree")
        verbose_name_plural = _("changes of the account tree")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind"],
                name="tree_change_planned_once",
                condition=Q(state="planned"),
                violation_error_message=_("The same change of this account is planned already; withdraw it first."),
            ),
            models.CheckConstraint(
                name="tree_change_target_is_another_account",
                condition=Q(target=None) | ~Q(target=F("tenant")),
                violation_error_message=_("An account cannot be moved to or merged into itself."),
            ),
            models.CheckConstraint(
                name="tree_change_merges_into_an_account",
                condition=~Q(kind="merge") | Q(target__isnull=False),
                violation_error_message=_("The account that takes over is missing."),
            ),
            models.CheckConstraint(
                name="tree_change_has_its_time_when_done",
                condition=Q(state="done", done_at__isnull=False) | (~Q(state="done") & Q(done_at=None)),
            ),
        ]
        indexes = [models.Index(fields=["effective_on"], name="tree_change_in_tray", condition=Q(state="planned"))]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.kind}"
