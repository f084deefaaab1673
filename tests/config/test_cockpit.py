"""The start page and the account's page answer what a clerk and a caller ask, for what they may see."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.urls import reverse

from config.rights import ensure_roles
from invoicing.models import DocumentFile, Invoice
from payments import dunning
from payments.models import Letter
from tenants import messages
from tenants.models import File, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def march():
    with time_machine.travel("2026-03-20 09:00:00+01:00", tick=False):
        yield


@pytest.fixture
def customer():
    issuer = make_issuer()
    group = make_tenant(reference="GROUP", name="Café Zentral")
    branch = make_tenant(reference="BRANCH", parent=group, kind="branch", invoice_to=group, pay_by=group)
    price = make_price((None, "12.50", "0"))
    terms = {"term_months": 12, "renewal_months": 12, "notice_days": 90}
    make_contract(issuer, group, reference="V-1", price=price, quantity=Decimal(4), **terms)
    make_contract(issuer, branch, reference="V-2", price=price, quantity=Decimal(2), timing="arrears")
    bill(issuer, FEBRUARY)
    return group


def test_one_page_says_what_since_when_how_much_and_next_invoice_when(admin_client, customer):
    context = admin_client.get(reverse("account", args=[customer.pk])).context
    rows = {row["reference"]: row for row in context["contracts"]}
    product = "Telephony connector, seat"
    assert rows["V-1"] | {"url": ""} == {
        "url": "",
        "reference": "V-1",
        "account": None,
        "since": "1 Feb 2026",
        "until": "",
        "is_over": False,
        "items": [("4", product, "monthly")],
        "next_on": "1 Mar 2026",
        "next_net": "€50.00",
        "renews_on": "1 Feb 2027",
        "notice_by": "2 Nov 2026",
    }
    assert rows["V-2"]["account"].reference == "BRANCH"
    assert (rows["V-2"]["next_on"], rows["V-2"]["next_net"]) == ("1 Mar 2026", "€25.00")  # February, when it is over
    assert context["open_items"]["sums"] == ["€59.50"]
    assert context["open_items"]["rows"][0]["late"] == 33
    assert [row["number"] for row in context["documents"]] == ["RE-2026-00001"]


def test_the_page_shows_reminders_blocks_and_the_last_changes(admin_client, customer):
    issuer = Invoice.objects.get().issuer
    dunning.remind(issuer, on=date(2026, 3, 20))
    html = admin_client.get(reverse("account", args=[customer.pk])).content.decode()
    assert "level 0" in html
    assert "Café Zentral" in html
    assert admin_client.get(reverse("account", args=[10**9])).status_code == 404


def test_the_start_page_names_what_needs_a_person(admin_client, customer):
    issuer = Invoice.objects.get().issuer
    make_contract(issuer, make_tenant(reference="NOWHERE", street=""))
    bill(issuer, date(2026, 3, 1), issues=False)
    message = messages.compose(
        "test", issuer=issuer, tenant=customer, recipient="a@example.com", subject="Rechnung", body=""
    )
    message.state = "parked"
    message.save()
    context = admin_client.get(reverse("admin:index")).context
    assert {card.title: (card.figure, card.tone) for card in context["cards"]} == {
        "Drafts to decide": ("1", "look"),
        "Parked payers": ("1", "act"),
        "Overdue": ("€59.50", "look"),
        "Messages in trouble": ("1", "act"),
        "Contracts to look at": ("0", "ok"),
    }
    assert [row["documents"] for row in context["runs"]] == ["1", "1"]
    months = {month["label"]: month["net"] for month in context["revenue"]["months"] if month["count"]}
    assert months == {"Feb 26": "€50.00"}
    assert len(context["revenue"]["months"]) == 12


def test_what_is_stuck_is_on_the_start_page_and_leads_to_its_list(client, admin_user, customer):
    """A document without a file after ten minutes, documents and letters without an address, letters without a file."""
    document = Invoice.objects.get()

    def stuck() -> dict[str, tuple[str, list[int]]]:
        client.logout()
        client.force_login(admin_user)  # a session does not last as long as the days between
        cards = client.get(reverse("admin:index")).context["cards"]
        return {
            card.title: (card.figure, [row.pk for row in client.get(card.url).context["cl"].result_list])
            for card in cards
            if "paper=" in card.url
        }

    booked = document.entries.get().created_at
    with time_machine.travel(booked + timedelta(minutes=9), tick=False):
        assert stuck() == {}
    with time_machine.travel(booked + timedelta(minutes=11), tick=False):
        assert stuck() == {"Documents without a PDF": ("1", [document.pk])}

    file = File.objects.create(path="documents/x.pdf", sha256="0" * 64, size=1, content_type="application/pdf")
    DocumentFile.objects.create(invoice=document, kind="pdf", file=file)
    Tenant.objects.filter(pk=document.recipient_id).update(email="")
    dunning.remind(document.issuer, on=date(2026, 3, 20))
    letter = Letter.objects.get()
    with time_machine.travel(letter.run.started_at + timedelta(minutes=11), tick=False):
        assert stuck() == {
            "Documents without an address": ("1", [document.pk]),
            "Reminder letters without a PDF": ("1", [letter.pk]),
        }
    other = File.objects.create(path="reminders/x.pdf", sha256="1" * 64, size=1, content_type="application/pdf")
    Letter.objects.filter(pk=letter.pk).update(file=other)
    assert stuck()["Reminder letters to post"] == ("1", [letter.pk])
    with time_machine.travel("2026-04-20 09:00:00+02:00", tick=False):
        assert set(stuck()) == {"Documents without an address"}


@pytest.mark.parametrize(
    ("role", "sees"),
    [("support", {"contracts", "open_items", "documents", "dunning", "contacts", "messages_sent"}), (None, None)],
)
def test_each_part_is_shown_to_whom_it_may_concern(client, customer, role, sees):
    ensure_roles("default")
    user = User.objects.create_user("somebody", is_staff=True)
    client.force_login(user)
    if role is None:
        assert client.get(reverse("account", args=[customer.pk])).status_code == 403
        assert client.get(reverse("admin:index")).context["cards"] == []
        return
    user.groups.add(Group.objects.get(name=role))
    context = client.get(reverse("account", args=[customer.pk])).context
    parts = {"contracts", "open_items", "documents", "dunning", "contacts", "messages_sent", "activities"}
    assert {part for part in parts if context[part] is not None} == sees
    assert (context["may_change"], context["may_add_contract"]) == (False, False)


def test_roles_are_made_once_and_set_right_on_request(db):
    operator = Group.objects.get(name="operator")
    given = operator.permissions.count()
    operator.permissions.clear()
    assert ensure_roles("default") == []
    assert operator.permissions.count() == 0
    assert ensure_roles("default", reset=True) == ["operator", "approver", "auditor", "support"]
    assert operator.permissions.count() == given > 0
    names = set(operator.permissions.values_list("codename", flat=True))
    assert {"start_billrun", "import_tenant", "view_invoice"} <= names
    assert not {"release_invoice", "issue_invoice", "change_price", "delete_tenant"} & names
    # bank details, prices and rates come in files, too
    assert not {"import_issuer", "import_product", "import_exchangerate"} & names
    approver = set(Group.objects.get(name="approver").permissions.values_list("codename", flat=True))
    assert {name for name in approver if name.startswith("import_")} == {
        "import_issuer",
        "import_product",
        "import_exchangerate",
    }
    auditor = Group.objects.get(name="auditor").permissions.values_list("codename", flat=True)
    assert {name.partition("_")[0] for name in auditor} == {"view", "export"}


def test_e11_an_account_and_the_issuer_it_operates_name_each_other(admin_client):
    reseller = make_tenant(reference="RESELLER")
    own = make_issuer(reference="OWN", name="Wiederverkauf GmbH", operated_by=reseller)
    page = admin_client.get(reverse("account", args=[reseller.pk])).content.decode()
    form = admin_client.get(reverse("admin:tenants_issuer_change", args=[own.pk])).content.decode()
    assert f'{reverse("admin:tenants_issuer_change", args=[own.pk])}">Wiederverkauf GmbH</a>' in page
    assert f'<option value="{reseller.pk}" selected>' in form
