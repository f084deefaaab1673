"""Whether a colour can be read on white paper."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

READABLE: Final = Decimal("4.5")  # WCAG 2.2, 1.4.3
WEIGHTS: Final = (Decimal("0.2126"), Decimal("0.7152"), Decimal("0.0722"))  # of red, green, blue


def contrast_on_white(colour: str) -> Decimal:
    """The contrast of ``#rrggbb`` with white after WCAG 2.2: from 1 (white) to 21 (black)."""
    light = sum(weight * _linear(colour[at : at + 2]) for weight, at in zip(WEIGHTS, (1, 3, 5), strict=True))
    return Decimal("1.05") / (light + Decimal("0.05"))


def _linear(digits: str) -> Decimal:
    share = Decimal(int(digits, 16)) / 255
    if share <= Decimal("0.04045"):
        return share / Decimal("12.92")
    return ((share + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4")
