"""Read delimited text files the way a finance department sends them, without ever guessing in silence.

``propose`` looks at the whole file and says how it must be read: encoding, delimiter, decimal sign, order of dates.
Where the file allows two readings or mixes two, it refuses and names the option that decides. ``read`` then yields row
by row under that reading. Both stream: memory does not grow with the file.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from django.utils.translation import gettext, ngettext

from tenants.cells import DAY_PATTERNS, CellError, Column, Day, Number, Value, cleaned
from tenants.errors import OperatorError

MAX_BYTES = 200 * 1024 * 1024
MAX_ROWS = 2_000_000
MAX_COLUMNS = 200
MAX_CELL = 10_000
MAX_LINE = 1_000_000
CHUNK = 1 << 16

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 (BOM)",
    "cp1252": "Windows-1252",
    "iso8859-1": "ISO-8859-1",
    "iso8859-15": "ISO-8859-15",
    "cp850": "DOS (CP850)",
    "mac-roman": "Mac Roman",
}
DELIMITERS = (";", ",", "\t")
DECIMALS = (",", ".")
DATES = ("iso", "dmy")

BINARY_MARKS = (
    (b"PK\x03\x04", "Excel/ZIP"),
    (b"\xd0\xcf\x11\xe0", "Excel 97"),
    (b"%PDF", "PDF"),
    (b"\x1f\x8b", "gzip"),
)
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
UTF8_TRACES = re.compile(
    rb"[\xc2\xc3][\x80-\xbf]|\xe2[\x80\x82][\x80-\xbf]"
)  # umlauts, euro and quotes as UTF-8 writes them
NOT_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
SIGNED = re.compile(r"-?([0-9]+)([.,])([0-9]+)")
GROUPED = re.compile(r"-?[0-9]{1,3}(?:[.,][0-9]{3})+([.,])[0-9]+")


class FileRefused(OperatorError):
    """The file as a whole cannot be read; nothing of it was taken."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file is read; the same throughout the file."""

    encoding: str
    delimiter: str
    decimal: str  # "," or "."
    dates: str  # "iso" or "dmy"

    def described(self) -> str:
        """The reading in words, for a dry run."""
        return gettext("encoding %(encoding)s, delimiter %(delimiter)s, decimal sign %(decimal)s, dates %(dates)s") % {
            "encoding": ENCODINGS[self.encoding],
            "delimiter": gettext("tab") if self.delimiter == "\t" else gettext("“%(sign)s”") % {"sign": self.delimiter},
            "decimal": gettext("“%(sign)s”") % {"sign": self.decimal},
            "dates": gettext("yyyy-mm-dd") if self.dates == "iso" else gettext("dd.mm.yyyy"),
        }


@dataclass(frozen=True, slots=True)
class Declared:
    """What the user fixed; an empty text is left to the proposal."""

    encoding: str = ""
    delimiter: str = ""
    decimal: str = ""
    dates: str = ""

    def checked(self) -> "Declared":
        """In canonical spelling; raises FileRefused on a value no file is read with."""
        delimiter = {"\\t": "\t", "tab": "\t"}.get(self.delimiter.lower(), self.delimiter)
        for option, value, allowed in (
            ("--delimiter", delimiter, DELIMITERS),
            ("--decimal", self.decimal, DECIMALS),
            ("--dates", self.dates, DATES),
        ):
            if value and value not in allowed:
                raise FileRefused(
                    gettext("%(option)s must be one of: %(allowed)s.")
                    % {"option": option, "allowed": "  ".join("tab" if word == "\t" else word for word in allowed)}
                )
        return Declared(canonical_encoding(self.encoding), delimiter, self.decimal, self.dates)


UNDECLARED = Declared()


@dataclass(frozen=True, slots=True)
class Proposal:
    reading: Reading
    rows: int
    unknown_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row cannot be taken. ``row`` counts as a spreadsheet does: the header is 1; ``column`` may be empty."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        facts = {"row": self.row, "column": self.column, "reason": self.reason}
        if self.column:
            return gettext("Row %(row)d, column %(column)s: %(reason)s") % facts
        return gettext("Row %(row)d: %(reason)s") % facts


@dataclass(frozen=True, slots=True)
class Row:
    """One record; ``values`` holds the known columns the file has, ``errors`` says which of them could not be read."""

    number: int
    values: dict[str, Value]
    errors: tuple[RowError, ...] = ()


