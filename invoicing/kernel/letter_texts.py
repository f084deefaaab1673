"""Texts that an issuer writes itself: their placeholders, and the text with what stands for them; no templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

COMMON: Final = ("customer", "issuer", "issued_on")
CORRECTION: Final = (*COMMON, "number", "original", "net", "gross", "contract")
REMINDER: Final = (*COMMON, "number", "due_on", "total", "level")
ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "invoice": (*COMMON, "number", "due_on", "net", "gross", "contract"),
    "credit_note": CORRECTION,
    "cancellation": CORRECTION,
    "statement": (*COMMON, "number", "due_on", "total"),
    "first_reminder": REMINDER,
    "reminder": REMINDER,
    "last_reminder": REMINDER,
}
PLACEHOLDER: Final = re.compile(r"\{([^{}\n]*)\}")


def unknown(text: str, kind: str) -> list[str]:
    """What stands in braces and is no placeholder of this kind of letter, in its order."""
    return list(dict.fromkeys(name for name in PLACEHOLDER.findall(text) if name not in ALLOWED[kind]))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced, once: what a value says is not read again. Others stay as they are."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)
