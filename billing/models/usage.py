"""What was used: how it is counted, by whom it is reported, each event once, and what they come to by day."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from tenants.models.columns import below_infinity
from tenants.models.imports import ImportBatch
from tenants.models.issuer import Issuer
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet

VALUE_PLACES = 10
VALUE_DIGITS = 25  # of one event; sums have five more


class Named(models.Model):
    """Has a name in both languages; where none is given its reference serves."""

    name_de = models.CharField(_("name (German)"), max_length=200, blank=True)
    name_en = models.CharField(_("name (English)"), max_length=200, blank=True)

    class Meta:
        abstract = True

    @property
    def name(self) -> str:
        """In the active language."""
        own = self.name_de if (get_language() or "").startswith("de") else self.name_en
        return own or self.name_en or self.name_de or str(getattr(self, "reference", ""))


class Application(Named):
    """The software whose use is charged; groups meters."""

    reference = models.CharField(_("reference"), max_length=60, unique=True)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        ordering = ["reference"]

    def __str__(self) -> str:
        return self.reference


class Meter(Named):
    """How one kind of event is counted. Once events were counted by it, it counts so for good (trigger).

    ``sum``, ``maximum`` and ``last`` take the number that the event's ``property`` holds, or its quantity where the
    meter names none; ``unique`` counts the different values of the property; ``count`` the events themselves.
    """

    class Aggregation(models.TextChoices):
        COUNT = "count", pgettext_lazy("aggregation", "number of events")
        SUM = "sum", pgettext_lazy("aggregation", "sum")
        MAX = "max", pgettext_lazy("aggregation", "highest value")
        LAST = "last", pgettext_lazy("aggregation", "last value")
        UNIQUE = "unique", pgettext_lazy("aggregation", "number of different values")

    application = models.ForeignKey(
        Application, models.PROTECT, related_name="meters", verbose_name=_("application"), db_index=False
    )
    reference = models.CharField(_("reference"), max_length=60)
    aggregation = models.CharField(_("aggregation"), max_length=10, choices=Aggregation)
    property = models.CharField(
        _("property"),
        max_length=60,
        blank=True,
        help_text=_("Name of the property of an event that is counted; empty: its quantity."),
    )

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("meter")
        verbose_name_plural = _("meters")
        ordering = ["application", "reference"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "reference"],
                name="meter_reference_once",
                violation_error_message=_("The application has a meter with this reference already."),
            ),
            models.CheckConstraint(
                name="meter_unique_of_a_property",
                condition=~Q(aggregation="unique") | ~Q(property=""),
                violation_error_message=_("Different values are those of a property: name it."),
            ),
            models.CheckConstraint(
                name="meter_count_without_property",
                condition=~Q(aggregation="count") | Q(property=""),
                violation_error_message=_("The number of events depends on no property: leave it empty."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application} / {self.reference}"


class UsageSource(models.Model):
    """A system that reports events; an event's key is unique within it. Bound to an application, it reports only that.

    Where no account above says in which time zone a tenant's days lie, the issuer's counts.
    """

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=100, blank=True)
    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="usage_sources", verbose_name=_("issuer"))
    application = models.ForeignKey(
        Application,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="sources",
        verbose_name=_("application"),
        help_text=_("Events of another application are refused; empty: each event names its own."),
    )

    visibility = Visibility(issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage source")
        verbose_name_plural = _("usage sources")
        ordering = ["reference"]

    def __str__(self) -> str:
        return self.reference


class UsageToken(models.Model):
    """What a source shows to be let in. Kept as a hash: it can be read once, when it is issued."""

    source = models.ForeignKey(UsageSource, models.PROTECT, related_name="tokens", verbose_name=_("usage source"))
    digest = models.CharField("SHA-256", max_length=64, unique=True, editable=False)
    hint = models.CharField(_("begins with"), max_length=12)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("issued at"), db_default=Now())
    used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    visibility = Visibility(through=("source",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage token")
        verbose_name_plural = _("usage tokens")
        ordering = ["-id"]
        permissions = [("issue_usagetoken", _("Can issue and revoke usage tokens"))]

    def __str__(self) -> str:
        return f"{self.hint}…"


class UsageBatch(models.Model):
    """Events that came together, and what became of them. Append-only; its counts are written once, at its end."""

    class Channel(models.TextChoices):
        FILE = "file", _("file")
        API = "api", _("API")

    source = models.ForeignKey(UsageSource, models.PROTECT, related_name="batches", verbose_name=_("usage source"))
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    import_batch = models.OneToOneField(
        ImportBatch, models.PROTECT, null=True, blank=True, related_name="usage", verbose_name=_("import")
    )
    accepted = models.PositiveIntegerField(_("accepted"), null=True, blank=True)
    replayed = models.PositiveIntegerField(_("known already"), null=True, blank=True)
    conflicting = models.PositiveIntegerField(_("in conflict"), null=True, blank=True)
    refused = models.PositiveIntegerField(_("refused"), null=True, blank=True)
    created_at = models.DateTimeField(_("taken in at"), db_default=Now())

    visibility = Visibility(through=("source",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage batch")
        verbose_name_plural = _("usage batches")
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.pk)


class UsageKey(models.Model):
    """That an event is known: one per source and key, over all months. Append-only.

    The event itself has the same ``id``; ``occurred_at`` says in which partition it is. ``reverses`` names the event
    that this one takes back: each is taken back once.
    """

    source = models.ForeignKey(
        UsageSource, models.PROTECT, related_name="keys", verbose_name=_("usage source"), db_index=False
    )
    key = models.CharField(_("event"), max_length=100)
    occurred_at = models.DateTimeField(_("happened at"))
    batch = models.ForeignKey(
        UsageBatch, models.PROTECT, related_name="keys", verbose_name=_("usage batch"), db_index=False
    )
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="reversal", verbose_name=_("takes back")
    )

    visibility = Visibility(through=("source",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage key")
        verbose_name_plural = _("usage keys")
        ordering = ["-id"]
        indexes = [BrinIndex(fields=["batch"], name="usage_key_batch")]
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="usage_key_once")]

    def __str__(self) -> str:
        return self.key


class UsageEventQuerySet(VisibleQuerySet["UsageEvent"]):
    def unassigned(self) -> UsageEventQuerySet:
        """Of a tenant or a meter that is not known, or without what its meter counts."""
        return self.filter(tenant=None, reverses_key="", reversed_by=None)

    def counted(self) -> UsageEventQuerySet:
        """Assigned and not taken back: what the totals are made of."""
        return self.filter(tenant__isnull=False, reverses_key="", reversed_by=None)


class UsageEvent(models.Model):
    """One thing that happened, as it was reported. Partitioned by month (UTC) of ``occurred_at``; append-only.

    What it named stays as it was written. What that means to us (``tenant``, ``meter``, ``day``, and the ``value`` or
    ``label`` that the meter counts) is written once, all of it together: at intake, or when tenant and meter are known.
    An event with ``reverses_key`` takes another one back, whole; that one then has ``reversed_by``; neither counts.
    """

    key = models.OneToOneField(
        UsageKey, models.PROTECT, primary_key=True, db_column="id", related_name="event", verbose_name=_("event")
    )
    occurred_at = models.DateTimeField(_("happened at"))
    tenant_reference = models.CharField(_("account named"), max_length=60)
    application_reference = models.CharField(_("application named"), max_length=60)
    meter_reference = models.CharField(_("meter named"), max_length=60)
    user_name = models.CharField(_("user"), max_length=200, blank=True)
    quantity = models.DecimalField(_("quantity"), max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, default=1)
    properties = models.JSONField(_("properties"), default=dict)
    reverses_key = models.CharField(_("takes back"), max_length=100, blank=True)
    tenant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, related_name="usage_events", verbose_name=_("account"), db_index=False
    )
    meter = models.ForeignKey(
        Meter, models.PROTECT, null=True, related_name="events", verbose_name=_("meter"), db_index=False
    )
    day = models.DateField(_("day"), null=True)
    value = models.DecimalField(_("value"), max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, null=True)
    label = models.CharField(_("value counted once"), max_length=500, null=True)
    reversed_by = models.ForeignKey(
        UsageKey,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("taken back by"),
        db_constraint=False,
        db_index=False,
    )

    visibility = Visibility(accounts=("tenant",), right="sees_usage")
    objects = UsageEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage event")
        verbose_name_plural = _("usage events")
        ordering = ["-key_id"]
        permissions = [("import_usageevent", _("Can import usage")), ("export_usageevent", _("Can export usage"))]
        indexes = [
            models.Index(fields=["tenant", "meter", "day"], name="usage_event_series"),
            models.Index(
                fields=["key"],
                name="usage_event_unassigned",
                condition=Q(tenant=None, reverses_key="", reversed_by=None),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="usage_event_assigned_whole",
                condition=Q(tenant=None, meter=None, day=None, value=None, label=None)
                | Q(tenant__isnull=False, meter__isnull=False, day__isnull=False),
            ),
            models.CheckConstraint(
                name="usage_event_figures_are_numbers", condition=below_infinity("quantity", "value")
            ),
            models.CheckConstraint(
                name="usage_event_reversal_counts_nothing",
                condition=Q(reverses_key="") | Q(tenant=None, reversed_by=None),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class UsageTotalQuerySet(VisibleQuerySet["UsageTotal"]):
    def of(self, tenants: Sequence[int], meters: Sequence[int]) -> UsageTotalQuerySet:
        return self.filter(tenant__in=tenants, meter__in=meters)


class UsageTotal(models.Model):
    """What one meter counted for one tenant on one day: folded in by the transaction that takes the events in.

    ``total``, ``maximum`` and ``last_value`` are of the events' values, and zero or empty where the meter has none. Of
    two events at one instant that with the greater key (in the order of its bytes) is the last, then the higher value.
    Different values over several days are counted from the events (``label``).
    """

    tenant = models.ForeignKey(
        Tenant, models.PROTECT, related_name="usage_totals", verbose_name=_("account"), db_index=False
    )
    meter = models.ForeignKey(Meter, models.PROTECT, related_name="totals", verbose_name=_("meter"), db_index=False)
    day = models.DateField(_("day"))
    count = models.BigIntegerField(_("events"))
    total = models.DecimalField(_("sum"), max_digits=VALUE_DIGITS + 5, decimal_places=VALUE_PLACES)
    maximum = models.DecimalField(_("highest value"), max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, null=True)
    last_at = models.DateTimeField(_("last value at"), null=True)
    last_key = models.CharField(_("event of the last value"), max_length=100, blank=True)
    last_value = models.DecimalField(_("last value"), max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, null=True)

    visibility = Visibility(accounts=("tenant",), right="sees_usage")
    objects = UsageTotalQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")
        ordering = ["tenant", "meter", "day"]
        indexes = [models.Index(fields=["meter", "day"], name="usage_total_by_meter")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "meter", "day"], name="usage_total_once"),
            models.CheckConstraint(
                name="usage_total_figures_are_numbers",
                condition=Q(count__gte=0) & below_infinity("maximum", "last_value") & Q(total__lt=10**20),
            ),
            models.CheckConstraint(
                name="usage_total_last_is_whole",
                condition=Q(last_at=None, last_key="", last_value=None)
                | Q(last_at__isnull=False, last_value__isnull=False) & ~Q(last_key=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.meter_id} {self.day}"


class UsageConflict(models.Model):
    """What came under the key of a known event, but says something else. Nothing of it counts; append-only."""

    key = models.ForeignKey(UsageKey, models.PROTECT, related_name="conflicts", verbose_name=_("event"))
    batch = models.ForeignKey(UsageBatch, models.PROTECT, related_name="conflicts", verbose_name=_("usage batch"))
    content = models.JSONField(_("what came"))
    digest = models.CharField("SHA-256", max_length=64)

    visibility = Visibility(through=("key",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage conflict")
        verbose_name_plural = _("usage conflicts")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["key", "digest"], name="usage_conflict_once")]

    def __str__(self) -> str:
        return str(self.key_id)
