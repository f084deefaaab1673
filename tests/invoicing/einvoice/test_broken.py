"""What is broken on an e-invoice -> which field of which record is named, in German and in English."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest
from django.utils import translation

from invoicing.einvoice import advice
from invoicing.einvoice.facts import AllowanceFacts, Collection, DocumentFacts, PartyFacts, VatShareFacts
from invoicing.einvoice.judge import findings
from invoicing.einvoice.writing import written
from tests import facts

BUYER = replace(facts.BUYER, leitweg_id="04011000-12345-03", email="rechnung@example.com")
SELLER = replace(facts.SELLER, reference="MAIN")


def sound(form: str, **changes) -> DocumentFacts:
    return facts.make_document(**{"format": form, "buyer": BUYER, "seller": SELLER} | changes)


def seller(**changes) -> dict[str, PartyFacts]:
    return {"seller": replace(SELLER, **changes)}


def buyer(**changes) -> dict[str, PartyFacts]:
    return {"buyer": replace(BUYER, **changes)}


def untaxed(category: str, **changes) -> dict[str, object]:
    """A document of another category, with a reason, from and to another country."""
    line = facts.make_line(vat_category=category, vat_rate=D(0))
    share = VatShareFacts(category, D(0), line.net, D("0.00"), "Grund")
    return {
        "sections": (facts.make_section(line),),
        "vat": (share,),
        "vat_total": D("0.00"),
        "gross": line.net,
        "buyer": replace(BUYER, country="AT", vat_id="ATU13585627"),
        **changes,
    }


def taxed(category: str, rate: str, **share) -> dict[str, object]:
    """Lines of one category and rate, and what the VAT shares say of them."""
    line = facts.make_line(vat_category=category, vat_rate=D(rate))
    made = replace(facts.make_document(facts.make_section(line)).vat[0], category=category, rate=D(rate), **share)
    return {
        "sections": (facts.make_section(line),),
        "vat": (made,),
        "vat_total": made.vat,
        "gross": line.net + made.vat,
    }


XRECHNUNG = ("xrechnung_cii", "xrechnung_ubl")
ALL = ("zugferd", *XRECHNUNG)
# What is broken -> the formats that ask for it, the record it is put right on, the words in German and in English.
BROKEN = {
    "no Leitweg-ID": (
        buyer(leitweg_id=""),
        XRECHNUNG,
        "account",
        "Die Leitweg-ID (BT-10) fehlt beim Mandanten T0100001. (Regel BR-DE-15)",
        "Leitweg-ID (BT-10) is missing at account T0100001. (rule BR-DE-15)",
    ),
    "no electronic address of the buyer": (
        buyer(leitweg_id="", email="", vat_id="", country="AT"),
        XRECHNUNG,
        "account",
        "(elektronische Adresse, BT-49)",
        "E-mail for invoices (electronic address, BT-49) is missing at account T0100001. (rule PEPPOL-EN16931-R010)",
    ),
    "no electronic address of the seller": (
        seller(email="", vat_id="", tax_number="77/123/45678"),
        XRECHNUNG,
        "issuer",
        "(elektronische Adresse, BT-34)",
        "E-mail (electronic address, BT-34) is missing at issuer MAIN. (rule PEPPOL-EN16931-R020)",
    ),
    "no tax id of the seller": (
        seller(vat_id="", tax_number=""),
        ALL,
        "issuer",
        "(BT-32)",
        "VAT id (BT-31) or tax number (BT-32) is missing at issuer MAIN. (rule BR-S-02)",
    ),
    "no contact": (
        seller(contact=""),
        XRECHNUNG,
        "issuer",
        "(BT-41)",
        "Contact (BT-41) is missing at issuer MAIN. (rule BR-DE-5)",
    ),
    "no phone": (
        seller(phone=""),
        XRECHNUNG,
        "issuer",
        "(BT-42)",
        "Phone (BT-42) is missing at issuer MAIN. (rule BR-DE-6)",
    ),
    "no city of the seller": (
        seller(city=""),
        XRECHNUNG,
        "issuer",
        "(BT-37)",
        "City (BT-37) is missing at issuer MAIN. (rule BR-DE-3)",
    ),
    "no postcode of the buyer": (
        buyer(postcode=""),
        XRECHNUNG,
        "account",
        "(BT-53)",
        "Postcode (BT-53) is missing at account T0100001. (rule BR-DE-9)",
    ),
    "no IBAN": (seller(iban="", bic=""), ALL, "issuer", "(BT-84)", "IBAN (BT-84) is missing at issuer MAIN."),
    "no creditor identifier": (
        {"collection": Collection.DIRECT_DEBIT, "mandate_reference": "M-1", "debited_iban": facts.SELLER.iban},
        XRECHNUNG,
        "issuer",
        "(BT-90)",
        "Creditor identifier (BT-90) is missing at issuer MAIN. (rule BR-DE-30)",
    ),
    "no VAT id of a buyer who owes the VAT": (
        untaxed("AE", buyer=replace(BUYER, country="AT", vat_id="")),
        ALL,
        "account",
        "(BT-48)",
        "VAT id (BT-48) is missing at account T0100001, or BT-31 at the issuer. (rule BR-AE-02)",
    ),
    "no VAT id of a buyer in another member state": (
        untaxed("K", buyer=replace(BUYER, country="AT", vat_id="")),
        ALL,
        "account",
        "(BT-48)",
        "VAT id (BT-48) is missing at account T0100001, or BT-31 at the issuer. (rule BR-IC-02)",
    ),
    "no reason for an exemption": (
        untaxed("E", vat=(VatShareFacts("E", D(0), D("567.60"), D("0.00")),)),
        ALL,
        "document",
        "(BT-120)",
        "The VAT rule gives no reason for not charging VAT (BT-120). (rule BR-E-10)",
    ),
    "a VAT id without its country": (
        buyer(vat_id="489068288"),
        ALL,
        "account",
        "T0100001",
        "VAT id of account T0100001 or issuer MAIN does not start with a country code. (rule BR-CO-09)",
    ),
    "a country that is none": (
        buyer(country="XX"),
        ALL,
        "account",
        "T0100001",
        "The country of account T0100001 or issuer MAIN is no ISO code. (rule BR-CL-14)",
    ),
    "a wrong category": (
        taxed("AE", "19"),
        ALL,
        "document",
        "(BT-151)",
        "VAT category (BT-151) and rate (BT-152) do not go together: check the VAT rule. (rule BR-AE-05)",
    ),
    "a standard rate of nothing": (
        taxed("S", "0", vat=D("0.00")),
        ALL,
        "document",
        "(BT-152)",
        "VAT category (BT-151) and rate (BT-152) do not go together: check the VAT rule. (rule BR-S-05)",
    ),
    "a unit that is none": (
        {"sections": (facts.make_section(facts.make_line(unit="ZZX")),)},
        ("zugferd",),
        "document",
        "(BT-130)",
        "The unit of a product (BT-130) is no code of UN/ECE Recommendation 20. (rule BR-CL-23)",
    ),
    "sums": (
        {"gross": D("675.45")},
        ALL,
        "document",
        "BR-CO-15",
        "The sums of the document do not add up: compute the draft again. (rule BR-CO-15)",
    ),
    "an allowance left out of the sums": (
        {"allowances": (AllowanceFacts("Rabatt", D("1.00"), "S", D(19)),)},
        ALL,
        "document",
        "BR-CO-13",
        "The sums of the document do not add up: compute the draft again. (rule BR-CO-13)",
    ),
}


def told(document: DocumentFacts, language: str) -> dict[str, str]:
    """What is said of the document, and on which record it is put right."""
    names = {"account": document.buyer.reference, "issuer": document.seller.reference}
    found = [*advice.own_findings(document), *findings(written(document))]
    with translation.override(language):
        return {advice.told(one, **names): advice.advice_on(one).subject.value for one in found}


@pytest.mark.parametrize("form", ALL)
def test_the_document_they_are_made_from_is_sound(form: str):
    assert told(sound(form), "en") == {}


@pytest.mark.parametrize(
    ("what", "form"), [(what, form) for what, (_, formats, *_rest) in BROKEN.items() for form in formats]
)
def test_what_is_broken_is_named(what: str, form: str):
    changes, _formats, record, german, english = BROKEN[what]
    document = sound(form, **changes)
    in_english, in_german = told(document, "en"), told(document, "de")
    named = {text: of for text, of in in_english.items() if text.startswith(english)}
    assert set(named.values()) == {record}, in_english
    assert any(german in text for text in in_german), in_german
    assert all("rule " not in text for text in in_german)
