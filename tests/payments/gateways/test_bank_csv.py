"""What German banks offer for spreadsheets, and a layout of one's own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from payments.gateways import bank_csv
from payments.gateways.reading import FileRefused

SPARKASSE = (
    '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Glaeubiger ID";"Mandatsreferenz";'
    '"Kundenreferenz (End-to-End)";"Sammlerreferenz";"Lastschrift Ursprungsbetrag";"Auslagenersatz Ruecklastschrift";'
    '"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";"BIC (SWIFT-Code)";"Betrag";"Waehrung";"Info"\r\n'
    '"DE02120300000000202051";"02.03.26";"03.03.26";"GUTSCHR. UEBERWEISUNG";"Rechnung R-2026-1 für März";"";"";'
    '"NOTPROVIDED";"";"";"";"Müller GmbH";"DE75512108001245126199";"SOGEDEFF";"1.119,00";"EUR";"Umsatz gebucht"\r\n'
    '"DE02120300000000202051";"02.03.26";"03.03.26";"GUTSCHR. UEBERWEISUNG";"kommt noch";"";"";"";"";"";"";"X";"";"";'
    '"5,00";"EUR";"Umsatz vorgemerkt"\r\n'
).encode("cp1252")
DKB = (
    '"Girokonto";"DE02120300000000202051"\n""\n"Kontostand vom 02.03.2026:";"1.234,56 €"\n""\n'
    '"Buchungsdatum";"Wertstellung";"Status";"Zahlungspflichtige*r";"Zahlungsempfänger*in";"Verwendungszweck";'
    '"Umsatztyp";"IBAN";"Betrag (€)";"Gläubiger-ID";"Mandatsreferenz";"Kundenreferenz"\n'
    '"02.03.26";"02.03.26";"Gebucht";"Müller GmbH";"Wir";"R-2026-1";"Eingang";"DE75512108001245126199";'
    '"119,00";"";"";"E-1"\n'
    '"02.03.26";"02.03.26";"Vorgemerkt";"Müller GmbH";"Wir";"R-2026-2";"Eingang";"";"5";"";"";""\n'
).encode()


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def test_a_file_of_the_sparkasse_is_recognised_and_read():
    layout = bank_csv.recognised(SPARKASSE)
    assert layout is bank_csv.KNOWN["Sparkasse (CSV-CAMT)"]
    (statement,) = bank_csv.read(SPARKASSE, layout)
    assert (statement.account, statement.form, statement.is_final) == ("DE02120300000000202051", "csv", False)
    (line,) = statement.lines  # what is only noted is left out
    assert (line.booked_on, line.value_on, line.amount) == (date(2026, 3, 2), date(2026, 3, 3), Decimal("1119.00"))
    assert (line.purpose, line.name, line.iban, line.end_to_end_id) == (
        "Rechnung R-2026-1 für März", "Müller GmbH", "DE75512108001245126199", "",
    )  # fmt: skip


def test_rows_above_the_header_are_passed_over():
    layout = bank_csv.recognised(DKB)
    assert layout is bank_csv.KNOWN["DKB"]
    (line,) = bank_csv.read(DKB, layout, "DE02120300000000202051")[0].lines
    assert (line.amount, line.end_to_end_id, line.name) == (Decimal("119.00"), "E-1", "Müller GmbH")


def test_debits_and_credits_in_columns_of_their_own():
    layout = bank_csv.layout_of(
        {
            "delimiter": ",", "decimal": ".", "days": "iso", "currency": "CHF",
            "columns": {"booked_on": "Date", "debit": "Out", "credit": "In", "purpose": "Text"},
        }
    )  # fmt: skip
    data = b"Date,Text,Out,In\n2026-03-02,Fee,4.50,\n2026-03-02,R-1,,119.00\n"
    (statement,) = bank_csv.read(data, layout, "CH9300762011623852957")
    assert [(line.amount, line.currency) for line in statement.lines] == [
        (Decimal("-4.50"), "CHF"),
        (Decimal("119.00"), "CHF"),
    ]


OWN = {"columns": {"booked_on": "Tag", "amount": "Betrag", "purpose": "Zweck"}}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("31.02.2026;1,00;x", "Row 2: “31.02.2026” is not a day of the calendar."),
        ("02.03.2026;1.00;x", "Row 2: “1.00” is not an amount."),
        ("02.03.2026;1,005;x", "Row 2: 1.005 EUR is finer than its currency."),
        ("02.03.2026;=1+1;x", "Row 2: “=1+1” is not an amount."),
    ],
)
def test_what_cannot_be_read_names_its_row(row, reason):
    with pytest.raises(FileRefused) as refused:
        bank_csv.read(f"Tag;Betrag;Zweck\n{row}\n".encode(), bank_csv.layout_of(OWN))
    assert str(refused.value) == reason


def test_a_file_without_the_columns_is_refused():
    with pytest.raises(FileRefused) as refused:
        bank_csv.read(b"Tag;Wert\n", bank_csv.layout_of(OWN))
    assert str(refused.value) == "No row of the file names all the columns Tag, Betrag, Zweck."


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ({}, "A layout names the columns of the file."),
        (
            {"columns": {"booked_on": "A", "purpose": "B"}},
            "A layout has a column of amounts, or one of debits and one of credits.",
        ),
        ({"columns": {"booked_on": "A", "amount": "B"}}, "A layout needs the column for “purpose”."),
        (OWN | {"delimiter": ""}, "The delimiter is one character, the decimal sign , or ., the days dmy or iso."),
        (OWN | {"encoding": "utf-7"}, "“utf-7” is no encoding that is read."),
        (OWN | {"colour": "red"}, "“colour” is no part of a layout."),
    ],
)  # fmt: skip
def test_a_layout_that_cannot_work_says_why(stored, reason):
    with pytest.raises(ValueError) as refused:
        bank_csv.layout_of(stored)
    assert str(refused.value) == reason
