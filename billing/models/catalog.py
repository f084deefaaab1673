from __future__ import annotations

from datetime import date

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _

from tenants.models.columns import UNIT_PRICE_PLACES, below_infinity, currency_is_a_code, days, same
from tenants.models.visibility import Visibility, VisibleQuerySet


class Interval(models.TextChoices):
    ONCE = "once", _("once")
    WEEKLY = "weekly", _("weekly")
    MONTHLY = "monthly", _("monthly")
    QUARTERLY = "quarterly", _("quarterly")
    HALF_YEARLY = "half_yearly", _("half-yearly")
    YEARLY = "yearly", _("yearly")


class Timing(models.TextChoices):
    ADVANCE = "advance", _("in advance")
    ARREARS = "arrears", _("in arrears")


class Proration(models.TextChoices):
    ACTUAL = "actual", _("actual days of the period")
    MONTH_FIRST = "month_first", _("whole months first, then days")
    ACTUAL_OVER_30 = "actual_over_30", _("actual days over 30")
    STRICT_30_360 = "strict_30_360", _("30/360")
    NONE = "none", _("not prorated")


class PriceClass(models.Model):
    """A column of the price lists."""

    number = models.PositiveSmallIntegerField(_("number"), unique=True)
    name = models.CharField(_("name"), max_length=100, blank=True)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("price class")
        verbose_name_plural = _("price classes")
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}".strip()


