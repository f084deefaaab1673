"""Rounding, splitting, and how many decimal places a currency has."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

DIGITS: Final = 60
UNIT: Final = tuple(Decimal(1).scaleb(-places) for places in range(13))
_ROUNDING: Final = Context(prec=DIGITS, rounding=ROUND_HALF_UP)
_EXACT: Final = Context(
    prec=DIGITS,
    rounding=ROUND_HALF_UP,
    traps=[InvalidOperation, DivisionByZero, Overflow, Inexact, FloatOperation],
)


def exact() -> AbstractContextManager[Context]:
    """Reckon with 60 digits; whatever would be rounded silently, and any float, raises instead."""
    return localcontext(_EXACT)


def rounded(amount: Decimal | Fraction, places: int) -> Decimal:
    """Round to ``places`` (the currency's own), halves away from zero: commercial rounding, exact for fractions too."""
    if isinstance(amount, Decimal):
        result = amount.quantize(UNIT[places], ROUND_HALF_UP, _ROUNDING)  # decimal's "half up" is away from zero
        return result or result.copy_abs()  # no -0.00
    over, under = abs(amount.numerator) * 10**places, amount.denominator
    units = (2 * over + under) // (2 * under)
    return Decimal(units if amount.numerator >= 0 else -units).scaleb(-places, _ROUNDING)


def split(total: Decimal, weights: Sequence[Decimal], places: int) -> list[Decimal]:
    """Split a rounded ``total`` in proportion to ``weights``; the parts add up to it exactly.

    Raises ``ValueError`` if the weights add up to nothing.
    """
    with exact():
        reached = list(accumulate(weights, initial=Decimal(0)))
        if not reached[-1]:
            raise ValueError("weights that add up to nothing split nothing")
        if reached[-1] == total:  # the weights are the exact amounts: no division needed
            edges = [rounded(edge, places) for edge in reached]
        else:
            ratio = Fraction(total) / Fraction(reached[-1])
            edges = [rounded(ratio * Fraction(edge), places) for edge in reached]
        return [upper - lower for lower, upper in pairwise(edges)]


def allocated(total: Decimal, weights: Sequence[Decimal], places: int) -> list[Decimal]:
    """Share a rounded ``total`` out in proportion to ``weights`` (>= 0), by largest remainder; the parts add up to it.

    What rounding down leaves goes, a minor unit each, to the parts that lost most; of equal ones to the first. So no
    part exceeds its weight as long as the total does not exceed their sum. Raises ``ValueError`` for a weight below 0,
    or if the weights add up to nothing and the total does not.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("what is below nothing has no share")
    if not total:
        return [rounded(total, places)] * len(weights)
    exactly = shares(total, weights)
    unit = UNIT[places]
    sign = 1 if total > 0 else -1
    whole = [int(abs(share) * 10**places) for share in exactly]
    with exact():
        left = int(abs(total) / unit) - sum(whole)
        lost = sorted(range(len(weights)), key=lambda n: whole[n] - abs(exactly[n]) * 10**places)
        for n in lost[:left]:
            whole[n] += 1
        return [rounded(sign * units * unit, places) for units in whole]


def shares(total: Decimal, weights: Sequence[Decimal]) -> list[Fraction]:
    """``total`` in proportion to ``weights``, exact. Raises ``ValueError`` if they add up to nothing."""
    whole = sum(map(Fraction, weights), Fraction(0))
    if not whole:
        raise ValueError("weights that add up to nothing share nothing out")
    return [Fraction(total) * Fraction(weight) / whole for weight in weights]


def plain(amount: Decimal | Fraction) -> str:
    """Write an exact amount as a trace keeps it: ``"23.8"``, ``"850/3"``; never an exponent, no idle zeros."""
    if isinstance(amount, Fraction):
        return str(amount)
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


# ISO 4217, by the places of the minor unit. A code that has left the list stays: old documents name it.
_CODES: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF"
        " CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD"
        " HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK"
        " MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB"
        " SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN"
        " UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_PLACES: Final = {code: places for places, codes in _CODES.items() for code in codes.split()}


def places_of(currency: str) -> int:
    """How many decimal places the minor unit of an ISO 4217 ``currency`` has: JPY 0, EUR 2, KWD 3.

    Raises ``ValueError`` for a code that is not known, naming those that are.
    """
    try:
        return _PLACES[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is no ISO 4217 currency; known are {' '.join(sorted(_PLACES))}") from None
