"""Take usage in from a file: one event per row, all of the file or nothing, a second time nothing.

A file is of one source: the one its column ``source`` names, or else the issuer's own for files, which is made when it
is needed. A row that was known is unchanged; one whose key is known with another content is in error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext

from billing.metering import Event, intake
from billing.metering.events import COLUMNS as OF_THE_EVENT
from billing.metering.events import event_of, out_of_time
from billing.models import Meter, UsageBatch, UsageEvent, UsageKey, UsageSource
from tenants import import_rows
from tenants.cells import Text
from tenants.import_rows import ERROR, NEW, UNCHANGED, Recipe, Staged, Verdict
from tenants.models import ImportBatch, Tenant
from tenants.staging import Outdated
from tenants.tabular import RowError

COLUMNS: Final = (*OF_THE_EVENT, Text(name="source", max_length=60))
FILES: Final = "file"  # reference of an issuer's source of files, before the issuer's own

# The events that a file has more than once: where each stands first.
REPEATED: Final = """
    create temporary table if not exists usage_repeated (event text primary key, number integer not null)
        on commit delete rows;
    truncate usage_repeated;
"""
FIRSTS: Final = """
    insert into usage_repeated select cells ->> 'event', min(number) from tenants_importrow
     where batch_id = %s and state <> 'error' and cells ->> 'event' <> '' group by 1 having count(*) > 1
"""


def lay(batch: ImportBatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(REPEATED)
        cursor.execute(FIRSTS, [batch.pk])


def judge(batch: ImportBatch, rows: Sequence[Staged]) -> dict[int, Verdict]:
    """What each row would do, from a fixed number of queries for the chunk."""
    source = source_of(batch)
    events = {row.number: event_of(row.values) for row in rows}
    keys = [event.key for event in events.values()]
    stored = read_stored(source, keys) if source else {}
    firsts = read_firsts(batch, keys)
    taken_back = [event.reverses for event in events.values() if event.reverses]
    there = known_keys(batch, source, taken_back) if taken_back else set()
    tenants = set(
        Tenant.objects.filter(reference__in={event.tenant for event in events.values()}).values_list(
            "reference", flat=True
        )
    )
    meters = set(Meter.objects.values_list("application__reference", "reference"))
    name = source_name(batch)
    verdicts = {}
    for row in rows:
        event = events[row.number]
        errors = [RowError(row.number, column, reason) for column, reason in refusals(batch, source, row, name, event)]
        if event.reverses and event.reverses not in there:
            reason = gettext("there is no event “%(key)s”, neither stored nor in the file") % {"key": event.reverses}
            errors.append(RowError(row.number, "reverses", reason))
        known = stored.get(event.key)
        number, first = firsts.get(event.key, (row.number, event))
        if known is None and number < row.number:
            known = first
        if errors:
            verdicts[row.number] = Verdict(ERROR, errors=errors)
        elif known is not None:
            verdicts[row.number] = compared(row.number, known, event)
        else:
            verdicts[row.number] = Verdict(NEW, warnings=list(warnings_of(row.number, event, tenants, meters)))
    return verdicts


def refusals(
    batch: ImportBatch, source: UsageSource | None, row: Staged, name: str, event: Event
) -> Iterable[tuple[str, str]]:
    if str(row.values.get("source") or "") != name:
        yield "source", gettext("all rows of a file are of one source; the first is of “%(source)s”") % {"source": name}
    if name and source is None:
        yield "source", gettext("there is no usage source “%(source)s”") % {"source": name}
    if source is not None and source.issuer_id != batch.issuer_id:
        yield "source", gettext("is a source of another issuer")
    if reason := out_of_time(event, batch.created_at):
        yield "occurred_at", reason.partition(": ")[2]
    if source is not None and source.application is not None and event.application != source.application.reference:
        text = gettext("this source reports “%(application)s” alone")
        yield "application", text % {"application": source.application}


def compared(number: int, known: Event, event: Event) -> Verdict:
    """Unchanged if both say the same; else in error: an event that happened does not change."""
    differing = [
        RowError(
            number,
            column,
            gettext("the event is known with “%(old)s”, here it is “%(new)s”; take it back by another event (reverses)")
            % {"old": as_text(old), "new": as_text(new)},
        )
        for column, old, new in (
            ("occurred_at", known.occurred_at, event.occurred_at),
            ("tenant", known.tenant, event.tenant),
            ("application", known.application, event.application),
            ("meter", known.meter, event.meter),
            ("user", known.user_name, event.user_name),
            ("quantity", known.quantity, event.quantity),
            ("properties", meaning(known.properties), meaning(event.properties)),
            ("reverses", known.reverses, event.reverses),
        )
        if old != new
    ]
    return Verdict(ERROR, errors=differing) if differing else Verdict(UNCHANGED)


def meaning(properties: str) -> Any:
    return json.loads(properties, parse_float=Decimal, parse_int=Decimal)


def as_text(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return import_rows.as_text(value) or ""


def warnings_of(number: int, event: Event, tenants: set[str], meters: set[tuple[str, str]]) -> Iterable[RowError]:
    """The event is taken all the same: it is assigned once account and meter are known."""
    if event.tenant not in tenants:
        text = gettext("there is no account “%(reference)s”; the event is kept and billed to nobody until there is")
        yield RowError(number, "tenant", text % {"reference": event.tenant})
    if (event.application, event.meter) not in meters:
        text = gettext("there is no meter “%(meter)s”; the event is kept and billed to nobody until there is")
        yield RowError(number, "meter", text % {"meter": f"{event.application} / {event.meter}"})


# --- what is stored ---


def source_name(batch: ImportBatch) -> str:
    """As the first readable row has it."""
    first = batch.rows.exclude(state=ERROR).order_by("number").first()
    return str(first.cells.get("source") or "") if first else ""


def source_of(batch: ImportBatch) -> UsageSource | None:
    name = source_name(batch) or files_of(batch)
    return UsageSource.objects.select_related("application", "issuer").filter(reference=name).first()


def files_of(batch: ImportBatch) -> str:
    assert batch.issuer is not None
    return f"{FILES} {batch.issuer.reference}"[:60]


def read_stored(source: UsageSource, keys: Sequence[str]) -> dict[str, Event]:
    """The stored events of these keys. Of one whose month was aged out the intake will know that it is no new one."""
    known = {key.pk: key for key in UsageKey.objects.filter(source=source, key__in=keys)}
    times = sorted(key.occurred_at for key in known.values())
    stored = UsageEvent.objects.filter(pk__in=known, occurred_at__range=(times[0], times[-1])) if times else ()
    return {known[one.pk].key: as_event(known[one.pk].key, one) for one in stored}


def as_event(key: str, stored: UsageEvent) -> Event:
    return Event(
        key=key,
        occurred_at=stored.occurred_at,
        tenant=stored.tenant_reference,
        application=stored.application_reference,
        meter=stored.meter_reference,
        user_name=stored.user_name,
        quantity=stored.quantity,
        properties=json.dumps(stored.properties),
        reverses=stored.reverses_key,
    )


def read_firsts(batch: ImportBatch, keys: Sequence[str]) -> Mapping[str, tuple[int, Event]]:
    """The first row of those events that the file has more than once."""
    with connection.cursor() as cursor:
        cursor.execute("select event, number from usage_repeated where event = any(%s)", [list(set(keys))])
        numbers = dict(cursor.fetchall())
    rows = {row.number: row for row in batch.rows.filter(number__in=numbers.values())}
    return {key: (number, event_of(import_rows.staged(RECIPE, rows[number]).values)) for key, number in numbers.items()}


def known_keys(batch: ImportBatch, source: UsageSource | None, keys: Sequence[str]) -> set[str]:
    found = set(batch.rows.exclude(state=ERROR).filter(cells__event__in=keys).values_list("cells__event", flat=True))
    if source:
        found |= set(UsageKey.objects.filter(source=source, key__in=keys).values_list("key", flat=True))
    return found


# --- writing ---


def make_months(batch: ImportBatch) -> None:
    """At the end of the comparison, so that the partitions are there when the file is taken in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct date_trunc('month', (cells ->> 'occurred_at')::timestamptz, 'UTC') from tenants_importrow"
            " where batch_id = %s and state = 'new'",
            [batch.pk],
        )
        months: list[datetime] = [row[0] for row in cursor.fetchall()]
    intake.make_months(months)


