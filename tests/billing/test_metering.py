"""Usage is taken in once, on its day, and comes to what a naive reckoning says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import metering
from billing.metering import Event, Outcome
from billing.models import Meter, UsageBatch, UsageConflict, UsageEvent, UsageKey, UsageSource, UsageTotal
from tenants.models import Activity
from tests.builders import make_issuer, make_tenant
from tests.usage_rows import make_meters, make_source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 2, 8, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def source() -> UsageSource:
    make_tenant(reference="K1")
    make_meters()
    return make_source(make_issuer())


def event(key: str = "e1", meter: str = "calls", *, at: datetime = NOON, tenant: str = "K1", **fields) -> Event:
    return Event(key=key, occurred_at=at, tenant=tenant, application="PBX", meter=meter, **fields)


def take(source: UsageSource, *events: Event) -> list[Outcome]:
    intake = metering.take_in(source, events, now=NOW)
    return [intake.outcome(place) for place in range(len(events))]


def total(meter: str, day: date = date(2026, 3, 10)) -> UsageTotal:
    return UsageTotal.objects.get(meter__reference=meter, day=day)


def test_an_event_is_stored_with_its_day_and_folded(source):
    assert take(source, event(meter="minutes", properties='{"seconds": 90.5}', user_name="u1")) == [Outcome.ACCEPTED]
    stored = UsageEvent.objects.get()
    assert (stored.key.key, stored.key.source, stored.tenant.reference, stored.meter.reference) == (
        "e1",
        source,
        "K1",
        "minutes",
    )
    assert (stored.day, stored.value, stored.user_name, stored.quantity) == (
        date(2026, 3, 10),
        Decimal("90.5"),
        "u1",
        Decimal(1),
    )
    found = total("minutes")
    assert (found.count, found.total, found.maximum, found.last_at) == (1, Decimal("90.5"), Decimal("90.5"), None)


def test_the_same_again_is_a_replay_and_something_else_a_conflict(source):
    first = event(quantity=Decimal(2), properties='{"a": 1, "b": 2}')
    assert take(source, first) == [Outcome.ACCEPTED]
    same = event(quantity=Decimal("2.0"), properties='{"b": 2, "a": 1}')
    assert take(source, same, event(quantity=Decimal(3)), event(key="e2")) == [
        Outcome.REPLAYED,
        Outcome.CONFLICT,
        Outcome.ACCEPTED,
    ]
    assert take(source, event(quantity=Decimal(3))) == [Outcome.CONFLICT]
    assert total("calls").count == 2
    kept = UsageConflict.objects.get()  # once, however often it came
    assert kept.key.key == "e1"
    assert (kept.content["quantity"], kept.content["occurred_at"]) == ("3", "2026-03-10T12:00:00+00:00")
    counts = UsageBatch.objects.order_by("id").values_list("accepted", "replayed", "conflicting", "refused")
    assert list(counts) == [(1, 0, 0, 0), (1, 1, 1, 0), (0, 0, 1, 0)]


def test_an_event_twice_in_one_batch_counts_once(source):
    assert take(source, event(), event(), event(meter="sms")) == [
        Outcome.ACCEPTED,
        Outcome.REPLAYED,
        Outcome.CONFLICT,
    ]
    assert UsageKey.objects.count() == UsageEvent.objects.count() == 1


def test_two_sources_may_use_the_same_key(source):
    other = make_source(source.issuer, "other")
    assert take(source, event()) == take(other, event()) == [Outcome.ACCEPTED]
    assert total("calls").count == 2


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        pytest.param("", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), date(2026, 3, 29), id="the issuer's, in winter"),
        pytest.param("", datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30), id="the issuer's, in summer"),
        pytest.param("", datetime(2026, 3, 29, 21, 59, tzinfo=UTC), date(2026, 3, 29), id="a minute before"),
        pytest.param("Asia/Tokyo", datetime(2026, 3, 31, 15, tzinfo=UTC), date(2026, 4, 1), id="Tokyo's month begins"),
        pytest.param(
            "America/New_York",
            datetime(2026, 4, 1, 5, 59, tzinfo=timezone(timedelta(hours=2))),
            date(2026, 3, 31),
            id="New York's ends",
        ),
    ],
)
def test_a_day_is_that_of_the_accounts_time_zone(source, zone, at, day):
    parent = make_tenant(reference="P", time_zone=zone)
    make_tenant(reference="K2", parent=parent)
    take(source, event(tenant="K2", at=at))
    assert UsageEvent.objects.get().day == total("calls", day).day == day


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        pytest.param({"at": datetime(2016, 4, 1, tzinfo=UTC)}, "more than ten years back", id="long ago"),
        pytest.param({"at": datetime(2027, 6, 7, tzinfo=UTC)}, "more than 400 days ahead", id="far ahead"),
    ],
)
def test_an_instant_that_cannot_be_is_refused(source, stated, reason):
    with translation.override("en"):
        intake = metering.take_in(source, [event(), event("e2", **stated)], now=NOW)
    assert [intake.outcome(place) for place in (0, 1)] == [Outcome.ACCEPTED, Outcome.REFUSED]
    assert reason in intake.refused[1]
    assert UsageKey.objects.count() == 1


def test_a_source_bound_to_an_application_reports_no_other(source):
    source.application = Meter.objects.first().application
    other = Event(key="e2", occurred_at=NOON, tenant="K1", application="CRM", meter="calls")
    assert take(source, event(), other) == [Outcome.ACCEPTED, Outcome.REFUSED]


# --- what a meter counts ---


def test_each_meter_counts_in_its_own_way(source):
    later = NOON + timedelta(hours=1)
    take(
        source,
        event("c1", quantity=Decimal(5)),
        event("c2"),
        event("m1", "minutes", properties='{"seconds": 61}'),
        event("m2", "minutes", properties='{"seconds": "0.25"}', quantity=Decimal(9)),
        event("s1", "sms", quantity=Decimal(17)),
        event("s2", "sms", quantity=Decimal("-0.5")),
        event("l1", "lines", properties='{"lines": 3}'),
        event("l2", "lines", properties='{"lines": 7}'),
        event("d1", "disk", at=later, properties='{"gb": 40}'),
        event("d2", "disk", properties='{"gb": 90}'),
        event("u1", "logins", properties='{"user_name": "anna"}'),
        event("u2", "logins", properties='{"user_name": "anna"}', at=later),
        event("u3", "logins", properties='{"user_name": "ben"}'),
    )
    assert total("calls").count == 2
    assert total("minutes").total == Decimal("61.25")
    assert total("sms").total == Decimal("16.5")
    assert total("lines").maximum == 7
    disk = total("disk")
    assert (disk.last_at, disk.last_key, disk.last_value) == (later, "d1", 40)
    assert UsageEvent.objects.counted().filter(meter__reference="logins").values("label").distinct().count() == 2


def test_of_two_last_values_at_one_instant_the_greater_key_decides(source):
    at_once = [event(key, "disk", properties=f'{{"gb": {gb}}}') for key, gb in (("b", 1), ("a", 9), ("B", 5))]
    for one in at_once:
        take(source, one)
    assert (total("disk").last_key, total("disk").last_value) == ("b", 1)


@pytest.mark.parametrize(
    ("meter", "properties"),
    [
        ("minutes", "{}"),
        ("minutes", '{"seconds": null}'),
        ("minutes", '{"seconds": "1e3"}'),
        ("minutes", '{"seconds": "12 "}'),
        ("minutes", '{"seconds": [1]}'),
        ("minutes", '{"seconds": 0.12345678901}'),
        ("minutes", '{"seconds": 1234567890123456}'),
        ("logins", "{}"),
        ("logins", '{"user_name": ""}'),
        ("logins", '{"user_name": {"a": 1}}'),
    ],
)
def test_an_event_without_what_its_meter_counts_is_kept_and_unassigned(source, meter, properties):
    assert take(source, event(meter=meter, properties=properties)) == [Outcome.ACCEPTED]
    assert UsageEvent.objects.unassigned().get().tenant is None
    assert not UsageTotal.objects.exists()
    assert metering.assign() == 0


def test_what_was_of_nobody_is_assigned_once_it_is_known(source):
    take(
        source,
        event("e1", tenant="K9"),
        event("e2", "faxes"),
        event("e3", "disk", tenant="K9", properties='{"gb": 4}', at=datetime(2026, 3, 31, 15, tzinfo=UTC)),
    )
    assert UsageEvent.objects.unassigned().count() == 3
    assert metering.assign() == 0
    make_tenant(reference="K9", time_zone="Asia/Tokyo")
    assert metering.assign() == 2
    assert metering.assign() == 0
    assert total("calls").count == 1
    assert total("disk", date(2026, 4, 1)).last_value == 4
    Meter.objects.create(application=Meter.objects.first().application, reference="faxes", aggregation="count")
    assert metering.assign() == 1
    assert total("faxes").tenant.reference == "K1"


# --- taking back ---


def test_an_event_takes_another_one_back(source):
    take(
        source,
        event("l1", "lines", properties='{"lines": 7}'),
        event("l2", "lines", properties='{"lines": 3}'),
        event("d1", "disk", properties='{"gb": 4}'),
        event("d2", "disk", properties='{"gb": 9}', at=NOON + timedelta(hours=2)),
    )
    later = NOON + timedelta(days=40)
    assert take(
        source, event("b1", "lines", at=later, reverses="l1"), event("b2", "disk", at=later, reverses="d2")
    ) == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert (total("lines").count, total("lines").total, total("lines").maximum) == (1, 3, 3)
    assert (total("disk").count, total("disk").last_key, total("disk").last_value) == (1, "d1", 4)
    assert UsageTotal.objects.count() == 2  # nothing on the day of the taking back
    assert take(source, event("b1", "lines", at=later, reverses="l1")) == [Outcome.REPLAYED]
    assert UsageEvent.objects.get(key__key="l1").reversed_by.key == "b1"


def test_event_and_taking_back_may_come_together_and_leave_nothing(source):
    assert take(source, event("b", reverses="e"), event("e")) == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert total("calls").count == 0


def test_what_cannot_be_taken_back_is_refused_and_nothing_of_it_stored(source):
    take(source, event("e"), event("b", reverses="e"))
    outcomes = take(
        source,
        event("r1", reverses="nobody"),
        event("r2", reverses="e"),
        event("r3", reverses="b"),
        event("r4", "sms", reverses="e"),
        event("r5", reverses="r5"),
        event("e6"),
    )
    assert outcomes == [Outcome.REFUSED] * 5 + [Outcome.ACCEPTED]
    assert set(UsageKey.objects.values_list("key", flat=True)) == {"e", "b", "e6"}
    assert total("calls").count == 1


def test_an_event_of_nobody_is_taken_back_before_it_is_assigned(source):
    take(source, event("e", tenant="K9"))
    assert take(source, event("b", tenant="K9", reverses="e")) == [Outcome.ACCEPTED]
    make_tenant(reference="K9")
    assert metering.assign() == 0
    assert not UsageTotal.objects.exists()


# --- the law ---

METERS = ("calls", "minutes", "lines", "disk", "logins", "faxes")
events_of_a_book = st.lists(
    st.builds(
        lambda key, meter, tenant, hour, number: Event(
            key=f"e{key}",
            occurred_at=datetime(2026, 3, 27, tzinfo=UTC) + timedelta(hours=hour),
            tenant=tenant,
            application="PBX",
            meter=meter,
            properties=f'{{"seconds": {number}, "lines": {number}, "gb": {number}, "user_name": "u{number}"}}',
        ),
        st.integers(0, 30),
        st.sampled_from(METERS),
        st.sampled_from(("K1", "K2", "K9")),
        st.integers(0, 120),
        st.integers(-3, 9),
    ),
    max_size=40,
)


def naive(events: Iterable[Event]) -> dict[tuple[str, str, date], tuple]:
    """What the totals must be, event by event: the first under a key counts."""
    seen: dict[str, Event] = {}
    for one in events:
        seen.setdefault(one.key, one)
    days: dict[tuple[str, str, date], list[Event]] = defaultdict(list)
    for one in seen.values():
        if one.tenant != "K9" and one.meter != "faxes":
            zone = ZoneInfo("Asia/Tokyo" if one.tenant == "K2" else "Europe/Berlin")
            days[one.tenant, one.meter, one.occurred_at.astimezone(zone).date()].append(one)
    names = {"minutes": "seconds", "lines": "lines", "disk": "gb"}
    found = {}
    for (tenant, meter, day), own in days.items():
        numbers = [number_of(one, names[meter]) for one in own] if meter in names else []
        last = max(own, key=lambda one: (one.occurred_at, one.key.encode())) if meter == "disk" else None
        found[tenant, meter, day] = (
            len(own),
            sum(numbers, Decimal(0)),
            max(numbers, default=None),
            number_of(last, "gb") if last else None,
        )
    return found


def number_of(one: Event, name: str) -> Decimal:
    return Decimal(one.properties.partition(f'"{name}": ')[2].partition(",")[0])


def stored() -> dict[tuple[str, str, date], tuple]:
    rows = UsageTotal.objects.select_related("tenant", "meter")
    return {
        (row.tenant.reference, row.meter.reference, row.day): (row.count, row.total, row.maximum, row.last_value)
        for row in rows
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=events_of_a_book, cuts=st.lists(st.integers(0, 40), max_size=5), again=st.integers(0, 3))
def test_batches_of_any_cut_and_overlap_come_to_the_naive_totals(source, events, cuts, again):
    with connection.cursor() as cursor:  # what the example before left; the guards stay on
        cursor.execute("savepoint example")
    make_tenant(reference="K2", time_zone="Asia/Tokyo")
    for batch in batches(events, cuts, again):
        metering.take_in(source, batch, now=NOW)
    assert stored() == naive(events)
    labels = UsageEvent.objects.counted().filter(meter__reference="logins").count()
    assert labels == sum(row[0] for key, row in naive(events).items() if key[1] == "logins")
    with connection.cursor() as cursor:
        cursor.execute("rollback to savepoint example")


def batches(events: Sequence[Event], cuts: list[int], again: int) -> list[list[Event]]:
    """The events cut into batches, each with the last few of the one before; then the first batch once more."""
    bounds = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    found = [list(events[max(0, start - again) : end]) for start, end in pairwise(bounds)]
    return found + found[:1]


# --- months ---


def months() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select right(c.relname, 7) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where i.inhparent = 'billing_usageevent'::regclass order by 1"
        )
        return [name for (name,) in cursor.fetchall()]


def test_months_come_as_they_are_needed_and_once(source):
    take(source, event("e1"), event("e2", at=datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)))
    assert months() == ["2026_03"]
    metering.make_months([date(2026, 12, 1), date(2027, 1, 1), date(2026, 3, 1)])
    assert months() == ["2026_03", "2026_12", "2027_01"]


def test_events_are_let_go_after_ten_years_by_the_month_and_their_totals_stay(source):
    with connection.cursor() as cursor:
        cursor.execute("select (now() - interval '10 years 2 months')::timestamptz, now()::date")
        long_ago, today = cursor.fetchone()
    metering.take_in(source, [event("old", at=long_ago)], now=long_ago)
    take(source, event("new"))
    with pytest.raises(metering.KeptForTenYears):
        metering.age_out(today - timedelta(days=3650), actor="root")
    assert len(months()) == 2
    assert metering.age_out(today - timedelta(days=3654), actor="root") == 1
    assert months() == ["2026_03"]
    assert metering.age_out(today - timedelta(days=3654), actor="root") == 0
    assert UsageEvent.objects.count() == 1
    assert UsageKey.objects.count() == UsageTotal.objects.count() == 2
    told = Activity.objects.filter(action="aged out").values_list("actor", "after__months")
    assert list(told) == [("root", 1)]
    assert [one.outcome(0) for one in [metering.take_in(source, [event("old", at=long_ago)], now=long_ago)]] == [
        Outcome.REPLAYED
    ]
