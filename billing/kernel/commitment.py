"""A minimum commitment of a contract: what is missing to it in a period is charged at the period's end."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing.kernel.charges import Booked, Due, Key, Kind, Proration, Trace, share_of, undone
from billing.kernel.money import plain, rounded
from billing.kernel.period import Period
from billing.kernel.schedule import Schedule, Timing, due_periods

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """At least ``amount`` per nominal period of ``schedule``, prorated to the days that are paid; none in the trial."""

    key: Key
    places: int
    schedule: Schedule
    amount: Decimal
    proration: Proration = Proration.ACTUAL


@dataclass(frozen=True, slots=True)
class TrueUp:
    """``committed`` for these days, rounded, what stands against it, and what is missing (never below nothing)."""

    committed: Decimal
    charged: Decimal
    missing: Decimal
    trace: Trace


def true_up(amount: Decimal, share: Fraction, nets: Iterable[Decimal], places: int) -> TrueUp:
    """What is missing to the ``share`` of a commitment that these nets are due for.

    The nets are those of the contract's lines, rounded, after the discounts of the lines and before those of the
    document and VAT.
    """
    exactly = Fraction(amount) * share
    committed = rounded(exactly, places)
    charged = sum(nets, ZERO)
    missing = max(committed - charged, rounded(ZERO, places))
    trace: Trace = {
        "v": 1,
        "commitment": plain(amount),
        "share": str(share),
        "exact": plain(exactly),
        "committed": format(committed, "f"),
        "charged": format(charged, "f"),
        "net": format(missing, "f"),
    }
    return TrueUp(committed, charged, missing, trace)


@dataclass(frozen=True, slots=True)
class TrueUpDue:
    """A true-up to be booked; negative if what came in late makes one that is booked too high."""

    commitment: Key
    period: Period
    nominal: Period
    net: Decimal
    trace: Trace


def true_ups_due(
    terms: CommitmentTerms,
    charged: Iterable[tuple[date, Decimal]],
    booked: Mapping[Period, Decimal],
    through: date,
) -> list[TrueUpDue]:
    """What brings the true-ups in line with what is charged, in a run through the day ``through``.

    ``charged`` are first service day and net of every standing charge and credit of the contract, true-ups left out:
    it counts towards the period that its first day lies in. ``booked`` are the true-ups that stand, by their days. Once
    the result is booked, the same run finds nothing.
    """
    charges = list(charged)
    found = []
    for _, nominal, inside in due_periods(terms.schedule, through=through):
        if inside.end > through:  # due when the period is over, whatever the timing of the fees
            continue
        share = share_of(inside, nominal, terms.proration, terms.schedule.grid)
        wanted = true_up(terms.amount, share, (net for day, net in charges if day in inside), terms.places)
        stands = booked.get(inside, ZERO)
        net = wanted.missing - stands
        if net:
            trace = wanted.trace if not stands else {**wanted.trace, "booked": plain(stands), "net": plain(net)}
            found.append(TrueUpDue(terms.key, inside, nominal, net, trace))
    return found


def true_ups_charged(
    terms: CommitmentTerms,
    charged: Iterable[tuple[date, Decimal]],
    booked: Iterable[Booked],
    through: date,
) -> Iterator[Due]:
    """As ``true_ups_due``, as charges of an item: each period that is over has one fee, if only of nothing.

    ``booked`` are the item's standing charges. A fee that what came in late makes wrong, or of days that the commitment
    no longer has, is undone whole and, as far as it is still due, charged anew. Once the result is booked, the same run
    finds nothing.
    """
    charges = list(charged)
    standing = {fee.period: fee for fee in booked if fee.kind is Kind.FEE}
    schedule = replace(terms.schedule, timing=Timing.ARREARS)
    one = Decimal(1)
    for n, nominal, inside in due_periods(schedule, through=through):
        share = share_of(inside, nominal, terms.proration, schedule.grid)
        wanted = true_up(terms.amount, share, (net for day, net in charges if day in inside), terms.places)
        stands = standing.pop(inside, None)
        if stands is not None and stands.net == wanted.missing:
            continue
        ordinal = schedule.ordinal(n)
        if stands is not None:
            yield undone(terms.key, stands, ordinal, nominal, one, terms.places)
        yield Due(terms.key, Kind.FEE, inside, nominal, ordinal, one, wanted.missing, wanted.trace)
    for period, fee in sorted(standing.items()):
        if period.end <= through:
            yield undone(terms.key, fee, 1, period, one, terms.places)
