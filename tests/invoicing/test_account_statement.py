"""The account statement, from the customer's side: balances, movements, for one account or with all below."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from pypdf import PdfReader

from billing.models import PriceCampaign
from invoicing import posting
from invoicing.account_statement import balances, statements
from invoicing.models import BillRun, Invoice, JournalEntry, LedgerAccount, OpenItem, Posting
from invoicing.revenue import By, revenue
from tenants.admin.scope import AccountScoped
from tenants.models import Issuer, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db

END = date(2026, 12, 31)


def receive(tenant: Tenant, amount: str, on: date) -> None:
    """A payment as it will be booked: bank to receivables."""
    item = OpenItem.objects.filter(payer=tenant).order_by("pk").first()
    assert item is not None
    issuer = item.invoice.issuer
    receivables = LedgerAccount.objects.get(issuer=issuer, role="receivables")
    bank = LedgerAccount.objects.get_or_create(issuer=issuer, role="bank", defaults={"code": "1200", "name": "Bank"})[0]
    entry = JournalEntry.objects.create(issuer=issuer, kind="offset", booked_on=on)
    both = {"entry": entry, "currency": "EUR"}
    Posting.objects.bulk_create(
        [
            Posting(**both, account=receivables, open_item=item, amount=-Decimal(amount)),
            Posting(**both, account=bank, amount=Decimal(amount)),
        ]
    )


@pytest.fixture
def issuer() -> Issuer:
    """GROUP over EAST (over SHOP) and WEST, whose contracting party it is; each pays for itself."""
    issuer = make_issuer(reference="MAIN")
    group = make_tenant(reference="GROUP")
    east = make_tenant(reference="EAST", parent=group)
    shop = make_tenant(reference="SHOP", parent=east)
    west = make_tenant(reference="WEST", parent=group, contracting_party=group)
    price = make_price((None, "100.00", "0"))
    for number, tenant in enumerate((group, east, shop, west), 1):
        make_contract(issuer, tenant, reference=f"V-{tenant.reference}", price=price, quantity=Decimal(number))
    bill(issuer, FEBRUARY)
    bill(issuer, MARCH)
    return issuer


def test_b_22_the_sample_statement(issuer):
    """Movements -75.00, +60.00 and +89.50 make 74.50: "+" and "-" are from the customer's side."""
    tenant = make_tenant(reference="SAMPLE", country="US")
    make_contract(issuer, tenant, price=make_price((None, "75.00", "0")), ends_before=MARCH)
    bill(issuer, date(2026, 2, 2))
    receive(tenant, "60.00", date(2026, 2, 10))
    receive(tenant, "89.50", date(2026, 2, 20))
    (found,) = statements(tenant, with_descendants=False, after=None, through=END)
    assert [(one.day, one.amount) for one in found.movements] == [
        (date(2026, 2, 2), Decimal("-75.00")),
        (date(2026, 2, 10), Decimal("60.00")),
        (date(2026, 2, 20), Decimal("89.50")),
    ]
    assert (found.opening, found.total, found.closing, found.count) == (0, Decimal("74.50"), Decimal("74.50"), 3)
    assert balances(tenant, with_descendants=False) == {"EUR": Decimal("74.50")}


def test_opening_and_movements_make_the_closing_balance(issuer):
    east = Tenant.objects.get(reference="EAST")
    receive(east, "38.00", date(2026, 3, 5))
    (alone,) = statements(east, with_descendants=False, after=FEBRUARY, through=END)
    assert (alone.opening, alone.total, alone.closing) == (Decimal("-238"), Decimal("-200"), Decimal("-438"))
    assert [one.amount for one in alone.movements] == [Decimal("-238"), Decimal("38")]
    (both,) = statements(east, with_descendants=True, after=FEBRUARY, through=END)
    assert (both.opening, both.closing) == (Decimal("-595"), Decimal("-1152"))
    assert [(one.account, one.amount) for one in both.movements] == [
        ("EAST", Decimal("-238")),
        ("SHOP", Decimal("-357")),
        ("EAST", Decimal("38")),
    ]
    (until_then,) = statements(east, with_descendants=True, after=None, through=FEBRUARY)
    assert until_then.closing == both.opening


