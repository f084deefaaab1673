"""What is due less what is booked; writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from billing.charging.proposal import Position, Proposal, Proposed
from billing.charging.reading import (
    OF_CONTRACTS,
    OF_PAYERS,
    read_booked,
    read_booked_days,
    read_items,
    read_positions,
    set_aside,
)
from billing.charging.usage import usage_due
from billing.kernel.charges import Booked, due_after, due_less_booked, is_settled
from billing.kernel.commitment import CommitmentTerms, true_ups_charged


def propose(issuer: int, payers: Sequence[int], *, through: date) -> Proposal:
    """What brings the charges of ``payers`` (tenant keys) with ``issuer`` in line up to ``through``; writes nothing.

    Raises ``Unbillable`` naming the contract or price that cannot be reckoned.
    """
    return _proposed(read_items(OF_PAYERS, [list(payers), issuer, list(payers), issuer, through]), through)


def propose_contracts(subscriptions: Sequence[int], *, through: date) -> Proposal:
    """As ``propose``, for contracts (their keys) whoever pays for them."""
    return _proposed(read_items(OF_CONTRACTS, [list(subscriptions), through]), through)


def _proposed(read: list[tuple[Any, ...]], through: date) -> Proposal:
    rows, left_out = set_aside(read)
    proposal = Proposal(left_out=left_out)
    if not rows:
        return proposal
    positions, metered, commitments = _apart(read_positions(rows, through))
    summary = read_booked_days([position.terms.key for position in positions])
    unsettled: list[Position] = []
    for position in positions:
        booked_before, booked_days, credits = summary.get(position.terms.key, (None, 0, 0))
        if credits or not is_settled(position.terms, booked_before, booked_days):
            unsettled.append(position)
        else:
            proposal.charges += [Proposed(position, due) for due in due_after(position.terms, booked_before, through)]
    if metered:
        proposal.charges += usage_due(metered, through)
    held = {position.contract.key for position in commitments}
    counted = [position for position in (*positions, *metered) if position.contract.key in held]
    booked = read_booked([position.terms.key for position in (*unsettled, *counted, *commitments)])
    for position in unsettled:
        due = due_less_booked(position.terms, booked.get(position.terms.key, ()), through)
        proposal.charges += [Proposed(position, one) for one in due]
    if commitments:
        proposal.charges += _true_ups(commitments, _charged(counted, booked, proposal.charges), booked, through)
    return proposal


def _apart(positions: list[Position]) -> tuple[list[Position], list[Position], list[Position]]:
    """Positions of a price and a quantity; those charged by use; and minimum commitments, which look at both."""
    if all(position.meter is None and not position.is_commitment for position in positions):
        return positions, [], []
    commitments = [position for position in positions if position.is_commitment]
    metered = [position for position in positions if position.meter is not None]
    plain = [position for position in positions if position.meter is None and not position.is_commitment]
    return plain, metered, commitments


def _charged(
    positions: Sequence[Position], booked: Mapping[int, Sequence[Booked]], proposed: Sequence[Proposed]
) -> dict[int, list[tuple[date, Decimal]]]:
    """By contract: first day and net of all that stands once ``proposed`` is booked, too."""
    charged: dict[int, list[tuple[date, Decimal]]] = defaultdict(list)
    for position in positions:
        for one in booked.get(position.terms.key, ()):
            charged[position.contract.key].append((one.period.start, one.net))
    for charge in proposed:
        charged[charge.position.contract.key].append((charge.due.period.start, charge.due.net))
    return charged


def _true_ups(
    commitments: Sequence[Position],
    charged: Mapping[int, Sequence[tuple[date, Decimal]]],
    booked: Mapping[int, Sequence[Booked]],
    through: date,
) -> Iterator[Proposed]:
    for position in commitments:
        terms = position.terms
        amount = terms.price.tiers[0].flat_amount * terms.quantity
        commitment = CommitmentTerms(terms.key, terms.places, terms.schedule, amount, terms.proration)
        standing = booked.get(terms.key, ())
        for due in true_ups_charged(commitment, charged.get(position.contract.key, ()), standing, through):
            yield Proposed(position, replace(due, quantity=terms.quantity))


def positions_of(subscriptions: Sequence[int], *, through: date = date.min) -> list[Position]:
    """All positions of contracts (their keys), whatever their days; none of contracts still waiting to start.

    Fixed discounts are shared among the positions of a contract for what is due by ``through``.
    """
    rows = read_items(OF_CONTRACTS, [list(subscriptions), date.max])
    return read_positions(rows, through) if rows else []


def recurring_of(subscriptions: Sequence[int], *, through: date = date.min) -> list[Position]:
    """As ``positions_of``, without those charged by use: what recurs is what is known ahead."""
    return [position for position in positions_of(subscriptions, through=through) if position.meter is None]
