"""What is collected from a payer by direct debit: which items, less which credits, on which day; or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from invoicing.kernel.bank_days import bank_day_from, bank_days_after

ZERO: Final = Decimal(0)
MONTHS_UNUSED: Final = 36  # EPC016-06, 5.4.5: a mandate under which nothing was collected for so long is void


class Rhythm(StrEnum):
    """How often a payer is collected from at most; the values are those of the account's setting."""

    DUE = "due"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


class Left(StrEnum):
    """Why something that is due is not collected now."""

    THRESHOLD = "threshold"
    CREDIT = "credit"
    RHYTHM = "rhythm"
    BLOCK = "block"
    DISPUTE = "dispute"
    NO_MANDATE = "no_mandate"
    REVOKED = "revoked"
    EXPIRED = "expired"
    UNAPPROVED = "unapproved"
    UNDER_WAY = "under_way"
    RETURNED = "returned"
    CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class Item:
    """An open item of the payer. ``open`` is below zero where we owe it.

    ``disputed`` is how much of it is contested. A credit is ``is_kept`` where the payer wants it back as money.
    ``told``: the day on which its document says that all of it will be collected, and since when it says so.
    """

    key: int
    due_on: date
    open: Decimal
    disputed: Decimal = ZERO
    is_blocked: bool = False
    is_under_way: bool = False
    is_returned: bool = False
    is_kept: bool = False
    told: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How a payer is collected from. ``collected_on``: the days on which it was, or is going to be.

    ``cannot`` says why no mandate can be used.
    """

    threshold: Decimal = ZERO
    rhythm: Rhythm = Rhythm.DUE
    collected_on: tuple[date, ...] = ()
    cannot: Left | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """``on``: the day of the run; what is due within ``days_ahead`` bank days is collected.

    The bank has the file ``lead`` bank days before; the payer knows day and amount ``notice`` days before. Where he is
    still to be told, ``review`` days are left for people to look at the run first.
    """

    on: date
    days_ahead: int
    notice: int
    lead: int = 1
    review: int = 0

    @property
    def horizon(self) -> date:
        """The last day that counts as due."""
        return bank_days_after(self.on, self.days_ahead)

    @property
    def earliest(self) -> date:
        """The first day on which the bank can still collect."""
        return bank_days_after(self.on, self.lead)


@dataclass(frozen=True, slots=True)
class Part:
    """So much of an open item: above zero of a claim that is collected, below zero of a credit that is netted."""

    key: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Attempt:
    """One debit. ``parts`` add up to ``amount``; claims come oldest due first, then the credits.

    ``is_told``: the payer's document says this very day and amount, early enough.
    """

    amount: Decimal
    collect_on: date
    parts: tuple[Part, ...]
    is_told: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """At most one attempt, and how much is left alone for each reason."""

    attempt: Attempt | None
    left: tuple[tuple[Left, Decimal], ...]


def decide(items: Sequence[Item], terms: Terms, calendar: Calendar) -> Decision:
    """What is collected of ``items``, all of one payer and in one currency.

    The claims that are due, less the payer's credits, in one sum, where that reaches the threshold. What is contested,
    blocked, under way already or was returned before is left out, and takes no part of the credits.
    """
    left: dict[Left, Decimal] = {}
    due = [item for item in items if item.open > 0 and bank_day_from(item.due_on) <= calendar.horizon]
    claims = []
    for item in sorted(due, key=lambda item: (item.due_on, item.key)):
        reason = _left_alone(item)
        if reason is not None:
            left[reason] = left.get(reason, ZERO) + item.open
            continue
        if item.disputed > 0:
            left[Left.DISPUTE] = left.get(Left.DISPUTE, ZERO) + min(item.open, item.disputed)
        if item.open > item.disputed:
            claims.append(item)
    credits = [item for item in items if item.open < 0 and not item.is_kept and not item.is_under_way]
    attempt, reason = _attempt(claims, sorted(credits, key=lambda item: (item.due_on, item.key)), terms, calendar)
    if reason is not None and claims:
        left[reason] = left.get(reason, ZERO) + _sum(claims)
    return Decision(attempt, tuple(left.items()))


def is_same_period(rhythm: Rhythm, one: date, other: date) -> bool:
    """Whether two days lie in one month or quarter, where the payer is collected from once in it."""
    match rhythm:
        case Rhythm.DUE:
            return False
        case Rhythm.MONTHLY:
            return (one.year, one.month) == (other.year, other.month)
        case Rhythm.QUARTERLY:
            return (one.year, (one.month - 1) // 3) == (other.year, (other.month - 1) // 3)


def is_expired(signed_on: date, last_used_on: date | None, on: date) -> bool:
    """Whether a mandate has been without any debit for 36 months on ``on``."""
    since = last_used_on or signed_on
    year, month = divmod(since.year * 12 + since.month - 1 + MONTHS_UNUSED, 12)
    day = min(since.day, 28) if since.month == 2 else since.day
    return on > date(year, month + 1, day)


def _left_alone(item: Item) -> Left | None:
    if item.is_under_way:
        return Left.UNDER_WAY
    if item.is_returned:
        return Left.RETURNED
    if item.is_blocked:
        return Left.BLOCK
    return None


def _attempt(
    claims: Sequence[Item], credits: Sequence[Item], terms: Terms, calendar: Calendar
) -> tuple[Attempt | None, Left | None]:
    """The debit, or why there is none."""
    if not claims:
        return None, None
    if terms.cannot is not None:
        return None, terms.cannot
    netted = _netted(claims, credits)
    amount = sum((part.amount for part in netted), ZERO)
    if amount <= 0:
        return None, Left.CREDIT
    if amount < terms.threshold:
        return None, Left.THRESHOLD
    day = max(calendar.earliest, *(bank_day_from(claim.due_on) for claim in claims))
    is_told = len(netted) == 1 and _is_told(claims[0], netted[0].amount, day, calendar)
    if not is_told:
        day = max(day, bank_day_from(calendar.on + timedelta(days=calendar.notice + calendar.review)))
    if any(is_same_period(terms.rhythm, day, other) for other in terms.collected_on):
        return None, Left.RHYTHM
    return Attempt(amount, day, tuple(netted), is_told), None


def _netted(claims: Sequence[Item], credits: Sequence[Item]) -> list[Part]:
    """All claims less what is contested of them, and of the credits, oldest first, no more than the claims need."""
    parts = [Part(claim.key, claim.open - claim.disputed) for claim in claims]
    need = sum((part.amount for part in parts), ZERO)
    for credit in credits:
        used = min(need, -credit.open)
        if used:
            parts.append(Part(credit.key, -used))
            need -= used
    return parts


def _is_told(claim: Item, amount: Decimal, day: date, calendar: Calendar) -> bool:
    if claim.told is None or amount != claim.open:
        return False
    said, since = claim.told
    return said == day and since + timedelta(days=calendar.notice) <= day


def _sum(claims: Sequence[Item]) -> Decimal:
    return sum((claim.open - claim.disputed for claim in claims), ZERO)
