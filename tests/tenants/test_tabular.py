"""Cells and files: what is taken, and the sentence with which everything else is refused."""

import io
from datetime import date
from decimal import Decimal

import pytest
from django.utils import translation

from tenants import tabular
from tenants.cells import CellError, Choice, Day, Number, Text, Whole, cleaned
from tenants.tabular import Declared, FileRefused, Reading

COLUMNS = (
    Text(name="contract", required=True, max_length=20),
    Number(name="quantity", places=3),
    Day(name="starts_on"),
    Text(name="note"),
)
GERMAN = Reading("utf-8", ";", ",", "dmy")
UNDECLARED = Declared()


def file_of(text, encoding="utf-8"):
    return io.BytesIO(text.encode(encoding))


def table(*rows, header="contract;quantity;starts_on;note", end="\r\n"):
    return end.join([header, *rows, ""])


def propose(text, declared=UNDECLARED, encoding="utf-8"):
    return tabular.propose(file_of(text, encoding), COLUMNS, declared)


def rows_of(text, reading=GERMAN, columns=COLUMNS):
    return list(tabular.read(file_of(text), reading, columns))


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


@pytest.mark.parametrize(
    ("cell", "comma", "point"),
    [
        ("0.125", None, "0.125"),
        ("0,125", "0.125", None),
        ("1.234,56", None, None),
        ("1,234.56", None, None),
        ("12.345", None, "12.345"),
        ("12,345", "12.345", None),
        ("1e3", None, None),
        ("NaN", None, None),
        ("Infinity", None, None),
        ("1_000", None, None),
        ("+1", None, None),
        ("--1", None, None),
        ("1-", None, None),
        ("−1", None, None),
        ("1 000", None, None),
        (".5", None, None),
        ("5.", None, None),
        ("٣", None, None),
        ("７", None, None),
        ("0x10", None, None),
        ("1", "1", "1"),
        ("007", "7", "7"),
        ("12.50", None, "12.50"),
    ],
)
def test_a_number_has_one_decimal_sign_and_nothing_else(cell, comma, point):
    column = Number(name="quantity", places=3)
    for sign, expected in ((",", comma), (".", point)):
        if expected is None:
            with pytest.raises(CellError, match="not a number written like"):
                column.parse(cell, sign, "iso")
        else:
            assert str(column.parse(cell, sign, "iso")) == expected


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (Number(name="n", places=2), "0,125", "“0,125” has more than 12 digits before or 2 after the decimal sign"),
        (Number(name="n", digits=3), "1000", "“1000” has more than 3 digits before or 2 after the decimal sign"),
        (Number(name="n"), "-1", "“-1” must be at least 0"),
        (Number(name="n", above=Decimal(0)), "0,00", "“0,00” must be more than 0"),
        (Number(name="n", maximum=Decimal(100)), "100,01", "“100,01” must be at most 100"),
        (Whole(name="n"), "12,0", "“12,0” is not a whole number"),
        (Whole(name="n"), "1.000", "“1.000” is not a whole number"),
        (Whole(name="n", minimum=1, maximum=31), "32", "“32” must be at most 31"),
        (Day(name="d"), "30.02.2026", "“30.02.2026” is not a day of the calendar"),
        (Day(name="d"), "1.2.2026", "“1.2.2026” is not a day written like 31.01.2026"),
        (Day(name="d"), "2026-02-01", "“2026-02-01” is not a day written like 31.01.2026"),
        (Day(name="d"), "31.12.9999", "“31.12.9999” is not between 1900 and 2199; leave the cell empty for no day"),
        (Choice(name="c", choices=("invoice", "card")), "cash", "“cash” is none of: invoice, card"),
        (Text(name="t", max_length=3), "abcd", "4 characters, at most 3 are allowed"),
        (Text(name="t", pattern="[A-Z]{2}", example="DE"), "D", "“D” has the wrong form (example: DE)"),
        (Text(name="t", required=True), "", "must not be empty"),
    ],
)
def test_a_cell_that_does_not_fit_says_why(column, cell, reason):
    with pytest.raises(CellError) as refusal:
        column.parse(cell, ",", "dmy")
    assert str(refusal.value) == reason


