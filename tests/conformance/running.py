"""Run cases through their adapters and tell how each comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from tests.conformance.comparing import ABSENT, Difference, differences
from tests.conformance.reading import Case, NotSupported, Unread

Adapter = Callable[[Case], dict[str, Any]]
ADAPTERS: dict[str, Adapter] = {}


def kind(*names: str) -> Callable[[Adapter], Adapter]:
    """Mark the adapter of these kinds of cases."""

    def mark(adapter: Adapter) -> Adapter:
        ADAPTERS.update(dict.fromkeys(names, adapter))
        return adapter

    return mark


EXPECTATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def expectation(name: str) -> Callable[..., Any]:
    """Mark what reads the expectation of a kind, where a case may state more than must be there."""

    def mark(reader: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        EXPECTATIONS[name] = reader
        return reader

    return mark


def is_nothing(line: dict[str, Any]) -> bool:
    """Whether a line of an expectation comes to nothing."""
    return Fraction(str(line.get("amount", 1))) == 0


class Outcome(StrEnum):
    EQUAL = "equal"
    BY_CONVENTION = "different by convention"
    DIFFERENT = "different"
    NOT_SUPPORTED = "not supported"


@dataclass(frozen=True)
class Result:
    place: str
    case: Case | None  # none where the line could not be read
    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    reason: str = ""


def run(case: Case | Unread) -> Result:
    """Never raises for what a case says, however odd; a refusal of the engine is an answer, too."""
    if isinstance(case, Unread):
        return Result(case.place, None, Outcome.NOT_SUPPORTED, reason=case.reason)
    adapter = ADAPTERS.get(case.kind)
    if adapter is None:
        return Result(case.place, case, Outcome.NOT_SUPPORTED, reason=f"kind {case.kind!r} is not known")
    try:
        figures = adapter(case)
        expected = EXPECTATIONS.get(case.kind, dict)(case.expect)
    except NotSupported as lacking:
        return Result(case.place, case, Outcome.NOT_SUPPORTED, reason=str(lacking))
    except (ValueError, ArithmeticError) as refusal:
        return Result(case.place, case, Outcome.NOT_SUPPORTED, reason=f"refused: {refusal}")
    except (LookupError, TypeError, AttributeError) as odd:
        reason = f"a field of another form than the kind has: {type(odd).__name__}: {odd}"
        return Result(case.place, case, Outcome.NOT_SUPPORTED, reason=reason)
    found = list(differences(expected, figures, "expect"))
    absent = [one.path for one in found if one.ours is ABSENT]
    real = tuple(one for one in found if one.ours is not ABSENT)
    unread = [path for path in case.given.unread() if path != "given.currency"]
    if not found:
        return Result(case.place, case, Outcome.EQUAL)
    if case.by_convention and real:
        return Result(case.place, case, Outcome.BY_CONVENTION, real)
    if real and not unread:
        return Result(case.place, case, Outcome.DIFFERENT, real)
    if unread and real:
        reason = f"{', '.join(unread)}: not understood, and without it the figures differ"
        return Result(case.place, case, Outcome.NOT_SUPPORTED, real, reason)
    return Result(case.place, case, Outcome.NOT_SUPPORTED, reason=f"no such figure: {', '.join(absent)}")
