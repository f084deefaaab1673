from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class CalendarFeed(models.Model):
    """A user's secret link to the calendar of an account and all below it. Revoked, it opens nothing any more."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="calendar_feeds", verbose_name=_("account"))
    nonce = models.CharField(_("secret"), max_length=43, unique=True)
    created_at = models.DateTimeField(_("created at"), db_default=Now())
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    visibility = Visibility(accounts=("tenant",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("link to a calendar")
        verbose_name_plural = _("links to calendars")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "tenant"],
                name="calendar_feed_one_open_per_user_and_account",
                condition=Q(revoked_at=None),
            )
        ]

    def __str__(self) -> str:
        return str(self.tenant)
