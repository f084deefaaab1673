"""Bring the charges in line with the contracts: what is due less what is booked.

Reads everything a chunk of payers needs in a fixed number of queries, reckons in the kernel, and writes by COPY.
"""

from billing.charging.booking import write
from billing.charging.prices import grid_of, price_terms
from billing.charging.proposal import Contract, Metered, Position, Proposal, Proposed, Unbillable
from billing.charging.proposing import positions_of, propose, propose_contracts, recurring_of

__all__ = [
    "Contract",
    "Metered",
    "Position",
    "Proposal",
    "Proposed",
    "Unbillable",
    "grid_of",
    "positions_of",
    "price_terms",
    "propose",
    "propose_contracts",
    "recurring_of",
    "write",
]
