"""What the portal shows, to whom, and what it takes in."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format

from billing.models import Amendment, ChangeRequest
from config import demo
from invoicing.models import Section
from tenants.models import Access, Contact, Message
from tests.config.portal.conftest import customer, signed_in

PAGES = [
    "",
    "documents/",
    "payments/",
    "payments/account/",
    "contracts/",
    "calendar/",
    "contacts/",
    "security/",
]


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def get(client, page: str, language: str = "en"):
    client.cookies["django_language"] = language
    return client.get(f"/portal/{page}")


def test_d09_the_parent_sees_all_of_its_subtree_and_nothing_beside(world):
    client = signed_in(customer(world.accounts["PARENT"]))
    documents = get(client, "documents/").content.decode()
    assert world.documents["PARENT"].number in documents
    assert world.documents["OWN"].number in documents
    assert world.documents["OTHER"].number not in documents
    contracts = get(client, "contracts/").content.decode()
    assert [name for name in world.contracts if f"V-{name} " in contracts] == ["PARENT", "OWN", "CHILD", "SIBLING"]


def test_d09_a_sibling_sees_neither_the_parent_nor_its_siblings(world):
    client = signed_in(customer(world.accounts["SIBLING"]))
    contracts = get(client, "contracts/").content.decode()
    assert [name for name in world.contracts if f"V-{name} " in contracts] == ["SIBLING"]
    assert world.documents["OWN"].number not in get(client, "documents/").content.decode()


def test_an_access_without_descendants_stops_at_its_account(world):
    client = signed_in(customer(world.accounts["PARENT"], with_descendants=False))
    contracts = get(client, "contracts/").content.decode()
    assert [name for name in world.contracts if f"V-{name} " in contracts] == ["PARENT"]


def test_d12_who_sees_invoices_sees_no_contracts(world):
    client = signed_in(customer(world.accounts["OWN"], "sees_invoices"))
    assert {page: get(client, page).status_code for page in PAGES} == {
        "": 200,
        "documents/": 200,
        "payments/": 404,
        "payments/account/": 404,
        "contracts/": 404,
        "calendar/": 200,
        "contacts/": 404,
        "security/": 200,
    }
    assert world.documents["OWN"].number in get(client, "documents/").content.decode()


def test_rights_hold_at_the_account_they_were_given_for(world):
    user = customer(world.accounts["OTHER"], "sees_invoices")
    Access.objects.create(user=user, tenant=world.accounts["OWN"], sees_subscriptions=True)
    client = signed_in(user)
    assert world.documents["OWN"].number not in get(client, "documents/").content.decode()
    assert "V-OTHER " not in get(client, "contracts/").content.decode()


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "von Konzern AG zu zahlen"), ("en", "to be paid by Konzern AG")],
)
def test_d14_a_child_sees_that_its_section_is_paid_by_the_parent(world, language, words):
    client = signed_in(customer(world.accounts["CHILD"], "sees_invoices"))
    page = get(client, "documents/", language).content.decode()
    assert words in page and "Lager" in page and "Filiale Süd" not in page
    part = Section.objects.get(tenant=world.accounts["CHILD"])
    detail = get(client, f"sections/{part.pk}/", language).content.decode()
    assert words in detail and ("100,00" if language == "de" else "100.00") in detail
    for kind in ("pdf", "xml"):  # the whole document shows the sibling's part, too
        assert get(client, f"documents/{world.documents['PARENT'].pk}/{kind}/").status_code == 404
    beside = Section.objects.get(tenant=world.accounts["SIBLING"])
    assert get(client, f"sections/{beside.pk}/").status_code == 404


def test_a_document_comes_as_pdf_and_as_xml(world):
    client = signed_in(customer(world.accounts["OWN"], "sees_invoices"))
    document = world.documents["OWN"]
    for kind in ("pdf", "xml"):
        response = get(client, f"documents/{document.pk}/{kind}/")
        assert response.content == f"{kind} of MAIN-{document.number}.{kind}".encode()
        assert response["Content-Disposition"] == f'attachment; filename="{document.number}.{kind}"'
        assert response["Cache-Control"] == "no-store"


def test_only_who_pays_is_shown_where_to_pay(world):
    shown = get(signed_in(customer(world.accounts["OWN"], "sees_payments", "pays")), "payments/").content.decode()
    assert "DE74 2914 1777 6317 0669 07" in shown and "overdue" in shown
    kept = get(signed_in(customer(world.accounts["OWN"], "sees_payments", name="b")), "payments/").content.decode()
    assert "DE74" not in kept and world.documents["OWN"].number in kept


def test_a_contract_is_cancelled_in_time(world):
    user, contract = customer(world.accounts["OWN"], "sees_subscriptions", "requests_changes"), world.contracts["OWN"]
    client = signed_in(user)
    page = get(client, f"contracts/{contract.pk}/cancel/").content.decode()
    assert "31 Mar 2026" in page
    response = client.post(f"/portal/contracts/{contract.pk}/cancel/", {"wish": "zu teuer"})
    assert response.status_code == 302
    contract.refresh_from_db()
    assert contract.ends_before == date(2026, 4, 1)
    amendment = contract.amendments.get(kind=Amendment.Kind.CANCELLATION)
    assert (amendment.channel, amendment.author, amendment.reason) == ("portal", user, "zu teuer")
    request = ChangeRequest.objects.get()
    assert (request.state, request.kind, request.wanted_on) == ("accepted", "cancellation", date(2026, 4, 1))
    assert Message.objects.filter(key__startswith=f"request:{request.pk}:").exists()
    assert get(client, f"contracts/{contract.pk}/cancel/").content.decode().count("already ends") == 1


def test_an_earlier_end_is_a_request(world):
    contract = world.contracts["OWN"]
    client = signed_in(customer(world.accounts["OWN"], "sees_subscriptions", "requests_changes"))
    client.post(f"/portal/contracts/{contract.pk}/cancel/", {"wish": "Umzug", "last_day": "2026-03-10"})
    contract.refresh_from_db()
    request = ChangeRequest.objects.get()
    assert (contract.ends_before, request.state, request.wanted_on) == (None, "open", date(2026, 3, 11))
    client.post(f"/portal/contracts/{contract.pk}/cancel/", {"wish": "Umzug", "last_day": "2026-03-09"})
    assert ChangeRequest.objects.count() == 1


def test_a_change_is_asked_for_only_with_the_right_to(world):
    contract = world.contracts["OWN"]
    looking = signed_in(customer(world.accounts["OWN"], "sees_subscriptions"))
    assert looking.post(f"/portal/contracts/{contract.pk}/change/", {"wish": "mehr"}).status_code == 404
    asking = signed_in(customer(world.accounts["OWN"], "sees_subscriptions", "requests_changes", name="b"))
    assert asking.post(f"/portal/contracts/{contract.pk}/change/", {"wish": " "}).status_code == 200
    assert not ChangeRequest.objects.exists()
    assert asking.post(f"/portal/contracts/{contract.pk}/change/", {"wish": "mehr"}).status_code == 302
    assert ChangeRequest.objects.get().wish == "mehr"
    assert asking.post(f"/portal/contracts/{world.contracts['OTHER'].pk}/change/", {"wish": "x"}).status_code == 404


def get_posted(client, page: str, sent: dict[str, str]):
    client.cookies["django_language"] = "en"
    return client.post(f"/portal/{page}", sent)


def test_a_wished_day_lies_within_the_contract_and_ten_years(world):
    contract = world.contracts["OWN"]
    client = signed_in(customer(world.accounts["OWN"], "sees_subscriptions", "requests_changes"))
    latest = date(2036, 3, 2)
    refusal = (
        f"Please choose a day from {date_format(contract.starts_on, 'SHORT_DATE_FORMAT')}, the contract's first,"
        f" to {date_format(latest, 'SHORT_DATE_FORMAT')}."
    )
    for wanted in (contract.starts_on - timedelta(days=1), latest + timedelta(days=1)):
        answer = get_posted(client, f"contracts/{contract.pk}/change/", {"wish": "x", "wanted_on": wanted.isoformat()})
        assert answer.context["form"].errors["wanted_on"] == [refusal]
    assert not ChangeRequest.objects.exists()
    sent = {"wish": "x", "wanted_on": latest.isoformat()}
    assert get_posted(client, f"contracts/{contract.pk}/change/", sent).status_code == 302
    assert ChangeRequest.objects.get().wanted_on == latest


def test_contact_data_are_kept_by_the_customer_but_not_what_a_person_is_for(world):
    client = signed_in(customer(world.accounts["OWN"], "changes_contacts"))
    person = Contact.objects.get(tenant=world.accounts["OWN"])
    sent = {"name": "Neu", "email": "neu@example.com", "phone": "7", "language": "de", "is_billing": "on"}
    assert client.post(f"/portal/contacts/{person.pk}/", sent).status_code == 302
    person.refresh_from_db()
    assert (person.name, person.email, person.is_billing) == ("Neu", "neu@example.com", False)
    for name in ("name", "phone"):
        for mark in "\n\r\t\u2028\x00"[:4]:
            answer = get_posted(client, f"contacts/{person.pk}/", sent | {name: f"7{mark}Bcc: x@example.com"})
            assert answer.context["form"].errors[name] == [
                "Please enter this in one line, without line breaks or tabs."
            ]
    assert (
        get_posted(client, f"contacts/{person.pk}/", sent | {"phone": "+49\N{NO-BREAK SPACE}30 1"}).status_code == 302
    )
    foreign = Contact.objects.get(tenant=world.accounts["PARENT"])
    assert client.post(f"/portal/contacts/{foreign.pk}/", sent).status_code == 404


def test_the_demo_makes_one_customer_of_the_group(world, monkeypatch, tmp_path):
    monkeypatch.setattr("config.env.home", lambda: tmp_path)
    first, again = demo.ensure_customer(), demo.ensure_customer()
    assert first == again
    account, password = first
    assert account == world.accounts["PARENT"]
    client = Client(SERVER_NAME="localhost")
    sent = client.post("/portal/sign-in/", {"username": demo.CUSTOMER, "password": password})
    assert (sent.status_code, User.objects.get(username=demo.CUSTOMER).is_staff) == (302, False)


def test_pages_ask_the_same_number_of_questions_however_many_rows(world, django_assert_max_num_queries):
    client = signed_in(customer(world.accounts["PARENT"]))
    for page in PAGES:
        get(client, page)
        with django_assert_max_num_queries(32):
            assert get(client, page).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_no_script_and_are_not_kept(world, page):
    response = get(signed_in(customer(world.accounts["PARENT"])), page)
    assert response["Cache-Control"] == "no-store"
    assert "script-src" not in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert b"<script" not in response.content and b"style=" not in response.content
