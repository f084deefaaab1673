"""What a contract gives back keeps the VAT of the line it corrects, whatever became of customer, rules and rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from billing.models import Subscription
from config import books
from invoicing import issuing, replay, review, taxation
from invoicing.models import BookVat, ExchangeRate, Invoice, Posting, TaxRate
from tenants.models import Issuer, Tenant, VatCheck
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
MIDDLE = date(2026, 2, 15)  # half of February is given back
AUSTRIAN = {"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True}
GERMAN = {"country": "DE", "vat_id": "", "vat_id_valid": False}


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN")


def sell(issuer: Issuer, tenant: Tenant, category: str = "standard", **fields: Any) -> Subscription:
    price = make_price((None, "100.00", "0"))
    price.product.tax_category = category
    price.product.save()
    return make_contract(issuer, tenant, price=price, **fields)


def become(record: Any, **fields: Any) -> None:
    type(record).objects.filter(pk=record.pk).update(**fields)
    record.refresh_from_db()


def end(contract: Subscription, on: date = MIDDLE) -> None:
    become(contract, ends_before=on)


def documents() -> list[tuple[str, str, Decimal, Decimal, Decimal]]:
    return [
        (one.kind, one.vat_case, one.net.amount, one.vat.amount, one.gross.amount)
        for one in Invoice.objects.issued().order_by("issued_on", "vat_case", "kind")
    ]


def booked(invoice: Invoice) -> dict[str, Decimal]:
    rows = Posting.objects.filter(entry__invoice=invoice, entry__kind="issue").exclude(account__role="receivables")
    return dict(rows.values_list("account__role", "amount"))


def assert_sound() -> None:
    assert [difference for one in replay.replay() for difference in one.differences] == []
    assert list(books.check(with_files=False)) == []


def test_a_customer_who_moved_abroad_gets_back_the_vat_of_then(issuer):
    tenant = make_tenant(reference="A")
    ending = sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    become(tenant, **AUSTRIAN)
    VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
    end(ending)
    sell(issuer, tenant, starts_on=MIDDLE, billing_day=15)
    bill(issuer, FEBRUARY, MIDDLE)
    assert documents() == [
        ("invoice", "S", 100, 19, 119),
        ("credit_note", "S", -50, Decimal("-9.50"), Decimal("-59.50")),
    ]
    bill(issuer, MIDDLE, MIDDLE)
    assert documents() == [
        ("invoice", "S", 100, 19, 119),
        ("invoice", "AE", 100, 0, 100),
        ("credit_note", "S", -50, Decimal("-9.50"), Decimal("-59.50")),
    ]
    first, note = Invoice.objects.filter(vat_case="S").order_by("pk")
    assert booked(note) == {"revenue_S_19": 50, "vat_19": Decimal("9.50")}
    share, then = note.vat_shares.get(), first.vat_shares.get()
    assert (share.rule, share.country, share.notice, share.vat_check) == (then.rule, "", "", None)
    assert note.parties["vat"] == {"19": first.parties["vat"]["19"] | {"as_corrected": True}}
    assert note.parties["buyer"]["country"] == "AT"
    assert_sound()
    bill(issuer, MIDDLE, MIDDLE)
    assert len(documents()) == 3


def test_inv_16_what_is_given_back_is_converted_as_its_document_was(issuer):
    tenant = make_tenant(reference="A", currency="USD")
    ExchangeRate.objects.create(currency="USD", day=FEBRUARY, rate=Decimal("1.25"), source="EZB")
    ending, early = sell(issuer, tenant, currency="USD"), sell(issuer, tenant, currency="USD")
    bill(issuer, FEBRUARY)
    end(early)
    sell(issuer, tenant, currency="USD")
    bill(issuer, FEBRUARY)  # by the same rate still: one document
    ExchangeRate.objects.create(currency="USD", day=MARCH, rate=Decimal("1.10"), source="EZB")
    end(ending)
    bill(issuer, MARCH)
    kept = BookVat.objects.order_by("invoice__issued_on", "-invoice__net").select_related("invoice")
    assert [
        (one.invoice.kind, one.invoice.net.amount, one.net.amount, one.vat.amount, one.rate, one.rate_on)
        for one in kept
    ] == [
        ("invoice", 200, 160, Decimal("30.40"), Decimal("1.25"), FEBRUARY),
        ("invoice", 50, 40, Decimal("7.60"), Decimal("1.25"), FEBRUARY),
        ("invoice", 100, Decimal("90.91"), Decimal("17.27"), Decimal("1.10"), MARCH),
        ("credit_note", -50, -40, Decimal("-7.60"), Decimal("1.25"), FEBRUARY),
    ]
    assert_sound()


def test_credit_and_new_fees_of_one_run_part_by_their_vat(issuer):
    tenant = make_tenant(reference="A")
    ending, other = sell(issuer, tenant), sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    become(tenant, **AUSTRIAN)
    end(ending)
    bill(issuer, MARCH)
    assert documents()[1:] == [
        ("invoice", "AE", 100, 0, 100),
        ("credit_note", "S", -50, Decimal("-9.50"), Decimal("-59.50")),
    ]
    assert not other.ends_before
    assert_sound()


def test_what_is_still_taxed_alike_shares_a_document(issuer):
    tenant = make_tenant(reference="A")
    ending = sell(issuer, tenant)
    sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    end(ending)
    bill(issuer, MARCH)
    assert documents()[1:] == [("invoice", "S", 50, Decimal("9.50"), Decimal("59.50"))]
    assert "as_corrected" not in Invoice.objects.latest("pk").parties["vat"]["19"]
    assert_sound()


def test_a_rate_lowered_since_lowers_no_credit(issuer):
    """16 percent hold from March on; by the rate of its own day February is given back at 19, on the same document."""
    TaxRate.objects.filter(country="DE", kind="standard", ends_before=None).update(ends_before=MARCH)
    TaxRate.objects.create(country="DE", kind="standard", percent=16, starts_on=MARCH)
    for role in ("revenue_S_16", "vat_16"):
        issuer.ledger_accounts.create(role=role, code="8999", name=role)
    tenant = make_tenant(reference="A")
    ending = sell(issuer, tenant)
    sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    end(ending)
    bill(issuer, MARCH)
    invoice = Invoice.objects.get(issued_on=MARCH)
    assert [(s.vat_rate, s.base.amount, s.vat.amount) for s in invoice.vat_shares.order_by("-vat_rate")] == [
        (19, -50, Decimal("-9.50")),
        (16, 100, 16),
    ]
    assert booked(invoice) == {"revenue_S_19": 50, "vat_19": Decimal("9.50"), "revenue_S_16": -100, "vat_16": -16}
    assert_sound()


def test_a_rate_entered_too_late_lowers_no_credit(issuer):
    """February was billed at 19 percent before somebody entered 16 for it: what was charged is what is given back."""
    tenant = make_tenant(reference="A")
    ending = sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    TaxRate.objects.filter(country="DE", kind="standard", ends_before=None).update(ends_before=FEBRUARY)
    TaxRate.objects.create(country="DE", kind="standard", percent=16, starts_on=FEBRUARY)
    end(ending)
    bill(issuer, FEBRUARY, MIDDLE)
    note = Invoice.objects.get(kind="credit_note")
    assert (note.net.amount, note.vat.amount) == (-50, Decimal("-9.50"))
    assert booked(note) == {"revenue_S_19": 50, "vat_19": Decimal("9.50")}


@pytest.mark.parametrize(
    ("buyer", "category", "switch", "becomes", "share", "roles"),
    [
        pytest.param(
            AUSTRIAN,
            "standard",
            "",
            AUSTRIAN | {"vat_id": "", "vat_id_valid": False},
            ("AE", Decimal(0), Decimal(0), "", "VATEX-EU-AE"),
            {"revenue_AE": 50},
            id="reverse charge, VAT id lost",
        ),
        pytest.param(
            AUSTRIAN, "goods", "", GERMAN, ("K", Decimal(0), Decimal(0), "", "VATEX-EU-IC"), {"revenue_K": 50}, id="K"
        ),
        pytest.param(
            {"country": "CH"},
            "goods",
            "",
            GERMAN,
            ("G", Decimal(0), Decimal(0), "", "VATEX-EU-G"),
            {"revenue_G": 50},
            id="export",
        ),
        pytest.param(
            {"country": "CH"},
            "standard",
            "",
            GERMAN,
            ("O", Decimal(0), Decimal(0), "", "VATEX-EU-O"),
            {"revenue_O": 50},
            id="outside",
        ),
        pytest.param(
            {"country": "FI", "buys_as": "consumer"},
            "digital",
            "uses_oss",
            GERMAN,
            ("S", Decimal("25.5"), Decimal("-12.75"), "FI", ""),
            {"revenue_OSS": 50, "vat_OSS": Decimal("12.75")},
            id="One-Stop Shop",
        ),
        pytest.param(
            {},
            "standard",
            "is_small_business",
            {"country": "AT"},
            ("E", Decimal(0), Decimal(0), "", ""),
            {"revenue_SMALL": 50},
            id="small business",
        ),
    ],
)
def test_each_regime_is_kept(issuer, buyer, category, switch, becomes, share, roles):
    if switch:
        become(issuer, **{switch: True})
    tenant = make_tenant(**{"reference": "A"} | buyer)
    if tenant.vat_id:
        VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="vies", is_valid=True)
    ending = sell(issuer, tenant, category)
    bill(issuer, FEBRUARY)
    if switch:
        become(issuer, **{switch: False})
    become(tenant, **becomes)
    end(ending)
    bill(issuer, FEBRUARY, MIDDLE)
    first, note = Invoice.objects.order_by("pk")
    kept, then = note.vat_shares.get(), first.vat_shares.get()
    assert (note.kind, note.net.amount) == ("credit_note", -50)
    assert (kept.vat_case, kept.vat_rate.normalize(), kept.vat.amount, kept.country, kept.exemption_code) == share
    same = ("rule_id", "country", "exemption_code", "notice", "ledger_role", "vat_check_id")
    assert [getattr(kept, name) for name in same] == [getattr(then, name) for name in same]
    assert booked(note) == roles
    assert note.parties.get("vat_check") == first.parties.get("vat_check")
    if share[0] in ("AE", "K"):
        assert note.parties["buyer"]["vat_id"] == "ATU13585627"
    assert_sound()


def test_a_credit_does_not_wait_for_vies(issuer, settings):
    """What was proved when the fee arose needs no new proof, even where new fees of the account wait for it."""
    tenant = make_tenant(**{"reference": "A"} | AUSTRIAN)
    ending = sell(issuer, tenant)
    sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    settings.VIES_URL = "http://127.0.0.1:9"
    end(ending)
    bill(issuer, MARCH)
    assert list(Invoice.objects.filter(issued_on=MARCH).order_by("kind").values_list("kind", "state", "net")) == [
        ("credit_note", "issued", -50),
        ("invoice", "held", 100),
    ]
    assert_sound()


def test_a_released_draft_with_former_vat_is_up_to_date(issuer):
    tenant = make_tenant(**{"reference": "A"} | AUSTRIAN)
    ending = sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    become(tenant, **GERMAN)
    end(ending)
    run = bill(issuer, FEBRUARY, MIDDLE, issues=False)
    review.release(run.invoices.all())
    assert issuing.issue_released(run) == 1
    assert documents()[1:] == [("credit_note", "AE", -50, 0, -50)]
    assert_sound()


def test_a_chunk_takes_the_same_statements_however_much_is_given_back(issuer):
    def statements(customers: int, on: date) -> int:
        tenants = [make_tenant() for _ in range(customers)]
        ending = [sell(issuer, tenant, starts_on=on, billing_day=1) for tenant in tenants]
        bill(issuer, on)
        for contract in ending:
            become(contract.tenant, **AUSTRIAN)
            end(contract, on.replace(day=15))
        with CaptureQueriesContext(connection) as captured:
            bill(issuer, on, on.replace(day=15))
        return len(captured)

    statements(1, FEBRUARY)  # the first one makes the number ranges, too
    assert statements(1, MARCH) == statements(4, date(2026, 4, 1))
    assert Invoice.objects.filter(kind="credit_note", vat_case="S").count() == 6


def test_replay_and_check_books_name_a_credit_at_another_rate(issuer, monkeypatch):
    """As if drafting took the VAT of today."""
    tenant = make_tenant(reference="A")
    ending = sell(issuer, tenant)
    bill(issuer, FEBRUARY)
    become(tenant, **AUSTRIAN)
    end(ending)
    monkeypatch.setattr(taxation.Taxes, "are_still", lambda *_args: True)
    bill(issuer, FEBRUARY, MIDDLE)
    note = Invoice.objects.get(kind="credit_note")
    with translation.override("en"):
        found = [str(difference) for one in replay.replay([note.pk]) for difference in one.differences]
        breaches = [breach for breach in books.check(with_files=False) if breach.invariant == "credits keep their VAT"]
    assert found == [f"{note.number}, line 1, VAT of the corrected line: AE 0, replayed S 19"]
    assert [(one.record, one.sentence) for one in breaches] == [
        (f"document {note.number}", "Line 1 gives back AE 0 %, but its original was charged S 19 %.")
    ]
