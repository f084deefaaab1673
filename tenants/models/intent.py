from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import VisibleQuerySet

AnyIntent = TypeVar("AnyIntent", bound="Intent")


class IntentQuerySet(VisibleQuerySet[AnyIntent]):
    def claimable(self, now: datetime) -> IntentQuerySet[AnyIntent]:
        """Waiting, and its time has come."""
        return self.filter(state=Intent.State.WAITING, next_at__lte=now)

    def abandoned(self, now: datetime) -> IntentQuerySet[AnyIntent]:
        """Taken by a worker whose lease ran out: what became of it is not known."""
        return self.filter(state=Intent.State.WORKING, lease_until__lt=now)


class Intent(models.Model):
    """Something to do outside the database: written with its cause, claimed by one worker, tried with patience."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        WORKING = "working", _("in progress")
        DONE = "done", _("done")
        UNKNOWN = "unknown", _("outcome unknown")
        PARKED = "parked", _("failed")
        WITHDRAWN = "withdrawn", _("withdrawn")

    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_at = models.DateTimeField(_("next attempt"), db_default=models.functions.Now())
    lease_until = models.DateTimeField(null=True, editable=False)
    token = models.UUIDField(null=True, editable=False)
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        abstract = True


def in_tray(name: str) -> models.Index:
    """The few rows that still wait, for the sweeper."""
    return models.Index(F("next_at"), name=name, condition=Q(state__in=["waiting", "working"]))
