"""The heads of the hash chains, to be kept elsewhere.

A chain proves that no document was changed without all that follow it. Whoever can change all of them is found by
comparing with a head that was kept where he could not reach it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any, Final, TextIO

from django.utils.translation import gettext as _

from config.books.breach import Breach
from invoicing.models import Invoice
from tenants.errors import OperatorError

COLUMNS: Final = ["issuer", "range", "sequence", "number", "chain_hash"]


class UnreadableHeads(OperatorError):
    """A file of kept heads is not what ``write`` wrote."""


@dataclass(frozen=True, slots=True, order=True)
class Head:
    """The last document of a number range at some time, and its hash in the chain."""

    issuer: str
    range: str
    sequence: int
    number: str
    chain_hash: str


def heads() -> list[Head]:
    """The last document of each range in which one was issued."""
    last = (
        Invoice.objects.issued()
        .order_by("range_id", "-sequence")
        .distinct("range_id")
        .values_list("issuer__reference", "range__prefix", "sequence", "number", "chain_hash")
    )
    return sorted(
        Head(issuer, str(prefix), sequence or 0, str(number), chain) for issuer, prefix, sequence, number, chain in last
    )


def heads_hold(kept: Iterable[Head]) -> Iterator[Breach]:
    """Each head that was kept is still in its place: the same number with the same hash."""
    for head in kept:
        found = Invoice.objects.filter(
            issuer__reference=head.issuer, range__prefix=head.range, sequence=head.sequence
        ).values_list("number", "chain_hash")
        row = found.first()
        if row is None:
            yield Breach("head", head.number, _("It was the last document of its range, and is no longer there."))
        elif row != (head.number, head.chain_hash):
            yield Breach("head", head.number, _("It has another hash than when its range ended with it."))


def write(stream: TextIO, found: Iterable[Head]) -> None:
    """As CSV: ``COLUMNS``."""
    out = csv.writer(stream, delimiter=";", lineterminator="\r\n")
    out.writerow(COLUMNS)
    out.writerows(map(astuple, found))


def read(stream: TextIO) -> list[Head]:
    """What ``write`` wrote. Raises ``UnreadableHeads`` naming the row."""
    rows: list[list[str]] = list(csv.reader(stream, delimiter=";"))
    if not rows or rows[0] != COLUMNS:
        raise UnreadableHeads(
            _("This is no file of heads: its columns are not %(columns)s.") % {"columns": ";".join(COLUMNS)}
        )
    return [_head(n, row) for n, row in enumerate(rows[1:], 2)]


def _head(n: int, row: list[Any]) -> Head:
    try:
        issuer, prefix, sequence, number, chain_hash = row
        return Head(issuer, prefix, int(sequence), number, chain_hash)
    except ValueError as error:
        raise UnreadableHeads(_("Row %(row)s of the heads cannot be read.") % {"row": n}) from error
