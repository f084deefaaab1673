"""Every invariant of the books in one place: each is proved from the rows, and each breach is named.

The nightly run, a restore and a deployment end with ``check()``. It reads one snapshot, so that it may run beside
everything else, and keeps no more in memory than a chunk of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from django.utils.translation import gettext

from config.books.breach import Breach, snapshot
from config.books.chains import chains_hold
from config.books.choices import words_are_known
from config.books.coverage import days_are_answered, usage_is_answered
from config.books.documents import documents_hold
from config.books.files import files_hold, seals_hold
from config.books.guards import guards_hold
from config.books.operators import operators_hold
from config.books.rules import RULES, amounts_fit_their_currency, breaches_of
from config.books.trees import trees_hold
from tenants.errors import OperatorError

__all__ = ["Breach", "check"]

FOUND_BY_READING: Final[tuple[Callable[[], Iterator[Breach]], ...]] = (
    words_are_known,
    amounts_fit_their_currency,
    days_are_answered,
    usage_is_answered,
    documents_hold,
    chains_hold,
    seals_hold,
    trees_hold,
    operators_hold,
    guards_hold,
)


def check(*, limit: int = 100, with_files: bool = True) -> Iterator[Breach]:
    """Every breach of an invariant, at most ``limit`` per rule; nothing when the books are sound.

    Kept files are read and hashed last, outside of the snapshot, unless ``with_files`` is off.
    """
    with snapshot():
        for rule in RULES:
            yield from islice(breaches_of(rule), limit)
        for proof in FOUND_BY_READING:
            yield from islice(_carried_through(proof), limit)
    if with_files:
        yield from islice(files_hold(), limit)


def _carried_through(proof: Callable[[], Iterator[Breach]]) -> Iterator[Breach]:
    """The breaches that a proof finds. Rows that are no longer readable are one; the other proofs go on."""
    try:
        yield from proof()
    except (ValueError, ArithmeticError, LookupError, TypeError, OperatorError) as error:
        yield Breach(
            "proof",
            proof.__name__,
            gettext("It could not be carried through: %(reason)s") % {"reason": f"{type(error).__name__}: {error}"},
        )
