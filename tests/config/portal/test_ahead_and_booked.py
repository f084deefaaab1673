"""The calendar and the account statement of the portal: of the own part of the tree, each by the right it takes."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pypdf import PdfReader

from billing.models import Subscription
from invoicing import account_statement
from invoicing.models import JournalEntry, LedgerAccount, OpenItem, Posting
from tenants.models import Access, Tenant
from tests.builders import make_price
from tests.config.portal.conftest import World, customer, signed_in
from tests.small_book import bill, make_contract

CALENDAR, STATEMENT = reverse("portal:calendar"), reverse("portal:account_statement")


def lines(client, url: str, **query: str) -> list[list[str]]:
    client.cookies["django_language"] = "en"
    answer = client.get(url, {"as": "csv"} | query)
    assert answer.status_code == 200
    return [line.split(";") for line in answer.content.decode("utf-8-sig").splitlines()[1:]]


@pytest.fixture
def renewing(world) -> World:
    """Each account has a contract that renews itself on 1 May, with notice by 31 March."""
    for name, account in world.accounts.items():
        terms = {"term_months": 3, "renewal_months": 3, "notice_days": 30}
        issuer = world.contracts[name].issuer
        make_contract(issuer, account, reference=f"R-{name}", price=make_price((None, "9.00", "0")), **terms)
    return world


# The calendar


def test_d11_the_parent_page_lists_all_next_dates_of_the_subtree_in_order(renewing):
    client = signed_in(customer(renewing.accounts["PARENT"]))
    rows = lines(client, CALENDAR)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    of_may = [row[1:] for row in rows if row[0] == "2026-05-01"]
    renewals = sorted(row[2] for row in of_may if row[0] == "renewal")
    assert renewals == ["R-CHILD", "R-OWN", "R-PARENT", "R-SIBLING"]
    invoices = {(row[1], row[3], row[4]) for row in of_may if row[0] == "invoice"}
    assert invoices == {
        ("Konzern AG, Lager, Filiale Süd", "Konzern AG", "327.00"),
        ("Filiale Nord", "Filiale Nord", "109.00"),
    }


def test_d11_one_account_or_with_all_below(renewing):
    client = signed_in(customer(renewing.accounts["PARENT"]))
    alone = lines(client, CALENDAR, account="OWN", below="")
    below = lines(client, CALENDAR, account="OWN", below="1")
    assert {row[2] for row in alone} == {"Filiale Nord"} and {row[1] for row in alone} > {"invoice", "renewal"}
    child = [row for row in below if row not in alone]
    assert {row[2] for row in child} == {row[2] for row in lines(client, CALENDAR, account="CHILD", below="")}
    assert len(alone) + len(child) == len(below)


def test_invoices_and_days_of_contracts_take_a_right_each(renewing):
    """Who sees invoices alone is told of no contract, not even by its reference."""
    own = renewing.accounts["OWN"]
    kinds = {}
    for number, rights in enumerate(
        (["sees_invoices"], ["sees_subscriptions"], ["sees_invoices", "sees_subscriptions"])
    ):
        rows = lines(signed_in(customer(own, *rights, name=f"k{number}")), CALENDAR)
        kinds["+".join(rights)] = {row[1] for row in rows}
        if number == 0:
            assert {row[3] for row in rows} == {""}
    assert kinds == {
        "sees_invoices": {"invoice"},
        "sees_subscriptions": {"renewal", "last day for notice"},
        "sees_invoices+sees_subscriptions": {"invoice", "renewal", "last day for notice"},
    }


def test_rights_at_different_accounts_are_not_mixed(renewing):
    user = customer(renewing.accounts["SIBLING"], "sees_subscriptions")
    Access.objects.create(user=user, tenant=renewing.accounts["OWN"], sees_invoices=True)
    client = signed_in(user)
    assert {row[1] for row in lines(client, CALENDAR, account="OWN")} == {"invoice"}
    assert {row[1] for row in lines(client, CALENDAR, account="SIBLING")} == {"renewal", "last day for notice"}


@pytest.mark.parametrize("url", [CALENDAR, STATEMENT])
def test_no_other_account_can_be_chosen(renewing, url):
    client = signed_in(customer(renewing.accounts["OWN"]))
    found = {name: client.get(url, {"account": name}).status_code for name in renewing.accounts}
    assert found == {"PARENT": 404, "OWN": 200, "CHILD": 200, "SIBLING": 404, "OTHER": 404, "ABROAD": 404}
    only = signed_in(customer(renewing.accounts["OWN"], with_descendants=False, name="allein"))
    assert {name: only.get(url, {"account": name}).status_code for name in ("OWN", "CHILD")} == {
        "OWN": 200,
        "CHILD": 404,
    }
    page = only.get(url, {"below": "1"}).content.decode()
    assert "Filiale Nord" in page and "Lager" not in page


def test_an_account_that_may_be_seen_alone_tells_nothing_of_those_below(renewing):
    """Chosen with all below, too: the access ends at the account."""
    only = signed_in(customer(renewing.accounts["PARENT"], with_descendants=False))
    assert {name for row in lines(only, CALENDAR, below="1") for name in row[2].split(", ")} == {"Konzern AG"}
    (_opening, *booked, closing) = lines(only, STATEMENT, below="1")
    assert {row[4] for row in booked} == {"PARENT"} and closing[-1] == "-357.00"


# The account statement


def pay(item: OpenItem, amount: str, on: date, reference: str) -> None:
    """A payment with an open item of its own, and its allocation."""
    issuer = item.issuer
    receivables = LedgerAccount.objects.get(issuer=issuer, role="receivables")
    bank = LedgerAccount.objects.get_or_create(issuer=issuer, role="bank", defaults={"code": "1200", "name": "Bank"})[0]
    paid = OpenItem.objects.create(
        issuer=issuer, reference=reference, payer=item.payer, due_on=on, currency="EUR", amount=f"-{amount}"
    )
    for kind, sides in (
        ("payment", ((bank, None, amount), (receivables, paid, f"-{amount}"))),
        ("allocation", ((receivables, paid, amount), (receivables, item, f"-{amount}"))),
    ):
        entry = JournalEntry.objects.create(issuer=issuer, kind=kind, booked_on=on)
        Posting.objects.bulk_create(
            Posting(entry=entry, account=account, open_item=opened, currency="EUR", amount=side)
            for account, opened, side in sides
        )


def test_opening_movements_and_closing_with_a_payment_by_its_reference(world):
    """What was allocated moves nothing and is no movement."""
    own = world.accounts["OWN"]
    bill(world.contracts["OWN"].issuer, date(2026, 3, 1))
    pay(OpenItem.objects.filter(payer=own).earliest("pk"), "119.00", date(2026, 3, 2), "Überweisung 4711")
    client = signed_in(customer(own, "sees_payments"))
    numbers = list(OpenItem.objects.filter(payer=own, invoice__isnull=False).values_list("invoice__number", flat=True))
    span = {"from": "2026-02-02", "to": "2026-03-31"}
    assert lines(client, STATEMENT, **span) == [
        ["EUR", "", "opening balance", "", "OWN", "", "-119.00"],
        ["EUR", "2026-03-01", f"Invoice {numbers[1]}", numbers[1], "OWN", "-119.00", "-238.00"],
        ["EUR", "2026-03-02", "Payment received: Überweisung 4711", "Überweisung 4711", "OWN", "119.00", "-119.00"],
        ["EUR", "", "closing balance", "", "OWN", "", "-119.00"],
    ]
    (found,) = account_statement.statements(own, with_descendants=True, after=None, through=date(2026, 12, 31))
    assert account_statement.balances(own, with_descendants=True) == {"EUR": found.closing}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ["Kontoauszug", "Anfangssaldo", "Endsaldo", "-357,00\N{NO-BREAK SPACE}€"]),
        ("en", ["Account statement", "Opening balance", "Closing balance", "-€357.00"]),
    ],
)
def test_the_page_in_both_languages_offers_what_may_be_fetched(world, language, words):
    parent, document = world.accounts["PARENT"], world.documents["PARENT"]
    client = signed_in(customer(parent, "sees_payments", "sees_invoices"))
    client.cookies["django_language"] = language
    page = client.get(STATEMENT, {"below": ""}).content.decode()
    assert all(word in page for word in words)
    assert reverse("portal:document_file", args=[document.pk, "pdf"]) in page
    without = signed_in(customer(parent, "sees_payments", name="ohne"))
    page = without.get(STATEMENT, {"below": ""}).content.decode()
    assert document.number in page and "/documents/" not in page


def test_the_statement_as_a_letter_in_the_language_of_the_account(world):
    own = world.accounts["OWN"]
    Tenant.objects.filter(pk=own.pk).update(language="de")
    client = signed_in(customer(own, "sees_payments"))
    answer = client.get(STATEMENT, {"as": "pdf", "currency": "EUR", "below": ""})
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/pdf", "no-store")
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    assert "Kontoauszug" in text and "-119,00" in text.replace("−", "-") and "Filiale Nord" in text


def test_pages_ask_the_same_number_of_questions_however_large_the_tree_is(world):

    client = signed_in(customer(world.accounts["PARENT"]))
    counts = []
    for more in (0, 15):
        for number in range(more):
            below = Tenant.objects.create(reference=f"T{number}", name=f"T{number}", parent=world.accounts["OWN"])
            make_contract(
                world.contracts["OWN"].issuer,
                below,
                reference=f"T{number}",
                price=world.contracts["OWN"].items.get().price,
            )
        for url in (CALENDAR, STATEMENT):
            client.get(url)
            with CaptureQueriesContext(connection) as asked:
                client.get(url)
            counts.append(len(asked))
    assert counts[:2] == counts[2:]
    assert Subscription.objects.count() == 21
