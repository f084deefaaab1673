"""Take events in: laid down by COPY, each new key once, events by month, totals by day; one transaction.

The unique key decides. Two that bring the same event at a time wait for one another there, in the order of the keys;
whoever comes second finds it known. Totals are folded in last, in the order of their series, so that nobody waits long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from django.db import connection, transaction
from django.utils.translation import gettext

from billing.metering.events import Event, out_of_time
from billing.metering.placing import FOLD, FOLDED, LASTS, PLACE, PLACED, places_of
from billing.models import UsageBatch, UsageConflict, UsageSource
from tenants.copying import copy_rows
from tenants.models import ImportBatch

STAGED: Final = (
    "line",
    "key",
    "occurred_at",
    "tenant_reference",
    "application_reference",
    "meter_reference",
    "user_name",
    "quantity",
    "properties",
    "reverses_key",
)
STAGE: Final = """
    create temporary table if not exists usage_staged (
        id bigint not null default nextval('billing_usagekey_id_seq'),
        line integer not null, key text not null, occurred_at timestamptz not null,
        tenant_reference text not null, application_reference text not null, meter_reference text not null,
        user_name text not null, quantity numeric(25, 10) not null, properties jsonb not null,
        reverses_key text not null, target_id bigint, target_at timestamptz
    ) on commit delete rows;
    create temporary table if not exists usage_folded (
        tenant_id bigint not null, meter_id bigint not null, day date not null,
        count bigint not null, total numeric not null, maximum numeric
    ) on commit delete rows;
    create temporary table if not exists usage_lasts (
        tenant_id bigint not null, meter_id bigint not null, day date not null,
        occurred_at timestamptz not null, key text not null, value numeric not null
    ) on commit delete rows;
    truncate usage_staged, usage_folded, usage_lasts;
"""
# What of two reports of one event must be the same; a quantity that is left out is 1 either way.
SAME: Final = """
    ({e}.occurred_at, {e}.tenant_reference, {e}.application_reference, {e}.meter_reference, {e}.user_name,
     {e}.quantity, {e}.properties, {e}.reverses_key)
  = (s.occurred_at, s.tenant_reference, s.application_reference, s.meter_reference, s.user_name,
     s.quantity, s.properties, s.reverses_key)
"""
NEW_KEYS: Final = """
    insert into billing_usagekey (id, source_id, key, occurred_at, batch_id, reverses_id)
    select id, %(source)s, key, occurred_at, %(batch)s, target_id from usage_staged
     where (reverses_key = '') = %(plain)s and (reverses_key = '' or target_id is not null) order by key, line
    on conflict do nothing
"""
# Staged rows whose key is another row's: known before, or earlier in the same batch. Looked up one by one: however many
# events are known, and whether or not the planner has heard of them.
KNOWN: Final = f"""
    select line, id, is_same, case when not is_same then content end from (
        select s.line, k.id, case when e.id is not null then {SAME.format(e="e")}
                                  when o.id is not null then {SAME.format(e="o")}
                                  else k.occurred_at = s.occurred_at end as is_same,
               jsonb_build_object(
                   'occurred_at', to_json(s.occurred_at at time zone 'UTC') #>> '{{}}' || '+00:00',
                   'tenant', s.tenant_reference,
                   'application', s.application_reference, 'meter', s.meter_reference, 'user', s.user_name,
                   'quantity', trim_scale(s.quantity)::text, 'properties', s.properties,
                   'reverses', s.reverses_key) as content
          from usage_staged s
          cross join lateral (select id, occurred_at from billing_usagekey
                               where source_id = %(source)s and key = s.key limit 1) k
          left join lateral (select * from billing_usageevent
                              where id = k.id and occurred_at = k.occurred_at limit 1) e on true
          left join usage_staged o on o.id = k.id
         where k.id <> s.id) f
     order by line
"""
EVENTS: Final = f"""
    with placed as (
        insert into billing_usageevent (id, occurred_at, tenant_reference, application_reference, meter_reference,
                                        user_name, quantity, properties, reverses_key,
                                        tenant_id, meter_id, day, value, label)
        select e.id, e.occurred_at, e.tenant_reference, e.application_reference, e.meter_reference, e.user_name,
               e.quantity, e.properties, e.reverses_key, p.tenant_id, p.meter_id, p.day, p.value, p.label
          from usage_staged e left join (
                   select e.id, z.tenant_id, m.id as meter_id, p.day, p.value, p.label
                     from usage_staged e {PLACE} where {PLACED} and e.reverses_key = '') p on p.id = e.id
        returning id, occurred_at, tenant_id, meter_id, day, value),
    folded as ({FOLDED})
    {LASTS.format(keys="usage_staged")}
"""


class Outcome(StrEnum):
    """What became of one event."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"  # known already, and the same
    CONFLICT = "conflict"  # known already, and not the same
    REFUSED = "refused"