def begin(batch: ImportBatch) -> None:
    source = source_of(batch)
    if source is None:
        source = UsageSource.objects.create(reference=files_of(batch), issuer_id=batch.issuer_id or 0)
    intake.begin(source, channel=UsageBatch.Channel.FILE, import_batch=batch)


def write(batch: ImportBatch, rows: Sequence[tuple[Staged, Verdict]]) -> None:
    intake.lay_down((row.number, event_of(row.values)) for row, _verdict in rows)


def finish(batch: ImportBatch) -> None:
    """Store what was laid down. What became otherwise meanwhile, by another way in, lets nothing of the file pass."""
    opened = UsageBatch.objects.select_related("source__issuer").get(import_batch=batch)
    done = intake.store(opened)
    for number in sorted(done.conflicts):
        raise Outdated(
            gettext("Row %(row)d: the event came by another way meanwhile, and says something else.") % {"row": number}
        )
    for number, reason in sorted(done.refused.items()):
        raise Outdated(gettext("Row %(row)d, %(reason)s.") % {"row": number, "reason": reason})
    intake.note(done, replayed=batch.counts.get(UNCHANGED, 0), refused=batch.counts.get(ERROR, 0))


RECIPE = Recipe(
    kind=ImportBatch.Kind.USAGE,
    columns=COLUMNS,
    key="event",
    laid=lay,
    judge=judge,
    judged=make_months,
    begin=begin,
    write=write,
    finish=finish,
    unique=False,
)
