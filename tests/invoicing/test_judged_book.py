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
from invoicing.models import BookVat, DocumentFile, ExchangeRate, Invoice, TaxRate
from tenants import files
from tenants.models import Issuer
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
    correction.credit(invoices["19-HAND"].pk, [Wanted(1, percent=D(20))], on=MARCH, reason="Kulanz")
    correction.credit(invoices["19-HAND"].pk, [Wanted(1)], on=MARCH, reason="Ganz")  # takes the rest of the VAT
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
        "credit_note": 2 * len(CASES) + 2,
        "cancellation": len(CASES),
    }
    assert complaints(documents, tmp_path / "xml") == {}
    assert [difference for one in replay.replay() for difference in one.differences] == []
    assert list(books.check(with_files=False)) == []


@pytest.mark.parametrize("form", FORMATS)
def test_vat_in_the_issuer_s_currency(form: str, tmp_path: Path):
    ExchangeRate.objects.create(currency="USD", day=date(2026, 1, 30), rate=D("1.0823"), source="EZB")
    issuer = an_issuer("MAIN")
    common = {"document_format": form, "leitweg_id": "04011000-12345-03", "currency": "USD"}
    price = make_price((None, "100.00", "0"), currency="USD")
    for reference in ("HAND", "CANCEL"):
        make_contract(
            issuer,
            make_tenant(reference=reference, **common),
            price=price,
            currency="USD",
            reference=f"V-{reference}",
        )
    bill(issuer, FEBRUARY)
    assert judge_all() == judging.Judged(judged=2, issued=2)
    invoices = {invoice.recipient.reference: invoice for invoice in Invoice.objects.select_related("recipient")}
    credit = correction.credit(invoices["HAND"].pk, [Wanted(1, amount=D("50.00"))], on=FEBRUARY, reason="Kulanz")
    [cancellation] = correction.cancel([invoices["CANCEL"].pk], on=FEBRUARY, reason="Irrtum")
    assert list(BookVat.objects.order_by("invoice_id").values_list("vat", flat=True)) == [
        D("17.56"), D("17.56"), D("-8.78"), D("-17.56")
    ]  # fmt: skip
    documents = list(Invoice.objects.order_by("pk"))
    assert complaints(documents, tmp_path / "xml") == {}
    stated = {
        invoice.pk: [
            (e.text, e.get("currencyID"))
            for e in etree.fromstring(written(facts)).iter("{*}TaxTotalAmount", "{*}TaxAmount")
            if e.get("currencyID") == "EUR"
        ]
        for invoice, facts in zip(documents, facts_of([one.pk for one in documents]), strict=True)
    }
    assert stated == {
        invoices["HAND"].pk: [("17.56", "EUR")],
        invoices["CANCEL"].pk: [("17.56", "EUR")],
        credit: [("8.78", "EUR")],
        cancellation: [("-17.56", "EUR")],
    }


@pytest.mark.parametrize("form", FORMATS)
def test_discounts_of_documents_minimum_commitments_and_joint_invoices(form: str, tmp_path: Path):
    issuer = an_issuer("MAIN")
    group = make_tenant(reference="GROUP", document_format=form, leitweg_id="04011000-12345-03", language="en")
    branches = [
        make_tenant(reference=f"B{n}", kind="branch", parent=group, invoice_to=group, pay_by=group) for n in (1, 2)
    ]
    price = make_price((None, "200.00", "0"))
    for tenant in (group, *branches):
        contract = make_contract(issuer, tenant, reference=f"V-{tenant.reference}", price=price)
        committed = make_price(
            (None, "0", "333.33"),
            product=make_product(name_de="Mindestumsatz", name_en="Minimum commitment"),
            model="commitment",
            agreed_for=contract,
        )
        make_item(subscription=contract, price=committed, line=9)
        make_grant(subscription=contract, level="document", percent=D("3.33"))
        make_grant(subscription=contract, level="document", amount=D("7.77"))
    for day in (FEBRUARY, MARCH):
        bill(issuer, day)
    assert judge_all() == judging.Judged(judged=2, issued=2)
    february, march = Invoice.objects.order_by("pk")
    assert march.lines.filter(text="Minimum commitment", net=D("133.33")).count() == 3
    assert (march.sections.count(), march.allowances.count() > 0) == (3, True)
    correction.credit(march.pk, [Wanted(1), Wanted(3, percent=D(50))], on=MARCH, reason="Kulanz")
    correction.cancel([february.pk], on=MARCH, reason="Irrtum")
    assert complaints(list(Invoice.objects.all()), tmp_path / "xml") == {}
    assert list(books.check(with_files=False)) == []


