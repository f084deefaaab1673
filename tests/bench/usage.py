"""Usage taken in beside its floor, in one run on one server: `python -m tests.bench.usage 1000000`.

The work: so many distinct events of 1,000 accounts and 6 meters in 60 days, in the order of time but for some hours, as
sources report them, and one in twenty of them once more in a later batch; batches of 100,000, each a transaction. The
floor is COPY of the distinct keys and events, as they are stored, into the same two tables of a copy of the database,
in batches of as many; all constraints, indexes and triggers in force. Figures mean something as ratios only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import islice
from typing import Any

import django
from django.db import connection, connections, transaction

BATCH = 100_000
IN_API_BATCHES = 1_000
ACCOUNTS = 1_000
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 5, 2, tzinfo=UTC)
MINUTES = 60 * 24 * 60


def events(count: int) -> Iterator[Any]:
    """Roughly in the order of time; every property that a meter wants is there."""
    from billing.metering import Event

    meters = ("calls", "minutes", "sms", "lines", "disk", "logins")
    for number in range(count):
        drawn = number * 7_919 % 1_000_003
        amounts = f'"seconds": {drawn % 900}, "lines": {drawn % 30}, "gb": {drawn % 400}'
        yield Event(
            key=f"event-{drawn:07}-{number}",
            occurred_at=FIRST + timedelta(minutes=number * MINUTES // count + drawn % 360),
            tenant=f"U{drawn % ACCOUNTS:06}",
            application="PBX",
            meter=meters[number % 6],
            user_name=f"user{drawn % 50}",
            quantity=Decimal(drawn % 9),
            properties=f'{{{amounts}, "user_name": "u{drawn % 20}"}}',
        )


def batches(count: int, size: int) -> Iterator[list[Any]]:
    """Those of the size; from the second on with one in twenty of the batch before."""
    source = events(count)
    before: list[Any] = []
    while batch := list(islice(source, size)):
        yield [*batch, *before[::20]]
        before = batch


def prepare() -> Any:
    from tests.builders import make_issuer, make_tenant
    from tests.usage_rows import make_meters, make_source

    for number in range(ACCOUNTS):
        make_tenant(reference=f"U{number:06}")
    make_meters()
    with connection.cursor() as cursor:
        cursor.execute("select kontor_usage_partitions('2026-03-01', '2026-05-31')")
    return make_source(make_issuer())


def taken_in(source: Any, given: Sequence[list[Any]]) -> float:
    from billing import metering

    seconds = 0.0
    for batch in given:
        start = time.perf_counter()
        metering.take_in(source, batch, now=NOW)
        seconds += time.perf_counter() - start
    return seconds


def copied_out() -> list[tuple[str, bytes]]:
    """Batch by batch the keys and the events, as COPY text."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("select id from billing_usagebatch order by id")
        for (batch,) in cursor.fetchall():
            of = f"billing_usagekey k where k.batch_id = {batch}"
            for target, rows in (
                ("billing_usagekey", f"select k.* from {of}"),
                ("billing_usageevent", f"select e.* from billing_usageevent e where id in (select id from {of})"),
            ):
                text = BytesIO()
                cursor.copy_expert(f"copy ({rows} order by id) to stdout", text)
                found.append((target, text.getvalue()))
    return found


def floor(rows: list[tuple[str, bytes]]) -> float:
    seconds = 0.0
    for keys, stored in zip(rows[::2], rows[1::2], strict=True):
        start = time.perf_counter()
        with transaction.atomic(), connection.cursor() as cursor:
            for target, text in (keys, stored):
                cursor.copy_expert(f"copy {target} from stdin", BytesIO(text))
        seconds += time.perf_counter() - start
    return seconds


def measure(template: str, count: int) -> None:
    from billing.models import UsageBatch, UsageEvent, UsageTotal
    from tests.databases import copy_database, drop_database, use_database

    names = []
    try:
        filled = copy_database(template)
        names.append(filled)
        use_database(filled)
        source = prepare()
        connections.close_all()
        bare = copy_database(filled)
        names.append(bare)
        use_database(filled)
        given = list(batches(count, BATCH))
        sent = sum(map(len, given))
        seconds = taken_in(source, given)
        rows = copied_out()
        small = list(batches(min(count, 50_000), IN_API_BATCHES))
        replayed = taken_in(source, small)
        fresh = [[replace(event, key=f"{place}-{event.key}") for event in batch] for place, batch in enumerate(small)]
        assert UsageEvent.objects.counted().count() == count
        totals = UsageTotal.objects.count()
        single = taken_in(source, fresh)
        connections.close_all()
        use_database(bare)
        for _batch in given:  # the same numbers as over there
            UsageBatch.objects.create(source_id=source.pk, channel="api")
        lowest = floor(rows)
        print(
            f"{count:>8} distinct events, {sent} sent, {totals} days of series, batches of {BATCH}:\n"
            f"         COPY of keys and events  {lowest:7.2f} s  {count / lowest:8.0f} events/s   1.00\n"
            f"         taken in and rolled up   {seconds:7.2f} s  {sent / seconds:8.0f} events/s"
            f"  {seconds / lowest:5.2f} x COPY\n"
            f"         in batches of {IN_API_BATCHES:,}, new    {single:6.2f} s"
            f"  {sum(map(len, fresh)) / single:8.0f} events/s\n"
            f"         in batches of {IN_API_BATCHES:,}, known  {replayed:6.2f} s"
            f"  {sum(map(len, small)) / replayed:8.0f} events/s",
            flush=True,
        )
    finally:
        connections.close_all()
        for name in names:
            drop_database(name)


def main(counts: list[int]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    from config import env, servers
    from tests.databases import migrated_template

    servers.ensure(env.home(), env.embedded())
    template = migrated_template()
    for count in counts:
        measure(template, count)


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [200_000])
