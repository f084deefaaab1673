"""A business day by hand, as often as one likes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from config import business_day
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


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", date(2026, 2, 1)), ("America/New_York", date(2026, 1, 31)), ("Asia/Tokyo", date(2026, 2, 1))],
)
def test_the_day_is_the_issuers(zone, day):
    assert business_day.today_of(make_issuer(time_zone=zone), datetime(2026, 1, 31, 23, 30, tzinfo=UTC)) == day
