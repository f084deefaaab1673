"""Print one by one what lacks its file. What cannot be printed rests, longer each time, and holds up nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Now

from invoicing.models import PrintTrouble
from tenants.copying import table_of
from tenants.errors import OperatorError

logger = logging.getLogger(__name__)

AnyRecord = TypeVar("AnyRecord", bound=Model)

NOTE: Final = f"""
    insert into {table_of(PrintTrouble)} as t ("table", row, attempts, next_at, reason)
    values (%s, %s, 1, statement_timestamp() + interval '1 minute', %s)
    on conflict ("table", row) do update
       set attempts = least(t.attempts + 1, 32000), reason = excluded.reason,
           next_at = statement_timestamp() + least(interval '1 minute' * 2 ^ least(t.attempts, 9), interval '6 hours')
"""


def rested(records: QuerySet[AnyRecord]) -> QuerySet[AnyRecord]:
    """Those that never failed, or whose next attempt is due."""
    resting = PrintTrouble.objects.filter(table=table_of(records.model), row=OuterRef("pk"), next_at__gt=Now())
    return records.filter(~Exists(resting))


def note(record: Model, reason: str) -> None:
    """An attempt failed: the next one is due in a minute, then two, four and so on up to six hours."""
    with connection.cursor() as cursor:
        cursor.execute(NOTE, [table_of(type(record)), record.pk, reason])


def work_off(
    tray: QuerySet[AnyRecord],
    make: Callable[[AnyRecord], None],
    *,
    limit: int,
    on_each: Callable[[], None] | None = None,
) -> int:
    """Claim at most ``limit`` records of ``tray``, one a transaction, and ``make`` the file of each; returns how many.

    Any number of processes may do so at once. One record's trouble stops no other: it is logged and noted, the record
    stays without a file, and rests before it is tried again.
    """
    made = after = 0
    while made < limit:
        with transaction.atomic():
            left = tray.filter(pk__gt=after).order_by("pk")
            record = left.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
            if record is None:
                break
            after = record.pk
            try:
                with transaction.atomic():
                    make(record)
            except OSError:  # no fault of the record's: the next one would find the disk just as full
                raise
            except Exception as error:
                logger.exception("It cannot be printed", extra={"table": table_of(tray.model), "row": record.pk})
                note(record, str(error) if isinstance(error, OperatorError) else type(error).__name__)
                continue
            made += 1
        if on_each:
            on_each()
    return made
