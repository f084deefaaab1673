"""What a contract is on each day, as its amendments say. Plain Python: no database.

The amendments are read in the order of their days and, on one day, of their numbers. So it does not matter in which
order changes of different days were written down, and a change of a past day holds until the next one of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing.kernel.changes import PausePolicy
from billing.kernel.period import months_after


@dataclass(frozen=True, slots=True)
class Event:
    """An amendment."""

    sequence: int
    kind: str
    on: date
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a position costs on a day, but for its discounts; products and prices by their keys."""

    product: int
    price: int
    quantity: Decimal
    interval: str
    timing: str
    proration: str
    anchor_on: date | None = None
    anchor_day: int | None = None
    periods_before: int | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Terms:
        """Read back what ``data`` wrote."""
        anchor_on = data.get("anchor_on")
        return cls(
            product=data["product"],
            price=data["price"],
            quantity=Decimal(data["quantity"]),
            interval=data["interval"],
            timing=data["timing"],
            proration=data["proration"],
            anchor_on=date.fromisoformat(anchor_on) if anchor_on else None,
            anchor_day=data.get("anchor_day"),
            periods_before=data.get("periods_before"),
        )

    def data(self) -> dict[str, Any]:
        """As an amendment keeps it."""
        return {
            "product": self.product,
            "price": self.price,
            "quantity": f"{self.quantity.normalize():f}",
            "interval": self.interval,
            "timing": self.timing,
            "proration": self.proration,
            "anchor_on": self.anchor_on.isoformat() if self.anchor_on else None,
            "anchor_day": self.anchor_day,
            "periods_before": self.periods_before,
        }


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days on which a position has the same terms.

    ``since``: the number of the amendment that has them charged anew, so that what was opened before it will not do.
    """

    line: int
    terms: Terms
    starts_on: date
    ends_before: date | None
    since: int = 0

    def __contains__(self, day: date) -> bool:
        return self.starts_on <= day and (self.ends_before is None or day < self.ends_before)

    def meets(self, other: Stretch) -> bool:
        """Whether both have a day in common."""
        return self.starts_on in other or other.starts_on in self


@dataclass(slots=True)
class Rest:
    """A pause; ``sequence`` is its amendment's."""

    sequence: int
    starts_on: date
    ends_before: date | None
    policy: PausePolicy


@dataclass(slots=True)
class Course:
    """The whole of it. ``idle`` are the numbers of amendments that change nothing, because others overtook them."""

    stretches: list[Stretch] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)
    ends_before: date | None = None
    keeps_last_period: bool = False
    extended_days: int = 0
    idle: set[int] = field(default_factory=set)

    def on(self, day: date) -> dict[int, Stretch]:
        """What runs on a day, by position."""
        return {stretch.line: stretch for stretch in self.stretches if day in stretch}

    @property
    def lines(self) -> int:
        """The highest number of a position."""
        return max((stretch.line for stretch in self.stretches), default=0)


@dataclass(slots=True)
class _Line:
    terms: Terms
    starts_on: date
    ends_before: date | None


@dataclass(slots=True)
class _State:
    lines: dict[int, _Line] = field(default_factory=dict)
    rest: Rest | None = None
    ends_before: date | None = None
    breaks: dict[date, int] = field(default_factory=dict)  # by day: the number of the amendment


def course(events: Iterable[Event]) -> Course:
    """Read the amendments of a contract; the first is its start."""
    known = list(events)
    withdrawn = {event.data["sequence"] for event in known if event.kind == "withdrawal"}
    ordered = sorted(
        _occurrences(known, withdrawn), key=lambda event: (event.kind != "start", event.on, event.sequence)
    )
    result, state = Course(), _State()
    pieces: dict[int, list[Stretch]] = {}
    for n, event in enumerate(ordered):
        _apply(event, state, result)
        following = ordered[n + 1].on if n + 1 < len(ordered) else None
        if following is None or following > event.on or event.kind == "start":
            first = date.min if event.kind == "start" else event.on
            _record(state, first, following, pieces)
    result.stretches = [stretch for line in sorted(pieces) for stretch in pieces[line]]
    result.ends_before = state.ends_before
    return result


def _occurrences(events: Iterable[Event], withdrawn: set[int]) -> Iterator[Event]:
    """The events that count; a pause whose end was agreed is two."""
    for event in events:
        if event.sequence in withdrawn or event.kind == "withdrawal":
            continue
        yield event
        if event.kind == "pause" and event.data.get("until"):
            yield Event(event.sequence, "resume", date.fromisoformat(event.data["until"]), {"agreed": True})


