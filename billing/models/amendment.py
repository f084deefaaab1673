from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing.models.subscription import Subscription
from tenants.models.visibility import Visibility, VisibleQuerySet


class Amendment(models.Model):
    """A change of a contract: the only way in which one changes once it was charged.

    What a contract is on a day follows from its amendments up to that day, in the order of their days and, on one day,
    of their numbers; positions are made of them (``billing.contracts``). Nothing here is an amount: charging finds what
    is due less what is booked. ``data`` is what was asked for, as ``billing.contracts.course`` reads it.
    """

    class Kind(models.TextChoices):
        START = "start", _("contract as agreed")
        QUANTITY = "quantity", _("other quantity")
        PRICE = "price", _("other product or price")
        OVERRIDE = "override", _("agreed price")
        ADD = "add", _("further position")
        END = "end", _("end of a position")
        DISCOUNT = "discount", _("discount granted")
        DISCOUNT_END = "discount_end", _("discount ended")
        PAUSE = "pause", _("pause")
        RESUME = "resume", _("end of the pause")
        TRIAL = "trial", _("longer trial")
        ACTIVATION = "activation", _("start of billing")
        ALIGNMENT = "alignment", _("other billing day")
        COTERM = "coterm", _("common day of renewal")
        RENEWAL = "renewal", _("renewal")
        CANCELLATION = "cancellation", _("cancellation of the contract")
        REINSTATEMENT = "reinstatement", _("continuation")
        TRANSFER = "transfer", _("transfer to another account")
        RESPONSIBILITY = "responsibility", _("other recipient or payer")
        WITHDRAWAL = "withdrawal", _("withdrawn change")

    class Channel(models.TextChoices):
        ADMIN = "admin", _("admin")
        CSV = "csv", _("file")
        API = "api", _("API")
        COMMAND = "command", _("command")
        SCHEDULE = "schedule", _("by schedule")
        PORTAL = "portal", _("portal")

    subscription = models.ForeignKey(
        Subscription, models.PROTECT, related_name="amendments", verbose_name=_("contract")
    )
    sequence = models.PositiveIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    effective_on = models.DateField(_("effective from"))
    written_at = models.DateTimeField(_("written at"), db_default=Now())
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("author")
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    data = models.JSONField(_("what was asked for"), default=dict)

    visibility = Visibility(through=("subscription",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("amendment of a contract")
        verbose_name_plural = _("amendments of contracts")
        ordering = ["subscription", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "sequence"], name="amendment_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.get_kind_display()}"


class Pause(models.Model):
    """Days on which a contract rests; ``ends_before`` is empty until somebody says when it goes on."""

    class Policy(models.TextChoices):
        CREDIT = "credit", _("its days are not charged; what was charged is given back")
        NO_CREDIT = "no_credit", _("charging goes on")
        EXTEND_TERM = "extend_term", _("its days are not charged, and the term is longer by them")

    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="pauses", verbose_name=_("contract"))
    amendment = models.OneToOneField(
        Amendment, models.PROTECT, related_name="pause", verbose_name=_("amendment of a contract")
    )
    starts_on = models.DateField(_("first day"))
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    policy = models.CharField(_("policy"), max_length=20, choices=Policy, default=Policy.CREDIT)

    visibility = Visibility(through=("subscription",), right="sees_subscriptions")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        ordering = ["subscription", "starts_on"]
        constraints = [
            models.CheckConstraint(
                name="pause_ends_after_it_starts",
                condition=Q(ends_before=None) | Q(ends_before__gte=F("starts_on")),  # equal: withdrawn
                violation_error_message=_("The pause ends before it starts."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_on}"