def test_b_01_the_balance_is_the_sum_of_the_ledger_lines(issuer):
    group = Tenant.objects.get(reference="GROUP")
    with connection.cursor() as cursor:
        cursor.execute("select -sum(amount) from invoicing_posting where open_item_id is not null")
        (booked,) = cursor.fetchone()
    assert balances(group, with_descendants=True) == {"EUR": booked} == {"EUR": Decimal("-2380")}
    nodes = [balances(node, with_descendants=False)["EUR"] for node in Tenant.objects.under(group)]
    assert sum(nodes) == booked


@pytest.mark.parametrize("by", list(By))
def test_b_28_revenue_equals_the_net_of_the_documents(issuer, by):
    net = sum(invoice.net.amount for invoice in Invoice.objects.issued())
    found = revenue(by, first=FEBRUARY, ends_before=END)
    assert sum(one.net for one in found) == net == Decimal("2000")


def test_b_28_revenue_by_month_account_and_scope(issuer):
    east = Tenant.objects.get(reference="EAST")
    span = {"first": FEBRUARY, "ends_before": END}
    assert [(one.key, one.net, one.documents) for one in revenue(By.MONTH, **span)] == [
        ("2026-02", Decimal("1000"), 4),
        ("2026-03", Decimal("1000"), 4),
    ]
    assert [(one.key, one.net) for one in revenue(By.ACCOUNT, **span, under=east)] == [
        ("SHOP", Decimal("600")),
        ("EAST", Decimal("400")),
    ]
    alone = revenue(By.ACCOUNT, **span, under=east, with_descendants=False)
    assert [(one.key, one.net) for one in alone] == [("EAST", Decimal("400"))]


def test_e_11_revenue_per_partner(issuer):
    west = Tenant.objects.get(reference="WEST")
    below = make_tenant(reference="BELOW", parent=west)
    make_contract(issuer, below, price=make_price((None, "50.00", "0")), starts_on=MARCH)
    bill(issuer, date(2026, 3, 2))
    found = {one.key: one.net for one in revenue(By.PARTNER, first=FEBRUARY, ends_before=END)}
    assert found == {"GROUP": Decimal("850"), "": Decimal("1200")}


@pytest.mark.parametrize(("language", "words"), [("de", ("Kontoauszug", "Endsaldo")), ("en", ("Account statement",))])
def test_the_statement_as_a_letter(admin_client, issuer, language, words):
    east = Tenant.objects.get(reference="EAST")
    Tenant.objects.filter(pk=east.pk).update(language=language)
    url = reverse("account_statement", args=[east.pk])
    answer = admin_client.get(url, {"as": "pdf", "below": "1", "from": "2026-02-02", "to": "2026-03-31"})
    assert answer["Content-Type"] == "application/pdf"
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    with translation.override(language):
        assert all(word in text for word in words)
    for figure in {"de": ("-595,00", "-1.190,00"), "en": ("-595.00", "-1,190.00")}[language]:
        assert figure in text.replace("−", "-")


def test_the_statement_as_page_and_file(admin_client, issuer):
    admin_client.cookies["django_language"] = "en"
    east = Tenant.objects.get(reference="EAST")
    url = reverse("account_statement", args=[east.pk])
    span = {"from": "2026-02-02", "to": "2026-03-31", "below": "1"}
    page = admin_client.get(url, span).content.decode()
    assert "Invoice RE-2026-00006" in page and "-€1,190.00" in page
    lines = admin_client.get(url, span | {"as": "csv"}).content.decode("utf-8-sig").splitlines()
    assert lines == [
        "currency;day;text;document;account;amount;balance",
        "EUR;;opening balance;;EAST;;-595.00",
        "EUR;2026-03-01;Invoice RE-2026-00006;RE-2026-00006;EAST;-238.00;-833.00",
        "EUR;2026-03-01;Invoice RE-2026-00007;RE-2026-00007;SHOP;-357.00;-1190.00",
        "EUR;;closing balance;;EAST;;-1190.00",
    ]
    admin_client.cookies["django_language"] = "de"
    lines = admin_client.get(url, span | {"as": "csv"}).content.decode("utf-8-sig").splitlines()
    assert lines[0] == "Währung;Tag;Text;Beleg;Mandant;Betrag;Saldo"
    assert lines[2] == "EUR;01.03.2026;Rechnung RE-2026-00006;RE-2026-00006;EAST;-238,00;-833,00"
    sums = admin_client.get(reverse("invoiced_revenue"), span | {"by": "account", "as": "csv"})
    assert sums.content.decode("utf-8-sig").splitlines()[0] == "Mandant;Name;Währung;netto;Belege"


