"""Write an amendment down, and bring positions, pauses and the end of the contract in line with all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Max
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing import strategies
from billing.contracts.course import Course, Event, Stretch, Terms, course
from billing.models import Amendment, Charge, Item, Pause, Subscription
from tenants.errors import OperatorError
from tenants.transactions import acting, lock_payers_of


class ChangeRefused(OperatorError):
    """A contract cannot be changed in the way asked for."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a contract, through which channel, and why."""

    reason: str
    by: User | None
    channel: str


@dataclass(slots=True)
class Change:
    """A contract under its payer's lock, while an amendment of it is written."""

    subscription: Subscription
    author: Author
    events: list[Event]
    course: Course

    def refuse(self, reason: Any, **facts: Any) -> ChangeRefused:
        """The refusal to raise, naming the contract."""
        return ChangeRefused(
            _("Contract %(contract)s: %(reason)s")
            % {"contract": self.subscription.reference, "reason": reason % facts if facts else reason}
        )

    def position(self, line: int, day: date) -> Stretch:
        """What the position is on ``day``. Raises ``ChangeRefused`` if it does not run then."""
        found = self.course.on(day).get(line)
        if found is None:
            raise self.refuse(
                _("its position %(line)s does not run on %(day)s."),
                line=line,
                day=date_format(day, "SHORT_DATE_FORMAT"),
            )
        return found

    def write(self, kind: str, on: date, data: dict[str, Any]) -> Amendment:
        """Write the amendment and bring the contract in line. A day before the contract's first one is refused."""
        if on < self.subscription.starts_on:
            raise self.refuse(_("%(day)s lies before its first day."), day=date_format(on, "SHORT_DATE_FORMAT"))
        sequence = max((event.sequence for event in self.events), default=0) + 1
        event = Event(sequence, kind, on, data)
        now = course([*self.events, event])
        if sequence in now.idle:
            raise self.refuse(_("it is over on %(day)s, or rests."), day=date_format(on, "SHORT_DATE_FORMAT"))
        for one, other in combinations(now.stretches, 2):
            if one.line != other.line and one.terms.price == other.terms.price and one.meets(other):
                raise self.refuse(
                    _("its positions %(one)s and %(other)s would have the same price; change a quantity instead."),
                    one=one.line,
                    other=other.line,
                )
        amendment = _store(self.subscription, event, self.author)
        self.events.append(event)
        self.course = now
        bring_in_line(self.subscription, now, amendment)
        return amendment


@contextmanager
def changing(
    subscription: Subscription, *, reason: str, by: User | None, channel: str, tenants: Sequence[int] = ()
) -> Iterator[Change]:
    """One transaction, on record, with the contract's payer (and those of further ``tenants``) locked.

    A contract that was never amended is written down as it is first: its start.
    """
    author = Author(reason, by, channel)
    with acting(actor=by.get_username() if by else "", channel=channel, reason=reason):
        named = Subscription.objects.filter(pk=subscription.pk, pay_by__isnull=False)
        lock_payers_of([subscription.tenant_id, *tenants, *named.values_list("pay_by_id", flat=True)])
        fresh = Subscription.objects.select_related("issuer", "price_class", "tenant").get(pk=subscription.pk)
        if not fresh.amendments.exists():
            _store(fresh, _start_of(fresh), Author("", None, channel))
        events = events_of(fresh)
        yield Change(fresh, author, events, course(events))


def events_of(subscription: Subscription) -> list[Event]:
    return [
        Event(sequence, kind, on, data)
        for sequence, kind, on, data in subscription.amendments.order_by("sequence").values_list(
            "sequence", "kind", "effective_on", "data"
        )
    ]


def course_of(subscription: Subscription) -> Course:
    """What a contract is on each day, amended or not; reads only."""
    return course(events_of(subscription) or [_start_of(subscription)])


def terms_of(item: Item) -> Terms:
    return Terms(
        product=item.product_id,
        price=item.price_id,
        quantity=item.quantity,
        interval=item.interval,
        timing=item.timing,
        proration=item.proration,
        anchor_on=item.anchor_on,
        anchor_day=item.anchor_day,
        periods_before=item.periods_before,
    )


def start_data(subscription: Subscription, items: Sequence[Item]) -> dict[str, Any]:
    """A contract as it is agreed: its positions and its end; and what may change later, for the record."""
    trial, end = subscription.trial_ends_before, subscription.ends_before
    return {
        "items": [
            {
                "line": item.line,
                "starts_on": item.starts_on.isoformat(),
                "ends_before": item.ends_before.isoformat() if item.ends_before and not _with(item, end) else None,
                **terms_of(item).data(),
            }
            for item in items
        ],
        "ends_before": end.isoformat() if end else None,
        "trial_ends_before": trial.isoformat() if trial else None,
        "billing_day": subscription.billing_day,
        "extended_days": subscription.extended_days,
    }


def _with(item: Item, end: date | None) -> bool:
    """Whether the position ends because the contract does."""
    return end is not None and item.ends_before is not None and item.ends_before >= end


def _start_of(subscription: Subscription) -> Event:
    items = list(subscription.items.order_by("line", "starts_on", "pk"))
    kept, lines = [], _distinct_lines(items)
    for item in items:
        if item.ends_before is None or item.starts_on < item.ends_before:
            item.line = lines[item.pk]
            kept.append(item)
    return Event(1, Amendment.Kind.START, subscription.starts_on, start_data(subscription, kept))