def test_cells_that_fit():
    assert Day(name="d").parse("29.02.2028", ",", "dmy") == date(2028, 2, 29)
    assert Day(name="d").parse("2026-01-31", ",", "iso") == date(2026, 1, 31)
    assert Choice(name="c", choices=("invoice", "card")).parse("Card", ",", "iso") == "card"
    assert Text(name="t", upper=True).parse("eur", ",", "iso") == "EUR"
    assert Text(name="t").parse("", ",", "iso") == ""
    assert Number(name="n").parse("", ",", "iso") is None


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  Café  ", "Café"),
        ("Cafe\u0301", "Café"),
        ("\u00a0x\u00a0", "x"),
        ("'+49 7525", "+49 7525"),  # as our own exports write it
        ("''=1", "'=1"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_text_is_trimmed_composed_and_freed_of_the_exports_apostrophe(cell, text):
    assert cleaned(cell) == text


@pytest.mark.parametrize("cell", ["a\nb", "a\x07b", "a\x85b", "a\u202eb", "a\u2028b", "a\ufffdb"])
def test_text_with_invisible_or_damaged_characters_is_refused(cell):
    with pytest.raises(CellError, match=r"U\+"):
        cleaned(cell)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize(("number", "decimal"), [('"1,5"', ","), ("1.5", ".")])
@pytest.mark.parametrize(("day", "dates"), [("31.01.2026", "dmy"), ("2026-01-31", "iso")])
def test_a_file_is_read_as_its_cells_say(encoding, delimiter, number, decimal, day, dates):
    text = table(f"Ä1;{number};{day};Größe €").replace(";", delimiter)
    proposal = propose(text, encoding=encoding)
    assert proposal.reading == Reading(encoding, delimiter, decimal, dates)
    (row,) = tabular.read(file_of(text, encoding), proposal.reading, COLUMNS)
    assert row.values == {
        "contract": "Ä1",
        "quantity": Decimal("1.5"),
        "starts_on": date(2026, 1, 31),
        "note": "Größe €",
    }


def test_other_cells_decide_what_an_unclear_one_means():
    assert propose(table("A;1.234;;", "B;0.5;;")).reading.decimal == "."
    assert propose(table("A;1,234;;", "B;12,5;;")).reading.decimal == ","
    assert propose(table("A;1234.567;;")).reading.decimal == "."  # four digits before: no thousands
    assert propose(table("A;0.125;;")).reading.decimal == "."  # a leading zero groups nothing
    assert propose(table("A;1.234;;"), Declared(decimal=".")).reading.decimal == "."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (table().encode(), "The file has no rows below its header."),
        (b"\r\n\r\n", "The file is empty."),
        (
            b"PK\x03\x04\x14\x00",
            "This is not a CSV file but a file of the kind “Excel/ZIP”; save it as “CSV UTF-8” first.",
        ),
        (table("A;1;;").encode("utf-16"), "The file is encoded as UTF-16; save it as “CSV UTF-8” first."),
        (
            table("A;1;;").encode("utf-16-le"),
            "The file holds binary data or UTF-16 (line 1); save it as “CSV UTF-8” first.",
        ),
        (
            table("A;1;;ü").encode() + "B;1;;ü".encode("cp1252"),
            "The file mixes encodings: line 2 is UTF-8, line 3 is not; state the encoding (--encoding).",
        ),
        (
            b"\xef\xbb\xbf" + table("A;1;;", "B;1;;ü").encode("cp1252"),
            "The file says it is UTF-8, but line 3 is not; state the encoding (--encoding).",
        ),
        (
            table("A;1;;").encode() + b"B;1;;\x81\r\n",
            "Line 3 is neither UTF-8 nor Windows-1252; state the encoding (--encoding).",
        ),
        (b"x;y\r\n1;2\r\n", "The first row names none of the columns contract; it must be the header."),
        (b"quantity;note\r\n1;2\r\n", "Row 1 lacks the column contract."),
        (b"contract;Note;note\r\n1;2;3\r\n", "Row 1 names a column twice: note."),
        (
            table("A;1;;", 'B;1;;"open', "C;1;;", "D;1;;").encode(),
            "Row 3: a quotation mark is not closed, or text follows a closed one.",
        ),
        (
            table("A;1;;", 'B;1;;"x"y').encode(),
            "Row 3: a quotation mark is not closed, or text follows a closed one.",
        ),
        (
            table("A;1;;" + "x" * 10_001).encode(),
            "Row 2: a cell is longer than 10000 characters; is a quotation mark not closed?",
        ),
        (table("A;" * 600_000).encode(), "Row 2 is longer than 1000000 characters."),
        (
            table("A;1.234;;", "B;12.345;;").encode(),
            "It cannot be told whether “.” is a decimal sign or divides thousands (rows 2, 3); state it (--decimal).",
        ),
        (
            table("A;0.5;;", "B;2;;", "C;0,5;;").encode(),
            "The file mixes decimal comma (row 4) and decimal point (row 2); "
            "mend it or state which one counts (--decimal).",
        ),
        (
            table("A;0,5;;", "B;1.234;;").encode(),
            "The file mixes decimal comma (row 2) and decimal point (row 3); "
            "mend it or state which one counts (--decimal).",
        ),
        (
            table("A;1;2026-01-31;", *["B;1;31.01.2026;"] * 7).encode(),
            "The file mixes dates as yyyy-mm-dd (row 2) and dd.mm.yyyy (rows 3, 4, 5, 6, 7 …); "
            "mend it or state which ones "
            "count (--dates).",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(content, sentence):
    with pytest.raises(FileRefused) as refusal:
        tabular.propose(io.BytesIO(content), COLUMNS)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("declared", "option"),
    [
        (Declared(encoding="utf-7"), "--encoding"),
        (Declared(encoding="klingon"), "--encoding"),
        (Declared(delimiter="|"), "--delimiter"),
        (Declared(decimal="'"), "--decimal"),
        (Declared(dates="mdy"), "--dates"),
    ],
)
def test_an_option_no_file_is_read_with_is_refused(declared, option):
    with pytest.raises(FileRefused, match=f"^{option} must be one of: "):
        propose(table("A;1;;"), declared)


def test_what_the_user_declares_wins_and_bad_rows_then_speak_for_themselves():
    text = table("A;0,5;31.01.2026;", "B;1.234;31.01.2026;")
    proposal = propose(text, Declared(encoding="UTF8", delimiter="\\t".replace("\\t", ";"), decimal=",", dates="dmy"))
    good, bad = rows_of(text, proposal.reading)
    assert (good.errors, good.values["quantity"]) == ((), Decimal("0.5"))
    assert [str(error) for error in bad.errors] == [
        "Row 3, column quantity: “1.234” is not a number written like 1234,5, without thousands separators"
    ]


def test_a_declared_encoding_that_does_not_fit_is_refused_with_the_row():
    content = table("A;1;;", "B;1;;ü").encode("cp1252")
    with pytest.raises(FileRefused, match=r"The file is not UTF-8 \(near row \d\); state the right encoding"):
        tabular.propose(io.BytesIO(content), COLUMNS, Declared(encoding="utf-8"))


def test_rows_are_numbered_as_a_spreadsheet_counts_them():
    text = (
        'contract;quantity;starts_on;note\r\n\r\nA;1;;\r\n;;;\r\n"B";x;30.02.2026;"two\r\nlines"\r\n'
        "C;1\r\nD;1;;;;\r\nE;1;;;z\r\n"
    )
    rows = rows_of(text)
    assert [(row.number, bool(row.errors)) for row in rows] == [(3, False), (5, True), (6, True), (7, False), (8, True)]
    assert [str(error) for row in rows for error in row.errors] == [
        "Row 5, column quantity: “x” is not a number written like 1234,5, without thousands separators",
        "Row 5, column starts_on: “30.02.2026” is not a day of the calendar",
        "Row 5, column note: contains a line break or an invisible control character (U+000D)",
        "Row 6: 2 cells, but the header names 4 columns; is a delimiter missing or unquoted?",
        "Row 8: 5 cells, but the header names 4 columns; is a delimiter missing or unquoted?",
    ]


def test_columns_in_any_order_unknown_ones_are_named_and_left_out():
    text = "Note;CONTRACT;colour;\r\nhello;A;red;\r\n"
    proposal = propose(text)
    assert proposal.unknown_columns == ("colour", "column 4, without a name")
    (row,) = rows_of(text, proposal.reading)
    assert row.values == {"note": "hello", "contract": "A"}


def test_reasons_come_in_the_readers_language():
    with translation.override("de"):
        (row,) = rows_of(table("A;x;;"))
        assert str(row.errors[0]) == (
            "Zeile 2, Spalte quantity: „x“ ist keine Zahl in der Schreibweise 1234,5 ohne Tausendertrennzeichen"
        )
        with pytest.raises(FileRefused, match=r"^Die Datei enthält unter der Kopfzeile keine Zeilen\.$"):
            propose(table())