@dataclass(slots=True)
class Intake:
    """What became of a batch. Events are named by their place in it, from 0; those in no other set are accepted."""

    batch: UsageBatch
    events: int = 0
    replayed: set[int] = field(default_factory=set)
    conflicts: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)  # with the reason

    @property
    def accepted(self) -> int:
        return self.events - len(self.replayed) - len(self.conflicts) - len(self.refused)

    def outcome(self, place: int) -> Outcome:
        if place in self.refused:
            return Outcome.REFUSED
        if place in self.conflicts:
            return Outcome.CONFLICT
        return Outcome.REPLAYED if place in self.replayed else Outcome.ACCEPTED


def take_in(
    source: UsageSource,
    events: Sequence[Event | str],
    *,
    now: datetime,
    channel: UsageBatch.Channel = UsageBatch.Channel.API,
) -> Intake:
    """Store the events that are new, and fold them into the totals of their days; in one transaction.

    Those of unknown tenants or meters are stored as well, and assigned later (``assign``). One whose key is known is a
    replay if it says the same, else a conflict, which is kept beside it and counts nothing. Refused, and not stored,
    are events far out of time, of another application than the source's, and those that take back what cannot be. A
    text among the events is the reason why one could not be read.
    """
    refused: dict[int, str] = {}
    sound: list[tuple[int, Event]] = []
    for place, event in enumerate(events):
        reason = event if isinstance(event, str) else refusal(source, event, now)
        if reason:
            refused[place] = reason
        elif not isinstance(event, str):
            sound.append((place, event))
    make_months(event.occurred_at for _place, event in sound)
    with transaction.atomic():
        batch = begin(source, channel=channel)
        lay_down(sound)
        intake = store(batch)
        intake.refused |= refused
        intake.events = len(events)
        note(intake)
    return intake


def refusal(source: UsageSource, event: Event, now: datetime) -> str:
    """Why an event is not taken from this source at all; nothing if it is."""
    bound = source.application
    if bound is not None and event.application != bound.reference:
        return gettext("application: this source reports “%(application)s” alone") % {"application": bound}
    return out_of_time(event, now)


# --- the three steps, in the caller's transaction ---


def begin(source: UsageSource, *, channel: UsageBatch.Channel, import_batch: ImportBatch | None = None) -> UsageBatch:
    """Open a batch: what is laid down until it is stored belongs to it."""
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
    return UsageBatch.objects.create(source=source, channel=channel, import_batch=import_batch)


def lay_down(events: Iterable[tuple[int, Event]]) -> None:
    """Lay events down, each with its place in the batch. The partitions of their months are there (``make_months``)."""
    copy_rows("usage_staged", STAGED, (_row(place, event) for place, event in events))


def store(batch: UsageBatch) -> Intake:
    """Store what was laid down."""
    intake = Intake(batch)
    with connection.cursor() as cursor:
        cursor.execute("select count(*), coalesce(bool_or(reverses_key <> ''), false) from usage_staged")
        intake.events, reversals = cursor.fetchone()
        if intake.events:
            _store(cursor, intake, reversals)
    return intake


def note(intake: Intake, *, replayed: int = 0, refused: int = 0) -> None:
    """Write down, once, what became of a batch; with those that were known or refused before they were laid down."""
    UsageBatch.objects.filter(pk=intake.batch.pk).update(
        accepted=intake.accepted,
        replayed=len(intake.replayed) + replayed,
        conflicting=len(intake.conflicts),
        refused=len(intake.refused) + refused,
    )


def make_months(instants: Iterable[date]) -> None:
    """Have the partitions that these instants (or days) need; in a transaction of its own unless the caller has one."""
    months = sorted({(instant.year, instant.month) for instant in instants})  # in UTC, as the partitions are
    if months:
        with connection.cursor() as cursor:
            cursor.execute(
                "select kontor_usage_partitions(month, month) from unnest(%s::date[]) month",
                [[date(year, month, 1) for year, month in months]],
            )


def _row(place: int, event: Event) -> Sequence[Any]:
    return (
        place,
        event.key,
        event.occurred_at,
        event.tenant,
        event.application,
        event.meter,
        event.user_name,
        event.quantity,
        event.properties,
        event.reverses,
    )


def _store(cursor: Any, intake: Intake, reversals: bool) -> None:
    source = intake.batch.source
    keys = {"source": source.pk, "batch": intake.batch.pk}
    cursor.execute("analyze usage_staged (id, key, tenant_reference, meter_reference)")
    cursor.execute(NEW_KEYS, {**keys, "plain": True})
    fresh = cursor.rowcount
    if reversals:
        _find_targets(cursor, source)
        cursor.execute(NEW_KEYS, {**keys, "plain": False})
        fresh += cursor.rowcount
    if fresh < intake.events:
        _set_known_aside(cursor, intake)
    if reversals:
        _set_unreversed_aside(cursor, intake)
    cursor.execute("select distinct tenant_reference from usage_staged")
    places = places_of([row[0] for row in cursor.fetchall()], source.issuer)
    cursor.execute(EVENTS, places.parameters())
    if reversals:
        _take_back(cursor)
    cursor.execute(FOLD)
    if reversals:
        recount(cursor)


