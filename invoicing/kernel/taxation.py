"""Rules and rates -> how a supply is taxed. The rules are the issuer's own; nothing here knows a country's law but the
territories that VAT law treats apart from their states.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from invoicing.kernel.vat import EU, NO_RATE, Case

GOODS: Final = frozenset({"goods", "reduced_goods"})
# Art. 5 to 8 of Directive 2006/112/EC: territories outside the VAT area of their state, by how the postcode begins
OUTSIDE_BY_POSTCODE: Final = {
    "DE": ("27498", "78266"),  # Heligoland, Büsingen
    "ES": ("35", "38", "51", "52"),  # Canary Islands, Ceuta, Melilla
    "FI": ("22",),  # Åland
    "FR": ("971", "972", "973", "974", "976"),  # overseas departments
    "GR": ("63086",),  # Mount Athos
    "IT": ("23041", "22061"),  # Livigno, Campione d'Italia
}
TREATED_AS: Final = {"MC": "FR"}  # Art. 7: Monaco counts as France
NORTHERN_IRELAND: Final = "XI"  # a member state for goods alone (Protocol on Ireland/Northern Ireland)


class Customer(StrEnum):
    BUSINESS_WITH_ID = "business_with_id"
    BUSINESS_WITHOUT_ID = "business"
    CONSUMER = "consumer"
    PUBLIC = "public"


class Place(StrEnum):
    DOMESTIC = "domestic"
    EU = "eu"
    THIRD = "third"


class Scheme(StrEnum):
    ALWAYS = ""
    SMALL_BUSINESS = "small_business"
    OSS = "oss"


class TaxedIn(StrEnum):
    NOWHERE = ""
    ISSUER = "issuer"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an issuer; an empty condition fits all. ``key``: of its record, none for one that is not stored yet."""

    name: str
    case: Case
    tax_category: str = ""
    customer: str = ""
    place: str = ""
    scheme: str = ""
    starts_on: date | None = None
    ends_before: date | None = None
    taxed_in: str = ""
    rate_kind: str = ""
    exemption_code: str = ""
    notice_de: str = ""
    notice_en: str = ""
    law: str = ""
    ledger_role: str = ""
    key: int | None = None

    def holds_on(self, day: date) -> bool:
        return (self.starts_on is None or self.starts_on <= day) and (
            self.ends_before is None or day < self.ends_before
        )

    def notice(self, language: str) -> str:
        return self.notice_de if language == "de" else self.notice_en


@dataclass(frozen=True, slots=True)
class Percentage:
    """A country's rate of one kind, in percent, for a stretch of days."""

    country: str
    kind: str
    percent: Decimal
    starts_on: date | None = None
    ends_before: date | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys, as VAT law sees it; ``country`` is that of the VAT area, which may be another one than the postal."""

    country: str
    place: Place
    customer: Customer
    is_northern_irish: bool = False


Regime: TypeAlias = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one supply is taxed: the rule that hit, the rate in percent, and where the VAT is owed if not at home."""

    rule: Rule
    rate: Decimal
    country: str = ""
    regime: Regime = field(init=False, repr=False, compare=False)
    """What all lines of a document have in common: all but the rate (semantics e6)."""

    def __post_init__(self) -> None:
        rule = self.rule
        regime = (rule.case.value, self.country, rule.exemption_code, rule.notice_de, rule.ledger_role)
        object.__setattr__(self, "regime", regime)


class NoRule(ValueError):
    """No rule fits a supply."""


class NoPercentage(ValueError):
    """A rule wants a rate that is not known."""


def buyer_of(
    seller_country: str, country: str, postcode: str, vat_id: str, *, customer: Customer, home_is_eu: bool = True
) -> Buyer:
    """The buyer's place in the sense of VAT: at home, in another member state, or outside the EU VAT area."""
    area = TREATED_AS.get(country, country)
    digits = "".join(character for character in postcode if character.isdigit())
    is_apart = digits.startswith(OUTSIDE_BY_POSTCODE.get(area, ("none",)))
    if is_apart or area not in EU | {seller_country}:
        place = Place.THIRD
    elif area == seller_country:
        place = Place.DOMESTIC
    else:
        place = Place.EU if home_is_eu else Place.THIRD
    is_northern_irish = area == "GB" and vat_id.startswith(NORTHERN_IRELAND)
    return Buyer(area, place, customer, is_northern_irish)


