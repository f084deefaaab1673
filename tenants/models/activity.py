from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import Visibility, VisibleQuerySet


class Activity(models.Model):
    """Who changed what, when, through which channel and why. Written by database triggers, append-only."""

    at = models.DateTimeField(_("at"), db_default=Now())
    actor = models.CharField(_("who"), max_length=150, blank=True)
    channel = models.CharField(_("channel"), max_length=30, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    table = models.CharField(_("record"), max_length=63)
    row = models.BigIntegerField(_("key"))
    action = models.CharField(_("action"), max_length=10)
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        ordering = ["-id"]
        indexes = [models.Index(fields=["table", "row"], name="activity_of_row")]

    def __str__(self) -> str:
        at = date_format(timezone.localtime(self.at), "SHORT_DATETIME_FORMAT")
        return f"{at} {self.actor}".strip()