@pytest.mark.parametrize("language", ["de", "en"])
def test_what_is_printed_is_what_the_xml_says(language: str, tmp_path: Path):
    """A ZUGFeRD document of each kind: the XML inside is the one that is kept, and its amounts stand on the paper."""
    issuer = an_issuer("MAIN")
    for reference in ("HAND", "ENDS", "CANCEL"):
        tenant = make_tenant(reference=reference, document_format="zugferd", language=language)
        contract = make_contract(
            issuer, tenant, reference=f"V-{reference}", price=make_price((None, "1234.56", "0")), quantity=D(3)
        )
        make_grant(subscription=contract, level="document", percent=D("7.5"))
    bill(issuer, FEBRUARY)
    judge_all()
    invoices = {invoice.recipient.reference: invoice.pk for invoice in Invoice.objects.select_related("recipient")}
    correction.credit(invoices["HAND"], [Wanted(1, amount=D("33.33"))], on=FEBRUARY, reason="Kulanz")
    correction.cancel([invoices["CANCEL"]], on=FEBRUARY, reason="Irrtum")
    Subscription.objects.filter(reference="V-ENDS").update(ends_before=date(2026, 2, 15))
    bill(issuer, FEBRUARY, date(2026, 2, 15))
    judge_all()
    documents = list(Invoice.objects.issued())
    assert sorted(document.number for document in documents) == [
        "RE-2026-00001", "RE-2026-00002", "RE-2026-00003", "RE-2026-00004",
        "RK-2026-00001", "RK-2026-00002", "ST-2026-00001",
    ]  # fmt: skip
    assert pdf.render_pending(len(documents)) == len(documents)
    papers = []
    for document in documents:
        kept = {one.kind: files.read(one.file) for one in DocumentFile.objects.filter(invoice=document)}
        assert PdfReader(BytesIO(kept["pdf"])).attachments["factur-x.xml"] == [kept["xml"]]
        papers.append(tmp_path / f"{document.number}.pdf")
        papers[-1].write_bytes(kept["pdf"])
        on_paper = printed(kept["pdf"], language)
        assert {name: amounts - on_paper for name, amounts in stated(kept["xml"]).items() if amounts - on_paper} == {}
    assert pdfa_complaints(*papers) == ""


def printed(paper: bytes, language: str) -> set[D]:
    """All amounts with two decimals that stand on the paper, without their signs: a credit note states it otherwise."""
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(paper)).pages)
    groups, point = (".", ",") if language == "de" else (",", ".")
    found = re.findall(rf"\d[\d{re.escape(groups)}]*{re.escape(point)}\d\d(?!\d)", text)
    return {D(amount.replace(groups, "").replace(point, ".")) for amount in found}


def stated(xml: bytes) -> dict[str, set[D]]:
    """By element, the amounts of lines, discounts, VAT and totals; ``LineTotalAmount`` is also the sum of lines."""
    tree = etree.fromstring(xml)
    names = ("ActualAmount", "TaxBasisTotalAmount", "TaxTotalAmount", "GrandTotalAmount", "DuePayableAmount")
    lines = tree.iterfind(".//{*}SpecifiedTradeSettlementLineMonetarySummation/{*}LineTotalAmount")
    found = {name: {abs(D(e.text or "")) for e in tree.iter(f"{{*}}{name}")} for name in names}
    return found | {"LineTotalAmount": {abs(D(line.text or "")) for line in lines}}