@pytest.mark.parametrize(
    ("page", "alone", "below"),
    [
        ("admin:invoicing_invoice_changelist", 2, 4),
        ("admin:invoicing_openitem_changelist", 2, 4),
        ("admin:billing_subscription_changelist", 1, 2),
        ("admin:billing_charge_changelist", 2, 4),
        ("admin:tenants_message_changelist", 0, 0),
        ("admin:billing_amendment_changelist", 0, 0),
        ("admin:payments_letter_changelist", 0, 0),
        ("admin:invoicing_outcome_changelist", 2, 4),
        ("admin:invoicing_journalentry_changelist", 2, 4),
        ("admin:invoicing_posting_changelist", 6, 12),
        ("admin:tenants_tenant_changelist", 1, 2),
        ("admin:tenants_contact_changelist", 0, 0),
    ],
)
def test_d_15_one_switch_on_all_lists(admin_client, issuer, page, alone, below):
    def count(**query: str) -> int:
        answer = admin_client.get(reverse(page), query)
        assert answer.status_code == 200
        return answer.context["cl"].result_count

    assert count(account="EAST") == alone
    assert count(account="EAST", below="1") == below
    assert count(account="GROUP", below="1") == count()
    assert count(account="NONE") == 0


def test_d_15_every_list_of_records_that_belong_to_accounts_has_the_switch():
    """But for those that tell of several accounts in a row: runs and campaigns."""
    for model, screen in admin.site._registry.items():
        if model._meta.app_label in ("tenants", "billing", "invoicing", "payments"):
            belongs = screen.search_accounts or model.visibility.accounts
            assert not belongs or isinstance(screen, AccountScoped) or model in (BillRun, PriceCampaign), model


def test_d_15_postings_of_an_account_and_of_those_below_add_up(admin_client, issuer):
    """Receivables taken over belong to either payer, and what stands against a claim to whom it is claimed from."""
    group, east, shop = (Tenant.objects.get(reference=name) for name in ("GROUP", "EAST", "SHOP"))
    receive(east, "38.00", date(2026, 3, 5))
    taken = OpenItem.objects.filter(payer=shop).earliest("pk")
    posting.take_over({taken.pk: east.pk}, on=date(2026, 3, 6))

    def sums(**query: str) -> tuple[Decimal, int]:
        answer = admin_client.get(reverse("admin:invoicing_posting_changelist"), query)
        rows = answer.context["cl"].queryset
        left = rows.filter(open_item__isnull=False).aggregate(left=Sum("amount"))["left"]
        return left, rows.values("pk").distinct().count() - rows.count()

    whole = sums(account="GROUP", below="1")
    assert whole == sums() == (Decimal("2342"), 0)
    nodes = [sums(account=node.reference)[0] for node in Tenant.objects.under(group)]
    assert (nodes, sum(nodes)) == ([Decimal("238"), Decimal("795"), Decimal("357"), Decimal("952")], whole[0])
    assert sums(account="EAST", below="1") == (Decimal("1152"), 0)
    entries = reverse("admin:invoicing_journalentry_changelist")
    kinds = [entry.kind for entry in admin_client.get(entries, {"account": "SHOP"}).context["cl"].queryset]
    assert kinds == ["transfer", "issue", "issue"]


def test_d_15_the_switch_asks_the_same_number_of_questions_however_large_the_tree_is(admin_client, issuer):
    pages = [
        reverse(f"admin:{name}_changelist")
        for name in ("invoicing_posting", "invoicing_journalentry", "invoicing_outcome", "payments_dunningblock")
    ]
    query = {"account": "GROUP", "below": "1"}

    def questions() -> list[int]:
        counts = []
        for page in pages:
            with CaptureQueriesContext(connection) as asked:
                assert admin_client.get(page, query).status_code == 200
            counts.append(len(asked))
        return counts

    questions()  # what is asked once is asked now
    before = questions()
    shop = Tenant.objects.get(reference="SHOP")
    for number in range(20):
        make_tenant(reference=f"BELOW-{number}", parent=shop)
    assert questions() == before
