"""The calendar of an account: on screen, as a file, as a feed behind a secret link, by command."""

from __future__ import annotations

import re
from datetime import date
from io import StringIO

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from icalendar import Calendar

from invoicing import feeds
from invoicing.models import CalendarFeed
from tenants.models import StaffScope, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, make_contract

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]


@pytest.fixture
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def in_january():
    with time_machine.travel("2026-01-20 12:00:00+00:00", tick=False):
        yield


@pytest.fixture
def group() -> Tenant:
    issuer, price = make_issuer(), make_price()
    group = make_tenant(reference="GROUP", language="en")
    team = make_tenant(reference="TEAM", kind="department", parent=group, invoice_to=group, pay_by=group)
    make_contract(issuer, group, price=price, reference="V-GROUP")
    make_contract(issuer, team, price=price, reference="V-TEAM", term_months=3, renewal_months=3, notice_days=30)
    return group


def feed_address(client, group: Tenant) -> str:
    client.post(reverse("account_calendar_link", args=[group.pk]), {"do": "open"})
    html = client.get(reverse("account_calendar", args=[group.pk])).content.decode()
    return re.search(r'value="(http://testserver/calendar/[^"]+\.ics)"', html)[1]


def test_the_list_the_month_and_the_file(admin_client, group):
    url = reverse("account_calendar", args=[group.pk])
    html = admin_client.get(url).content.decode()
    assert html.count(">invoice</span>") == 12 and html.count(">renewal</span>") == 3
    month = admin_client.get(url, {"view": "month", "month": "2026-04"}).content.decode()
    assert "April 2026" in month and month.count("invoice · GROUP") == 1 and "last day for notice · TEAM" not in month
    march = admin_client.get(url, {"view": "month", "month": "2026-03"}).content.decode()
    assert march.count("last day for notice · TEAM") == 1
    lines = admin_client.get(url, {"format": "csv"}).content.decode("utf-8-sig").splitlines()
    assert lines[:2] == [
        "day;kind;recipient;payer;accounts;contracts;net;currency",
        "2026-02-01;invoice;GROUP;GROUP;GROUP TEAM;V-GROUP V-TEAM;200.00;EUR",
    ]


def test_a_german_reader_gets_a_german_file(admin_client, group):
    url = reverse("account_calendar", args=[group.pk])
    read = admin_client.get(url, {"format": "csv"}, headers={"accept-language": "de"})
    lines = read.content.decode("utf-8-sig").splitlines()
    assert lines[:2] == [
        "Tag;Art;Empfänger;Zahler;Mandanten;Verträge;netto;Währung",
        "01.02.2026;Rechnung;GROUP;GROUP;GROUP TEAM;V-GROUP V-TEAM;200,00;EUR",
    ]
    assert lines[3].startswith("31.03.2026;letzter Kündigungstag;TEAM;")


def test_the_command_prints_the_same(group, monkeypatch):
    out = StringIO()
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    call_command("calendar", "GROUP", on=FEBRUARY, through=date(2026, 4, 1), stdout=out)
    assert [line.split(";")[:2] for line in out.getvalue().splitlines() if line[:2] == "20"] == [
        ["2026-02-01", "invoice"],
        ["2026-03-01", "invoice"],
        ["2026-03-31", "last day for notice"],
        ["2026-04-01", "invoice"],
    ]
    with pytest.raises(CommandError, match="NOBODY"):
        call_command("calendar", "NOBODY")


def test_the_feed_is_read_with_its_token_alone_and_can_be_revoked(admin_client, client, group):
    address = feed_address(admin_client, group)
    read = client.get(address)
    assert (read.status_code, read["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    events = Calendar.from_ical(read.content).walk("VEVENT")
    assert (events[0]["DTSTART"].dt, str(events[0]["SUMMARY"])) == (
        FEBRUARY,
        "invoice · GROUP · €200.00",
    )
    assert len({str(event["UID"]) for event in events}) == len(events)
    assert client.get(address).content == read.content

    assert client.get(address.replace(".ics", "x.ics")).status_code == 404
    feed = CalendarFeed.objects.get()
    assert client.get(reverse("calendar_feed", args=[f"{feed.pk}-{feed.nonce}"])).status_code == 404  # not signed
    admin_client.post(reverse("account_calendar_link", args=[group.pk]), {"do": "renew"})
    assert client.get(address).status_code == 404
    assert client.get(feed_address(admin_client, group)).status_code == 200
    admin_client.post(reverse("account_calendar_link", args=[group.pk]), {"do": "revoke"})
    assert not CalendarFeed.objects.filter(revoked_at=None).exists()


def test_a_feed_shows_no_more_than_its_user_may_see(client, group):
    user = User.objects.create_user("planerin", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    token = feeds.token_of(feeds.open_feed(user, group))
    assert feeds.feed_of(token) is not None
    StaffScope.objects.create(user=user, tenant=make_tenant(reference="ELSEWHERE"))
    assert feeds.feed_of(token) is None
    StaffScope.objects.all().delete()
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert feeds.feed_of(token) is None
    assert client.get(reverse("calendar_feed", args=[token])).status_code == 404


def test_a_changed_password_closes_the_link(admin_client, admin_user, client, group):
    address = feed_address(admin_client, group)
    assert client.get(address).status_code == 200
    admin_user.set_password("ein-anderes-Kennwort-8")
    admin_user.save()
    assert client.get(address).status_code == 404
    admin_client.force_login(admin_user)
    assert client.get(feed_address(admin_client, group)).status_code == 200  # the page shows a new one


def test_the_page_is_closed_to_who_may_not_see_contracts(client, group):
    user = User.objects.create_user("fremd", is_staff=True)
    client.force_login(user)
    assert client.get(reverse("account_calendar", args=[group.pk])).status_code == 403
    assert client.post(reverse("account_calendar_link", args=[group.pk]), {"do": "open"}).status_code == 403


def test_the_page_asks_no_more_for_more_contracts(admin_client, group):
    url = reverse("account_calendar", args=[group.pk])
    admin_client.get(url)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(url)
    issuer = group.subscriptions.get().issuer
    for n in range(5):
        team = make_tenant(parent=Tenant.objects.get(pk=group.pk), kind="department", invoice_to=group, pay_by=group)
        make_contract(issuer, team, reference=f"V-{n}", price=group.subscriptions.get().items.get().price)
    with CaptureQueriesContext(connection) as many:
        admin_client.get(url)
    assert len(many) == len(few)