def _distinct_lines(items: Sequence[Item]) -> dict[int, int]:
    """A number of its own for each position; those that share one, from before they had numbers, get further ones."""
    lines: dict[int, int] = {}
    free = max((item.line for item in items), default=0) + 1
    for item in items:
        if item.line in lines.values():
            lines[item.pk], free = free, free + 1
        else:
            lines[item.pk] = item.line
    return lines


def _store(subscription: Subscription, event: Event, author: Author) -> Amendment:
    if event.kind == Amendment.Kind.START:
        for item in subscription.items.all():
            line = next((row["line"] for row in event.data["items"] if _is_same(row, item)), item.line)
            if line != item.line:
                Item.objects.filter(pk=item.pk).update(line=line)
    return Amendment.objects.create(
        subscription=subscription,
        sequence=event.sequence,
        kind=event.kind,
        effective_on=event.on,
        author=author.by,
        channel=author.channel,
        reason=author.reason[:500],
        data=event.data,
    )


def _is_same(row: dict[str, Any], item: Item) -> bool:
    return (row["price"], row["starts_on"]) == (item.price_id, item.starts_on.isoformat())


def bring_in_line(subscription: Subscription, now: Course, amendment: Amendment) -> None:
    """Open and end positions until they are what ``now`` says; an item that still fits is left alone."""
    items = list(subscription.items.select_related("amendment").order_by("pk"))
    wanted = [(stretch, [(stretch.starts_on, stretch.ends_before)]) for stretch in now.stretches]
    for item in items:
        if item.ends_before is not None and item.ends_before <= item.starts_on:
            continue
        end = _kept_until(item, now.stretches)
        if end is not None and (item.ends_before is None or end < item.ends_before):
            item.ends_before = end
            item.save(update_fields=["ends_before"])
        for stretch, missing in wanted:
            if stretch.line == item.line:
                missing[:] = [part for whole in missing for part in _without(whole, item.starts_on, item.ends_before)]
    for stretch, missing in wanted:
        for starts_on, ends_before in missing:
            _open(subscription, stretch, starts_on, ends_before, amendment)
    _sync_pauses(subscription, now)
    subscription.ends_before = now.ends_before
    subscription.keeps_last_period = now.keeps_last_period
    subscription.extended_days = now.extended_days
    subscription.save(update_fields=["ends_before", "keeps_last_period", "extended_days"])
    strategies.refuse_second(subscription.pk)


def _kept_until(item: Item, stretches: Sequence[Stretch]) -> date | None:
    """The day before which the item still says what is wanted; its first day if it never does, ``None``: for good."""
    opened_by = item.amendment.sequence if item.amendment is not None else 0
    for stretch in stretches:
        fits = stretch.terms == terms_of(item) and stretch.since <= opened_by
        if stretch.line == item.line and item.starts_on in stretch and fits:
            return stretch.ends_before
    return item.starts_on


Days = tuple[date, date | None]


def _without(whole: Days, start: date, end: date | None) -> list[Days]:
    """The days of ``whole`` that do not lie in [start, end)."""
    first, last = whole
    if end is not None and end <= start:
        return [whole]
    if (last is not None and last <= start) or (end is not None and end <= first):
        return [whole]
    parts: list[Days] = []
    if first < start:
        parts.append((first, start))
    if end is not None and (last is None or end < last):
        parts.append((end, last))
    return parts


def _open(
    subscription: Subscription, stretch: Stretch, starts_on: date, ends_before: date | None, amendment: Amendment
) -> None:
    terms = stretch.terms
    Item.objects.create(
        subscription=subscription,
        line=stretch.line,
        product_id=terms.product,
        price_id=terms.price,
        quantity=terms.quantity,
        interval=terms.interval,
        timing=terms.timing,
        proration=terms.proration,
        anchor_on=terms.anchor_on,
        anchor_day=terms.anchor_day,
        periods_before=terms.periods_before,
        starts_on=starts_on,
        ends_before=ends_before,
        amendment=amendment,
    )


def _sync_pauses(subscription: Subscription, now: Course) -> None:
    stored = {pause.amendment.sequence: pause for pause in subscription.pauses.select_related("amendment")}
    for rest in now.rests:
        pause = stored.pop(rest.sequence, None)
        if pause is None:
            owner = subscription.amendments.get(sequence=rest.sequence)
            pause = Pause(subscription=subscription, amendment=owner, starts_on=rest.starts_on, policy=rest.policy)
        elif pause.ends_before == rest.ends_before:
            continue
        pause.ends_before = rest.ends_before
        pause.save()
    for withdrawn in stored.values():
        withdrawn.ends_before = withdrawn.starts_on
        withdrawn.save(update_fields=["ends_before"])


def is_charged(subscription: Subscription) -> bool:
    return Charge.objects.filter(item__subscription=subscription).exists()


def charged_before(subscription: Subscription) -> date | None:
    """The first day after all that is charged of the contract; ``None`` if nothing is."""
    standing = Charge.objects.standing().filter(item__subscription=subscription)
    return standing.aggregate(last=Max("ends_before"))["last"]
