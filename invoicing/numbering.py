"""The report on numbers: that each range runs from 1 without gap or duplicate, and which documents were cancelled."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from django.db import connection

from invoicing.kernel.retention import kept_through
from invoicing.models import Invoice

GAPS: Final = """
    select range_id, before + 1, sequence - 1
      from (select range_id, sequence, lag(sequence, 1, 0) over (partition by range_id order by sequence) as before
              from invoicing_invoice where range_id is not null) n
     where sequence > before + 1
"""
TWICE: Final = """
    select range_id, number from invoicing_invoice where range_id is not null
     group by range_id, number having count(*) > 1 order by number
"""
RANGES: Final = """
    select r.id, s.id, s.reference, r.prefix, r.kind, r.year, r.next_number, r.chain_head, count(i.id), min(i.number),
           (select l.number from invoicing_invoice l where l.range_id = r.id order by l.sequence desc limit 1),
           coalesce(max(i.sequence), 0)
      from invoicing_numberrange r
      join tenants_issuer s on s.id = r.issuer_id
      left join invoicing_invoice i on i.range_id = r.id
     group by r.id, s.id order by s.reference, r.year desc, r.prefix
"""


@dataclass(frozen=True, slots=True)
class Void:
    """A document that was cancelled by another: both keep their numbers."""

    key: int
    number: str
    by_key: int
    by: str
    on: date
    reason: str


@dataclass(slots=True)
class Range:
    """A number range as it was used; ``missing`` are stretches of numbers from one through another."""

    key: int
    issuer_key: int
    issuer: str
    prefix: str
    kind: str
    year: int
    next_number: int
    chain_head: str
    count: int
    first: str | None
    last: str | None
    last_sequence: int
    missing: list[tuple[int, int]] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    voids: list[Void] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Numbers 1 to the last one given, each once."""
        return not self.missing and not self.twice and self.next_number == self.last_sequence + 1

    @property
    def kept_through(self) -> date:
        return kept_through(date(self.year, 1, 1))


def report(issuers: Collection[int] | None = None) -> list[Range]:
    """Number ranges with their gaps, duplicates and cancelled documents, read from the documents themselves.

    Of ``issuers`` (their keys), or of all.
    """
    with connection.cursor() as cursor:
        cursor.execute(RANGES)
        ranges = {row[0]: Range(*row) for row in cursor.fetchall()}
        cursor.execute(GAPS)
        for key, first, last in cursor.fetchall():
            ranges[key].missing.append((first, last))
        cursor.execute(TWICE)
        for key, number in cursor.fetchall():
            ranges[key].twice.append(number)
    cancellations = (
        Invoice.objects.issued()
        .filter(kind=Invoice.Kind.CANCELLATION, corrects__isnull=False)
        .order_by("corrects__range", "corrects__sequence")
        .values_list(
            "corrects__range_id", "corrects_id", "corrects__number", "pk", "number", "issued_on", "reason", named=False
        )
    )
    for key, document, number, by_key, by, on, reason in cancellations:
        ranges[key].voids.append(Void(document, str(number), by_key, str(by), on, reason))
    return [one for one in ranges.values() if issuers is None or one.issuer_key in issuers]
