"""Accounts that move to another parent, are merged, split or closed: shown first, planned for a day, made once.

The tree has no days (docs/adr): a change is planned as a row and made on its day, by hand or by the night.
"""

from config.restructuring.effects import Effect, RestructuringRefused, RightCopied
from config.restructuring.planning import (
    RIGHT,
    CarriedOut,
    PlannerLacksRights,
    carry_out,
    carry_out_due,
    plan,
    preview,
    withdraw,
)

__all__ = [
    "RIGHT",
    "CarriedOut",
    "Effect",
    "PlannerLacksRights",
    "RestructuringRefused",
    "RightCopied",
    "carry_out",
    "carry_out_due",
    "plan",
    "preview",
    "withdraw",
]
