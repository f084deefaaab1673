from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing.models.subscription import Subscription
from tenants.models.visibility import Visibility, VisibleQuerySet


class ChangeRequest(models.Model):
    """What a customer asks of a contract in the portal; staff accept or decline it. Accepting writes a cancellation as
    an amendment; another change staff amend themselves before they accept."""

    class Kind(models.TextChoices):
        CHANGE = "change", _("change of the contract")
        CANCELLATION = "cancellation", _("cancellation of the contract")

    class State(models.TextChoices):
        OPEN = "open", _("waits for a decision")
        ACCEPTED = "accepted", _("accepted")
        DECLINED = "declined", _("declined")

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="requests", verbose_name=_("contract"))
    kind = models.CharField(_("kind"), max_length=15, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    wish = models.TextField(_("what is asked for"), max_length=2000, blank=True)
    wanted_on = models.DateField(_("wanted from"), null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("asked by")
    )
    asked_at = models.DateTimeField(_("asked at"), db_default=Now())
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    answer = models.TextField(_("answer"), max_length=2000, blank=True)

    visibility = Visibility(through=("subscription",), right="sees_subscriptions")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("customer request")
        verbose_name_plural = _("customer requests")
        ordering = ["-id"]
        permissions = [("decide_changerequest", _("Can accept and decline requests of customers"))]
        constraints = [
            models.CheckConstraint(
                name="change_request_decided_or_open",
                condition=Q(state="open", decided_at=None) | (~Q(state="open") & Q(decided_at__isnull=False)),
                violation_error_message=_("A request is open, or it was decided at some time."),
            ),
            models.UniqueConstraint(
                fields=["subscription"],
                name="change_request_one_cancellation_waits",
                condition=Q(kind="cancellation", state="open"),
                violation_error_message=_("A cancellation of this contract already waits for a decision."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription} – {self.get_kind_display()}"