class Product(models.Model):
    """What is sold."""

    class TaxCategory(models.TextChoices):
        STANDARD = "standard", _("standard rate")
        REDUCED = "reduced", _("reduced rate")
        DIGITAL = "digital", _("electronic service")
        GOODS = "goods", _("goods, standard rate")
        REDUCED_GOODS = "reduced_goods", _("goods, reduced rate")
        EXEMPT = "exempt", _("exempt")

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name_de = models.CharField(_("name (German)"), max_length=200)
    name_en = models.CharField(_("name (English)"), max_length=200)
    unit = models.CharField(_("unit"), max_length=3, default="C62", help_text=_("UN/ECE code, such as C62 (piece)"))
    tax_category = models.CharField(_("tax category"), max_length=20, choices=TaxCategory, default=TaxCategory.STANDARD)
    interval = models.CharField(_("interval"), max_length=20, choices=Interval, default=Interval.MONTHLY)
    timing = models.CharField(_("billed"), max_length=10, choices=Timing, default=Timing.ADVANCE)
    proration = models.CharField(_("parts of a period"), max_length=20, choices=Proration, default=Proration.ACTUAL)
    meter = models.ForeignKey(
        "billing.Meter",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="products",
        verbose_name=_("meter"),
        help_text=_("Charged by what this meter counts, per calendar period and in arrears; empty: by a quantity."),
    )

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        permissions = [("import_product", _("Can import the catalog")), ("export_product", _("Can export the catalog"))]
        ordering = ["reference"]
        constraints = [
            models.CheckConstraint(
                name="product_metered_by_periods",
                condition=Q(meter=None) | ~Q(interval="once"),
                violation_error_message=_("What is charged by use is charged by periods: choose an interval."),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class PriceQuerySet(VisibleQuerySet["Price"]):
    def listed(self) -> PriceQuerySet:
        """Of the price lists: not agreed for one contract."""
        return self.filter(agreed_for=None)

    def valid_on(self, day: date) -> PriceQuerySet:
        return self.filter(Q(starts_on=None) | Q(starts_on__lte=day), Q(ends_before=None) | Q(ends_before__gt=day))


class Price(models.Model):
    """What a product costs in one price class and currency, for a stretch of days. Its tiers hold the figures.

    One that is ``agreed_for`` a contract stands in no price list.
    """

    class Model(models.TextChoices):
        FLAT = "flat", _("flat")
        PER_UNIT = "per_unit", _("per unit")
        GRADUATED = "graduated", _("graduated: each unit at the price of its tier")
        VOLUME = "volume", _("volume: all units at the price of the tier reached")
        PACKAGE = "package", _("per started package")
        STAIRSTEP = "stairstep", _("stairstep: one amount for the tier reached")
        PERCENTAGE = "percentage", _("percentage: the quantity is a value, so many percent of it")
        COMMITMENT = "commitment", _("minimum commitment: what the contract lacks to the amount")

    product = models.ForeignKey(Product, models.PROTECT, related_name="prices", verbose_name=_("product"))
    price_class = models.ForeignKey(PriceClass, models.PROTECT, related_name="prices", verbose_name=_("price class"))
    currency = models.CharField(_("currency"), max_length=3)
    model = models.CharField(_("price model"), max_length=20, choices=Model)
    package_size = models.DecimalField(_("package size"), max_digits=19, decimal_places=4, null=True, blank=True)
    minimum = models.DecimalField(_("minimum"), max_digits=19, decimal_places=4, null=True, blank=True)
    cap = models.DecimalField(_("maximum"), max_digits=19, decimal_places=4, null=True, blank=True)
    package_per_tier = models.BooleanField(
        _("packages rounded up in each tier"),
        default=False,
        db_default=False,
        help_text=_("Tiers may then end inside a package."),
    )
    free_quantity = models.DecimalField(_("free quantity"), max_digits=19, decimal_places=4, default=0)
    quota_prorated = models.BooleanField(
        _("free quantity prorated"),
        default=False,
        db_default=False,
        help_text=_("In a part of a period only that part of the free quantity is free."),
    )
    flat_when_zero = models.BooleanField(
        _("flat amount also for nothing"),
        default=False,
        db_default=False,
        help_text=_("The flat amount of the first tier is due even if nothing is used."),
    )
    starts_on = models.DateField(_("first day"), null=True, blank=True)
    ends_before = models.DateField(_("first day no longer covered"), null=True, blank=True)
    agreed_for = models.ForeignKey(
        "billing.Subscription",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="agreed_prices",
        verbose_name=_("agreed for the contract"),
    )

    visibility = Visibility(shared=True, through=("agreed_for",))
    objects = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["product", "price_class", "currency", "starts_on"]
        constraints = [
            currency_is_a_code("price_currency_is_a_code"),
            ExclusionConstraint(
                name="price_once_per_cell_and_day",
                expressions=[
                    (same("product"), RangeOperators.OVERLAPS),
                    (same("price_class"), RangeOperators.OVERLAPS),
                    (Func("currency", "currency", Value("[]"), function="kontor_textrange"), RangeOperators.OVERLAPS),
                    (days(), RangeOperators.OVERLAPS),
                ],
                condition=Q(agreed_for=None),
                violation_error_message=_("Another price stands in this cell of the price list on these days."),
            ),
            models.CheckConstraint(
                name="price_package_has_a_size",
                condition=~Q(model="package") | Q(package_size__isnull=False, package_size__gt=0),
                violation_error_message=_("A package price needs a package size above zero."),
            ),
            models.CheckConstraint(
                name="price_only_packages_per_tier",
                condition=Q(model="package") | Q(package_per_tier=False),
                violation_error_message=_("Only packages are rounded up in each tier."),
            ),
            models.CheckConstraint(
                name="price_commitment_stands_alone",
                condition=~Q(model="commitment") | Q(minimum=None, cap=None, free_quantity=0),
                violation_error_message=_(
                    "A minimum commitment has neither minimum nor maximum nor free quantity of its own."
                ),
            ),
            models.CheckConstraint(
                name="price_figures_are_numbers",
                condition=below_infinity("package_size", "minimum", "cap", "free_quantity"),
                violation_error_message=_("The figures are numbers below 1,000,000,000,000,000."),
            ),
            models.CheckConstraint(
                name="price_bounds_in_order",
                condition=Q(minimum=None) | Q(cap=None) | Q(minimum__lte=F("cap")),
                violation_error_message=_("The minimum is above the maximum."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.price_class_id} {self.currency}"


class Tier(models.Model):
    """Units up to ``up_to`` (inclusive; empty: no end) beyond the tier before."""

    price = models.ForeignKey(Price, models.CASCADE, related_name="tiers", verbose_name=_("price"))
    up_to = models.DecimalField(_("up to (inclusive)"), max_digits=19, decimal_places=4, null=True, blank=True)
    unit_price = models.DecimalField(_("unit price"), max_digits=25, decimal_places=UNIT_PRICE_PLACES, default=0)
    flat_amount = models.DecimalField(_("flat amount"), max_digits=19, decimal_places=4, default=0)
    package_size = models.DecimalField(
        _("package size"),
        max_digits=19,
        decimal_places=4,
        null=True,
        blank=True,
        help_text=_("Priced per started package of so many units; empty: per unit. Graduated and volume prices."),
    )

    visibility = Visibility(through=("price",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        ordering = [F("up_to").asc(nulls_last=True)]
        constraints = [
            models.UniqueConstraint(
                fields=["price", "up_to"],
                name="tier_bound_once",
                nulls_distinct=False,
                violation_error_message=_("A price has two tiers with the same upper bound."),
            ),
            models.CheckConstraint(
                name="tier_bound_above_zero",
                condition=Q(up_to=None) | Q(up_to__gt=0),
                violation_error_message=_("The upper bound of a tier is above zero."),
            ),
            models.CheckConstraint(
                name="tier_figures_are_numbers",
                condition=below_infinity("up_to", "unit_price", "flat_amount"),
                violation_error_message=_("The figures are numbers below 1,000,000,000,000,000."),
            ),
            models.CheckConstraint(
                name="tier_package_holds_something",
                condition=Q(package_size=None) | Q(package_size__gt=0) & below_infinity("package_size"),
                violation_error_message=_("A package holds something."),
            ),
            models.CheckConstraint(
                name="tier_prices_are_not_negative",
                condition=Q(unit_price__gte=0, flat_amount__gte=0),
                violation_error_message=_("Prices are not negative; use a discount."),
            ),
        ]

    def __str__(self) -> str:
        return f"≤ {self.up_to}" if self.up_to is not None else "∞"
