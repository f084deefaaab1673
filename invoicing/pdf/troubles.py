"""What cannot be printed rests longer after each attempt, so that it neither fills the log nor holds up the rest."""

from __future__ import annotations

from typing import Final, TypeVar

from django.db import connection
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Now

from invoicing.models import PrintTrouble
from tenants.copying import table_of

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