def _record(state: _State, first: date, until: date | None, pieces: dict[int, list[Stretch]]) -> None:
    """Add the days from ``first`` on, before ``until``, on which the state holds."""
    if state.rest is not None and state.rest.policy is not PausePolicy.NO_CREDIT:
        return
    for number, line in state.lines.items():
        start = max(first, line.starts_on)
        ends = [day for day in (until, line.ends_before, state.ends_before) if day is not None]
        end = min(ends) if ends else None
        if end is not None and end <= start:
            continue
        known = pieces.setdefault(number, [])
        if known and known[-1].ends_before == start and known[-1].terms == line.terms and start not in state.breaks:
            known[-1] = replace(known[-1], ends_before=end)
        else:
            known.append(Stretch(number, line.terms, start, end, state.breaks.get(start, 0)))


def _apply(event: Event, state: _State, result: Course) -> None:
    data = event.data
    if event.kind == "start":
        for item in data["items"]:
            state.lines[item["line"]] = _Line(
                Terms.of(item), _day(item["starts_on"]), _day_or_none(item["ends_before"])
            )
        state.ends_before = _day_or_none(data["ends_before"])
        result.extended_days = data.get("extended_days", 0)
    elif event.kind == "add":
        state.lines[data["line"]] = _Line(Terms.of(data), event.on, _day_or_none(data.get("ends_before")))
    elif event.kind in ("quantity", "price", "override", "end"):
        _change_line(event, state, result)
    elif event.kind == "renewal":
        for number, (product, price) in data["prices"].items():
            renewed = state.lines.get(int(number))
            if renewed is not None and renewed.terms.product == product:
                renewed.terms = replace(renewed.terms, price=price)
    elif event.kind == "alignment":
        _align(event, state)
    elif event.kind in ("discount", "discount_end"):
        if data.get("breaks"):
            state.breaks[event.on] = event.sequence
    elif event.kind == "pause":
        if state.rest is None and not _is_over(state, event.on):
            state.rest = Rest(event.sequence, event.on, None, PausePolicy(data["policy"]))
            result.rests.append(state.rest)
        else:
            result.idle.add(event.sequence)
    elif event.kind == "resume":
        _resume(event, state, result)
    elif event.kind in ("cancellation", "transfer"):
        if _is_over(state, event.on):
            result.idle.add(event.sequence)
        else:
            state.ends_before = event.on
            result.keeps_last_period = data.get("money") == "none"
    elif event.kind == "reinstatement":
        state.ends_before = _day_or_none(data["ends_before"])
        result.keeps_last_period = False


def _change_line(event: Event, state: _State, result: Course) -> None:
    line = state.lines.get(event.data["line"])
    if line is None or (line.ends_before is not None and line.ends_before <= event.on) or _is_over(state, event.on):
        result.idle.add(event.sequence)
    if line is None:
        return
    if event.kind == "end":
        line.ends_before = event.on
    elif event.kind == "quantity":
        line.terms = replace(line.terms, quantity=Decimal(event.data["quantity"]))
    elif event.kind == "price":
        line.terms = Terms.of({**line.terms.data(), **event.data})
    elif line.terms.product == event.data["product"]:
        line.terms = replace(line.terms, price=event.data["price"])
    else:
        result.idle.add(event.sequence)


def _align(event: Event, state: _State) -> None:
    for line in state.lines.values():
        if line.terms.interval not in ("once", "weekly"):
            day = event.data["billing_day"]
            line.terms = replace(line.terms, anchor_on=day_from(event.on, day), anchor_day=day, periods_before=None)


def _resume(event: Event, state: _State, result: Course) -> None:
    rest = state.rest
    if rest is None or (event.data.get("agreed") and rest.sequence != event.sequence):
        if not event.data.get("agreed"):
            result.idle.add(event.sequence)
        return
    rest.ends_before = event.on
    state.rest = None
    if rest.policy is PausePolicy.EXTEND_TERM:
        days = (event.on - rest.starts_on).days
        result.extended_days += days
        if state.ends_before is not None:
            state.ends_before += timedelta(days=days)


def _is_over(state: _State, day: date) -> bool:
    return state.ends_before is not None and state.ends_before <= day


def day_from(first: date, day: int) -> date:
    """The first such day of a month (1..31) on or after ``first``."""
    found = months_after(first, 0, day)
    return found if found >= first else months_after(first, 1, day)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _day_or_none(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
