"""Every way to tax, in every format, kind, arrangement and language, before the independent judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal as D
from itertools import product
from pathlib import Path

import pytest

from invoicing.einvoice.advice import own_findings
from invoicing.einvoice.facts import (
    UNEXPLAINED,
    AllowanceFacts,
    BookFacts,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    VatShareFacts,
)
from invoicing.einvoice.writing import written
from invoicing.kernel.german_rules import GERMAN_RULES
from invoicing.kernel.taxation import TaxedIn
from invoicing.kernel.totals import totals
from invoicing.kernel.vat import Case
from tests import facts
from tests.judges import fatal_findings, needs_judges

FORMATS = ("zugferd", "xrechnung_cii", "xrechnung_ubl")
LANGUAGES = ("de", "en")
ORIGINAL = OriginalFacts("RE-2026-00001", date(2026, 1, 5))


@dataclass(frozen=True)
class Taxed:
    """How a line is taxed: what a rule gives, with its words in both languages."""

    case: str
    rate: str
    code: str = ""
    notice_de: str = ""
    notice_en: str = ""
    buyer: PartyFacts = facts.BUYER

    def notice(self, language: str) -> str:
        return self.notice_de if language == "de" else self.notice_en


BUYERS = {
    "eu": replace(facts.BUYER, country="AT", postcode="1010", city="Wien", vat_id="ATU13585627"),
    "third": replace(facts.BUYER, country="CH", postcode="8001", city="Zürich", vat_id=""),
    "consumer": replace(facts.BUYER, country="AT", postcode="1010", city="Wien", vat_id=""),
}


def of_the_rules() -> dict[str, tuple[Taxed, ...]]:
    """What the rules of an issuer in Germany come to, each once, by what they come to."""
    found: dict[str, tuple[Taxed, ...]] = {}
    for rule in GERMAN_RULES:
        at_home = {"standard": "19", "reduced": "7"} if rule.taxed_in == TaxedIn.ISSUER.value else {}
        abroad = {"standard": "20", "reduced": "10"} if rule.taxed_in == TaxedIn.CUSTOMER.value else {}
        rate = (at_home | abroad).get(rule.rate_kind, "0")
        buyer = {"AE": BUYERS["eu"], "K": BUYERS["eu"], "O": BUYERS["third"], "G": BUYERS["third"]}.get(
            rule.case.value, BUYERS["consumer"] if abroad else facts.BUYER
        )
        taxed = Taxed(rule.case.value, rate, rule.exemption_code, rule.notice_de, rule.notice_en, buyer)
        found[" ".join(filter(None, (taxed.case, rate, taxed.code, rule.scheme)))] = (taxed,)
    return found


TAXED = of_the_rules() | {
    "S 19 and 7": (Taxed("S", "19"), Taxed("S", "7")),
    "S and E": (Taxed("S", "19"), Taxed("E", "0", "VATEX-EU-132", "Steuerfrei nach § 4 UStG", "Exempt (§ 4 UStG)")),
    "Z": (Taxed("Z", "0", buyer=BUYERS["third"]),),
    "AE and K": (
        Taxed(
            "AE", "0", "VATEX-EU-AE", "Steuerschuldnerschaft des Leistungsempfängers", "Reverse charge", BUYERS["eu"]
        ),
        Taxed("K", "0", "VATEX-EU-IC", "Innergemeinschaftliche Lieferung", "Intra-community supply", BUYERS["eu"]),
    ),
}


def lines_of(kind: str) -> list[LineFacts]:
    """Two lines as such a document has them."""
    if kind == "invoice":
        return [facts.make_line(), facts.make_line(net=D("17.03"), quantity=D("3.5"), explanation=UNEXPLAINED)]
    if kind == "credit by contract":
        return [*facts.credit_note().lines] * 2
    if kind == "credit by hand":
        part = facts.make_line(quantity=D(1), net=D("-12.34"), explanation=UNEXPLAINED, corrects=ORIGINAL)
        return [part, replace(part, quantity=D(2), net=D("-25.80"), explanation=facts.at("12.90"))]
    line = facts.make_line(quantity=D(-44), net=D("-567.60"), corrects=ORIGINAL)
    return [line, replace(line, net=D("20.00"), quantity=D(1), explanation=UNEXPLAINED)]


KINDS = {
    "invoice": Kind.INVOICE,
    "credit by contract": Kind.CREDIT_NOTE,
    "credit by hand": Kind.CREDIT_NOTE,
    "cancellation": Kind.CANCELLATION,
}


def sections_of(lines: list[LineFacts], *, is_consolidated: bool) -> tuple[SectionFacts, ...]:
    if not is_consolidated:
        return (facts.make_section(*lines),)
    half = len(lines) // 2
    return tuple(
        facts.make_section(*part, name=f"Niederlassung „{n}“ GmbH & Co. KG", reference=f"T{n:07}")
        for n, part in enumerate((lines[:half], lines[half:]), 1)
    )


def made(taxed: tuple[Taxed, ...], form: str, kind: str, *, is_consolidated: bool, language: str) -> DocumentFacts:
    """The document, its VAT reckoned by the code of the bill run."""
    lines = [
        replace(line, position=position, vat_category=one.case, vat_rate=D(one.rate))
        for position, (line, one) in enumerate(((line, one) for one in taxed for line in lines_of(kind)), 1)
    ]
    sign = 1 if kind == "invoice" else -1
    allowances = tuple(AllowanceFacts("Treuerabatt", sign * D("5.00"), t.case, D(t.rate)) for t in taxed)
    total = totals(
        [
            *((Case(line.vat_category), line.vat_rate, line.net) for line in lines),
            *((Case(one.vat_category), one.vat_rate, -one.amount) for one in allowances),
        ],
        2,
    )
    of = {(one.case, D(one.rate)): one for one in taxed}
    shares = tuple(
        VatShareFacts(
            share.case.value,
            share.rate,
            share.base,
            share.vat,
            of[share.case.value, share.rate].notice(language),
            of[share.case.value, share.rate].code,
        )
        for share in total.shares
    )
    is_invoice = kind == "invoice"
    return facts.make_document(
        *sections_of(lines, is_consolidated=is_consolidated),
        kind=KINDS[kind],
        language=language,
        format=form,
        seller=replace(facts.SELLER, reference="MAIN"),
        buyer=replace(taxed[0].buyer, leitweg_id="04011000-12345-03", email="rechnung@example.com"),
        vat=shares,
        net=total.net,
        vat_total=total.vat,
        gross=total.gross,
        allowances=allowances,
        due_on=date(2026, 2, 15) if is_invoice else None,
        original=None if is_invoice else ORIGINAL,
        reason="" if is_invoice else "Irrtum",
    )


def in_dollars(document: DocumentFacts) -> DocumentFacts:
    """With the VAT in euros, too (BT-6, BT-111)."""
    vat = (document.vat_total / D("1.0823")).quantize(D("0.01"))
    books = BookFacts("EUR", 2, vat, D("1.0823"), date(2026, 1, 30), "EZB")
    return replace(document, currency="USD", in_books=books)


def matrix(form: str) -> Iterator[tuple[str, DocumentFacts]]:
    for name, kind, is_consolidated, language in product(TAXED, KINDS, (False, True), LANGUAGES):
        document = made(TAXED[name], form, kind, is_consolidated=is_consolidated, language=language)
        yield f"{name}, {kind}, {'many' if is_consolidated else 'one'}, {language}", document
        if name in ("S 19 and 7", "O 0 VATEX-EU-O"):
            yield f"{name}, {kind}, {'many' if is_consolidated else 'one'}, {language}, USD", in_dollars(document)


def test_the_rules_come_to_every_category_there_is():
    assert set(of_the_rules()) == {
        "S 19",
        "S 7",
        "E 0 VATEX-EU-132",
        "AE 0 VATEX-EU-AE",
        "K 0 VATEX-EU-IC",
        "O 0 VATEX-EU-O",
        "G 0 VATEX-EU-G",
        "S 20 oss",
        "S 10 oss",
        "E 0 small_business",
    }


@pytest.mark.parametrize("form", FORMATS)
def test_of_several_documents_that_are_corrected_each_line_names_its_own(form: str):
    document = made(TAXED["S 19"], form, "credit by contract", is_consolidated=True, language="de")
    note = "Niederlassung „1“ GmbH &amp; Co. KG (T0000001); Korrigiert Rechnung R2026-000007 vom 01.09.2026"
    assert note.encode() in written(replace(document, original=None))
    assert b"Korrigiert" not in written(replace(document, original=OriginalFacts("R2026-000007", date(2026, 9, 1))))
    several = written(made(TAXED["S 19"], form, "credit by contract", is_consolidated=False, language="en"))
    assert several.count(b"Corrects invoice R2026-000007 of 1 Sep 2026") == 2


@needs_judges
@pytest.mark.parametrize("form", FORMATS)
def test_no_document_breaks_a_rule(form: str, tmp_path: Path):
    files, names = [], {}
    for number, (name, document) in enumerate(matrix(form)):
        assert own_findings(document) == [], name
        files.append(tmp_path / f"{number}.xml")
        files[-1].write_bytes(written(document))
        names[files[-1].name] = name
    assert len(files) == (len(TAXED) + 2) * len(KINDS) * 2 * len(LANGUAGES)
    found = fatal_findings(*files)
    assert len(found) == len(files)
    assert {names[file]: rules for file, rules in found.items() if rules} == {}
