"""Statements as banks offer them for spreadsheets: a row per movement, under a header that each bank words its own way.

A layout says which column means what and how days and amounts are written. Those of some German banks are known; for
any other the bank account keeps its own. There is no opening balance and no statement number in such a file, so it
tells of what comes in between two statements.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from payments.gateways.reading import FileRefused, check_lines, check_size, fitting
from payments.kernel.statement import Statement, StatementLine, plain

FIELDS: Final = (
    "booked_on", "value_on", "amount", "debit", "credit", "currency", "purpose", "name", "iban", "bic",
    "end_to_end_id", "mandate", "bank_reference", "account", "state", "code",
)  # fmt: skip
REQUIRED: Final = ("booked_on", "purpose")
NOT_GIVEN: Final = frozenset({"NOTPROVIDED", "NONREF"})
LOOKED_THROUGH: Final = 30  # rows above the header, which some banks fill with the account's particulars


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which column holds what, and how the file is written. ``booked``: the words by which ``state`` says booked."""

    name: str
    columns: Mapping[str, str]
    delimiter: str = ";"
    encoding: str = "utf-8"
    decimal: str = ","
    days: str = "dmy"  # dd.mm.yyyy or dd.mm.yy; iso: yyyy-mm-dd
    currency: str = "EUR"
    booked: Sequence[str] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {
            "columns": dict(self.columns),
            "booked": list(self.booked),
        }


KNOWN: Final = {
    layout.name: layout
    for layout in (
        Layout(
            name="Sparkasse (CSV-CAMT)",
            encoding="cp1252",
            columns={
                "account": "Auftragskonto", "booked_on": "Buchungstag", "value_on": "Valutadatum",
                "purpose": "Verwendungszweck", "mandate": "Mandatsreferenz",
                "end_to_end_id": "Kundenreferenz (End-to-End)", "name": "Beguenstigter/Zahlungspflichtiger",
                "iban": "Kontonummer/IBAN", "bic": "BIC (SWIFT-Code)", "amount": "Betrag", "currency": "Waehrung",
                "state": "Info",
            },
            booked=("Umsatz gebucht",),
        ),
        Layout(
            name="Volksbank Raiffeisenbank",
            columns={
                "account": "IBAN Auftragskonto", "booked_on": "Buchungstag", "value_on": "Valutadatum",
                "name": "Name Zahlungsbeteiligter", "iban": "IBAN Zahlungsbeteiligter",
                "bic": "BIC (SWIFT-Code) Zahlungsbeteiligter", "purpose": "Verwendungszweck", "amount": "Betrag",
                "currency": "Waehrung", "mandate": "Mandatsreferenz",
            },
        ),
        Layout(
            name="DKB",
            columns={
                "booked_on": "Buchungsdatum", "value_on": "Wertstellung", "state": "Status",
                "name": "Zahlungspflichtige*r", "purpose": "Verwendungszweck", "iban": "IBAN",
                "amount": "Betrag (€)", "mandate": "Mandatsreferenz", "end_to_end_id": "Kundenreferenz",
            },
            booked=("Gebucht",),
        ),
        Layout(
            name="Commerzbank",
            columns={
                "booked_on": "Buchungstag", "value_on": "Wertstellung", "purpose": "Buchungstext",
                "amount": "Betrag", "currency": "Währung", "account": "IBAN Kontoinhaber",
            },
        ),
    )
}  # fmt: skip


def layout_of(stored: Mapping[str, Any]) -> Layout:
    """A layout as a bank account keeps it. Raises ``ValueError`` naming what is wrong, in the active language."""
    unknown = sorted(set(stored) - set(Layout.__slots__))
    if unknown:
        raise ValueError(_("“%(name)s” is no part of a layout.") % {"name": unknown[0]})
    columns = stored.get("columns")
    if not isinstance(columns, Mapping) or not all(isinstance(one, str) and one for one in columns.values()):
        raise ValueError(_("A layout names the columns of the file."))
    for name in columns:
        if name not in FIELDS:
            raise ValueError(_("“%(name)s” is none of: %(known)s") % {"name": name, "known": ", ".join(FIELDS)})
    for name in REQUIRED:
        if name not in columns:
            raise ValueError(_("A layout needs the column for “%(name)s”.") % {"name": name})
    if ("amount" in columns) == ("debit" in columns and "credit" in columns):
        raise ValueError(_("A layout has a column of amounts, or one of debits and one of credits."))
    told = {name: value for name, value in stored.items() if name != "columns"}
    layout = Layout(**({"name": ""} | told), columns=dict(columns))
    if len(layout.delimiter) != 1 or layout.decimal not in (",", ".") or layout.days not in ("dmy", "iso"):
        raise ValueError(_("The delimiter is one character, the decimal sign , or ., the days dmy or iso."))
    if layout.encoding not in ("utf-8", "cp1252", "iso8859-1", "iso8859-15"):
        raise ValueError(_("“%(name)s” is no encoding that is read.") % {"name": layout.encoding})
    return layout


def recognised(data: bytes) -> Layout | None:
    """The known layout whose columns all stand in the file's header."""
    for layout in KNOWN.values():
        try:
            rows = _rows(data, layout)
        except FileRefused:
            continue
        if _header(rows, layout) is not None:
            return layout
    return None


