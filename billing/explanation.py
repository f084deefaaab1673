"""A charge's trace -> sentences that a bookkeeper can follow with a pocket calculator, in the active language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from babel.numbers import format_decimal
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing.kernel.charges import Proration
from billing.kernel.money import places_of
from billing.kernel.pricing import Model

MINUS = "\N{MINUS SIGN}"


def explain(trace: Mapping[str, Any], currency: str) -> list[str]:
    """How the amount came about, step by step; ``trace`` is as ``billing.kernel.charges`` writes it.

    A trace that says nothing (a charge from before traces were kept) gives no sentence.
    """
    words = Words(currency)
    sentences: list[str] = []
    if "commitment" in trace:
        return list(_committed(trace, words))
    if "usage" in trace:
        sentences.append(_used(trace, words))
    if "before" in trace:
        sentences.append(
            _("Usage that came in late: of %(quantity)s units %(before)s were charged before; %(more)s more.")
            % {name: words.figure(trace[name]) for name in ("quantity", "before", "more")}
        )
    if "price" in trace:
        sentences += _price(trace, words)
    if "share" in trace:
        sentences.append(_share(trace, words))
    sentences += _discounts(trace.get("discounts", ()), words)
    if "price" in trace and "net" in trace:
        sentences += _rounding(trace, words)
    if "booked" in trace:
        sentences += _less_booked(trace, words)
    return sentences


class Words:
    """Figures of one currency in the active language."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.places = places_of(currency)
        self.language = get_language() or "en"

    def figure(self, text: str, at_least: int = 0) -> str:
        """Exact where it can be written out; what cannot, such as 850/3, with six decimals and an ellipsis."""
        exact = Fraction(text)
        scaled = Decimal(exact.numerator) / Decimal(exact.denominator)
        ellipsis = "" if Fraction(scaled) == exact and -int(scaled.as_tuple().exponent) <= 12 else "…"
        if ellipsis:
            cut = int(abs(exact) * 10**6)
            scaled = Decimal(cut if exact >= 0 else -cut).scaleb(-6)
        pattern = "#,##0" + (f".{'0' * at_least}{'#' * (12 - at_least)}")
        written = format_decimal(abs(scaled), pattern, locale=self.language, decimal_quantization=False)
        return f"{MINUS if exact < 0 else ''}{written}{ellipsis}"

    def money(self, text: str) -> str:
        return f"{self.figure(text, self.places)}\N{NO-BREAK SPACE}{self.currency}"

    def day(self, text: str) -> str:
        return date_format(date.fromisoformat(text), "SHORT_DATE_FORMAT")

    def days(self, period: Sequence[str]) -> str:
        """A half-open stretch, with its last day."""
        last = date.fromisoformat(period[1]) - timedelta(days=1)
        first = self.day(period[0])
        return first if last.isoformat() == period[0] else f"{first} – {self.day(last.isoformat())}"


def _committed(trace: Mapping[str, Any], words: Words) -> Iterator[str]:
    yield _("Minimum commitment of %(amount)s for a whole period; for these days %(share)s of it: %(committed)s.") % {
        "amount": words.money(trace["commitment"]),
        "share": trace["share"],
        "committed": words.money(trace["committed"]),
    }
    yield _("Charged for these days: %(charged)s.") % {"charged": words.money(trace["charged"])}
    if "booked" in trace:
        yield _("Less what was booked for these days before: %(booked)s.") % {"booked": words.money(trace["booked"])}
    yield _("To be booked: %(net)s.") % {"net": words.money(trace["net"])}


def _used(trace: Mapping[str, Any], words: Words) -> str:
    ways = {
        "sum": _("all of it together"),
        "maximum": _("the highest record"),
        "last": _("the last record"),
        "count": _("the number of records"),
        "unique": _("the number of different values"),
    }
    if "events" in trace:
        return _("Usage of %(days)s, %(way)s from %(events)s events: %(quantity)s units.") % {
            "days": words.days(trace["days"]),
            "way": ways[trace["usage"]],
            "events": words.figure(trace["events"]),
            "quantity": words.figure(trace["quantity"]),
        }
    return _("Usage of %(days)s, %(way)s: %(quantity)s units.") % {
        "days": words.days(trace["days"]),
        "way": ways[trace["usage"]],
        "quantity": words.figure(trace["quantity"]),
    }


