"""E-invoices are judged before they are released; what breaks a rule is held, and says what to put right where."""

from __future__ import annotations

from decimal import Decimal as D
from io import BytesIO

import pytest
from django.db.models import F
from django.utils import translation
from lxml import etree
from pypdf import PdfReader

from invoicing import correction, issuing, judging, review
from invoicing.einvoice import judge, terms
from invoicing.einvoice.reading import facts_of
from invoicing.models import DocumentFile, Invoice, Outcome, Verdict
from invoicing.pdf import render_pending
from tenants import files
from tenants.models import Contact, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.judges import fatal_findings, needs_judges, pdfa_complaints
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files_root(tmp_path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    return settings.FILES_ROOT


@pytest.fixture
def issuer():
    return make_issuer(reference="MAIN", phone="+49 7525 12345", contact="Buchhaltung", document_format="zugferd")


def one_customer(issuer, **fields):
    tenant = make_tenant(**{"reference": "KUNDE"} | fields)
    make_contract(issuer, tenant, price=make_price((None, "100.00", "0")), quantity=D(3))
    return tenant


def judge_all():
    total = judging.Judged()
    while some := judging.judge_pending():
        total += some
    return total


def test_a_run_leaves_e_invoices_to_be_judged_and_they_are_issued_then(issuer):
    one_customer(issuer)
    one_customer(issuer, reference="PAPIER", document_format="pdf")
    run = bill(issuer, FEBRUARY)
    states = dict(run.invoices.values_list("recipient__reference", "state"))
    assert states == {"KUNDE": "draft", "PAPIER": "issued"}
    assert dict(run.outcomes.values_list("payer__reference", "state")) == {"KUNDE": "proposed", "PAPIER": "issued"}
    assert [draft.recipient.reference for draft in judging.waiting()] == ["KUNDE"]
    assert judge_all() == judging.Judged(judged=1, held=0, issued=1)
    document = run.invoices.get(recipient__reference="KUNDE")
    assert (document.state, document.number, document.format) == ("issued", "RE-2026-00002", "zugferd")
    assert Verdict.objects.get().content_hash == document.content_hash
    assert run.outcomes.get(payer__reference="KUNDE").state == Outcome.State.ISSUED
    assert not judging.waiting().exists()


def test_a_missing_leitweg_id_holds_the_document_and_says_so_in_the_issuer_s_language(issuer):
    tenant = one_customer(issuer, document_format="xrechnung_ubl")
    run = bill(issuer, FEBRUARY)
    assert judge_all() == judging.Judged(judged=1, held=1, issued=0)
    draft = run.invoices.get()
    assert draft.state == Invoice.State.HELD
    assert draft.reason == "Die Leitweg-ID (BT-10) fehlt beim Mandanten KUNDE. (Regel BR-DE-15)"
    with translation.override("en"):
        assert judging.sentences(draft, Verdict.objects.get()) == [
            ("Leitweg-ID (BT-10) is missing at account KUNDE. (rule BR-DE-15)", "account")
        ]
    with pytest.raises(review.NotPassed, match="BR-DE-15"):
        review.release(run.invoices.all())
    # put right: discarded, billed again by the same run, judged, issued
    Tenant.objects.filter(pk=tenant.pk).update(leitweg_id="04011000-12345-03")
    review.discard(run.invoices.all())
    bill(issuer, FEBRUARY)
    assert judge_all() == judging.Judged(judged=1, held=0, issued=1)


def test_what_failed_by_former_rules_is_judged_by_the_new_ones(issuer, monkeypatch):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY)
    broken = judge.Finding("BR-01", "/", "too strict")
    with monkeypatch.context() as former:
        former.setattr(judge, "VERSION", "former rules")
        former.setattr(judge, "findings_apart", lambda documents: [[broken] for _ in documents])
        assert judge_all() == judging.Judged(judged=1, held=1, issued=0)
    assert [draft.recipient.reference for draft in judging.waiting()] == ["KUNDE"]
    assert judge_all() == judging.Judged(judged=1)  # it stays held, until a person releases it
    assert sorted(Verdict.objects.values_list("rules", "passed")) == [(judge.VERSION, True), ("former rules", False)]
    review.release(run.invoices.all())
    assert issuing.issue_released(run) == 1


@pytest.mark.parametrize(
    ("own", "reached"),
    [("amt@example.com", "amt@example.com"), ("", "zweite@example.com")],
    ids=["its own address", "that of who receives its invoices"],
)
def test_the_electronic_address_of_an_account(issuer, own, reached):
    tenant = one_customer(issuer, document_format="xrechnung_cii", email=own, leitweg_id="04011000-12345-03")
    for name, is_billing in (("erste", False), ("zweite", True), ("dritte", True)):
        Contact.objects.create(tenant=tenant, name=name, email=f"{name}@example.com", is_billing=is_billing)
    bill(issuer, FEBRUARY)
    assert judge_all() == judging.Judged(judged=1, issued=1)
    [facts] = facts_of([Invoice.objects.get().pk])
    assert terms.electronic_address(facts.buyer) == ("EM", reached)


def test_drafts_wait_for_a_person_and_for_the_verdict(issuer):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY, issues=False)
    with pytest.raises(review.NotPassed):
        review.release(run.invoices.all())
    assert judge_all() == judging.Judged(judged=1)
    review.release(run.invoices.all())
    assert issuing.issue_released(run) == 1


