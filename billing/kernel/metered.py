"""The usage of a position less what is booked for it: fees, additions for what came in late, what is given back."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from billing.kernel.charges import Booked, Due, Kind, undone
from billing.kernel.money import exact, plain, rounded
from billing.kernel.period import Period
from billing.kernel.pricing import NONE
from billing.kernel.usage import UsageTerms, assess, usage_periods

QUANTITY_PLACES: Final = 4  # that a charge and its line keep; the trace has all of them


@dataclass(frozen=True, slots=True)
class BookedFee:
    """A fee for usage that stands: the first of its days (``addition`` 0), or one for what came in late."""

    charge: Booked
    quantity: Decimal
    addition: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What was used on some days, by how many events."""

    quantity: Decimal = NONE
    events: int = 0


_NOTHING: Final = Used()


def days_wanted(terms: UsageTerms, through: date) -> list[Period]:
    """The days of which a run through the day ``through`` has to know what was used, period by period."""
    return [inside for _ordinal, _nominal, inside, _price in usage_periods(terms, through)]


def usage_charged(
    terms: UsageTerms, used: Mapping[Period, Used], booked: Iterable[BookedFee], through: date
) -> Iterator[Due]:
    """What brings the charges for usage in line with what was used, in a run through the day ``through``.

    ``used`` is by the days of ``days_wanted``; nothing was used on days that are not in it. Each period that is
    over has one fee, if only of nothing. What came in late adds to it: a fee of its own for the same days, of what the
    period costs now less what stands for it. If that is less than stands, or the position no longer has these days,
    what stands is undone whole and, as far as it is still due, charged anew. Once the result is booked, the same run
    finds nothing.
    """
    standing: dict[Period, list[BookedFee]] = defaultdict(list)
    for fee in booked:
        charge = replace(fee.charge, net=rounded(fee.charge.net, terms.places))
        standing[charge.period].append(replace(fee, charge=charge))
    for ordinal, nominal, inside, price in usage_periods(terms, through):
        fees = standing.pop(inside, [])
        found = used.get(inside, _NOTHING)
        assessed = assess(terms, ordinal, inside, price, found.quantity)
        assessed = replace(assessed, trace={**assessed.trace, "events": str(found.events)})
        counted = rounded(found.quantity, QUANTITY_PLACES)
        with exact():
            before = sum((fee.quantity for fee in fees), NONE)
            more = counted - before
        net, trace = assessed.less(sum((fee.charge.net for fee in fees), NONE))
        is_charged = any(not fee.addition for fee in fees)
        if is_charged and not net and not more:
            continue
        if net < 0:
            yield from _undone(terms, fees, ordinal, nominal)
            fees, is_charged, more, net, trace = [], False, counted, assessed.net, assessed.trace
        if fees:
            trace = {**trace, "before": plain(before), "more": plain(more)}
        addition = max(fee.addition for fee in fees) + 1 if is_charged else 0
        yield Due(terms.key, Kind.FEE, inside, nominal, ordinal, more, net, trace, addition=addition)
    for period, fees in sorted(standing.items()):
        if period.end <= through:
            yield from _undone(terms, fees, 1, period)


def _undone(terms: UsageTerms, fees: Sequence[BookedFee], ordinal: int, nominal: Period) -> Iterator[Due]:
    for fee in fees:
        yield undone(terms.key, fee.charge, ordinal, nominal, fee.quantity, terms.places)
