"""What a cell of an imported file may hold: strict parsers, one reading each.

ASCII digits only, one decimal sign, no grouping, no exponent, no infinity; days in the one format the file was declared
to have. Whatever else a cell holds is an error of its row, in the reader's language, never a guess.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar, Literal

from django.utils.translation import gettext

Value = str | int | Decimal | date | datetime | None
Decimals = Literal[",", "."]
Days = Literal["iso", "dmy"]

DAY_PATTERNS: dict[str, re.Pattern[str]] = {
    "iso": re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"),
    "dmy": re.compile(r"(?P<day>[0-9]{2})\.(?P<month>[0-9]{2})\.(?P<year>[0-9]{4})"),
}
FIRST_YEAR, LAST_YEAR = 1900, 2199
INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]{1,9}))?"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
)
WHOLE = re.compile(r"-?[0-9]+")
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet takes for a formula, also behind an apostrophe of ours
NEUTRALISED = re.compile(r"'+[=+\-@]")  # our exports put an apostrophe before what a spreadsheet takes for a formula
BIDI_CONTROLS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
DAMAGED = "\ufffd"


class CellError(ValueError):
    """A cell that cannot be taken; the message is the reason, in the active language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A named column. ``required``: the file must have it and every row must fill it. A column that a file leaves out
    changes nothing; an empty cell means "nothing", which is ``None``, or ``""`` for text."""

    name: str
    required: bool = False
    empty: ClassVar[str | None] = None

    def parse(self, cell: str, decimal: str, dates: str) -> Value:
        """The value of a cell that was cleaned before; raises CellError."""
        if cell:
            return self.value(cell, decimal, dates)
        if self.required:
            raise CellError(gettext("must not be empty"))
        return self.empty

    def value(self, cell: str, decimal: str, dates: str) -> Value:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Column):
    max_length: int = 200
    pattern: str = ""  # the whole text must match
    example: str = ""
    upper: bool = False
    empty: ClassVar[str | None] = ""

    def value(self, cell: str, decimal: str, dates: str) -> str:
        text = cell.upper() if self.upper else cell
        if len(text) > self.max_length:
            raise CellError(
                gettext("%(length)d characters, at most %(limit)d are allowed")
                % {"length": len(text), "limit": self.max_length}
            )
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise CellError(
                gettext("“%(cell)s” has the wrong form (example: %(example)s)")
                % {"cell": shown(cell), "example": self.example}
            )
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Column):
    choices: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def value(self, cell: str, decimal: str, dates: str) -> str:
        word = self.aliases.get(cell.casefold(), cell.casefold())
        for choice in self.choices:
            if word == choice.casefold():
                return choice
        raise CellError(
            gettext("“%(cell)s” is none of: %(choices)s") % {"cell": shown(cell), "choices": ", ".join(self.choices)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Column):
    """A whole number between two bounds, both allowed."""

    minimum: int = 0
    maximum: int = 2**31 - 1

    def value(self, cell: str, decimal: str, dates: str) -> int:
        if not WHOLE.fullmatch(cell) or len(cell) > 18:
            raise CellError(gettext("“%(cell)s” is not a whole number") % {"cell": shown(cell)})
        number = int(cell)
        check_bounds(cell, number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Column):
    """A decimal number of at most ``digits`` digits before and ``places`` after the decimal sign."""

    digits: int = 12
    places: int = 2
    minimum: Decimal | None = Decimal(0)
    above: Decimal | None = None  # an open lower bound
    maximum: Decimal | None = None

    def value(self, cell: str, decimal: str, dates: str) -> Decimal:
        if not re.fullmatch(rf"-?[0-9]+(?:{re.escape(decimal)}[0-9]+)?", cell):
            raise CellError(
                gettext("“%(cell)s” is not a number written like %(example)s, without thousands separators")
                % {"cell": shown(cell), "example": f"1234{decimal}5"}
            )
        before, _sign, after = cell.lstrip("-").partition(decimal)
        if len(before.lstrip("0")) > self.digits or len(after.rstrip("0")) > self.places:
            raise CellError(
                gettext("“%(cell)s” has more than %(digits)d digits before or %(places)d after the decimal sign")
                % {"cell": shown(cell), "digits": self.digits, "places": self.places}
            )
        number = Decimal(cell.replace(decimal, "."))
        if self.above is not None and number <= self.above:
            raise CellError(
                gettext("“%(cell)s” must be more than %(bound)s") % {"cell": shown(cell), "bound": self.above}
            )
        check_bounds(cell, number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Column):
    def value(self, cell: str, decimal: str, dates: str) -> date:
        match = DAY_PATTERNS[dates].fullmatch(cell)
        if not match:
            raise CellError(
                gettext("“%(cell)s” is not a day written like %(example)s")
                % {"cell": shown(cell), "example": "2026-01-31" if dates == "iso" else "31.01.2026"}
            )
        year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
        try:
            found = date(year, month, day)
        except ValueError:
            raise CellError(gettext("“%(cell)s” is not a day of the calendar") % {"cell": shown(cell)}) from None
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise CellError(
                gettext("“%(cell)s” is not between %(first)d and %(last)d; leave the cell empty for no day")
                % {"cell": shown(cell), "first": FIRST_YEAR, "last": LAST_YEAR}
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant(Column):
    """A point in time, ISO 8601 with its offset; kept in UTC, to the microsecond (finer digits are cut off)."""

    def value(self, cell: str, decimal: str, dates: str) -> datetime:
        match = INSTANT.fullmatch(cell)
        if not match:
            raise CellError(
                gettext("“%(cell)s” is not an instant with its offset, written like %(example)s")
                % {"cell": shown(cell), "example": "2026-01-31T09:30:00+01:00"}
            )
        day, clock, fraction, offset = match.groups()
        part = f".{fraction[:6]:0<6}" if fraction else ""
        if len(clock) == 5:
            if fraction:
                raise CellError(gettext("“%(cell)s” has parts of a minute") % {"cell": shown(cell)})
            clock += ":00"
        try:
            found = datetime.fromisoformat(f"{day}T{clock}{part}{'+00:00' if offset == 'Z' else offset}")
            found = found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise CellError(
                gettext("“%(cell)s” is not an instant of calendar and clock") % {"cell": shown(cell)}
            ) from None
        if not FIRST_YEAR < found.year <= LAST_YEAR:
            raise CellError(
                gettext("“%(cell)s” is not between %(first)d and %(last)d")
                % {"cell": shown(cell), "first": FIRST_YEAR + 1, "last": LAST_YEAR}
            )
        return found


def check_bounds(
    cell: str, number: int | Decimal, minimum: int | Decimal | None, maximum: int | Decimal | None
) -> None:
    if minimum is not None and number < minimum:
        raise CellError(gettext("“%(cell)s” must be at least %(bound)s") % {"cell": shown(cell), "bound": minimum})
    if maximum is not None and number > maximum:
        raise CellError(gettext("“%(cell)s” must be at most %(bound)s") % {"cell": shown(cell), "bound": maximum})


def cleaned(cell: str) -> str:
    """The text of a cell: trimmed, in Unicode's composed form (NFC); raises CellError on characters nobody can see."""
    if cell.isascii() and cell.isprintable():  # most cells; isprintable: no control characters
        text = cell.strip()
    else:
        text = unicodedata.normalize("NFC", cell).strip()
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs", "Co", "Zl", "Zp") or character in BIDI_CONTROLS:
                raise CellError(
                    gettext("contains a line break or an invisible control character (U+%(code)04X)")
                    % {"code": ord(character)}
                )
            if character == DAMAGED:
                raise CellError(gettext("contains a character that was damaged before the file was made (U+FFFD)"))
    return text[1:] if text[:1] == "'" and NEUTRALISED.match(text) else text


def neutralised(text: str) -> str:
    """A text that no spreadsheet computes; the imports take the apostrophe away again (``cleaned``)."""
    return f"'{text}" if FORMULA.match(text) else text


def shown(cell: str) -> str:
    """A cell as a message quotes it: never longer than 40 characters."""
    return cell if len(cell) <= 40 else f"{cell[:39]}…"
