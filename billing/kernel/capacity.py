"""A step price for several units at once: the highest step that any of them reaches prices the whole period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CapacityStep:
    """Up to these limits, inclusive (``None``: open), a period costs ``amount``. A unit not named is not limited."""

    limits: Mapping[str, Decimal | None]
    amount: Decimal

    def holds(self, quantities: Mapping[str, Decimal]) -> bool:
        limits = {unit: limit for unit, limit in self.limits.items() if limit is not None}
        return all(quantities.get(unit, Decimal(0)) <= limit for unit, limit in limits.items())


def step_reached(steps: Sequence[CapacityStep], quantities: Mapping[str, Decimal]) -> CapacityStep:
    """The first step, of steps that rise, whose limits hold all quantities; the last one if none does.

    A unit of which nothing was used reaches no step. Raises ``ValueError`` without a step.
    """
    if not steps:
        raise ValueError("a price by capacity has a step")
    return next((step for step in steps if step.holds(quantities)), steps[-1])
