"""Figures against figures: numbers as numbers, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from billing.kernel.money import rounded

UNORDERED = {"lines", "parts", "groups", "tax_breakdown", "credit_notes"}
DOUBLE = 15  # so many decimals and more are those of a binary floating-point number, not a rounding by anybody
LEAST = 2  # a figure with fewer decimals is not a rounded one
ABSENT = object()


@dataclass(frozen=True)
class Difference:
    path: str
    theirs: Any
    ours: Any  # ABSENT where the engine gives no such figure


def differences(expected: Any, ours: Any, path: str) -> Iterator[Difference]:
    """Where ``ours`` is not what is expected; what is not expected is not compared."""
    if isinstance(expected, Mapping):
        if not isinstance(ours, Mapping):
            yield Difference(path, expected, ours)
            return
        for name, value in expected.items():
            yield from differences(value, ours.get(name, ABSENT), f"{path}.{name}")
    elif isinstance(expected, list):
        if not isinstance(ours, Sequence) or isinstance(ours, str):
            yield Difference(path, expected, ours)
        elif path.rpartition(".")[2] in UNORDERED:
            yield from _in_any_order(expected, list(ours), path)
        else:
            for n in range(max(len(expected), len(ours))):
                theirs = expected[n] if n < len(expected) else ABSENT
                own = ours[n] if n < len(ours) else ABSENT
                if theirs is ABSENT:
                    yield Difference(f"{path}[{n}]", "nothing", own)
                elif own is ABSENT:
                    yield Difference(f"{path}[{n}]", theirs, "nothing")
                else:
                    yield from differences(theirs, own, f"{path}[{n}]")
    elif ours is ABSENT or not same(expected, ours):
        yield Difference(path, expected, ours)


def _in_any_order(expected: list[Any], ours: list[Any], path: str) -> Iterator[Difference]:
    left = list(ours)
    unmatched = []
    for n, theirs in enumerate(expected):
        match = next((own for own in left if not list(differences(theirs, own, path))), ABSENT)
        if match is ABSENT:
            unmatched.append((n, theirs))
        else:
            left.remove(match)
    for n, theirs in unmatched:
        yield Difference(f"{path}[{n}]", theirs, left.pop(0) if left else "nothing")
    for own in left:
        yield Difference(path, "nothing", own)


def same(theirs: Any, ours: Any) -> bool:
    """Whether one figure is the other.

    A fraction of ours that was never rounded is compared at the decimals that theirs is stated with; an amount that we
    round is compared as it is.
    """
    if theirs is None or ours is None or isinstance(theirs, bool) or isinstance(ours, bool):
        return theirs is ours
    if isinstance(ours, datetime):
        return _instant(theirs) == ours
    if isinstance(ours, date):
        return theirs == ours.isoformat()
    if isinstance(ours, Fraction):
        return _same_fraction(theirs, ours)
    if isinstance(ours, (Decimal, int)):
        number = _number(theirs)
        return number is not None and number == ours
    return theirs == ours


def _same_fraction(theirs: Any, ours: Fraction) -> bool:
    if isinstance(theirs, str) and "/" in theirs:
        try:
            return Fraction(theirs) == ours
        except (ValueError, ZeroDivisionError):
            return False
    number = _number(theirs)
    if number is None:
        return False
    exponent = number.as_tuple().exponent
    decimals = max(0, -exponent if isinstance(exponent, int) else 0)
    if decimals >= DOUBLE:
        return abs(Fraction(number) - ours) < Fraction(1, 10**DOUBLE)
    return number == ours or (decimals >= LEAST and number == rounded(ours, decimals))


def _number(value: Any) -> Decimal | None:
    try:
        found = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return found if found.is_finite() else None


def _instant(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
