"""The beat's timetable: what it starts with, as data; and the one beat among several that keeps it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import product
from typing import Any

from celery.beat import ScheduleEntry
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

logger = logging.getLogger(__name__)

BEAT_LOCK = 7_002  # held by the beat's session; tenants.transactions has the others
ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Entry:
    """A task and when it comes: daily at ``at`` (hours and minutes in ``ZONE``), or every ``minutes``."""

    task: str
    name: Any
    description: Any
    at: tuple[int, int] | None = None
    minutes: int = 0
    expires: int | None = None  # seconds after which a worker that was busy drops it


TIMETABLE = (
    Entry(
        "config.nightly",
        _("Nightly bill and dunning run"),
        _("Bills and reminds for every issuer what is due through its day. A missed night is made up for once."),
        at=(2, 30),
    ),
    Entry(
        "config.sweep",
        _("Sweep"),
        _("Every minute: wakes a worker for everything that waits and that nobody was woken for."),
        minutes=1,
        expires=55,
    ),
)


@translation.override(settings.LANGUAGE_CODE)
def write() -> list[str]:
    """Store the entries that have no row yet; returns the names of the new ones. What staff changed stays.

    Names are stored in the installation's language, whoever runs the command.
    """
    new = []
    for entry in TIMETABLE:
        if PeriodicTask.objects.filter(task=entry.task).exists():
            continue
        when: dict[str, Any] = {}
        if entry.at:
            hour, minute = entry.at
            when["crontab"] = CrontabSchedule.objects.get_or_create(
                minute=str(minute), hour=str(hour), day_of_week="*", day_of_month="*", month_of_year="*", timezone=ZONE
            )[0]
        else:
            when["interval"] = IntervalSchedule.objects.get_or_create(
                every=entry.minutes, period=IntervalSchedule.MINUTES
            )[0]
        PeriodicTask.objects.get_or_create(
            name=str(entry.name),
            defaults={
                "task": entry.task,
                "description": str(entry.description),
                "expire_seconds": entry.expires,
                **when,
            },
        )
        new.append(str(entry.name))
    return new


def shown_name(task: PeriodicTask) -> str:
    """The name of a task in the reader's language, unless staff gave it another."""
    for entry in TIMETABLE:
        with translation.override(settings.LANGUAGE_CODE):
            stored = str(entry.name)
        if (entry.task, stored) == (task.task, task.name):
            return str(entry.name)
    return str(task.name)


def last_time(task: str, *, now: datetime) -> datetime | None:
    """The last time up to ``now``, of today or yesterday, at which a timed row of ``task`` was due; none if disabled.

    The row's own zone counts: where a clock change leaves out its time of day, it is due an hour later.
    """
    rows = PeriodicTask.objects.filter(task=task, enabled=True).exclude(crontab=None).select_related("crontab")
    return max((at for row in rows for at in _times(row.crontab, now)), default=None)


def _times(row: CrontabSchedule, now: datetime) -> Iterator[datetime]:
    """Times of a timetable's row up to ``now``, of today and yesterday in its zone."""
    timetable = row.schedule
    here = now.astimezone(row.timezone)
    for day in (here.date(), here.date() - timedelta(days=1)):
        if (
            day.month in timetable.month_of_year
            and day.day in timetable.day_of_month
            and day.isoweekday() % 7 in timetable.day_of_week
        ):
            for hour, minute in product(timetable.hour, timetable.minute):
                at = datetime.combine(day, time(hour, minute), tzinfo=row.timezone).astimezone(UTC)
                if at <= now:
                    yield at


class OneBeat(DatabaseScheduler):
    """A beat that keeps silent while another one holds the lock, and takes over when that one is gone."""

    silence = 5.0  # seconds between two looks at the lock

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock: Any = None
        self._unsent: list[ScheduleEntry] = []
        super().__init__(*args, **kwargs)
        self.sync_every_tasks = 1  # a successor knows at once what was sent

    def install_default_entries(self, data: Any) -> None:
        """None: there are no results to clean up."""

    def enabled_models_qs(self) -> Any:
        """All rows. The package leaves out those of other hours, and so forgets a night that was missed."""
        return self.Model.objects.enabled()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._leads():
            return self.silence
        wait: float = super().tick(*args, **kwargs)
        if self._unsent:
            self._take_back()
            return self.silence
        return wait

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a task. If the broker does not take it, its time has not come yet: it is tried again."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception:
            logger.exception("A scheduled task could not be sent", extra={"task": entry.task})
            self._unsent.append(entry)

    def close(self) -> None:
        super().close()
        self._give_up()

    def _leads(self) -> bool:
        """Whether this beat holds the lock, on a connection of its own that lives as long as the beat does."""
        try:
            if self._lock is not None:
                with self._lock.cursor() as cursor:
                    cursor.execute("select 1")
                return True
            lock = connections["default"].copy()
            with lock.cursor() as cursor:
                cursor.execute("select pg_try_advisory_lock(%s)", [BEAT_LOCK])
                if not cursor.fetchone()[0]:
                    lock.close()
                    return False
        except (DatabaseError, InterfaceError):
            logger.warning("The beat cannot reach the database", exc_info=True)
            self._give_up()
            return False
        self._lock = lock
        self._read_anew()
        return True

    def _give_up(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _read_anew(self) -> None:
        """Forget what was read while another beat was at work: it has sent tasks since."""
        self._dirty.clear()
        self._schedule = None
        self._heap = None
        self._last_timestamp = None
        self._initial_read = True

    def _take_back(self) -> None:
        for entry in self._unsent:
            entry.model.last_run_at = entry.last_run_at
            entry.model.total_run_count = entry.total_run_count
            self._dirty.discard(entry.name)
            entry.save()
        self._unsent.clear()
        self._read_anew()
