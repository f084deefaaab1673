"""Bank statements in SWIFT's MT940, with the subfields German banks put into field 86 (DK, Anlage 3)."""

from __future__ import annotations

import logging
import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from mt940 import tags
from mt940.models import Transactions

from billing.kernel.money import places_of, rounded
from payments.gateways.reading import FileRefused, check_lines, check_size, fitting
from payments.kernel.statement import Statement, StatementLine, Trouble, plain

FIELD: Final = re.compile(r":(?P<tag>[0-9]{2}[A-Z]?):(?P<text>.*)", re.DOTALL)
GERMAN: Final = re.compile(r"\s?(?P<gvc>[0-9]{3})(?P<mark>[^\sA-Za-z0-9])(?=[0-9]{2})")
WORDS: Final = ("EREF", "KREF", "MREF", "CRED", "DEBT", "COAM", "OAMT", "SVWZ", "ABWA", "ABWE", "IBAN", "BIC", "PURP")
KEYWORD: Final = re.compile(rf"(?P<word>{'|'.join(WORDS)})\+|(?P<note>MTLG):")  # what the bank itself adds
WIDTH: Final = 27  # of a subfield
NOT_GIVEN: Final = frozenset({"NOTPROVIDED", "NONREF", "KREF+", "NOTAVAILABLE", ""})
RETURNED: Final = frozenset({"108", "109", "159"})  # debit returned to us (B2B, core), transfer returned
REASON: Final = re.compile(r"\b(?:A[CGM]|BE|MD|MS|RC|RR|DT|FF|SL)[0-9]{2}\b|\b(?:CNOR|DNOR|FOCR|CUST|DUPL|NOAS)\b")
# The bank's number for a reason (subfield 34) and the code of ISO 20022 it stands for.
REASONS: Final = {
    "901": "AC01", "902": "AC04", "903": "AC06", "904": "AG01", "905": "AG02", "906": "AM04", "907": "AM05",
    "908": "BE04", "909": "MD01", "910": "MD02", "911": "MD06", "912": "MD07", "913": "MS02", "914": "MS03",
    "915": "RC01",
}  # fmt: skip
ORIGINAL: Final = re.compile(r"/?OCMT/(?P<currency>[A-Z]{3})(?P<amount>[0-9]+,[0-9]*)")

logging.getLogger("mt940").setLevel(logging.CRITICAL)  # its complaints quote the file; ours name the place


@dataclass(frozen=True, slots=True)
class Field:
    line: int
    tag: str
    text: str


def looks_like(data: bytes) -> bool:
    return re.search(rb"(?m)^:61:|^:60[FM]:", data[:8192]) is not None


def read(data: bytes) -> list[Statement]:
    """The statements of a file, in its order. Raises ``FileRefused`` with the line and the reason."""
    check_size(data)
    found = [_statement(fields) for fields in _divided(_decoded(data))]
    check_lines(sum(len(one.lines) for one in found))
    if not found:
        raise FileRefused(_("The file holds no statement in the form MT940."))
    return found


