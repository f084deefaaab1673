"""Statements of many banks, read line by line; what no calendar has and what is cut off is named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from payments.gateways import mt940
from payments.gateways.reading import FileRefused
from tests.payments.gateways.samples import BANK, needs_samples

SAMPLES = BANK / "mt940"
pytestmark = needs_samples


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def statements(name: str):
    return mt940.read((SAMPLES / f"{name}.sta").read_bytes())


@pytest.mark.parametrize(
    ("name", "count", "lines", "moved", "troubles"),
    [
        ("betterplace-sepa_mt9401", 26, 97, "-9269135.90", 0),
        ("betterplace-sepa_snippet", 2, 11, "-2143323.39", 1),
        ("betterplace-with_binary_character", 2, 4, "-179066.75", 0),
        ("cmxl-detailed-end-balance", 1, 1, "1.00", 1),
        ("cmxl-iso8859-1", 1, 2, "2200.00", 0),
        ("cmxl-windows-line-breaks", 1, 2, "2200.00", 0),
        ("jejik-abnamro", 2, 10, "-345.93", 2),
        ("jejik-ing", 1, 7, "-45.59", 1),
        ("jejik-knab", 2, 3, "-6260.00", 1),
        ("jejik-postfinance", 2, 4, "159.40", 1),
        ("jejik-rabobank-iban", 2, 4, "-70.00", 0),
        ("jejik-triodos", 1, 2, "-715.70", 1),
        ("mbank", 1, 3, "0.03", 0),
        ("wolph-february_30", 1, 1, "-6.00", 1),
        ("wolph-gv_codes", 1, 2, "-257.45", 0),
        ("wolph-multiline", 1, 2, "114.00", 1),
        ("wolph-overly_long_details", 1, 1, "-233.15", 1),
        ("wolph-transaction_details_wrapped", 1, 1, "-6.00", 1),
        ("wolph-whitespace", 1, 1, "-233.15", 1),
    ],
)
def test_files_of_many_banks(name, count, lines, moved, troubles):
    found = statements(name)
    assert (len(found), sum(len(one.lines) for one in found)) == (count, lines)
    assert sum((one.moved for one in found), Decimal(0)) == Decimal(moved)
    assert sum(len(one.troubles) for one in found) == troubles


def test_german_subfields_and_their_keywords():
    statement = statements("betterplace-sepa_mt9401")[1]
    assert (statement.reference, statement.number, statement.account) == (
        "T089413956000001", "4", "50880050/0194777100888",
    )  # fmt: skip
    assert (statement.opening, statement.closing) == (Decimal("-970499.90"), Decimal("-1455749.85"))
    line = statement.lines[0]
    assert (line.booked_on, line.value_on, line.amount) == (date(2007, 9, 4), date(2007, 9, 4), Decimal("15000.05"))
    assert line.end_to_end_id == "EndToEndIdTFNR2000400001"
    assert line.purpose.startswith("TO 13 TFNr 20004 Eingangskanal Mint")
    assert "MTLG" not in line.purpose
    assert (line.name, line.iban, line.bic) == (
        "Richter Renate 70 Zeichen Beginn Fuellzeichen xxxxxxxx", "DE42100100100043921105", "PBNKDEFF100",
    )  # fmt: skip
    assert (line.code, line.bank_reference, line.is_return) == ("166", "0724710290621954", False)


def test_returns_carry_the_reason_that_their_number_stands_for():
    returned = [line for one in statements("betterplace-sepa_mt9401") for line in one.lines if line.is_return]
    assert len(returned) == 17
    assert {line.return_code for line in returned} == {"MS03", "AC06", "AC01"}
    assert (returned[0].end_to_end_id, returned[0].purpose) == (
        "TFNR 40005 00005",
        "Grund nicht spezifiziert Reject aus SEPA-Ueberweisungsauftrag",
    )


def test_keywords_cut_in_two_by_their_subfields_are_found():
    line = statements("wolph-gv_codes")[0].lines[0]
    assert (line.code, line.end_to_end_id) == ("835", "1234567890123 PAYPAL")
    assert line.purpose == ". SPOTIFY, Ihr Einkaufbei SPOTIFY"  # as the bank wrote it
    assert line.name == "PayPal (Europe) S.a.r.l. et"


def test_umlauts_of_the_windows_code_page():
    assert statements("cmxl-iso8859-1")[0].lines[1].name == "MÜLLER"


def test_a_reversed_credit_is_a_debit():
    statement = statements("betterplace-sepa_mt9401")[0]
    assert [line.amount for line in statement.lines][-2:] == [Decimal("-204.88"), Decimal("-999946.95")]


def test_30_february_is_its_last_day_and_named():
    (statement,) = statements("wolph-february_30")
    assert statement.lines[0].value_on == date(2016, 2, 29)
    assert [(one.code, one.facts) for one in statement.troubles] == [("no_such_day", {"line": "6"})]


ONE = """:20:T
:25:12030000/0000202051
:28C:00007/001
:60F:C260301EUR100,00
:61:{line}
:86:{details}
:62F:C260302EUR219,00
-
"""


def one(line: str = "2603020302CR119,00NTRFNONREF", details: str = "166?00GUTSCHRIFT?20SVWZ+R-2026-1"):
    (statement,) = mt940.read(ONE.format(line=line, details=details).encode())
    return statement


def test_a_returned_debit_with_the_banks_fee():
    (line,) = one(
        "2603020302DR124,50NRTINONREF\n/OCMT/EUR119,00/CHGS/EUR5,50",
        "109?00RETOURE?20EREF+E-1?21SVWZ+RUECKLASTSCHRIFT?22 AC04 KONTO AUFGELOEST?34902",
    ).lines
    assert (line.amount, line.fee, line.return_code, line.end_to_end_id) == (
        Decimal("-124.50"), Decimal("5.50"), "AC04", "E-1",
    )  # fmt: skip


def test_an_entry_of_january_with_its_value_in_december():
    (line,) = one("2512310102CR119,00NTRFNONREF").lines
    assert (line.value_on, line.booked_on) == (date(2025, 12, 31), date(2026, 1, 2))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("260302CR119.00NTRF", "Line 5: field 61 is not in the form of MT940.", id="a decimal point"),
        pytest.param("2613020302CR119,00NTRF", "Line 5: “261302” is not a day of the calendar.", id="month 13"),
        pytest.param("2603020302CR119,005NTRF", "Line 5: 119.005 EUR is finer than its currency.", id="half a cent"),
    ],
)
def test_what_cannot_be_read_names_its_line(line, reason):
    with pytest.raises(FileRefused) as refused:
        one(line)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cmxl-deutsche_bank", "Line 4: “DEM” is no currency that is known."),
        ("wolph-sparkassen", "Line 1: “” is no currency that is known."),
    ],
)
def test_samples_that_cannot_be_booked_say_why(name, reason):
    with pytest.raises(FileRefused) as refused:
        statements(name)
    assert str(refused.value) == reason


def test_what_is_no_mt940_is_refused():
    with pytest.raises(FileRefused, match="no statement in the form MT940"):
        mt940.read(b"Buchungstag;Betrag\n")
