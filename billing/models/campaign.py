from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing.models.amendment import Amendment
from billing.models.catalog import Price, PriceClass, Product
from billing.models.subscription import Subscription
from tenants.models import File, Issuer, Message, Tenant
from tenants.models.columns import amount, below_infinity
from tenants.models.issuer import LANGUAGES
from tenants.models.visibility import Visibility, VisibleQuerySet


class PriceCampaign(models.Model):
    """New prices for running contracts: which contracts, which prices, and from when at the earliest.

    Each contract changes on its own next legal date, by an amendment (``billing.campaigns``). Once announced, what the
    campaign says is frozen: its dates follow from the day of the announcement.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        ANNOUNCED = "announced", _("announced")
        APPLIED = "applied", _("applied")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Rule(models.TextChoices):
        PERCENT = "percent", _("by so many percent")
        AMOUNT = "amount", _("by a fixed amount")
        LIST = "list", _("to the price of the list")

    issuer = models.ForeignKey(Issuer, models.PROTECT, related_name="price_campaigns", verbose_name=_("issuer"))
    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    wanted_on = models.DateField(_("wanted from"), help_text=_("No contract changes earlier."))
    announced_on = models.DateField(_("announced on"), null=True, blank=True)
    notice_days = models.PositiveSmallIntegerField(
        _("days of announcement"),
        default=42,
        help_text=_(
            "So many whole days lie between the announcement and the new price; the contract's own notice counts if"
            " longer."
        ),
    )
    within_term = models.BooleanField(
        _("also within a term"),
        default=False,
        help_text=_("If off, a contract's term fixes its price until the term ends."),
    )
    may_terminate = models.BooleanField(
        _("customers may terminate"),
        default=False,
        help_text=_("The letter grants the right to terminate the contract at the day of the change."),
    )
    rule = models.CharField(_("new price"), max_length=10, choices=Rule, default=Rule.PERCENT)
    percent = models.DecimalField(
        _("percent"), max_digits=7, decimal_places=4, null=True, blank=True, help_text=_("3 raises, -3 lowers.")
    )
    amount = models.DecimalField(
        _("amount"),
        max_digits=19,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_("Per unit, or per period where the price is a flat amount; in the currency below."),
    )
    new_price = models.ForeignKey(
        Price,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("this price of the list"),
        help_text=_("Empty: the one that is valid in the contract's cell on the day of the change."),
    )
    product = models.ForeignKey(Product, models.PROTECT, null=True, blank=True, verbose_name=_("product"))
    price = models.ForeignKey(
        Price,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("price"),
        help_text=_("Only positions that have this price now."),
    )
    price_class = models.ForeignKey(PriceClass, models.PROTECT, null=True, blank=True, verbose_name=_("price class"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    tenant = models.ForeignKey(
        Tenant,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("account"),
        help_text=_("And all accounts below it."),
    )
    starts_from = models.DateField(
        _("contracts from"), null=True, blank=True, help_text=_("First day of the contract.")
    )
    starts_before = models.DateField(_("contracts before"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=400, help_text=_("Stands in the letters and the amendments."))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("author")
    )
    channel = models.CharField(
        _("channel"), max_length=10, choices=Amendment.Channel, default=Amendment.Channel.COMMAND
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility(accounts=("tenant",), issuers=("issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("price campaign")
        verbose_name_plural = _("price campaigns")
        ordering = ["-id"]
        permissions = [("apply_pricecampaign", _("Can announce, apply and withdraw price campaigns"))]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "name"],
                name="price_campaign_name_once",
                violation_error_message=_("The issuer has another campaign with this name."),
            ),
            models.CheckConstraint(
                name="price_campaign_says_how",
                condition=Q(rule="percent", percent__isnull=False, amount=None, new_price=None)
                | (Q(rule="amount", amount__isnull=False, percent=None, new_price=None) & ~Q(currency=""))
                | Q(rule="list", percent=None, amount=None),
                violation_error_message=_(
                    "Say how many percent, or which amount in which currency, or take the price of the list; not two of"
                    " these."
                ),
            ),
            models.CheckConstraint(
                name="price_campaign_percent_in_bounds",
                condition=Q(percent=None) | Q(percent__gte=-100, percent__lte=100),
                violation_error_message=_("The percentage lies between -100 and 100."),
            ),
            models.CheckConstraint(
                name="price_campaign_amount_is_a_number",
                condition=below_infinity("amount"),
                violation_error_message=_("The figures are numbers below 1,000,000,000,000,000."),
            ),
            models.CheckConstraint(
                name="price_campaign_announced_has_its_day",
                condition=Q(state="draft", announced_on=None)
                | Q(state__in=["announced", "applied"], announced_on__isnull=False)
                | Q(state="withdrawn"),
                violation_error_message=_("A campaign has the day of its announcement exactly when it is announced."),
            ),
            models.CheckConstraint(
                name="price_campaign_starts_in_order",
                condition=Q(starts_from=None) | Q(starts_before=None) | Q(starts_from__lt=F("starts_before")),
                violation_error_message=_("The first day of the contracts: “from” lies before “before”."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PriceNotice(models.Model):
    """The letter of a campaign to one account: all of its contracts that change."""

    campaign = models.ForeignKey(
        PriceCampaign, models.PROTECT, related_name="notices", verbose_name=_("price campaign")
    )
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="price_notices", verbose_name=_("account"))
    written_on = models.DateField(_("date"))
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    file = models.OneToOneField(File, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("file"))
    messages = models.ManyToManyField(Message, related_name="+", blank=True, verbose_name=_("messages"))

    visibility = Visibility(accounts=("tenant",), issuers=("campaign__issuer",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("letter about a new price")
        verbose_name_plural = _("letters about new prices")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["campaign", "tenant"], name="price_notice_once_per_account")]

    def __str__(self) -> str:
        return f"{self.campaign} – {self.tenant}"


class PriceChange(models.Model):
    """What a campaign means for one position of a contract: its day and why, its price and value before and after.

    ``days`` is how the day was found: pairs of a rule (``billing.kernel.legal_day.Rule``) and the day it led to.
    ``tiers_before`` and ``tiers_after`` are the figures as the letter shows them; values are those of a month.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("waits")
        CHANGED = "changed", _("changed")
        SKIPPED = "skipped", _("left as it is")
        PARKED = "parked", _("could not be changed")
        WITHDRAWN = "withdrawn", _("withdrawn")

    campaign = models.ForeignKey(
        PriceCampaign, models.PROTECT, related_name="changes", verbose_name=_("price campaign")
    )
    subscription = models.ForeignKey(
        Subscription, models.PROTECT, related_name="price_changes", verbose_name=_("contract")
    )
    line = models.PositiveIntegerField(_("position"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    effective_on = models.DateField(_("effective from"), null=True, blank=True)
    days = models.JSONField(_("how the day was found"), default=list)
    quantity = models.DecimalField(_("quantity"), max_digits=19, decimal_places=4, default=Decimal(1))
    price_before = models.ForeignKey(Price, models.PROTECT, related_name="+", verbose_name=_("price before"))
    price_after = models.ForeignKey(
        Price, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("new price")
    )
    tiers_before = models.JSONField(_("figures before"), default=list)
    tiers_after = models.JSONField(_("new figures"), default=list)
    currency = models.CharField(_("currency"), max_length=3)
    mrr_before = amount(_("per month before"))
    mrr_after = amount(_("per month afterwards"))
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    amendment = models.OneToOneField(
        Amendment, models.PROTECT, null=True, blank=True, related_name="price_change", verbose_name=_("amendment")
    )
    notice = models.ForeignKey(
        PriceNotice, models.PROTECT, null=True, blank=True, related_name="changes", verbose_name=_("letter")
    )

    visibility = Visibility(through=("subscription",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("price change of a contract")
        verbose_name_plural = _("price changes of contracts")
        ordering = ["campaign", "subscription", "line"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "subscription", "line"], name="price_change_once_per_position"),
            models.CheckConstraint(
                name="price_change_has_its_amendment",
                condition=Q(state__in=["changed", "withdrawn"], amendment__isnull=False)
                | (~Q(state="changed") & Q(amendment=None)),
                violation_error_message=_("A position is changed exactly when it has an amendment."),
            ),
            models.CheckConstraint(
                name="price_change_has_its_day",
                condition=Q(state="skipped") | Q(state="parked") | Q(effective_on__isnull=False),
                violation_error_message=_("A position that changes has the day of its change."),
            ),
            models.CheckConstraint(
                name="price_change_says_why_not",
                condition=~Q(state__in=["skipped", "parked"]) | ~Q(reason=""),
                violation_error_message=_("A position that is left as it is says why."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}/{self.line}"