def _price(trace: Mapping[str, Any], words: Words) -> Iterator[str]:
    price = trace["price"]
    if "prorated" in price:
        yield _("Of minimum, maximum and free quantity of the price %(share)s apply.") % {"share": price["prorated"]}
    model, quantity = Model(price["model"]), trace["quantity"]
    tiers: Sequence[Sequence[str]] = price["tiers"]
    free = trace.get("free", "0")
    if free != "0":
        yield _("Of %(quantity)s units %(free)s are free.") % {
            "quantity": words.figure(quantity),
            "free": words.figure(free),
        }
    units = str(Fraction(quantity) - Fraction(free))
    slices: Sequence[Sequence[str]] = trace.get("slices", ())
    if model is Model.FLAT:
        yield _("Flat price, whatever the quantity: %(amount)s.") % {"amount": words.money(tiers[0][2])}
    elif not slices:
        percent = Fraction(1, 100) if model is Model.PERCENTAGE else 1
        unit_price = str(Fraction(tiers[0][1]) * percent)
        flat = tiers[0][2] if Fraction(units) or price.get("flat_when_zero") else "0"
        amount = str(Fraction(units) * Fraction(unit_price) + Fraction(flat))
        yield _line(model, [units, unit_price, flat, amount], words)
    elif model is Model.STAIRSTEP:
        yield _("%(quantity)s units reach the step with the amount %(amount)s.") % {
            "quantity": words.figure(units),
            "amount": words.money(slices[0][3]),
        }
    else:
        yield _heading(model, price, words) % {"quantity": words.figure(units)}
        if "tier_quantity" in trace:
            yield _("The tier is the one that %(quantity)s units reach.") % {
                "quantity": words.figure(trace["tier_quantity"])
            }
        for part in slices:
            yield _line(model, part, words)
    for code, step in trace.get("limits", ()):
        if code == "minimum":
            yield _("Raised to the minimum of %(amount)s.") % {"amount": words.money(price["minimum"])}
        else:
            yield _("Limited to the maximum of %(amount)s (%(step)s).") % {
                "amount": words.money(price["cap"]),
                "step": words.money(step),
            }
    if len(slices) > 1 or trace.get("limits"):
        yield _("Price for a whole period: %(amount)s.") % {"amount": words.money(trace["list"])}


def _heading(model: Model, price: Mapping[str, Any], words: Words) -> str:
    if "tier_packages" in price:
        return _("%(quantity)s units, in started packages where their tier has them:")
    if model is Model.GRADUATED:
        return _("%(quantity)s units, each at the price of its tier:")
    if model is Model.VOLUME:
        return _("%(quantity)s units, all at the price of the tier reached:")
    if model is Model.PACKAGE:
        size = words.figure(price["package_size"])
        return _("%(quantity)s units in started packages of {size}:").format(size=size)
    return _("%(quantity)s units:")


def _line(model: Model, part: Sequence[str], words: Words) -> str:
    """One product: of units, packages or, in percent, of a value."""
    quantity, unit_price, flat, amount = part
    in_percent = model is Model.PERCENTAGE
    facts = {
        "quantity": words.money(quantity) if in_percent else words.figure(quantity),
        "price": f"{words.figure(str(Fraction(unit_price) * 100))}\N{NO-BREAK SPACE}%"
        if in_percent
        else words.money(unit_price),
        "flat": words.money(flat),
        "amount": words.money(amount),
    }
    if Fraction(flat) and Fraction(unit_price):
        return _("%(quantity)s × %(price)s + %(flat)s = %(amount)s") % facts
    if Fraction(flat):
        return _("Flat amount of the tier: %(flat)s") % facts
    return _("%(quantity)s × %(price)s = %(amount)s") % facts


def _share(trace: Mapping[str, Any], words: Words) -> str:
    policies = {
        Proration.NONE: _("not prorated"),
        Proration.ACTUAL: _("actual days"),
        Proration.MONTH_FIRST: _("whole months first, then days"),
        Proration.ACTUAL_OVER_30: _("actual days over 30"),
        Proration.STRICT_30_360: _("30/360"),
    }
    return _("Part of a period: %(days)s of %(nominal)s, that is %(share)s of it (%(policy)s).") % {
        "days": words.days(trace["days"]),
        "nominal": words.days(trace["nominal"]),
        "share": trace["share"],
        "policy": policies[Proration(trace["policy"])],
    }


def _discounts(steps: Sequence[Sequence[str]], words: Words) -> Iterator[str]:
    before = ""
    for kind, value, step, key in steps:
        stacked = kind == before == "stacked_percent"
        before = kind
        if stacked:
            yield _("Discount %(key)s of %(value)s percent of the same amount: %(step)s") % {
                "key": key,
                "value": words.figure(value),
                "step": words.money(step),
            }
        elif kind == "fixed":
            yield _("Discount %(key)s of %(value)s: %(step)s") % {
                "key": key,
                "value": words.money(value),
                "step": words.money(step),
            }
        else:
            yield _("Discount %(key)s of %(value)s percent: %(step)s") % {
                "key": key,
                "value": words.figure(value),
                "step": words.money(step),
            }


def _rounding(trace: Mapping[str, Any], words: Words) -> Iterator[str]:
    exact = Fraction(trace["exact"])
    net = Fraction(trace["net"]) + Fraction(trace.get("booked", "0")) if "of" not in trace else None
    if net is not None and net != exact:
        yield _("Exactly %(exact)s, rounded once, halves away from zero: %(net)s.") % {
            "exact": words.money(trace["exact"]),
            "net": words.money(str(net)),
        }


def _less_booked(trace: Mapping[str, Any], words: Words) -> Iterator[str]:
    booked = words.money(trace["booked"])
    if "price" in trace:
        yield _("Less what was booked for these days before: %(booked)s.") % {"booked": booked}
    else:
        yield _("Nothing is due for these days any more; booked before: %(booked)s.") % {"booked": booked}
    if "of" in trace:
        yield _("Shared among days that do not adjoin: %(part)s of %(of)s days.") % {
            "part": words.figure(trace["part"]),
            "of": words.figure(trace["of"]),
        }
    yield _("To be booked: %(net)s.") % {"net": words.money(trace["net"])}
