"""Several that send the same usage at a time, and some that die: each event once, the totals exact."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from billing import metering, usage_tokens
from billing.metering import Outcome
from billing.models import UsageBatch, UsageEvent, UsageKey, UsageSource, UsageTotal
from tests.billing import usage_sender
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.usage_rows import make_meters, make_source

ROOT = Path(__file__).resolve().parents[2]
SERIES = """
    select tenant_id, meter_id, day, count, total, maximum, last_at, last_key, last_value from billing_usagetotal
"""
RECKONED = """
    select e.tenant_id, e.meter_id, e.day, count(*), sum(e.value), max(e.value),
           (array_agg(e.occurred_at order by e.occurred_at desc, k.key collate "C" desc)
                filter (where m.aggregation = 'last'))[1],
           coalesce((array_agg(k.key order by e.occurred_at desc, k.key collate "C" desc)
                filter (where m.aggregation = 'last'))[1], ''),
           (array_agg(e.value order by e.occurred_at desc, k.key collate "C" desc)
                filter (where m.aggregation = 'last'))[1]
      from billing_usageevent e join billing_usagekey k on k.id = e.id join billing_meter m on m.id = e.meter_id
     group by 1, 2, 3
"""


def prepare() -> UsageSource:
    for number in range(3):
        make_tenant(reference=f"K{number}")
    make_meters()
    return make_source(make_issuer())


def start(environment: dict[str, str], seed: int, batches: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.billing.usage_sender", str(seed), str(batches)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_totals_are_those_of_the_events() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"({SERIES} except {RECKONED}) union all ({RECKONED} except {SERIES})")
        assert cursor.fetchall() == []
        cursor.execute(
            "select count(*) from billing_usagekey k left join billing_usageevent e on e.id = k.id where e.id is null"
        )
        assert cursor.fetchone()[0] == 0


def test_whoever_comes_second_waits_and_finds_the_event_known(own_database):
    source = prepare()
    one, other = usage_sender.event(1), usage_sender.event(2)
    with transaction.atomic():
        assert metering.take_in(source, [other, one], now=usage_sender.NOW).accepted == 2
        second = in_thread(lambda: metering.take_in(source, [one, other], now=usage_sender.NOW))
        wait_until_blocked()
    intake = second.result(timeout=60)
    assert [intake.outcome(place) for place in (0, 1)] == [Outcome.REPLAYED] * 2
    assert_totals_are_those_of_the_events()


def test_whoever_comes_second_takes_the_event_if_the_first_gave_up(own_database):
    source = prepare()
    with transaction.atomic():
        metering.take_in(source, [usage_sender.event(1)], now=usage_sender.NOW)
        second = in_thread(lambda: metering.take_in(source, [usage_sender.event(1)], now=usage_sender.NOW))
        wait_until_blocked()
        transaction.set_rollback(True)
    assert second.result(timeout=60).accepted == 1
    assert UsageTotal.objects.get().count == 1
    assert UsageBatch.objects.count() == 1


def test_two_assign_at_a_time_and_each_event_counts_once(own_database):
    source = prepare()
    nameless = [usage_sender.event(number) for number in range(10)]
    UsageSource.objects.filter(pk=source.pk).update(name="x")
    with connection.cursor() as cursor:
        cursor.execute("update tenants_tenant set reference = 'later' || reference")
    metering.take_in(source, nameless, now=usage_sender.NOW)
    with connection.cursor() as cursor:
        cursor.execute("update tenants_tenant set reference = replace(reference, 'later', '')")
    with transaction.atomic():
        assert metering.assign() == 10
        second = in_thread(metering.assign)
        wait_until_blocked()
    assert second.result(timeout=60) == 0
    assert_totals_are_those_of_the_events()


def test_senders_that_overlap_in_any_order_count_each_event_once(own_database):
    source = prepare()
    senders = [start(own_database.environment, seed, 12) for seed in (1, 2, 3)]
    for sender in senders:
        said, _ = sender.communicate(timeout=120)
        assert sender.returncode == 0, said
    expected = {
        f"e{number}"
        for seed in (1, 2, 3)
        for chance in [random.Random(seed)]
        for _ in range(12)
        for number in chance.sample(range(usage_sender.EVENTS), usage_sender.BATCH)
    }
    assert set(UsageKey.objects.values_list("key", flat=True)) == expected
    assert_totals_are_those_of_the_events()
    counts = UsageBatch.objects.values_list("accepted", "replayed", "conflicting", "refused")
    assert sum(row[0] for row in counts) == len(expected)
    assert {sum(row) for row in counts} == {usage_sender.BATCH}
    assert source.batches.count() == 36


def test_a_sender_that_is_killed_leaves_whole_batches(own_database):
    prepare()
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for attempt in range(4):
        victim = start(own_database.environment, seed + attempt, 1_000)
        before, deadline = UsageBatch.objects.count(), time.monotonic() + 60
        while UsageBatch.objects.count() < before + 2 and time.monotonic() < deadline:
            assert victim.poll() is None, victim.communicate()[0]
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))  # somewhere in a batch
        victim.kill()
        victim.wait()
    assert UsageBatch.objects.filter(accepted=None).count() == 0
    assert sum(UsageBatch.objects.values_list("accepted", flat=True)) == UsageKey.objects.count()
    assert_totals_are_those_of_the_events()
    usage_sender.send(seed, 40)
    assert UsageEvent.objects.count() == UsageKey.objects.count() > 2_900
    assert_totals_are_those_of_the_events()


def test_one_request_at_a_time_is_answered_per_token(own_database):
    source = prepare()
    anna = User.objects.create_user("anna")
    (held, text), (_other, free) = usage_tokens.issue(source, by=anna), usage_tokens.issue(source, by=anna)
    event = {
        "event": "e1",
        "occurred_at": "2026-03-10T12:00:00Z",
        "tenant": "K1",
        "application": "PBX",
        "meter": "calls",
    }

    def send(token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return Client().post("/api/usage", {"events": [event]}, content_type="application/json", headers=headers)

    with usage_tokens.turn_of(held) as is_free:
        assert is_free
        refused = in_thread(lambda: send(text)).result(timeout=60)
        taken = in_thread(lambda: send(free)).result(timeout=60)
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    assert (taken.status_code, taken.json()["accepted"]) == (200, 1)
    assert in_thread(lambda: send(text)).result(timeout=60).json()["replayed"] == 1
