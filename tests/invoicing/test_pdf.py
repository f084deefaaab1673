"""Documents as PDF: read back with another program than the one that wrote them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from django.utils import translation
from pypdf import PdfReader

from invoicing import drafting
from invoicing.einvoice.facts import Collection, Kind, VatShareFacts
from invoicing.pdf import UnprintableText, cover_note, paper, render, title_of, unprintable
from invoicing.pdf.contracts import term
from invoicing.pdf.wording import Wording
from tests import facts

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
HOSTILE = "<img src=\"http://example.com/x.png\"> {{ seller.iban }} {% now 'Y' %} &amp; <b>Süd</b>"


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text().replace("\N{NO-BREAK SPACE}", " ") for page in PdfReader(BytesIO(pdf)).pages]


def words_of(pdf: bytes) -> str:
    """All text, whatever the line breaks."""
    return " ".join(" ".join(pages_of(pdf)).split())


def fonts_of(pdf: bytes):
    for page in PdfReader(BytesIO(pdf)).pages:
        for font in page["/Resources"]["/Font"].values():
            yield font.get_object()


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("invoice_de", facts.make_document(facts.make_section(*facts.varied_lines()), po_number="4500012345")),
        ("invoice_en", facts.make_document(language="en", buyer=replace(facts.BUYER, country="AT"))),
        ("consolidated_de", facts.consolidated(3, 2, collection=Collection.DIRECT_DEBIT)),
        ("credit_note_de", facts.credit_note()),
        ("credit_note_en", facts.credit_note(language="en")),
        ("cancellation_de", facts.cancellation()),
        ("cancellation_en", facts.cancellation(language="en")),
        ("reverse_charge_en", facts.reverse_charge()),
        ("third_country_en", facts.third_country()),
        ("usage_de", facts.make_document(facts.make_section(*facts.used_lines()))),
        ("usage_en", facts.make_document(facts.make_section(*facts.used_lines()), language="en")),
    ],
)
def test_what_a_document_says(name, document):
    """Renew with ``RENEW_GOLDEN=1 make test`` and read the difference."""
    path = GOLDEN / f"{name}.txt"
    said = "\n\n".join(pages_of(render(document))) + "\n"
    if "RENEW_GOLDEN" in os.environ:
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_a_word_too_wide_for_its_line_is_broken_where_a_reader_would():
    assert paper.plain("rechnung@zeitwerk.example", 88, size=6.2) == "rechnung@\nzeitwerk.example"
    assert paper.plain("Bestellung-4500012345-Nachtrag", 88, size=6.2) == "Bestellung-4500012345-\nNachtrag"
    assert "".join(paper.plain("A" * 40, 88, size=6.2).split("\n")) == "A" * 40


@pytest.mark.parametrize(
    ("language", "months", "said"),
    [("en", 1, "1 month"), ("en", 12, "12 months"), ("de", 1, "1 Monat"), ("de", 24, "24 Monate")],
)
def test_a_term_of_one_month_is_no_term_of_months(language, months, said):
    with translation.override(language):
        assert term(months, None, Wording(language, "EUR", 2)) == said


def test_an_invoice_has_every_particular():
    """§ 14 (4) UStG, and what users were promised (A-14, A-20, B-25)."""
    said = words_of(render(facts.make_document(po_number="4500012345", project_code="P-77")))
    for particular in [
        "Rechnung R2026-000001",
        "Beispiel Telefonie GmbH Hauptstraße 1 88326 Aulendorf Deutschland",
        "USt-IdNr. DE812415868",
        "Steuernummer 77/123/45678",
        "Café Zentral GmbH Rue de l'Étoile 110 80331 München",
        "Datum 01.02.2026",
        "Fällig am 15.02.2026",
        "Leistungszeitraum 01.02.2026 – 28.02.2026",
        "Ihre USt-IdNr. DE489068288",
        "Ihre Bestellung 4500012345",
        "Ihr Projekt P-77",
        "1 Telefonie-Connector, Arbeitsplatz 01.02.2026 – 28.02.2026 · Vertrag V01-00001 44 12,90 567,60",
        "Summe netto 567,60 EUR",
        "USt 19 % auf 567,60 EUR 107,84 EUR",
        "Rechnungsbetrag 675,44 EUR",
        "Bitte überweisen Sie 675,44 EUR bis zum 15.02.2026 (14 Tage netto) ohne Abzug.",
        "IBAN DE74 2914 1777 6317 0669 07, BIC SOLADES1XXX",
        "Verwendungszweck: R2026-000001",
        "V01-00001 Telefonie-Connector, Arbeitsplatz 01.01.2026 12 Monate 01.01.2027 02.10.2026 44",
        "Seite 1 von 1",
    ]:
        assert particular in said


def test_amounts_are_the_same_in_both_languages():
    de, en = (words_of(render(facts.make_document(language=language))) for language in ("de", "en"))
    assert "675,44 EUR" in de and "675.44 EUR" in en
    assert "01.02.2026" in de and "1 Feb 2026" in en


@pytest.mark.parametrize(
    ("kind", "language", "title"),
    [
        (Kind.INVOICE, "de", "Rechnung"),
        (Kind.INVOICE, "en", "Invoice"),
        (Kind.CREDIT_NOTE, "de", "Rechnungskorrektur"),
        (Kind.CREDIT_NOTE, "en", "Credit note"),
        (Kind.CANCELLATION, "de", "Stornorechnung"),
        (Kind.CANCELLATION, "en", "Cancellation invoice"),
    ],
)
def test_no_title_is_the_word_for_self_billing(kind, language, title):
    with translation.override(language):
        assert title_of(kind) == title


def test_a_correction_names_the_document_it_corrects():
    assert "korrigiert die Rechnung R2026-000007 vom 01.09.2026" in words_of(render(facts.credit_note()))
    assert "hebt die Rechnung R2026-000001 vom 01.02.2026 vollständig auf" in words_of(render(facts.cancellation()))


def test_corrections_of_several_documents_are_named_line_by_line():
    said = words_of(render(facts.credit_note(original=None)))
    assert "Korrigiert Rechnung R2026-000007 vom 01.09.2026" in said


@pytest.mark.parametrize("language", ["de", "en"])
def test_reverse_charge_shows_no_tax_and_both_vat_ids(language):
    said = words_of(render(facts.reverse_charge(language=language)))
    assert "Steuerschuldnerschaft des Leistungsempfängers / Reverse charge" in said
    assert "FR40303265045" in said and said.count("DE812415868") == 2
    assert "USt 0" not in said and "VAT 0" not in said


@pytest.mark.parametrize("language", ["de", "en"])
def test_what_is_not_taxable_shows_no_tax(language):
    said = words_of(render(facts.third_country(language=language)))
    assert "Nicht im Inland steuerbare Leistung / Not subject to German VAT" in said
    assert "USt 0" not in said and "VAT 0" not in said
    assert "Smith & Sons <Telephony> Inc." in said


def test_two_rates_are_shown_apart_and_on_each_line():
    lines = (facts.make_line(), facts.make_line(position=2, vat_rate=Decimal(7)))
    shares = (
        VatShareFacts("S", Decimal(19), Decimal("567.60"), Decimal("107.84")),
        VatShareFacts("S", Decimal(7), Decimal("567.60"), Decimal("39.73")),
    )
    document = facts.make_document(
        facts.make_section(*lines), vat=shares, vat_total=Decimal("147.57"), gross=Decimal("1282.77")
    )
    said = words_of(render(document))
    assert "44 12,90 19 % 567,60" in said and "44 12,90 7 % 567,60" in said
    assert "USt 19 % auf 567,60 EUR 107,84 EUR USt 7 % auf 567,60 EUR 39,73 EUR" in said


def test_a_consolidated_invoice_has_a_section_and_a_subtotal_per_account():
    pages = pages_of(render(facts.consolidated(50, 2)))
    said = " ".join(" ".join(pages).split())
    for section in (1, 25, 50):
        name = f"Euro€Haus {section} GmbH – Niederlassung „Süd“"
        assert f"{name} (T{section:07})" in said
        assert f"Summe {name} 38,70" in said
    assert "Summe netto 1.935,00 EUR" in said
    assert "Lizenzen insgesamt 2.200" in said
    for number, page in enumerate(pages, start=1):
        shown = " ".join(page.split())
        assert f"Seite {number} von {len(pages)}" in shown
        assert "Pos. Leistung Menge Einzelpreis Betrag EUR" in shown or "Vertrag Leistung Beginn" in shown


def test_a_document_of_300_lines_is_complete():
    pages = pages_of(render(facts.consolidated(75, 4)))
    assert f"Seite {len(pages)} von {len(pages)}" in pages[-1]
    said = " ".join(" ".join(pages).split())
    assert all(f" {n} Telefonie-Connector" in said for n in range(1, 301))


def test_equal_facts_give_equal_bytes():
    assert render(facts.consolidated(3, 2)) == render(facts.consolidated(3, 2))


def test_every_font_is_ours_and_embedded():
    for document in (facts.consolidated(20, 3), facts.third_country(), facts.make_document(number=None)):
        for font in fonts_of(render(document)):
            assert "DejaVuSans" in font["/BaseFont"]
            assert font["/BaseFont"][7] == "+"  # a subset
            assert "/FontFile2" in font["/FontDescriptor"]


def test_a_draft_is_marked_and_has_no_number():
    pages = pages_of(render(facts.make_document(number=None)))
    assert "ENTWURF" in pages[0]
    assert "Verwendungszweck" not in pages[0]
    assert "ENTWURF" not in pages_of(render(facts.make_document()))[0]


def test_texts_of_others_are_printed_and_never_read_as_markup():
    section = facts.make_section(facts.make_line(text=HOSTILE), name=HOSTILE, reference="T9")
    contract = facts.make_contract(reference=HOSTILE, text=HOSTILE, tenant_name=HOSTILE)
    document = facts.make_document(
        section,
        buyer=replace(facts.BUYER, name=HOSTILE, street=HOSTILE),
        payer=replace(facts.BUYER, name=HOSTILE),
        seller=replace(facts.SELLER, contact=HOSTILE),
        po_number=HOSTILE,
        contracts=(contract,),
    )
    pdf = render(document)
    squeezed = "".join(words_of(pdf).split())
    assert squeezed.count("".join(HOSTILE.split())) >= 8
    assert not list(PdfReader(BytesIO(pdf)).pages[0].images)


@pytest.mark.parametrize("length", [60, 120, 200])
@pytest.mark.parametrize("character", ["W", "i", "ß", "W "])
def test_the_longest_names_fit(character, length):
    """Nothing runs out of its frame: that would raise."""
    name = (character * length)[:length].strip()
    buyer = replace(facts.BUYER, name=name, street=name, city=name[:100], country="AT")
    section = facts.make_section(facts.make_line(text=name), name=name, reference="T" * 60)
    seller = replace(
        facts.SELLER, name=name, street=name[:100], city=name[:60], managing_directors=name, register_entry=name
    )
    document = facts.make_document(section, buyer=buyer, seller=seller, po_number=name[:60], project_code=name[:60])
    squeezed = "".join(words_of(render(document)).split())
    assert squeezed.count(name.replace(" ", "")) >= 3


@pytest.mark.parametrize("place", ["line", "name", "section"])
def test_a_character_without_a_glyph_is_refused_and_named(place):
    text = "Kanji 漢 GmbH"
    section = facts.make_section(facts.make_line(text=text if place == "line" else "Text"))
    if place == "section":
        section = replace(section, tenant_name=text, tenant_reference="T2")
    buyer = replace(facts.BUYER, name=text if place == "name" else "Name")
    with translation.override("de"), pytest.raises(UnprintableText, match=r"漢 \(U\+6F22\)"):
        render(facts.make_document(section, buyer=buyer))


def test_unprintable_characters_are_known_beforehand():
    assert unprintable("Łódź, Αθήνα, Москва: 5 € – „Müller“ & ½ ™") == ""
    assert unprintable("漢字 und 漢") == "漢字"
    usual = "".join(chr(code) for code in range(0x20, 0x3000) if not drafting.UNUSUAL.search(chr(code)))
    assert len(usual) > 300
    assert unprintable(usual) == ""


def test_a_composed_and_a_decomposed_letter_look_the_same():
    composed = render(facts.make_document(buyer=replace(facts.BUYER, name="Müller")))
    decomposed = render(facts.make_document(buyer=replace(facts.BUYER, name="Mu\u0308ller")))
    assert composed == decomposed


def test_what_the_renderer_would_only_warn_about_is_an_error():
    sheet = paper.Paper(page_label=lambda page, pages: f"{page} of {pages}")
    head = "<html><head><style>@page { @frame text { left: 2cm; top: 2cm; width: 10cm; height: 10cm } }"
    with pytest.raises(paper.LayoutError):
        paper.draw(f"{head}</style></head><body><img src='http://127.0.0.1:9/x.png'></body></html>", {}, sheet)
    with pytest.raises(paper.LayoutError):
        paper.draw(f"{head} p {{ font-family: Nowhere }}</style></head><body><p>x</p></body></html>", {}, sheet)


@pytest.mark.parametrize(
    ("facts_changed", "sentence"),
    [
        (
            {"collection": Collection.DIRECT_DEBIT, "creditor_id": "DE98ZZZ09999999999", "mandate_reference": "M-1"},
            "Wir ziehen 675,44 EUR am 15.02.2026 per SEPA-Lastschrift von Ihrem Konto ein."
            " Gläubiger-Identifikationsnummer DE98ZZZ09999999999, Mandat M-1.",
        ),
        (
            {"collection": Collection.CARD},
            "Wir belasten am 15.02.2026 Ihre bei uns hinterlegte Karte mit 675,44 EUR.",
        ),
    ],
)
def test_how_the_money_comes_in(facts_changed, sentence):
    said = words_of(render(facts.make_document(**facts_changed)))
    assert sentence in said
    assert "Verwendungszweck" not in said


def test_a_payer_who_is_not_the_recipient_is_named():
    payer = replace(facts.BUYER, name="Zahlstelle AG")
    assert "Zahler: Zahlstelle AG, Rue de l'Étoile 110, 80331 München" in words_of(
        render(facts.make_document(payer=payer))
    )


def test_a_contract_without_a_term_or_with_an_end():
    contracts = (
        facts.make_contract(term_months=None, next_renewal_on=None, notice_by=None),
        facts.make_contract(reference="V2", last_day=date(2026, 3, 31), next_renewal_on=None, notice_by=None),
    )
    said = words_of(render(facts.make_document(contracts=contracts)))
    assert "01.01.2026 unbefristet – – 44" in said
    assert "01.01.2026 bis 31.03.2026 – – 44" in said
    assert "Lizenzen insgesamt 88" in said


def test_the_cover_note_speaks_the_document_s_language_and_escapes_nothing():
    subject, body = cover_note(facts.make_document(seller=replace(facts.SELLER, name="Müller & Söhne\n GmbH")))
    assert subject == "Rechnung R2026-000001 von Müller & Söhne GmbH"
    assert "unsere Rechnung R2026-000001 vom 01.02.2026 über 675,44\N{NO-BREAK SPACE}EUR." in body
    assert "Müller & Söhne" in body
    subject, body = cover_note(facts.cancellation(language="en"))
    assert subject == "Cancellation invoice S2026-000001 from Beispiel Telefonie GmbH"
    assert "which cancels invoice R2026-000001 of 1 Feb 2026 in full." in body