@dataclass(slots=True)
class Sightings:
    """Rows in which one reading of a column was seen: the first few, and how many."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        self.count += 1
        if len(self.first) < 5:
            self.first.append(row)

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.first))
        text = ngettext("row %(rows)s", "rows %(rows)s", self.count) % {"rows": rows}
        return f"{text} …" if self.count > len(self.first) else text


@dataclass(frozen=True, slots=True)
class Header:
    known: tuple[tuple[int, Column], ...]  # position in the row, and what stands there
    width: int
    unknown: tuple[str, ...]


def propose(file: BinaryIO, columns: Sequence[Column], declared: Declared = UNDECLARED) -> Proposal:
    """How ``file`` is to be read. Raises FileRefused, naming the option that decides, where it allows two readings."""
    declared = declared.checked()
    encoding = check_bytes(file, declared.encoding)
    delimiter = declared.delimiter or propose_delimiter(file, encoding, columns)
    rows = 0
    decimals: dict[str, Sightings] = {",": Sightings(), ".": Sightings()}
    unclear: dict[str, Sightings] = {",": Sightings(), ".": Sightings()}
    days: dict[str, Sightings] = {"iso": Sightings(), "dmy": Sightings()}
    with records(file, encoding, delimiter) as found:
        header = read_header(found, columns)
        numbers = [position for position, column in header.known if isinstance(column, Number)]
        dates = [position for position, column in header.known if isinstance(column, Day)]
        for row, cells in found:
            rows += 1
            for position in numbers:
                if position < len(cells):
                    see_number(row, cells[position].strip(), decimals, unclear)
            for position in dates:
                if position < len(cells):
                    cell = cells[position].strip()
                    for order, pattern in DAY_PATTERNS.items():
                        if pattern.fullmatch(cell):
                            days[order].add(row)
    if not rows:
        raise FileRefused(gettext("The file has no rows below its header."))
    decimal = declared.decimal or decide_decimal(decimals, unclear, "." if delimiter == "," else ",")
    order = declared.dates or decide_dates(days)
    return Proposal(Reading(encoding, delimiter, decimal, order), rows, header.unknown)


def read(file: BinaryIO, reading: Reading, columns: Sequence[Column]) -> Iterator[Row]:
    """The rows of ``file``, one at a time. Rows with nothing in them are passed over but counted."""
    with records(file, reading.encoding, reading.delimiter) as found:
        header = read_header(found, columns)
        for number, cells in found:
            yield parse_row(number, cells, header, reading)


def parse_row(number: int, cells: list[str], header: Header, reading: Reading) -> Row:
    if len(cells) < header.width or any(cell.strip() for cell in cells[header.width :]):
        reason = gettext(
            "%(cells)d cells, but the header names %(columns)d columns; is a delimiter missing or unquoted?"
        )
        return Row(number, {}, (RowError(number, "", reason % {"cells": len(cells), "columns": header.width}),))
    values: dict[str, Value] = {}
    errors = []
    for position, column in header.known:
        try:
            values[column.name] = column.parse(cleaned(cells[position]), reading.decimal, reading.dates)
        except CellError as error:
            errors.append(RowError(number, column.name, str(error)))
    return Row(number, values, tuple(errors))


# --- the file as a whole ---


def canonical_encoding(name: str) -> str:
    if not name:
        return ""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        found = ""
    if found not in ENCODINGS:
        raise FileRefused(
            gettext("%(option)s must be one of: %(allowed)s.")
            % {"option": "--encoding", "allowed": "  ".join(ENCODINGS)}
        )
    return found


def check_bytes(file: BinaryIO, declared: str) -> str:
    """The encoding of the file: the declared one, or what all its bytes allow. Refuses what is no delimited text."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    if not size:
        raise FileRefused(gettext("The file is empty."))
    if size > MAX_BYTES:
        raise FileRefused(gettext("The file is larger than %(limit)d MiB.") % {"limit": MAX_BYTES >> 20})
    start = file.read(4)
    file.seek(0)
    for mark, kind in BINARY_MARKS:
        if start.startswith(mark):
            raise FileRefused(
                gettext("This is not a CSV file but a file of the kind “%(kind)s”; save it as “CSV UTF-8” first.")
                % {"kind": kind}
            )
    if start.startswith(UTF16_MARKS):
        raise FileRefused(gettext("The file is encoded as UTF-16; save it as “CSV UTF-8” first."))
    marked = start.startswith(codecs.BOM_UTF8)
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8, traces_line, lines, tail = True, 0, 1, b""
    not_utf8_line = 0
    while chunk := file.read(CHUNK):
        if b"\0" in chunk:
            raise FileRefused(
                gettext("The file holds binary data or UTF-16 (line %(line)d); save it as “CSV UTF-8” first.")
                % {"line": lines + chunk[: chunk.index(b"\0")].count(b"\n")}
            )
        if not declared:
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError as error:
                    is_utf8 = False
                    not_utf8_line = lines + chunk[: max(0, error.start)].count(b"\n")
            if not chunk.isascii() or tail:
                window = tail + chunk
                if not traces_line and (trace := UTF8_TRACES.search(window)):
                    traces_line = lines + window[: trace.start()].count(b"\n")
                tail = window[-2:] if not window[-2:].isascii() else b""
            if not is_utf8 and not marked and (alien := NOT_IN_CP1252.search(chunk)):
                raise FileRefused(
                    gettext("Line %(line)d is neither UTF-8 nor Windows-1252; state the encoding (--encoding).")
                    % {"line": lines + chunk[: alien.start()].count(b"\n")}
                )
        lines += chunk.count(b"\n")
    if declared:
        return declared
    if is_utf8:
        try:
            utf8.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8, not_utf8_line = False, lines
    if marked:
        if is_utf8:
            return "utf-8-sig"
        raise FileRefused(
            gettext("The file says it is UTF-8, but line %(line)d is not; state the encoding (--encoding).")
            % {"line": not_utf8_line}
        )
    if is_utf8:
        return "utf-8"
    if traces_line:
        raise FileRefused(
            gettext(
                "The file mixes encodings: line %(utf8)d is UTF-8, line %(other)d is not; "
                "state the encoding (--encoding)."
            )
            % {"utf8": traces_line, "other": not_utf8_line}
        )
    return "cp1252"


