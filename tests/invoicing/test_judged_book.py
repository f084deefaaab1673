"""From contract to issued e-invoice, of every way to tax: what the independent judge says of each document there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree
from pypdf import PdfReader

from billing.models import Product, Subscription
from config import books
from invoicing import correction, judging, pdf, replay
from invoicing.correction import Wanted
from invoicing.einvoice.reading import facts_of
from invoicing.einvoice.writing import written
from invoicing.models import BookVat, DocumentFile, ExchangeRate, Invoice, Line, TaxRate
from tenants import files
from tenants.models import Issuer, Tenant
from tests.builders import make_grant, make_issuer, make_item, make_price, make_product, make_tenant
from tests.judges import fatal_findings, needs_judges, pdfa_complaints
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = [pytest.mark.django_db, needs_judges]
FORMATS = ("zugferd", "xrechnung_cii", "xrechnung_ubl")
AUSTRIAN_ID = {"country": "AT", "postcode": "1010", "city": "Wien", "vat_id": "ATU13585627", "vat_id_valid": True}
CONSUMER = {"country": "AT", "postcode": "1010", "city": "Wien", "buys_as": "consumer"}
SWISS = {"country": "CH", "postcode": "8001", "city": "Zürich"}
# By name: the scheme of the issuer, the customer, what it buys, and the category and rate that follow.
CASES = {
    "19": ("", {}, "standard", "S", 19),
    "7": ("", {}, "reduced", "S", 7),
    "EXEMPT": ("", {}, "exempt", "E", 0),
    "AE": ("", AUSTRIAN_ID, "standard", "AE", 0),
    "K": ("", AUSTRIAN_ID, "goods", "K", 0),
    "NOID": ("", {"country": "AT", "vat_id": "ATU13585628"}, "standard", "S", 19),
    "O": ("", SWISS, "standard", "O", 0),
    "G": ("", SWISS, "goods", "G", 0),
    "SMALL": ("is_small_business", {}, "standard", "E", 0),
    "OSS": ("uses_oss", CONSUMER, "digital", "S", 20),
    "OSSRED": ("uses_oss", CONSUMER, "reduced_goods", "S", 10),
}


@pytest.fixture(autouse=True)
def files_root(tmp_path, settings):
    settings.FILES_ROOT = tmp_path / "files"


def an_issuer(reference: str, scheme: str = "") -> Issuer:
    flags = {scheme: True} if scheme else {}
    return make_issuer(reference=reference, phone="+49 7525 12345", contact="Buchhaltung", **flags)


def judge_all() -> judging.Judged:
    total = judging.Judged()
    while some := judging.judge_pending():
        total += some
    return total


def complaints(documents: Sequence[Invoice], to: Path) -> dict[str, list[str]]:
    """By number, the rules that documents break in the eyes of the independent judge, as they are issued."""
    to.mkdir(exist_ok=True)
    paths = []
    for facts in facts_of([document.pk for document in documents]):
        paths.append(to / f"{facts.seller.reference}-{facts.number}.xml")
        paths[-1].write_bytes(written(facts))
    found = fatal_findings(*paths)
    assert len(found) == len(documents) > 0
    return {name: rules for name, rules in found.items() if rules}


@pytest.mark.parametrize("form", FORMATS)
def test_every_way_to_tax_and_every_kind_of_document(form: str, tmp_path: Path):
    """Per case an invoice that is credited by hand, one that its contract corrects, and one that is cancelled."""
    issuers = {scheme: an_issuer(scheme.upper() or "MAIN", scheme) for scheme in ("", "is_small_business", "uses_oss")}
    TaxRate.objects.create(country="AT", kind="reduced", percent=10, starts_on=date(2016, 1, 1))  # as staff enter it
    products = {
        category: make_price((None, "100.00", "0"), product=make_product(tax_category=category))
        for category in Product.TaxCategory.values
    }
    for number, (name, (scheme, customer, category, *_)) in enumerate(CASES.items()):
        common = {"document_format": form, "leitweg_id": "04011000-12345-03", "language": ("de", "en")[number % 2]}
        for what in ("HAND", "ENDS", "CANCEL"):
            tenant = make_tenant(reference=f"{name}-{what}", **common | customer)
            contract = make_contract(
                issuers[scheme], tenant, reference=f"V-{name}-{what}", price=products[category], quantity=D(3)
            )
            make_grant(subscription=contract, level="document", percent=D("7.5"))
    runs = [bill(issuer, FEBRUARY) for issuer in issuers.values()]
    assert [outcome.reason for run in runs for outcome in run.outcomes.all() if outcome.reason] == []
    assert judge_all() == judging.Judged(judged=3 * len(CASES), issued=3 * len(CASES))
    invoices = {invoice.recipient.reference: invoice for invoice in Invoice.objects.select_related("recipient")}
    for name, (*_, category, rate) in CASES.items():
        assert [(s.vat_case, s.vat_rate) for s in invoices[f"{name}-HAND"].vat_shares.all()] == [(category, rate)]
    for name in CASES:
        correction.credit(invoices[f"{name}-HAND"].pk, [Wanted(1, amount=D("33.33"))], on=MARCH, reason="Kulanz")
        correction.credit(invoices[f"{name}-HAND"].pk, [Wanted(1, percent=D(20))], on=MARCH, reason="Kulanz")
        correction.credit(invoices[f"{name}-HAND"].pk, [Wanted(1)], on=MARCH, reason="Ganz")  # takes the rounding rest
    correction.cancel([invoices[f"{name}-CANCEL"].pk for name in CASES], on=MARCH, reason="Irrtum")
    Subscription.objects.filter(reference__endswith="-ENDS").update(ends_before=date(2026, 2, 15))
    for issuer in issuers.values():
        bill(issuer, FEBRUARY, date(2026, 2, 15))
    billed_again = judge_all()
    assert (billed_again.held, billed_again.issued) == (0, 2 * len(CASES))  # and what was cancelled, billed anew
    documents = list(Invoice.objects.issued())
    kinds = sorted(document.kind for document in documents)
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "invoice": 4 * len(CASES),
        "credit_note": 4 * len(CASES),
        "cancellation": len(CASES),
    }
    assert complaints(documents, tmp_path / "xml") == {}
    assert [difference for one in replay.replay() for difference in one.differences] == []
    assert list(books.check(with_files=False)) == []
