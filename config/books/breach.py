"""What a proof finds, and the one snapshot it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold: its name, the record, and a sentence for the person who has to look."""

    invariant: str
    record: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.record}: {self.sentence}"


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything as of one instant; inside a transaction of the caller's, as that one sees it."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        yield