def _decoded(data: bytes) -> str:
    """UTF-8, else the Windows code page: an umlaut of the one is never valid in the other."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("iso8859-1")


def _divided(text: str) -> Iterator[list[Field]]:
    """The fields of each statement; a statement begins with field 20."""
    fields: list[Field] = []
    for field in _fields(text):
        if field.tag == "20" and any(one.tag != "20" for one in fields):
            yield fields
            fields = []
        fields.append(field)
    if any(field.tag in ("61", "60F", "60M", "62F", "62M") for field in fields):
        yield fields


def _fields(text: str) -> Iterator[Field]:
    begun: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        line = "".join(sign for sign in line if sign.isprintable() or sign == "\t").replace("\t", " ")
        match = FIELD.fullmatch(line)
        if match or line.strip() in ("-", "-}"):
            if begun:
                yield Field(begun[0], begun[1], "\n".join(begun[2]))
            begun = (number, match["tag"], [match["text"]]) if match else None
        elif begun and begun[1] == "61" and line.startswith("86:"):  # the colon was cut off
            yield Field(begun[0], begun[1], "\n".join(one for one in begun[2] if one != ":"))
            begun = (number, "86", [line[3:]])
        elif begun and line:
            begun[2].append(line)
    if begun:
        yield Field(begun[0], begun[1], "\n".join(begun[2]))


def _statement(fields: list[Field]) -> Statement:
    values = {field.tag: field.text.strip() for field in reversed(fields) if field.tag != "61"}
    troubles: list[Trouble] = []
    opening = next((_balance(field) for field in fields if field.tag in ("60F", "60M")), None)
    closing = next((_balance(field) for field in reversed(fields) if field.tag in ("62F", "62M")), None)
    currency = opening[1] if opening else closing[1] if closing else ""
    lines: list[StatementLine] = []
    for position, field in enumerate(fields):
        if field.tag == "61":
            after = fields[position + 1] if position + 1 < len(fields) else None
            details = after.text if after and after.tag == "86" else ""
            lines.append(_line(field, details, currency, len(lines) + 1, troubles))
    days = [line.booked_on for line in lines]
    statement = Statement(
        form="mt940",
        reference=values.get("20", ""),
        account=values.get("25", values.get("25P", "")).splitlines()[0] if values.get("25", values.get("25P")) else "",
        currency=currency,
        number=_number(values.get("28C", values.get("28", ""))),
        starts_on=min(days, default=opening[2] if opening else None),
        ends_on=closing[2] if closing else max(days, default=None),
        opening=opening[0] if opening else None,
        closing=closing[0] if closing else None,
        lines=tuple(lines),
        troubles=tuple(troubles),
    )
    if statement.difference:
        gap = Trouble("balances_differ", {"difference": f"{statement.difference:f}", "currency": currency})
        return replace(statement, troubles=(*statement.troubles, gap))
    return statement


def _number(text: str) -> str:
    """“00004/00001” is statement 4, page 1; 0 is no number."""
    parts = [part.strip().lstrip("0") for part in text.splitlines()[0].split("/")] if text else [""]
    return parts[0] if parts[0].isdigit() else ""


def _balance(field: Field) -> tuple[Decimal, str, date]:
    told = _taken(tags.BalanceBase(), field)
    currency = str(told["currency"])
    day, _exact = _day(told["year"], told["month"], told["day"], field)
    return _amount(told["amount"], currency, field) * (-1 if told["status"] == "D" else 1), currency, day


def _line(field: Field, details: str, currency: str, position: int, troubles: list[Trouble]) -> StatementLine:
    told = _taken(tags.Statement(), field)
    if not told["id"] and told["customer_reference"]:  # “119.50”: the point would cut the amount short
        raise _no_form(field)
    value_on, is_exact = _day(told["year"], told["month"], told["day"], field)
    booked_on = value_on
    if (told["entry_month"] or "").strip():
        near = _near(value_on, int(told["entry_month"]), int(told["entry_day"]))
        is_exact, booked_on = is_exact and near is not None, near or value_on
    if not is_exact:
        troubles.append(Trouble("no_such_day", {"line": str(field.line)}))
    amount = _amount(told["amount"], currency, field)
    if told["status"] in ("D", "RC"):
        amount = -amount
    reference = (told["customer_reference"] or "").strip()
    line = StatementLine(
        entry=position,
        booked_on=booked_on,
        value_on=value_on,
        amount=amount,
        currency=currency,
        bank_reference=(told["bank_reference"] or "").strip(),
        code=(told["id"] or "").strip(),
        end_to_end_id="" if reference.upper() in NOT_GIVEN else reference,
        entry_amount=amount,
    )
    return _detailed(line, details, str(told["extra_details"] or ""))


def _detailed(line: StatementLine, text: str, extra: str) -> StatementLine:
    match = GERMAN.match(text)
    if not match:
        return replace(line, purpose=" ".join(text.split()))
    joined = text.replace("\n", "")
    mark = match["mark"]
    parts: dict[str, str] = {}
    for part in joined[match.end() - 1 :].split(mark)[1:]:
        if re.match(r"[0-9]{2}", part):
            parts[part[:2]] = parts.get(part[:2], "") + part[2:]
        elif parts:  # the mark stood in the text itself
            parts[list(parts)[-1]] += mark + part
    keys = [*(f"2{digit}" for digit in range(10)), *(f"6{digit}" for digit in range(4))]
    texts = [parts[key] for key in keys if key in parts]
    words = _words(_joined(texts))
    purpose = words.get("SVWZ", "") if any(words) else " ".join(texts)
    gvc = match["gvc"]
    name = words.get("ABWA") or _joined([parts.get("32", ""), parts.get("33", "")])
    account = plain(words.get("IBAN", "") or parts.get("31", ""))
    is_return = gvc in RETURNED
    free = words.get("") or words.get("MTLG", "")
    reason = REASON.search(f"{purpose} {free}") if is_return else None
    return replace(
        line,
        purpose=" ".join(f"{purpose or free}".split()),
        name=" ".join(name.split()),
        iban=account,
        bic=(words.get("BIC") or parts.get("30", "")).strip(),
        end_to_end_id=_given(words.get("EREF", "")) or line.end_to_end_id or _given(words.get("KREF", "")),
        mandate=words.get("MREF", ""),
        code=gvc,
        is_return=is_return,
        return_code=(reason[0] if reason else REASONS.get(parts.get("34", "").strip(), "")) if is_return else "",
        fee=_fee(line, words, extra) if is_return else Decimal(0),
    )


def _joined(parts: list[str]) -> str:
    """Subfields as one text: a full one runs on in the next, a shorter one lost the blank at its end."""
    return "".join(part if len(part) >= WIDTH else f"{part} " for part in parts).rstrip()


def _words(text: str) -> dict[str, str]:
    """What stands behind each keyword (“EREF+…”); before the first of them, under the empty one."""
    found: dict[str, str] = {}
    word, start = "", 0
    for match in KEYWORD.finditer(text):
        found.setdefault(word, text[start : match.start()].strip())
        word, start = match["word"] or match["note"], match.end()
    found.setdefault(word, text[start:].strip())
    return {word: value for word, value in found.items() if word or value} if len(found) > 1 else {}


def _fee(line: StatementLine, words: dict[str, str], extra: str) -> Decimal:
    """What of a return exceeds the debit that comes back."""
    match = ORIGINAL.search(extra)
    told = match["amount"] if match else words.get("OAMT", "").removeprefix("EUR")
    if not re.fullmatch(r"[0-9]{1,12}(,[0-9]{0,3})?", told):
        return Decimal(0)
    original = rounded(Decimal(told.replace(",", ".")), places_of(line.currency))
    return abs(line.amount) - original if Decimal(0) < original < abs(line.amount) else Decimal(0)


def _given(text: str) -> str:
    return "" if text.upper().replace(" ", "") in NOT_GIVEN else text


def _taken(tag: tags.Tag, field: Field) -> dict[str, Any]:
    try:
        return tag.parse(Transactions(), field.text.strip())
    except RuntimeError:
        raise _no_form(field) from None


def _no_form(field: Field) -> FileRefused:
    return FileRefused(
        _("Line %(line)d: field %(tag)s is not in the form of MT940.") % {"line": field.line, "tag": field.tag}
    )


def _day(year: str, month: str, day: str, field: Field) -> tuple[date, bool]:
    """The day, and whether the calendar has it: banks that reckon 30 days a month write 30 February."""
    full = 2000 + int(year) if int(year) < 80 else 1900 + int(year)
    if not 1 <= int(month) <= 12 or not 1 <= int(day) <= 31:
        raise FileRefused(
            _("Line %(line)d: “%(text)s” is not a day of the calendar.")
            % {"line": field.line, "text": f"{year}{month}{day}"}
        )
    last = monthrange(full, int(month))[1]
    return date(full, int(month), min(int(day), last)), int(day) <= last


def _near(day: date, month: int, number: int) -> date | None:
    """The day of that month and number nearest to ``day``: an entry of 2 January may have its value in December."""
    found = []
    for year in (day.year - 1, day.year, day.year + 1):
        try:
            found.append(date(year, month, number))
        except ValueError:
            continue
    return min(found, key=lambda one: abs((one - day).days), default=None)


def _amount(text: str, currency: str, field: Field) -> Decimal:
    try:
        if not re.fullmatch(r"[0-9]{0,15}(,[0-9]{0,6})?", text) or not any(sign.isdigit() for sign in text):
            raise ValueError(_("“%(text)s” is not an amount.") % {"text": text[:40]})
        return fitting(Decimal(f"0{text}".replace(",", ".").rstrip(".")), currency)
    except ValueError as error:
        raise FileRefused(_("Line %(line)d: %(reason)s") % {"line": field.line, "reason": error}) from None