def propose_delimiter(file: BinaryIO, encoding: str, columns: Sequence[Column]) -> str:
    names = {column.name for column in columns}
    found: dict[str, int] = {}
    for delimiter in DELIMITERS:
        with records(file, encoding, delimiter) as rows:
            _number, cells = next(rows, (1, []))
        if not cells:
            raise FileRefused(gettext("The file is empty."))
        found[delimiter] = len(names.intersection(map(header_name, cells)))
    best = max(found.values())
    if not best:
        raise FileRefused(
            gettext("The first row names none of the columns %(columns)s; it must be the header.")
            % {"columns": ", ".join(column.name for column in columns if column.required)}
        )
    leaders = [delimiter for delimiter, count in found.items() if count == best]
    if len(leaders) > 1 and best > 1:
        raise FileRefused(gettext("The header can be divided in more than one way; state the delimiter (--delimiter)."))
    return leaders[0]


def read_header(found: Iterator[tuple[int, list[str]]], columns: Sequence[Column]) -> Header:
    number, cells = next(found, (1, []))
    if not cells:
        raise FileRefused(gettext("The file is empty."))
    if number != 1:
        raise FileRefused(gettext("The first row is empty; it must be the header."))
    if len(cells) > MAX_COLUMNS:
        raise FileRefused(gettext("The file has more than %(limit)d columns.") % {"limit": MAX_COLUMNS})
    names = [header_name(cell) for cell in cells]
    known = {column.name: column for column in columns}
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise FileRefused(gettext("Row 1 names a column twice: %(columns)s.") % {"columns": ", ".join(twice)})
    missing = [column.name for column in columns if column.required and column.name not in names]
    if missing:
        raise FileRefused(gettext("Row 1 lacks the column %(columns)s.") % {"columns": ", ".join(missing)})
    return Header(
        known=tuple((position, known[name]) for position, name in enumerate(names) if name in known),
        width=len(names),
        unknown=tuple(
            cells[position].strip() or gettext("column %(number)d, without a name") % {"number": position + 1}
            for position, name in enumerate(names)
            if name not in known
        ),
    )


def header_name(cell: str) -> str:
    return unicodedata.normalize("NFC", cell).strip().casefold()


