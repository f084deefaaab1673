"""Reminders as letters."""

from decimal import Decimal
from io import BytesIO

import pytest
from django.utils import translation
from pypdf import PdfReader

from payments.letter import cover_note, render, title_of
from tests import facts


def words_of(pdf: bytes) -> str:
    pages = [page.extract_text().replace("\N{NO-BREAK SPACE}", " ") for page in PdfReader(BytesIO(pdf)).pages]
    return " ".join(" ".join(pages).split())


@pytest.mark.parametrize(
    ("level", "is_last", "de", "en"),
    [
        (0, False, "Zahlungserinnerung", "Payment reminder"),
        (1, False, "1. Mahnung", "Reminder no. 1"),
        (2, False, "2. Mahnung", "Reminder no. 2"),
        (3, True, "Letzte Mahnung", "Final reminder"),
    ],
)
def test_the_title_grows_with_the_level(level, is_last, de, en):
    for language, title in (("de", de), ("en", en)):
        with translation.override(language):
            assert title_of(level, is_last=is_last) == title
        assert title in words_of(render(facts.make_reminder(level=level, is_last=is_last, language=language)))


def test_a_reminder_lists_what_is_open_and_asks_for_it():
    said = words_of(render(facts.make_reminder()))
    for sentence in [
        "Café Zentral GmbH Rue de l'Étoile 110 80331 München",
        "Datum 10.03.2026",
        "R2026-000001 01.01.2026 15.01.2026 54 9.980,89 9.706,31",
        "R2026-000077 01.02.2026 15.02.2026 23 675,44 675,44",
        "Überfällig 10.381,75 EUR Mahngebühr 5,00 EUR Zu zahlen 10.386,75 EUR",
        "Bitte überweisen Sie 10.386,75 EUR bis zum 20.03.2026.",
        "IBAN DE74 2914 1777 6317 0669 07",
        "Verwendungszweck: R2026-000001, R2026-000077",
        "Seite 1 von 1",
    ]:
        assert sentence in said
    assert "gerichtlich" not in said


def test_only_the_last_one_threatens():
    assert "gerichtlich geltend machen" in words_of(render(facts.make_reminder(level=3, is_last=True)))


def test_no_fee_no_fee_line():
    said = words_of(render(facts.make_reminder(fee=Decimal(0))))
    assert "Mahngebühr" not in said
    assert "Zu zahlen 10.381,75 EUR" in said


def test_a_letter_over_hundreds_of_invoices_is_numbered_and_repeats_its_head():
    items = facts.make_reminder().items * 100
    pages = PdfReader(BytesIO(render(facts.make_reminder(items=items)))).pages
    assert len(pages) > 3
    for number, page in enumerate(pages, start=1):
        assert f"Seite {number} von {len(pages)}" in page.extract_text()


def test_the_cover_note_says_what_is_due():
    subject, body = cover_note(facts.make_reminder())
    assert subject == "1. Mahnung von Beispiel Telefonie GmbH: 10.386,75 EUR offen"
    assert "R2026-000077, fällig am 15.02.2026 (seit 23 Tagen): 675,44\N{NO-BREAK SPACE}EUR" in body
    assert "Mahngebühr: 5,00\N{NO-BREAK SPACE}EUR" in body
    assert "bis zum 20.03.2026" in body


def test_equal_facts_give_equal_bytes():
    assert render(facts.make_reminder()) == render(facts.make_reminder())