def _set_known_aside(cursor: Any, intake: Intake) -> None:
    """Tell replays and conflicts from new events, keep what conflicts, and leave the new events staged."""
    cursor.execute(KNOWN, {"source": intake.batch.source_id})
    conflicts = []
    for line, key, is_same, content in cursor.fetchall():
        (intake.replayed if is_same else intake.conflicts).add(line)
        if not is_same:
            digest = sha256(content.encode()).hexdigest()  # jsonb writes equal contents equally
            conflicts.append(UsageConflict(key_id=key, batch=intake.batch, content=json.loads(content), digest=digest))
    UsageConflict.objects.bulk_create(conflicts, ignore_conflicts=True)
    cursor.execute("delete from usage_staged where line = any(%s)", [sorted(intake.replayed | intake.conflicts)])


# --- events that take others back ---


def _find_targets(cursor: Any, source: UsageSource) -> None:
    """Only of the same source, tenant, application and meter; nothing that itself takes something back."""
    cursor.execute(
        """
        update usage_staged s set target_id = k.id, target_at = k.occurred_at
          from billing_usagekey k
          left join usage_staged o on o.id = k.id
          left join billing_usageevent e on e.id = k.id and e.occurred_at = k.occurred_at
         where s.reverses_key <> '' and k.source_id = %s and k.key = s.reverses_key and k.reverses_id is null
           and k.id <> s.id
           and (s.tenant_reference, s.application_reference, s.meter_reference) = (
               coalesce(o.tenant_reference, e.tenant_reference),
               coalesce(o.application_reference, e.application_reference),
               coalesce(o.meter_reference, e.meter_reference))
        """,
        [source.pk],
    )


def _set_unreversed_aside(cursor: Any, intake: Intake) -> None:
    """Refuse what takes back an event that is not there, or that another one has taken back."""
    cursor.execute(
        "select s.line, s.reverses_key, s.target_id is null from usage_staged s where s.reverses_key <> ''"
        " and not exists (select from billing_usagekey k where k.id = s.id)"
    )
    for line, key, is_unknown in cursor.fetchall():
        text = (
            gettext("reverses: there is no event “%(key)s” of this source, account and meter")
            if is_unknown
            else gettext("reverses: the event “%(key)s” is taken back already")
        )
        intake.refused[line] = text % {"key": key}
    cursor.execute("delete from usage_staged where line = any(%s)", [sorted(intake.refused)])


def _take_back(cursor: Any) -> None:
    """Mark the events that are taken back; their days are folded with nothing, which holds their totals."""
    cursor.execute(
        """
        with taken as (
            update billing_usageevent e set reversed_by_id = s.id from usage_staged s
             where s.reverses_key <> '' and (e.id, e.occurred_at) = (s.target_id, s.target_at)
            returning e.tenant_id, e.meter_id, e.day)
        insert into usage_folded select tenant_id, meter_id, day, 0, 0, null from taken where tenant_id is not null
        """
    )


def recount(cursor: Any) -> None:
    """Reckon the totals of days of which something was taken back anew from their events; they are locked by now."""
    cursor.execute(
        """
        with days as (
            select distinct e.tenant_id, e.meter_id, e.day from usage_staged s
              join billing_usageevent e on (e.id, e.occurred_at) = (s.target_id, s.target_at)
             where s.reverses_key <> '' and e.tenant_id is not null),
        counted as (
            select d.*, e.value, e.occurred_at, k.key, m.aggregation, e.id
              from days d join billing_meter m on m.id = d.meter_id
              left join billing_usageevent e on (e.tenant_id, e.meter_id, e.day) = (d.tenant_id, d.meter_id, d.day)
                                            and e.reversed_by_id is null
              left join billing_usagekey k on k.id = e.id),
        lasts as (
            select distinct on (tenant_id, meter_id, day) tenant_id, meter_id, day, occurred_at, key, value
              from counted where aggregation = 'last' and id is not null
             order by tenant_id, meter_id, day, occurred_at desc, key collate "C" desc, value desc)
        update billing_usagetotal t
           set count = c.count, total = c.total, maximum = c.maximum,
               last_at = l.occurred_at, last_key = coalesce(l.key, ''), last_value = l.value
          from (select tenant_id, meter_id, day, count(id) as count, coalesce(sum(value), 0) as total,
                       max(value) as maximum
                  from counted group by tenant_id, meter_id, day) c
          left join lasts l on (l.tenant_id, l.meter_id, l.day) = (c.tenant_id, c.meter_id, c.day)
         where (t.tenant_id, t.meter_id, t.day) = (c.tenant_id, c.meter_id, c.day)
        """
    )
