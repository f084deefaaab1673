"""Which open items a payment settles: what the payer named, else what fits exactly, else what was due first.

The payer's purpose decides (§ 366 (1) BGB); where it says nothing, the claim that was due first (§ 366 (2) BGB).
Interest and costs of § 367 BGB are claimed in letters and stand on no open item, so money goes to the principal alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import combinations
from typing import Final

MOST_TOGETHER: Final = 4  # so many claims are tried together, among
MOST_TRIED: Final = 16  # so many: 2,516 sums at most
NOTHING: Final = Decimal(0)


class Rule(StrEnum):
    """Why a part of a payment goes to a claim."""

    REFERENCE = "reference"
    EXACT = "exact_amount"
    OLDEST = "oldest_due"
    COLLECTION = "collection"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Claim:
    """What is still open of something, above zero. ``discount`` may be taken off it if it is paid whole, today."""

    item: int
    due_on: date
    left: Decimal
    discount: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Share:
    """So much of the payment goes to a claim; discount and difference are waived along with it."""

    item: int
    amount: Decimal
    rule: Rule
    discount: Decimal = NOTHING
    difference: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Division:
    """How a payment is divided; what is not applied stays a credit of the payer.

    ``fits``: all of it goes to claims that it settles whole. ``is_only``: no other claims would have fitted as well.
    """

    shares: tuple[Share, ...] = ()
    unapplied: Decimal = NOTHING
    fits: bool = False
    is_only: bool = True

    @property
    def applied(self) -> Decimal:
        return sum((share.amount for share in self.shares), NOTHING)


def divide(
    amount: Decimal, claims: Sequence[Claim], named: Iterable[int] = (), small_difference: Decimal = NOTHING
) -> Division:
    """Divide ``amount`` (above zero) among ``claims``; ``named`` are the items that the payer's purpose names.

    A shortfall of named claims up to ``small_difference`` is waived with them, at the one that was due last. What a
    payment names and exceeds is not spread over others: the rest stays unapplied. Raises ``ValueError`` for an amount
    or a claim that is not above zero.
    """
    if amount <= 0 or any(claim.left <= 0 for claim in claims):
        raise ValueError("only money is divided, and only among what is open")
    wanted = set(named)
    meant = in_order(claim for claim in claims if claim.item in wanted)
    if meant:
        return _named(amount, meant, small_difference)
    return _exact(amount, claims) or _oldest(amount, claims)


def in_order(claims: Iterable[Claim]) -> list[Claim]:
    """Those due first, first; of one day, the older item."""
    return sorted(claims, key=lambda claim: (claim.due_on, claim.item))


def _named(amount: Decimal, meant: Sequence[Claim], small_difference: Decimal) -> Division:
    left = sum((claim.left for claim in meant), NOTHING)
    discount = sum((claim.discount for claim in meant), NOTHING)
    if discount and amount == left - discount:
        shares = [Share(one.item, one.left - one.discount, Rule.REFERENCE, one.discount) for one in meant]
        return Division(tuple(shares), fits=True)
    short = left - amount
    if NOTHING < short <= small_difference and short < meant[-1].left:
        shares = [Share(one.item, one.left, Rule.REFERENCE) for one in meant[:-1]]
        last = meant[-1]
        shares.append(Share(last.item, last.left - short, Rule.REFERENCE, difference=short))
        return Division(tuple(shares), fits=True)
    return _filled(amount, meant, Rule.REFERENCE)


def _exact(amount: Decimal, claims: Sequence[Claim]) -> Division | None:
    """One claim that is just that much, or several that come to it together, all of them before some of them."""
    for take_discount in (False, True):
        fitting = [one for one in claims if (one.left - one.discount if take_discount else one.left) == amount]
        fitting = [one for one in fitting if one.discount or not take_discount]
        if fitting:
            first = in_order(fitting)[0]
            discount = first.discount if take_discount else NOTHING
            return Division((Share(first.item, amount, Rule.EXACT, discount),), fits=True, is_only=len(fitting) == 1)
    tried = in_order(claims)
    if len(tried) > 1 and sum((one.left for one in tried), NOTHING) == amount:
        return Division(tuple(Share(one.item, one.left, Rule.EXACT) for one in tried), fits=True)
    tried = [one for one in tried if one.left < amount][:MOST_TRIED]
    for size in range(2, min(MOST_TOGETHER, len(tried)) + 1):
        sets = [some for some in combinations(tried, size) if sum((one.left for one in some), NOTHING) == amount]
        if sets:
            shares = tuple(Share(one.item, one.left, Rule.EXACT) for one in sets[0])
            return Division(shares, fits=True, is_only=len(sets) == 1)
    return None


def _oldest(amount: Decimal, claims: Sequence[Claim]) -> Division:
    return _filled(amount, in_order(claims), Rule.OLDEST)


def _filled(amount: Decimal, claims: Sequence[Claim], rule: Rule) -> Division:
    """One claim after the other, each as far as the money goes."""
    shares, rest = [], amount
    for claim in claims:
        part = min(rest, claim.left)
        if part:
            shares.append(Share(claim.item, part, rule))
        rest -= part
    whole = {claim.item: claim.left for claim in claims}
    fits = bool(shares) and not rest and all(share.amount == whole[share.item] for share in shares)
    return Division(tuple(shares), rest, fits=fits and len(shares) == len(claims))
