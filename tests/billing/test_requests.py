"""Requests of customers: what is done at once, what waits, and what deciding does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from billing import contracts, requests
from billing.models import Amendment, ChangeRequest, Subscription
from billing.requests import RequestRefused
from tenants.admin import figures
from tenants.models import Contact, Message, StaffScope
from tests.builders import make_item, make_subscription, make_tenant

TODAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def contract(db) -> Subscription:
    """A year from January on, renewed by months, with 30 days of notice."""
    contract = make_subscription(term_months=12, renewal_months=1, notice_days=30)
    make_item(subscription=contract)
    Contact.objects.create(tenant=contract.tenant, name="Chefin", email="chefin@example.com", is_approver=True)
    return contract


@pytest.fixture
def clerk(db) -> User:
    user = User.objects.create_user("clerk", is_staff=True)
    user.groups.set(Group.objects.filter(name="operator"))
    return user


def cancellation(contract: Subscription) -> ChangeRequest:
    return requests.ask(contract, kind="cancellation", wish="Umzug", wanted_on=date(2026, 4, 1), by=None)


def test_the_last_day_in_time_is_asked_without_writing(contract):
    assert requests.last_day_in_time(contract, on=TODAY) == date(2026, 12, 31)
    assert requests.last_day_in_time(contract, on=date(2026, 12, 2)) == date(2027, 1, 31)
    assert not Amendment.objects.filter(kind="cancellation").exists()


def test_a_cancellation_in_time_is_done_at_once_and_told(contract):
    request = requests.cancel_in_time(contract, on=TODAY, at=NOON, by=None)
    contract.refresh_from_db()
    assert (contract.ends_before, request.state, request.decided_at) == (date(2027, 1, 1), "accepted", NOON)
    assert contract.amendments.get(kind="cancellation").channel == "portal"
    message = Message.objects.get()
    assert message.recipient == "chefin@example.com" and "31.12.2026" in message.body
    with pytest.raises(RequestRefused, match="31"):
        requests.cancel_in_time(contract, on=TODAY, at=NOON, by=None)


def test_accepting_ends_the_contract_on_the_wanted_day(contract, clerk):
    request = cancellation(contract)
    requests.accept(request, on=TODAY, at=NOON, by=clerk)
    contract.refresh_from_db()
    request.refresh_from_db()
    assert contract.ends_before == date(2026, 4, 1)
    assert (request.state, request.decided_by, request.decided_at) == ("accepted", clerk, NOON)
    amendment = contract.amendments.get(kind="cancellation")
    assert (amendment.author, amendment.reason, amendment.data["override"]) == (clerk, "Umzug", True)
    assert Message.objects.get().recipient == "chefin@example.com"


def test_declining_changes_nothing_but_is_told(contract, clerk):
    request = cancellation(contract)
    requests.decline(request, at=NOON, by=clerk, answer="Erst zum Jahresende.")
    contract.refresh_from_db()
    request.refresh_from_db()
    assert (contract.ends_before, request.state) == (None, "declined")
    assert "Erst zum Jahresende." in Message.objects.get().body
    for again in (
        lambda: requests.decline(request, at=NOON, by=clerk),
        lambda: requests.accept(request, on=TODAY, at=NOON, by=clerk),
    ):
        with pytest.raises(RequestRefused):
            again()
    assert Message.objects.count() == 1


def test_one_cancellation_waits_at_a_time(contract):
    cancellation(contract)
    with pytest.raises(RequestRefused):
        cancellation(contract)
    requests.ask(contract, kind="change", wish="mehr", wanted_on=None, by=None)
    assert ChangeRequest.objects.count() == 2


def test_a_request_says_what_it_wants(contract):
    for kind, wish in (("change", "  "), ("cancellation", "")):
        with pytest.raises(RequestRefused):
            requests.ask(contract, kind=kind, wish=wish, wanted_on=None, by=None)
    assert not ChangeRequest.objects.exists()


def test_staff_decide_in_the_admin_within_their_bounds(contract, clerk, client):
    request = cancellation(contract)
    StaffScope.objects.create(user=clerk, tenant=make_tenant())
    client.force_login(clerk)
    page, sent = (
        reverse("admin:billing_changerequest_changelist"),
        {"action": "decline", "_selected_action": request.pk},
    )
    client.post(page, sent)
    request.refresh_from_db()
    assert request.state == "open"
    StaffScope.objects.all().delete()
    client.logout()
    client.force_login(User.objects.get(pk=clerk.pk))
    client.post(page, sent)
    request.refresh_from_db()
    assert (request.state, request.decided_by) == ("declined", clerk)


def test_deciding_is_a_right_of_its_own(contract, client):
    request = cancellation(contract)
    user = User.objects.create_user("leser", is_staff=True)
    user.groups.set(Group.objects.filter(name="auditor"))
    client.force_login(user)
    page = reverse("admin:billing_changerequest_changelist")
    assert client.get(page).status_code == 200
    client.post(page, {"action": "accept", "_selected_action": request.pk})
    request.refresh_from_db()
    assert request.state == "open"


def test_a_wished_change_is_accepted_once_the_contract_was_changed(contract, clerk):
    """Not before, for the customer would be told yes to what nobody did; unless there is nothing to amend."""
    request = requests.ask(contract, kind="change", wish="mehr", wanted_on=date(2026, 4, 1), by=None)
    with pytest.raises(RequestRefused, match=contract.reference):
        requests.accept(request, on=TODAY, at=NOON, by=clerk)
    assert not Message.objects.exists()
    change = contracts.asked(
        contract,
        "quantity",
        {"line": 1, "quantity": Decimal(7), "effective": date(2026, 4, 1)},
        on=TODAY,
        reason="mehr",
        by=clerk,
        channel="admin",
    )
    change()
    assert [one.kind for one in requests.amended_since(request)] == ["quantity"]
    requests.accept(request, on=TODAY, at=NOON, by=clerk, answer="Sieben Plätze ab April.")
    other = requests.ask(contract, kind="change", wish="Bestellnummer", wanted_on=None, by=None)
    requests.accept(other, on=TODAY, at=NOON, by=clerk, needs_no_amendment=True)
    assert [row.state for row in ChangeRequest.objects.order_by("pk")] == ["accepted", "accepted"]
    assert "Sieben Plätze ab April." in Message.objects.order_by("pk").first().body


def test_staff_decide_on_the_page_of_a_request_with_an_answer(contract, clerk, client):
    asked = requests.ask(contract, kind="change", wish="Zwei Plätze mehr", wanted_on=date(2026, 4, 1), by=None)
    client.force_login(clerk)
    page = reverse("admin:billing_changerequest_change", args=[asked.pk])
    decide = reverse("admin:billing_changerequest_decide", args=[asked.pk])
    amend = reverse("admin:billing_subscription_amend", args=[contract.pk])
    shown = client.get(page, headers={"accept-language": "de"})
    way = f"{amend}?day=2026-04-01&reason=Zwei+Pl%C3%A4tze+mehr"
    assert shown.context["tools"]["amend"] == way
    html = shown.content.decode()
    for text in ("Annehmen", "Ablehnen", "Vertrag ändern", 'name="answer"', "Das Annehmen ändert den Vertrag nicht"):
        assert text in html
    form = client.get(way).context["form"]
    assert [form[name].value() for name in ("day", "when", "reason")] == [
        date(2026, 4, 1),
        "on_date",
        "Zwei Plätze mehr",
    ]
    assert client.get(decide).status_code == 403

    client.post(decide, {"_accept": "1", "answer": "Gern."})
    asked.refresh_from_db()
    assert (asked.state, asked.answer) == ("open", "")
    client.post(decide, {"_accept": "1", "answer": " Gern. ", "needs_no_amendment": "1"})
    asked.refresh_from_db()
    assert (asked.state, asked.answer, asked.decided_by) == ("accepted", "Gern.", clerk)
    assert Message.objects.get().body.endswith("Gern.\n")
    assert 'id="decide"' not in client.get(page).content.decode()


def test_a_cancellation_is_declined_on_its_page(contract, clerk, client):
    asked = cancellation(contract)
    client.force_login(clerk)
    shown = client.get(reverse("admin:billing_changerequest_change", args=[asked.pk]))
    assert shown.context["tools"]["last_day"] == figures.day(date(2026, 3, 31))
    decide = reverse("admin:billing_changerequest_decide", args=[asked.pk])
    client.post(decide, {"_decline": "1", "answer": "Erst zum Jahresende."})
    asked.refresh_from_db()
    contract.refresh_from_db()
    assert (asked.state, asked.answer, contract.ends_before) == ("declined", "Erst zum Jahresende.", None)


def test_nobody_decides_by_post_without_the_right_or_beyond_the_bounds(contract, clerk, client):
    asked = cancellation(contract)
    decide = reverse("admin:billing_changerequest_decide", args=[asked.pk])
    reader = User.objects.create_user("leser", is_staff=True)
    reader.groups.set(Group.objects.filter(name="auditor"))
    StaffScope.objects.create(user=clerk, tenant=make_tenant())
    for user, status in ((reader, 403), (clerk, 404)):
        client.force_login(user)
        assert client.post(decide, {"_accept": "1"}).status_code == status
    asked.refresh_from_db()
    assert asked.state == "open"