def read(data: bytes, layout: Layout, account: str = "") -> list[Statement]:
    """The file's movements as one statement of ``account``. Raises ``FileRefused`` with the row and the reason."""
    check_size(data)
    rows = _rows(data, layout)
    found = _header(rows, layout)
    if found is None:
        raise FileRefused(
            _("No row of the file names all the columns %(columns)s.") % {"columns": ", ".join(layout.columns.values())}
        )
    start, places = found
    lines: list[StatementLine] = []
    told = account
    for number, cells in rows[start:]:
        values = {name: _cell(cells, place) for name, place in places.items()}
        if not any(values.values()):
            continue
        try:
            line = _line(values, layout, len(lines) + 1)
        except ValueError as error:
            raise FileRefused(_("Row %(row)d: %(reason)s") % {"row": number, "reason": error}) from None
        if values.get("account") and told and plain(values["account"]) != plain(told):
            raise FileRefused(_("Row %(row)d is of another account than the rows before it.") % {"row": number})
        told = told or values.get("account", "")
        if line is not None:
            lines.append(line)
    check_lines(len(lines))
    days = [line.booked_on for line in lines]
    return [
        Statement(
            form="csv",
            reference="",
            account=told,
            currency=lines[0].currency if lines else layout.currency,
            is_final=False,
            starts_on=min(days, default=None),
            ends_on=max(days, default=None),
            lines=tuple(lines),
        )
    ]


def _rows(data: bytes, layout: Layout) -> list[tuple[int, list[str]]]:
    encoding = "utf-8-sig" if layout.encoding == "utf-8" or data[:3] == b"\xef\xbb\xbf" else layout.encoding
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise FileRefused(_("The file is not written in %(encoding)s.") % {"encoding": layout.encoding}) from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter)
    found: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            check_lines(len(found))
            found.append((reader.line_num, cells))
    except csv.Error:
        raise FileRefused(
            _("Row %(row)d: a quotation mark is not closed, or text follows a closed one.") % {"row": reader.line_num}
        ) from None
    return found


def _header(rows: Sequence[tuple[int, list[str]]], layout: Layout) -> tuple[int, dict[str, int]] | None:
    """Where the rows begin, and which place holds what."""
    for position, (_number, cells) in enumerate(rows[:LOOKED_THROUGH]):
        names = [_folded(cell) for cell in cells]
        places = {name: names.index(_folded(text)) for name, text in layout.columns.items() if _folded(text) in names}
        if len(places) == len(layout.columns):
            return position + 1, places
    return None


def _line(values: Mapping[str, str], layout: Layout, position: int) -> StatementLine | None:
    state = values.get("state", "")
    if layout.booked and state and _folded(state) not in {_folded(word) for word in layout.booked}:
        return None
    currency = (values.get("currency") or layout.currency).upper()
    booked_on = _day(values["booked_on"], layout)
    if "amount" in values:
        amount = _amount(values["amount"], layout)
    else:
        amount = abs(_amount(values["credit"] or "0", layout)) - abs(_amount(values["debit"] or "0", layout))
    amount = fitting(amount, currency)
    reference = values.get("end_to_end_id", "")
    return StatementLine(
        entry=position,
        booked_on=booked_on,
        value_on=_day(values["value_on"], layout) if values.get("value_on") else booked_on,
        amount=amount,
        currency=currency,
        purpose=values.get("purpose", ""),
        name=values.get("name", ""),
        iban=plain(values.get("iban", "")),
        bic=values.get("bic", ""),
        end_to_end_id="" if reference.upper() in NOT_GIVEN else reference,
        mandate=values.get("mandate", ""),
        bank_reference=values.get("bank_reference", ""),
        code=values.get("code", ""),
        entry_amount=amount,
    )


def _cell(cells: Sequence[str], place: int) -> str:
    text = unicodedata.normalize("NFC", cells[place]) if place < len(cells) else ""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _day(text: str, layout: Layout) -> date:
    pattern = (
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})" if layout.days == "iso" else r"([0-9]{2})\.([0-9]{2})\.([0-9]{4}|[0-9]{2})"
    )
    match = re.fullmatch(pattern, text)
    if match:
        year, month, day = (int(one) for one in (match.groups() if layout.days == "iso" else match.groups()[::-1]))
        try:
            return date(year if year > 99 else 2000 + year, month, day)
        except ValueError:
            pass
    raise ValueError(_("“%(text)s” is not a day of the calendar.") % {"text": text[:40]})


def _amount(text: str, layout: Layout) -> Decimal:
    """An amount with its sign, thousands divided by the other sign or by blanks."""
    other = "." if layout.decimal == "," else ","
    plain_text = re.sub(r"[\s\u00a0€]", "", text).replace("\u2212", "-")
    whole = rf"[0-9]{{1,3}}(?:{re.escape(other)}[0-9]{{3}})+|[0-9]{{1,15}}"
    if not re.fullmatch(rf"[+-]?(?:{whole})(?:{re.escape(layout.decimal)}[0-9]{{1,4}})?", plain_text):
        raise ValueError(_("“%(text)s” is not an amount.") % {"text": text[:40]})
    return Decimal(plain_text.replace(other, "").replace(layout.decimal, "."))
