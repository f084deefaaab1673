"""The timetable: one beat among several keeps it, staff may change it, and a missed tick comes once."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import Celery
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from config import env, schedules
from config.schedules import OneBeat

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(year: int, month: int, day: int, hour: int, minute: int, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN, fold=fold)


@pytest.fixture
def app():
    """An application that sends to a queue of this test's own, on the real broker."""
    app = Celery("beats", broker=env.broker_url(), set_as_current=False)
    app.conf.task_default_queue = f"test-{uuid.uuid4().hex}"
    app.conf.timezone = "Europe/Berlin"
    yield app
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(app.conf.task_default_queue)


@pytest.fixture
def start(own_database, app):
    """Starts a beat that is stopped before its database is dropped."""
    with ExitStack() as stack:

        def start() -> OneBeat:
            beat = OneBeat(app=app)
            stack.callback(beat.close)
            return beat

        yield start


def sent(app: Celery) -> list[str]:
    """The tasks that a worker would have got since the last look."""
    tasks = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue, no_ack=True)
        with suppress(queue.Empty):
            while True:
                tasks.append(queue.get(block=False).headers["task"])
    return tasks


def run(beat: OneBeat) -> float:
    """Let the beat do what it has to do now; returns how long it wants to wait."""
    while (wait := beat.tick()) == 0:
        pass
    return wait


def nightly(last_run: datetime) -> PeriodicTask:
    schedules.write()
    PeriodicTask.objects.exclude(task="config.nightly").delete()
    task = PeriodicTask.objects.get()
    task.last_run_at = last_run
    task.save()
    return task


@pytest.mark.django_db
def test_rows_are_written_once_and_what_staff_changed_stays():
    assert len(schedules.write()) == 2
    task = PeriodicTask.objects.get(task="config.nightly")
    assert (task.crontab.hour, task.crontab.minute, task.crontab.timezone) == ("2", "30", BERLIN)
    task.name, task.enabled = "Nachtlauf", False
    task.save()
    assert schedules.write() == []
    assert sorted(PeriodicTask.objects.values_list("task", "enabled")) == [
        ("config.nightly", False),
        ("config.sweep", True),
    ]


@pytest.mark.broker
def test_the_second_beat_is_silent_and_takes_over(start, app):
    with time_machine.travel(berlin(2026, 3, 3, 2, 29)) as now:
        nightly(berlin(2026, 3, 2, 2, 30))
        first, second = start(), start()
        run(first)
        now.move_to(berlin(2026, 3, 3, 2, 31))
        assert second.tick() == OneBeat.silence
        assert sent(app) == []
        run(first)
        assert sent(app) == ["config.nightly"]
        first.close()
        run(second)
        assert sent(app) == []  # it knows what the first one sent
        now.move_to(berlin(2026, 3, 4, 2, 31))
        run(second)
        assert sent(app) == ["config.nightly"]


@pytest.mark.broker
def test_a_changed_row_changes_the_next_run(start, app):
    with time_machine.travel(berlin(2026, 3, 3, 1, 0)) as now:
        task = nightly(berlin(2026, 3, 2, 2, 30))
        beat = start()
        run(beat)
        assert sent(app) == []
        now.shift(timedelta(seconds=1))
        task.crontab = CrontabSchedule.objects.create(minute="15", hour="1", timezone="Europe/Berlin")
        task.save()
        now.move_to(berlin(2026, 3, 3, 1, 16))
        run(beat)
        assert sent(app) == ["config.nightly"]
        now.move_to(berlin(2026, 3, 3, 2, 31))
        run(beat)
        assert sent(app) == []


@pytest.mark.broker
@pytest.mark.parametrize(
    ("last_run", "instants"),
    [
        pytest.param(
            berlin(2026, 3, 1, 2, 30),
            [(berlin(2026, 3, 4, 9, 0), 1), (berlin(2026, 3, 4, 9, 1), 0), (berlin(2026, 3, 5, 2, 31), 1)],
            id="three nights missed, back in the morning: once, and the next night",
        ),
        pytest.param(
            berlin(2026, 3, 28, 2, 30),
            [(berlin(2026, 3, 29, 1, 59), 0), (berlin(2026, 3, 29, 3, 31), 1), (berlin(2026, 3, 30, 2, 31), 1)],
            id="the night without 02:30",
        ),
        pytest.param(
            berlin(2026, 10, 24, 2, 30),
            [
                (berlin(2026, 10, 25, 2, 31), 1),
                (berlin(2026, 10, 25, 2, 31, fold=1), 0),
                (berlin(2026, 10, 26, 2, 31), 1),
            ],
            id="the night with two",
        ),
    ],
)
def test_a_missed_tick_comes_once(start, app, last_run, instants):
    with time_machine.travel(instants[0][0]) as now:
        nightly(last_run)
        beat = start()
        found = []
        for instant, _times in instants:
            now.move_to(instant)
            run(beat)
            found.append(len(sent(app)))
    assert found == [times for _instant, times in instants]


@pytest.mark.broker
def test_a_tick_that_the_broker_did_not_take_is_not_lost(start, app, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError

    with time_machine.travel(berlin(2026, 3, 3, 2, 31)):
        nightly(berlin(2026, 3, 2, 2, 30))
        beat = start()
        with monkeypatch.context() as broken:
            broken.setattr(beat, "apply_async", refuse)
            assert run(beat) == OneBeat.silence
        assert PeriodicTask.objects.get().last_run_at == berlin(2026, 3, 2, 2, 30)
        run(beat)
        run(beat)
        assert sent(app) == ["config.nightly"]
