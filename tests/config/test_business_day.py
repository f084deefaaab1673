"""A business day by hand, as often as one likes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from config import business_day, schedules
from invoicing import bill_run
from invoicing.models import BillRun, Invoice, Outcome
from payments.models import DunningRun, Letter
from tenants.models import Message
from tests.builders import make_issuer, make_item, make_subscription, make_tenant

DAY = date(2026, 2, 1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"


def contract(issuer, **tenant) -> None:
    subscription = make_subscription(
        tenant=make_tenant(**tenant), issuer=issuer, starts_on=DAY, ends_before=date(2026, 3, 1)
    )
    make_item(subscription=subscription)


def test_a_day_bills_prints_mails_and_reminds_and_a_second_one_finds_nothing():
    issuer = make_issuer()
    contract(issuer)
    contract(issuer, auto_mail=False)
    call_command("day", "--on", "2026-02-01")
    assert [message.to for message in mail.outbox] == [[Invoice.objects.order_by("pk")[0].recipient.email]]
    assert mail.outbox[0].attachments[0].mimetype == "application/pdf"
    call_command("day", "--on", "2026-02-01")
    assert (len(mail.outbox), Invoice.objects.count(), Letter.objects.count()) == (1, 2, 0)

    call_command("day", "--on", "2026-02-20")  # the 18th was missed
    assert (len(mail.outbox), Invoice.objects.count(), Letter.objects.count()) == (3, 2, 2)
    call_command("day", "--on", "2026-02-21")
    assert (len(mail.outbox), Letter.objects.count(), DunningRun.objects.count()) == (3, 2, 3)
    assert not Message.objects.exclude(state="done").exists()


def test_a_day_finishes_what_an_earlier_run_left():
    issuer = make_issuer()
    contract(issuer)
    left = bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    call_command("day", "--on", "2026-02-02")
    left.refresh_from_db()
    assert left.state == BillRun.State.FINISHED
    assert Invoice.objects.get().issued_on == DAY


def test_an_issuer_whose_run_waits_for_a_person_gets_drafts():
    issuer = make_issuer(issues_by_itself=False)
    contract(issuer)
    call_command("day", "--on", "2026-02-01")
    assert (Invoice.objects.get().state, mail.outbox) == ("draft", [])


def test_one_issuers_refusal_stops_no_other():
    refused, other = make_issuer(), make_issuer()
    contract(refused)
    contract(other)
    bill_run.start(issuer=refused, through=DAY, issue_on=DAY, issues_by_itself=False)  # a person is at it
    with pytest.raises(CommandError, match=refused.reference):
        call_command("day", "--on", "2026-02-01")
    assert list(Invoice.objects.values_list("issuer__reference", "state")) == [(other.reference, "issued")]
    assert Outcome.objects.pending().count() == 1
    assert DunningRun.objects.count() == 2
    assert len(mail.outbox) == 1


# The night, and what the sweep finds of it

NOON = datetime(2099, 6, 2, 12, 0, tzinfo=UTC)  # a time to look; issuers of these tests came long before


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, dict]]:
    """What would have been sent to the workers since the last look."""
    tasks: list[tuple[str, dict]] = []
    monkeypatch.setattr(business_day, "_send", lambda task, *, expires=None, **named: tasks.append((task, named)))
    return tasks


def failing(station, *, at):
    """As ``station``, but the database breaks off what has to do with ``at``."""

    def broken(one, **named):
        if one == at:
            raise OperationalError("the database is gone")
        return station(one, **named)

    return broken


def test_a_night_that_was_lost_is_made_up_for(sent):
    """Until there is a finished run of the day and a dunning run, one minute in fifteen, whatever the reason was."""
    schedules.write()
    issuer = make_issuer()
    lost, before = (("config.day", {"issuer_id": issuer.pk, "on": f"2099-06-{day}"}) for day in ("02", "01"))

    def found(now: datetime = NOON) -> list[tuple[str, dict]]:
        sent.clear()
        business_day.sweep(now=now)
        return [one for one in sent if one[0] == "config.day"]

    night = datetime(2099, 6, 2, 0, 30, tzinfo=UTC)  # 02:30 in Berlin
    assert found(night - timedelta(hours=2, minutes=30)) == [before]
    assert [found(night + timedelta(minutes=n)) for n in (0, 14, 15, 16)] == [[], [], [lost], []]
    assert found() == [lost]
    run = bill_run.start(issuer=issuer, through=date(2099, 6, 2), issue_on=date(2099, 6, 2), issues_by_itself=True)
    assert found() == []  # it is at work
    bill_run.bill(run)
    assert found() == [lost]  # nobody was reminded
    business_day.run_day(issuer, on=date(2099, 6, 2))
    assert found() == []

    PeriodicTask.objects.filter(task="config.nightly").update(enabled=False)
    make_issuer()
    assert found() == []
    PeriodicTask.objects.filter(task="config.nightly").update(enabled=True)
    assert len(found()) == 1


def test_no_night_is_made_up_for_an_issuer_that_came_after_it(sent):
    schedules.write()
    make_issuer()
    assert business_day.missed(now=datetime(2020, 6, 2, 12, 0, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("hour", "zone", "weekdays", "now", "last"),
    [
        ("2", "Europe/Berlin", "*", (2026, 3, 3, 1, 29), datetime(2026, 3, 2, 1, 30, tzinfo=UTC)),
        ("2", "Europe/Berlin", "*", (2026, 3, 3, 1, 30), datetime(2026, 3, 3, 1, 30, tzinfo=UTC)),
        ("2", "Europe/Berlin", "*", (2026, 3, 29, 12, 0), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("23", "America/New_York", "*", (2026, 3, 3, 4, 30), datetime(2026, 3, 3, 4, 30, tzinfo=UTC)),
        ("2", "Europe/Berlin", "1-5", (2026, 3, 7, 12, 0), datetime(2026, 3, 6, 1, 30, tzinfo=UTC)),
        ("2", "Europe/Berlin", "1-5", (2026, 3, 8, 12, 0), None),
    ],
)
def test_the_time_of_the_night_is_that_of_its_row(hour, zone, weekdays, now, last):
    row = CrontabSchedule.objects.create(minute="30", hour=hour, day_of_week=weekdays, timezone=zone)
    task = PeriodicTask.objects.create(name="night", task="config.nightly", crontab=row)
    assert schedules.last_time("config.nightly", now=datetime(*now, tzinfo=UTC)) == last
    PeriodicTask.objects.filter(pk=task.pk).update(enabled=False)
    assert schedules.last_time("config.nightly", now=datetime(*now, tzinfo=UTC)) is None


@pytest.mark.parametrize("part", ["renew", "bill", "remind"])
def test_a_part_that_fails_stops_no_other(monkeypatch, caplog, part):
    issuer, done = make_issuer(), []
    for name in ("renew", "bill", "remind"):
        monkeypatch.setattr(business_day, name, lambda _issuer, *, on, name=name: done.append(name))

    def broken(*_arguments, **_named):
        raise OperationalError("the database is gone")

    broken.__name__ = part
    monkeypatch.setattr(business_day, part, broken)
    business_day.run_day(issuer, on=DAY)
    assert done == [name for name in ("renew", "bill", "remind") if name != part]
    assert [record.part for record in caplog.records] == [part]


def test_a_run_of_an_earlier_day_that_fails_stops_neither_the_day_nor_its_reminders(monkeypatch, caplog):
    issuer = make_issuer()
    contract(issuer)
    left = bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    monkeypatch.setattr(bill_run, "bill", failing(bill_run.bill, at=left))
    business_day.run_day(issuer, on=date(2026, 2, 2))
    assert list(BillRun.objects.order_by("pk").values_list("issue_on", "state")) == [
        (DAY, "running"),
        (date(2026, 2, 2), "finished"),
    ]
    assert DunningRun.objects.get().on == date(2026, 2, 2)
    assert [record.run for record in caplog.records] == [left.pk]


def test_what_cannot_be_sent_or_swept_stops_nothing_else(monkeypatch, caplog):
    first, second = make_issuer(), make_issuer()
    sent = []

    def send(task, *, expires=None, **named):
        if named.get("issuer_id") == first.pk:
            raise ConnectionError
        sent.append(task)

    monkeypatch.setattr(business_day, "_send", send)
    business_day.start_night(now=NOON)
    assert (sent, [record.issuer for record in caplog.records]) == (["config.day"], [first.pk])

    contract(second)
    bill_run.bill(bill_run.start(issuer=second, through=DAY, issue_on=DAY, issues_by_itself=True))

    def broken():
        raise OperationalError("the database is gone")

    monkeypatch.setattr(business_day.delivery, "with_address", broken)
    sent.clear()
    assert business_day.sweep(now=NOON) == sent == ["invoicing.render_pending"]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", date(2026, 2, 1)), ("America/New_York", date(2026, 1, 31)), ("Asia/Tokyo", date(2026, 2, 1))],
)
def test_the_day_is_the_issuers(zone, day):
    assert business_day.today_of(make_issuer(time_zone=zone), datetime(2026, 1, 31, 23, 30, tzinfo=UTC)) == day