def test_the_same_content_is_judged_once(issuer):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY, issues=False)
    judge_all()
    review.discard(run.invoices.all())
    run = bill(issuer, FEBRUARY, issues=False)
    assert judge_all() == judging.Judged()
    review.release(run.invoices.all())


def test_rules_that_cannot_be_run_let_nothing_pass(issuer, monkeypatch, tmp_path):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY)
    monkeypatch.setattr(judge, "SCHEMATRA", {})
    monkeypatch.setattr(judge.sys, "executable", "/bin/false")
    with pytest.raises(judge.NotJudged):
        judging.judge_pending()
    assert run.invoices.get().state == Invoice.State.DRAFT
    assert not Verdict.objects.exists()


def test_sums_are_judged_too(issuer):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY)
    run.invoices.get().vat_shares.update(base=F("base") + 1)
    assert judge_all().held == 1
    assert "BR-CO-18" in run.invoices.get().reason


def test_a_wrong_category_holds_the_document_and_names_category_and_rate(issuer):
    one_customer(issuer)
    run = bill(issuer, FEBRUARY)
    run.invoices.get().lines.update(vat_case=Invoice.VatCase.REVERSE_CHARGE)  # at 19 percent still
    assert judge_all() == judging.Judged(judged=1, held=1, issued=0)
    draft = run.invoices.get()
    assert draft.state == Invoice.State.HELD
    with translation.override("en"):
        told = [sentence for sentence, _link in judging.sentences(draft, Verdict.objects.get())]
    assert "VAT category (BT-151) and rate (BT-152) do not go together: check the VAT rule. (rule BR-AE-05)" in told
    with pytest.raises(review.NotPassed):
        review.release(run.invoices.all())


@needs_judges
@pytest.mark.parametrize("form", ["zugferd", "xrechnung_cii", "xrechnung_ubl"])
def test_the_files_of_a_document_are_those_the_judges_like(issuer, form, tmp_path):
    one_customer(issuer, document_format=form, leitweg_id="04011000-12345-03")
    bill(issuer, FEBRUARY)
    judge_all()
    document = Invoice.objects.get()
    [cancellation] = correction.cancel([document.pk], on=MARCH, reason="Irrtum")
    assert render_pending(10) == 2
    for key, number in ((document.pk, "RE-2026-00001"), (cancellation, "ST-2026-00001")):
        kept = {one.kind: one for one in DocumentFile.objects.filter(invoice=key).select_related("file", "verdict")}
        assert kept["xml"].verdict.passed
        xml, paper = files.read(kept["xml"].file), files.read(kept["pdf"].file)
        assert number.encode() in xml
        path = tmp_path / f"{number}.xml"
        path.write_bytes(xml)
        assert fatal_findings(path) == {path.name: []}
        if form == "zugferd":
            assert PdfReader(BytesIO(paper)).attachments["factur-x.xml"] == [xml]
            printed = tmp_path / f"{number}.pdf"
            printed.write_bytes(paper)
            assert pdfa_complaints(printed) == ""
            assert_printed(paper, xml)


def assert_printed(paper, xml):
    """Net, VAT and gross of the XML stand on the paper."""
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(paper)).pages)
    for name in ("TaxBasisTotalAmount", "TaxTotalAmount", "GrandTotalAmount"):
        amount = D(etree.fromstring(xml).findtext(f".//{{*}}{name}"))
        assert f"{amount:.2f}".replace(".", ",") in text


@needs_judges
@pytest.mark.parametrize(
    ("buyer", "case"),
    [
        ({"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True}, "AE"),
        ({"country": "AT"}, "S"),
        ({"country": "CH", "currency": "EUR"}, "O"),
        ({"country": "DE"}, "S"),
    ],
)
@pytest.mark.parametrize("form", ["zugferd", "xrechnung_ubl"])
def test_each_vat_case_of_the_book_is_judged(issuer, buyer, case, form, tmp_path):
    one_customer(issuer, document_format=form, leitweg_id="04011000-12345-03", **buyer)
    bill(issuer, FEBRUARY)
    assert judge_all() == judging.Judged(judged=1, held=0, issued=1)
    document = Invoice.objects.get()
    assert document.vat_case == case
    render_pending(1)
    path = tmp_path / "document.xml"
    path.write_bytes(files.read(DocumentFile.objects.get(invoice=document, kind="xml").file))
    assert fatal_findings(path) == {"document.xml": []}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda draft: draft.vat_shares.update(base=F("base") + 1),
        lambda draft: draft.lines.update(net=F("net") - 1),
        lambda draft: Invoice.objects.filter(pk=draft.pk).update(vat=F("vat") + 1, gross=F("gross") + 1),
        lambda draft: (
            draft.vat_shares.update(vat=F("vat") + 1),
            Invoice.objects.filter(pk=draft.pk).update(vat=F("vat") + 1, gross=F("gross") + 1),
        ),
    ],
    ids=["share", "line", "total", "rate"],
)
def test_issuing_adds_up_once_more(issuer, spoil):
    """Where no rules are run, too: of what is printed only."""
    one_customer(issuer, document_format="pdf")
    run = bill(issuer, FEBRUARY, issues=False)
    review.release(run.invoices.all())
    spoil(run.invoices.get())
    with pytest.raises(issuing.DoesNotAddUp, match="KUNDE"):
        issuing.issue_released(run)
    assert run.invoices.get().number is None
