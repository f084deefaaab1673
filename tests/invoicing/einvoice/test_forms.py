"""Every kind of document, VAT case and syntax, judged by the published rules and by an independent judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal as D
from fractions import Fraction
from itertools import product

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from billing.kernel.money import rounded
from invoicing.einvoice import advice, terms
from invoicing.einvoice.advice import own_findings
from invoicing.einvoice.facts import AllowanceFacts, Collection, DocumentFacts, Kind, OriginalFacts
from invoicing.einvoice.judge import findings
from invoicing.einvoice.writing import written
from invoicing.kernel.totals import totals
from invoicing.kernel.vat import Case
from tests import facts
from tests.judges import fatal_findings, needs_judges

FORMATS = ("zugferd", "xrechnung_cii", "xrechnung_ubl")
NOTICES = {"E": "Steuerfrei nach § 4 Nr. 21 UStG", "K": "", "G": "", "Z": "", "AE": "", "O": ""}
CASES = [("S", "19"), ("S", "7"), *((category, "0") for category in NOTICES)]


def electronic(document: DocumentFacts, form: str) -> DocumentFacts:
    """With all that an e-invoice of this format asks for."""
    return replace(
        document,
        format=form,
        seller=replace(document.seller, reference="MAIN"),
        buyer=replace(document.buyer, leitweg_id="04011000-12345-03", email="rechnung@example.com"),
    )


def reckoned(document: DocumentFacts) -> DocumentFacts:
    """With the VAT shares and totals that its lines and allowances come to."""
    parts = [
        *((Case(line.vat_category), line.vat_rate, line.net) for line in document.lines),
        *((Case(one.vat_category), one.vat_rate, -one.amount) for one in document.allowances),
    ]
    total = totals(parts, document.places)
    shares = tuple(
        facts.VatShareFacts(one.case.value, one.rate, one.base, one.vat, NOTICES.get(one.case.value, ""))
        for one in total.shares
    )
    return replace(document, vat=shares, net=total.net, vat_total=total.vat, gross=total.gross)


def of_case(document: DocumentFacts, category: str, rate: str) -> DocumentFacts:
    sections = tuple(
        replace(
            section,
            lines=tuple(replace(line, vat_category=category, vat_rate=D(rate)) for line in section.lines),
        )
        for section in document.sections
    )
    return reckoned(replace(document, sections=sections))


KINDS = {
    "invoice": facts.make_document,
    "varied": lambda **f: facts.make_document(facts.make_section(*facts.varied_lines()), **f),
    "consolidated": lambda **f: facts.consolidated(3, 4, **f),
    "credit note": facts.credit_note,
    "cancellation": facts.cancellation,
}


def sample() -> DocumentFacts:
    """The invoice of requirements B2: a line of 850 / 3, one at 0.952, and points given back."""
    lines = (
        facts.make_line(
            text="Workshop Cloud Compliance", quantity=D(1), explanation=facts.at("7500"), net=D("7500.00")
        ),
        facts.make_line(
            text="User licence GRC Cockpit, January",
            quantity=D(3),
            explanation=facts.at(Fraction(850, 3)),
            net=D("850.00"),
        ),
        facts.make_line(text="Survey transactions", quantity=D(25), explanation=facts.at("0.952"), net=D("23.80")),
        facts.make_line(text="Loyalty points redeemed", quantity=D(-2), explanation=facts.at("5"), net=D("-10.00")),
        facts.make_line(text="Survey transactions", quantity=D(5), explanation=facts.at("4.70"), net=D("23.50")),
    )
    numbered = tuple(replace(line, position=number) for number, line in enumerate(lines, 1))
    return reckoned(facts.make_document(facts.make_section(*numbered), number="S-12/2016-1234"))


def all_documents() -> dict[str, DocumentFacts]:
    made = {
        f"{kind}, {category} {rate}, {form}, {language}": electronic(
            of_case(KINDS[kind](language=language), category, rate), form
        )
        for (kind, (category, rate)), (form, language) in product(
            product(KINDS, CASES), [("zugferd", "de"), ("xrechnung_cii", "en"), ("xrechnung_ubl", "de")]
        )
    }
    special = {
        "sample": sample(),
        "of all cases": of_all_rates(),
        "allowances": with_allowances(),
        "allowance given back": given_back(),
        "mandate": facts.make_document(
            collection=Collection.DIRECT_DEBIT,
            creditor_id="DE98ZZZ09999999999",
            mandate_reference="M-1",
            debited_iban="DE74291417776317066907",
        ),
        "direct debit": facts.make_document(collection=Collection.DIRECT_DEBIT),
        "dollars by card": of_case(facts.third_country(), "O", "0"),
        "reverse charge": facts.reverse_charge(),
        "other payer": facts.make_document(payer=replace(facts.BUYER, reference="HOLDING")),
        "order and project": facts.make_document(po_number="PO-1", project_code="P 7"),
        "project, credited": facts.credit_note(project_code="P 7"),
        "cancelled credit note": replace(facts.make_document(), kind=Kind.CANCELLATION, original=ORIGINAL),
        "minimum without use": reckoned(
            facts.make_document(facts.make_section(facts.make_line(quantity=D(0), net=D("5.00"))))
        ),
        "price beyond ten decimals": reckoned(
            facts.make_document(
                facts.make_section(
                    facts.make_line(quantity=D("7777777777777"), net=D("3.33"), explanation=facts.at("0.01", "1"))
                )
            )
        ),
    }
    return made | {f"{name}, {form}": electronic(one, form) for name, one in special.items() for form in FORMATS}


ORIGINAL = OriginalFacts("RK-2026-00001", date(2026, 1, 5))


def of_all_rates() -> DocumentFacts:
    lines = [("S", "19"), ("S", "7"), ("E", "0"), ("AE", "0"), ("Z", "0")]
    made = (
        facts.make_line(position=n, vat_category=category, vat_rate=D(rate))
        for n, (category, rate) in enumerate(lines, 1)
    )
    return reckoned(facts.make_document(facts.make_section(*made)))


def with_allowances() -> DocumentFacts:
    """Ten percent off what is taxed at 19 %, and a fixed amount off what is taxed at 7 %."""
    lines = (facts.make_line(), facts.make_line(position=2, vat_rate=D(7)))
    allowances = (
        AllowanceFacts("Treuerabatt", D("56.76"), "S", D(19), percent=D(10), base=D("567.60")),
        AllowanceFacts("Willkommensrabatt", D("7.60"), "S", D(7)),
    )
    return reckoned(facts.make_document(facts.make_section(*lines), allowances=allowances))


def given_back() -> DocumentFacts:
    """A credit note of which the share of a discount is taken back, and an invoice with such a share among others."""
    allowances = (AllowanceFacts("Treuerabatt", D("-41.67"), "S", D(19), percent=D(10), base=D("-416.67")),)
    return reckoned(facts.credit_note(allowances=allowances))


DOCUMENTS = all_documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_keeps_the_rules(name):
    document = DOCUMENTS[name]
    assert own_findings(document) == []
    assert findings(written(document)) == []


@needs_judges
def test_the_independent_judge_finds_nothing_either(tmp_path):
    files = []
    for number, (name, document) in enumerate(DOCUMENTS.items()):
        files.append(tmp_path / f"{number} {name.replace(' ', '_').replace(',', '')}.xml")
        files[-1].write_bytes(written(document))
    found = fatal_findings(*files)
    assert len(found) == len(DOCUMENTS)
    assert {name: rules for name, rules in found.items() if rules} == {}


def values(xml: bytes, *names: str) -> list[list[str]]:
    tree = etree.fromstring(xml)
    return [[e.text for e in tree.iter(f"{{*}}{name}")] for name in names]


def test_the_sample_says_what_the_requirements_say():
    xml = written(electronic(sample(), "xrechnung_ubl"))
    assert values(xml, "InvoicedQuantity", "PriceAmount", "LineExtensionAmount") == [
        ["1", "3", "25", "-2", "5"],
        ["7500", "283.333", "0.952", "5", "4.7"],
        ["8387.30", "7500.00", "850.00", "23.80", "-10.00", "23.50"],
    ]
    assert values(xml, "TaxExclusiveAmount", "TaxInclusiveAmount", "PayableAmount", "TaxAmount") == [
        ["8387.30"],
        ["9980.89"],
        ["9980.89"],
        ["1593.59", "1593.59"],
    ]


def test_a_credit_note_is_positive_and_names_what_it_corrects():
    xml = written(electronic(facts.credit_note(), "xrechnung_ubl"))
    assert etree.fromstring(xml).tag.endswith("CreditNote")
    assert values(xml, "CreditNoteTypeCode", "CreditedQuantity", "PriceAmount", "PayableAmount") == [
        ["381"],
        ["1"],
        ["416.67"],
        ["495.84"],
    ]
    assert b"<cbc:ID>R2026-000007</cbc:ID>\n      <cbc:IssueDate>2026-09-01</cbc:IssueDate>" in xml


def test_a_cancellation_negates_what_it_takes_back():
    xml = written(electronic(facts.cancellation(), "xrechnung_cii"))
    assert values(xml, "BilledQuantity", "ChargeAmount", "DuePayableAmount") == [
        ["-44"],
        ["12.9"],
        ["-675.44"],
    ]
    assert values(xml, "TypeCode")[0][0] == "384"
    assert b"<ram:IssuerAssignedID>R2026-000001</ram:IssuerAssignedID>" in xml


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", KINDS)
def test_no_element_is_empty(form, name):
    tree = etree.fromstring(written(electronic(KINDS[name](), form)))
    empty = [e.tag for e in tree.iter() if not len(e) and not (e.text or "").strip()]
    assert [tag for tag in empty if not tag.endswith("ApplicableHeaderTradeDelivery")] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"buyer": replace(facts.BUYER, email="a@example.com")},
            "Leitweg-ID (BT-10) is missing at account T0100001. (rule BR-DE-15)",
        ),
        (
            {"seller": replace(facts.SELLER, reference="MAIN", phone="")},
            "Phone (BT-42) is missing at issuer MAIN. (rule BR-DE-6)",
        ),
        (
            {"seller": replace(facts.SELLER, reference="MAIN", contact="")},
            "Contact (BT-41) is missing at issuer MAIN. (rule BR-DE-5)",
        ),
        ({"seller": replace(facts.SELLER, reference="MAIN", iban="")}, "IBAN (BT-84) is missing at issuer MAIN."),
        (
            {"seller": replace(facts.SELLER, vat_id="", tax_number="")},
            "VAT id (BT-31) or tax number (BT-32) is missing at issuer MAIN. (rule BR-S-02)",
        ),
    ],
)
@pytest.mark.parametrize("form", FORMATS[1:])
def test_what_is_missing_is_named(form, change, told):
    document = replace(electronic(facts.make_document(), form), **change)
    with translation.override("en"):
        named = [advice.told(one, account="T0100001", issuer="MAIN") for one in findings(written(document))]
    assert any(sentence.startswith(told) for sentence in named)


def test_a_wrong_category_is_named():
    line = facts.make_line(vat_category="AE", vat_rate=D(19))
    document = electronic(facts.make_document(facts.make_section(line)), "zugferd")
    assert {"BR-AE-05", "BR-S-08"} & {finding.rule for finding in findings(written(document))}


def test_sums_that_do_not_add_up_are_named():
    document = facts.make_document()
    wrong = {
        "BR-CO-13": replace(document, net=document.net + 1, gross=document.gross + 1),
        "BR-CO-14": replace(document, vat_total=D("100.00"), gross=document.net + 100),
        "BR-CO-15": replace(document, gross=document.gross + 1),
        "BR-CO-17": replace(document, vat=(replace(document.vat[0], vat=D("107.85")),), vat_total=D("107.85")),
        "BR-CO-18": replace(document, vat=(replace(document.vat[0], rate=D(7)),)),
    }
    for rule, one in wrong.items():
        assert rule in terms.broken_sums(one)


# Any document


@st.composite
def documents(draw) -> DocumentFacts:
    """1 to 300 lines at several rates, some of them given back, with allowances; an invoice, credit note or
    cancellation."""
    kind = draw(st.sampled_from(list(Kind)))
    rates = draw(st.lists(st.sampled_from([("S", "19"), ("S", "7"), ("E", "0"), ("Z", "0")]), min_size=1, unique=True))
    count = draw(st.integers(1, 300))
    random = draw(st.randoms(use_true_random=False))
    lines = []
    for position in range(1, count + 1):
        category, rate = random.choice(rates)
        quantity = D(random.randint(1, 10**6)).scaleb(-random.randint(0, 4))
        net = rounded(Fraction(random.randint(0, 10**7), 10**3) * Fraction(quantity).limit_denominator(100), 2)
        sign = -1 if random.random() < 0.2 else 1
        price = D(random.randint(0, 10**6)).scaleb(-random.randint(0, 6))
        if random.random() < 0.5:
            net = rounded(Fraction(price) * Fraction(quantity), 2)
        lines.append(
            facts.make_line(
                position=position,
                quantity=quantity,
                net=sign * net,
                explanation=facts.at(str(price)),
                vat_category=category,
                vat_rate=D(rate),
            )
        )
    allowances = tuple(
        AllowanceFacts("Rabatt", D(random.randint(-500, 5000)).scaleb(-2), category, D(rate))
        for category, rate in rates
        if random.random() < 0.5
    )
    used = {(line.vat_category, line.vat_rate) for line in lines}
    allowances = tuple(one for one in allowances if one.amount and (one.vat_category, one.vat_rate) in used)
    document = reckoned(facts.make_document(facts.make_section(*lines), kind=kind, allowances=allowances))
    sign = -1 if (kind is Kind.INVOICE) == (document.gross < 0) else 1
    if sign < 0 and kind is not Kind.CANCELLATION:
        lines = [replace(line, net=-line.net) for line in lines]
        allowances = tuple(replace(one, amount=-one.amount) for one in allowances)
        document = reckoned(facts.make_document(facts.make_section(*lines), kind=kind, allowances=allowances))
    return replace(document, original=None if kind is Kind.INVOICE else ORIGINAL)


@given(documents())
@settings(deadline=None, max_examples=60)
def test_any_document_keeps_its_sums_and_multiplies_out(document):
    assert terms.broken_sums(document) == []
    for line in document.lines:
        item = terms.item_of(line, terms.sign_of(document), document.places)
        assert item.price >= 0
        product = Fraction(item.quantity) * Fraction(item.price) / Fraction(item.base or 1)
        assert rounded(product, document.places) == terms.sign_of(document) * line.net


@given(documents(), st.sampled_from(FORMATS))
@settings(deadline=None, max_examples=12)
def test_any_document_keeps_the_rules(document, form):
    assert findings(written(electronic(document, form))) == []


@needs_judges
def test_the_independent_judge_finds_nothing_in_any_of_them(tmp_path):
    """The same random documents, dozens in one call."""
    files = []

    @given(documents(), st.sampled_from(FORMATS))
    @settings(deadline=None, max_examples=36, derandomize=True, database=None)
    def draw(document, form):
        files.append(tmp_path / f"{len(files)}.xml")
        files[-1].write_bytes(written(electronic(document, form)))

    draw()
    found = fatal_findings(*files)
    assert len(found) == len(files) >= 36
    assert {name: rules for name, rules in found.items() if rules} == {}