@dataclass(slots=True)
class Law:
    """The rules of an issuer and the rates of all countries, with what was decided before: most supplies are alike."""

    seller_country: str
    rules: Sequence[Rule]
    rates: Sequence[Percentage]
    schemes: frozenset[str] = frozenset()
    changes: list[date] = field(init=False)
    _decided: dict[tuple[Buyer, str, int], Treatment] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        dated: list[Rule | Percentage] = [*self.rules, *self.rates]
        bounds = [day for one in dated for day in (one.starts_on, one.ends_before)]
        self.changes = sorted({day for day in bounds if day is not None})

    def stretch(self, day: date) -> int:
        """Days of equal numbers have the same rules and rates."""
        return bisect_right(self.changes, day)

    def treatment(self, buyer: Buyer, tax_category: str, day: date) -> Treatment:
        """How a supply whose last day is ``day`` is taxed (§ 13 (1) 1a, § 27 (1) UStG).

        Raises ``NoRule`` or ``NoPercentage``.
        """
        key = (buyer, tax_category, self.stretch(day))
        found = self._decided.get(key)
        if found is None:
            found = self._decided[key] = self._decide(buyer, tax_category, day)
        return found

    def cuts(self, buyer: Buyer, tax_category: str, first: date, last: date) -> list[date]:
        """The days after ``first``, up to ``last``, from which the supply is taxed otherwise than the day before."""
        start, end = self.stretch(first), self.stretch(last)
        if start == end:
            return []
        cuts, before = [], self.treatment(buyer, tax_category, first)
        for day in self.changes[start:end]:
            after = self.treatment(buyer, tax_category, day)
            if (after.rate, after.regime) != (before.rate, before.regime):
                cuts.append(day)
            before = after
        return cuts

    def _decide(self, buyer: Buyer, tax_category: str, day: date) -> Treatment:
        rule = choose(self.rules, buyer, tax_category, day, self.schemes)
        if rule.case is not Case.STANDARD:
            return Treatment(rule, NO_RATE)
        abroad = rule.taxed_in == TaxedIn.CUSTOMER and buyer.country != self.seller_country
        country = buyer.country if abroad else self.seller_country
        return Treatment(rule, percentage(self.rates, country, rule.rate_kind, day), country if abroad else "")


def choose(
    rules: Iterable[Rule], buyer: Buyer, tax_category: str, day: date, schemes: frozenset[str] = frozenset()
) -> Rule:
    """The rule that says most of those that fit: by scheme, then place, then customer, then product.

    No two say equally much: the table refuses rules with equal conditions on one day. Raises ``NoRule``.
    """
    place = buyer.place
    if buyer.is_northern_irish and tax_category in GOODS:
        place = Place.EU
    order = (Scheme.ALWAYS.value, Scheme.OSS.value, Scheme.SMALL_BUSINESS.value)
    best: tuple[tuple[int, int, bool, bool], Rule] | None = None
    for rule in rules:
        if not (
            rule.holds_on(day)
            and (not rule.scheme or rule.scheme in schemes)
            and rule.place in ("", place.value, buyer.country)
            and rule.customer in ("", buyer.customer.value)
            and rule.tax_category in ("", tax_category)
        ):
            continue
        said = (
            order.index(rule.scheme),
            0 if not rule.place else 1 if rule.place == place.value else 2,
            bool(rule.customer),
            bool(rule.tax_category),
        )
        if best is None or said > best[0]:
            best = said, rule
    if best is None:
        raise NoRule(f"no tax rule for {tax_category} to {buyer.customer} in {buyer.country} ({place}) on {day}")
    return best[1]


def percentage(rates: Iterable[Percentage], country: str, kind: str, day: date) -> Decimal:
    """The rate of a country on a day, in percent. Raises ``NoPercentage``."""
    for rate in rates:
        if (
            (rate.country, rate.kind) == (country, kind)
            and (rate.starts_on is None or rate.starts_on <= day)
            and (rate.ends_before is None or day < rate.ends_before)
        ):
            return rate.percent
    raise NoPercentage(f"no {kind} VAT rate of {country} on {day}")
