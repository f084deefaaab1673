from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from invoicing.models import Line
from tenants.models.visibility import Visibility, VisibleQuerySet


class Dispute(models.Model):
    """A payer contests a line: its amount is neither reminded of nor collected until somebody has resolved it."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        UPHELD = "upheld", _("upheld: credited")
        REJECTED = "rejected", _("rejected")

    line = models.ForeignKey(Line, models.PROTECT, related_name="disputes", verbose_name=_("line"))
    reason = models.CharField(_("reason"), max_length=200)
    raised_on = models.DateField(_("raised on"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    resolved_on = models.DateField(_("resolved on"), null=True, blank=True)
    resolution = models.CharField(_("resolution"), max_length=200, blank=True)

    visibility = Visibility(through=("line",))
    objects = VisibleQuerySet.as_manager()

    visibility = Visibility(through=("line",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        ordering = ["-id"]
        permissions = [("resolve_dispute", _("Can resolve disputes"))]
        constraints = [
            models.UniqueConstraint(
                fields=["line"],
                name="dispute_one_open_per_line",
                condition=Q(state="open"),
                violation_error_message=_("The line is disputed already."),
            ),
            models.CheckConstraint(
                name="dispute_open_or_resolved",
                condition=Q(state="open", resolved_on=None)
                | Q(state__in=["upheld", "rejected"], resolved_on__isnull=False, resolved_on__gte=F("raised_on")),
                violation_error_message=_("A dispute cannot be resolved before it was raised."),
            ),
        ]

    def __str__(self) -> str:
        return self.reason