@contextmanager
def records(file: BinaryIO, encoding: str, delimiter: str) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The records of the file from its start, numbered from 1; those with nothing in them are counted and left out."""
    file.seek(0)
    codec = "utf-8-sig" if encoding in ("utf-8", "utf-8-sig") else encoding
    text = io.TextIOWrapper(file, encoding=codec, errors="strict", newline="")
    try:
        yield divided(text, delimiter, ENCODINGS[encoding])
    finally:
        if not file.closed:
            text.detach()  # leaves the file itself open


def divided(text: TextIO, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    reader = csv.reader(lines_of(text), delimiter=delimiter, strict=True)
    while True:
        number += 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "field larger" in str(error):
                reason = gettext(
                    "Row %(row)d: a cell is longer than %(limit)d characters; is a quotation mark not closed?"
                )
            else:
                reason = gettext("Row %(row)d: a quotation mark is not closed, or text follows a closed one.")
            raise FileRefused(reason % {"row": number, "limit": MAX_CELL}) from None
        except UnicodeDecodeError:
            raise FileRefused(
                gettext("The file is not %(encoding)s (near row %(row)d); state the right encoding (--encoding).")
                % {"encoding": encoding, "row": number}
            ) from None
        except LineTooLong:
            raise FileRefused(
                gettext("Row %(row)d is longer than %(limit)d characters.") % {"row": number, "limit": MAX_LINE}
            ) from None
        if cells is None:
            return
        if number > MAX_ROWS:
            raise FileRefused(gettext("The file has more than %(limit)d rows; divide it.") % {"limit": MAX_ROWS})
        if any(len(cell) > MAX_CELL for cell in cells):
            raise FileRefused(
                gettext("Row %(row)d: a cell is longer than %(limit)d characters; is a quotation mark not closed?")
                % {"row": number, "limit": MAX_CELL}
            )
        if any(cell and not cell.isspace() for cell in cells):
            yield number, cells


class LineTooLong(Exception):
    pass


def lines_of(text: TextIO) -> Iterator[str]:
    """Lines of a bounded length: a file without line ends is not read into memory."""
    while line := text.readline(MAX_LINE):
        if len(line) >= MAX_LINE:
            raise LineTooLong
        yield line


# --- decimal sign and dates: what all cells together allow ---


def see_number(row: int, cell: str, clear: dict[str, Sightings], unclear: dict[str, Sightings]) -> None:
    """Note which decimal sign the cell speaks for. ``1.234`` may be a thousand or a fraction and speaks for neither."""
    match = SIGNED.fullmatch(cell)
    if match:
        before, sign, after = match.groups()
        may_be_grouping = len(after) == 3 and len(before) <= 3 and not before.startswith("0")
        (unclear if may_be_grouping else clear)[sign].add(row)
    elif match := GROUPED.fullmatch(cell):
        clear[match[1]].add(row)


def decide_decimal(clear: dict[str, Sightings], unclear: dict[str, Sightings], otherwise: str) -> str:
    seen = [sign for sign in DECIMALS if clear[sign].count]
    doubtful = [sign for sign in DECIMALS if unclear[sign].count]
    signs = {*seen, *doubtful}
    if len(signs) > 1:
        raise FileRefused(
            gettext(
                "The file mixes decimal comma (%(comma)s) and decimal point (%(point)s); "
                "mend it or state which one counts (--decimal)."
            )
            % {
                "comma": clear[","] if clear[","].count else unclear[","],
                "point": clear["."] if clear["."].count else unclear["."],
            }
        )
    if doubtful and not seen:
        raise FileRefused(
            gettext(
                "It cannot be told whether “%(sign)s” is a decimal sign or divides thousands (%(rows)s); "
                "state it (--decimal)."
            )
            % {"sign": doubtful[0], "rows": unclear[doubtful[0]]}
        )
    return seen[0] if seen else otherwise


def decide_dates(days: dict[str, Sightings]) -> str:
    if days["iso"].count and days["dmy"].count:
        raise FileRefused(
            gettext(
                "The file mixes dates as yyyy-mm-dd (%(iso)s) and dd.mm.yyyy (%(dmy)s); "
                "mend it or state which ones count (--dates)."
            )
            % {"iso": days["iso"], "dmy": days["dmy"]}
        )
    return "dmy" if days["dmy"].count else "iso"
