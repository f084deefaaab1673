"""What an event may say, and how it is read: the same strict parsers for files and for JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.utils.translation import gettext

from tenants.cells import CellError, Column, Instant, Number, Text, cleaned, shown

LONGEST_PROPERTIES: Final = 4_000
MOST_PROPERTIES: Final = 50
DEEPEST: Final = 4
BACK: Final = timedelta(days=3653)  # ten years
AHEAD: Final = timedelta(days=400)  # longer than any period: such events wait until they are due


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties(Column):
    """A JSON object; its value is the text of it."""

    empty: ClassVar[str | None] = "{}"

    def value(self, cell: str, decimal: str, dates: str) -> str:
        try:
            found = json.loads(
                cell, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number, object_pairs_hook=_once
            )
        except (ValueError, ArithmeticError, RecursionError):
            raise CellError(gettext("“%(cell)s” is no JSON object") % {"cell": shown(cell)}) from None
        return json_text(found)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as its source tells it. ``properties`` is the text of a JSON object."""

    key: str
    occurred_at: datetime  # aware
    tenant: str
    application: str
    meter: str
    user_name: str = ""
    quantity: Decimal = Decimal(1)
    properties: str = "{}"
    reverses: str = ""  # key of the event that this one takes back


COLUMNS: Final = (
    Text(name="event", required=True, max_length=100),
    Instant(name="occurred_at", required=True),
    Text(name="tenant", required=True, max_length=60),
    Text(name="application", required=True, max_length=60),
    Text(name="meter", required=True, max_length=60),
    Text(name="user", max_length=200),
    Number(name="quantity", digits=15, places=10, minimum=None),
    Properties(name="properties"),
    Text(name="reverses", max_length=100),
)
BY_NAME: Final = {column.name: column for column in COLUMNS}


class FromJson:
    """Reads events out of parsed JSON, in which numbers are Decimals; ``application`` stands where one names none."""

    def __init__(self, *, application: str = "") -> None:
        self.application = application

    def event(self, item: Any) -> Event:
        """Raises ``CellError`` whose message names the field and the reason."""
        if not isinstance(item, dict):
            raise CellError(gettext("an event is an object"))
        unknown = item.keys() - BY_NAME.keys()
        if unknown:
            raise CellError(gettext("%(field)s: this field is not known") % {"field": shown(min(unknown))})
        values: dict[str, Any] = {}
        for column in COLUMNS:
            try:
                values[column.name] = self._value(column, item.get(column.name))
            except CellError as error:
                raise CellError(f"{column.name}: {error}") from None
        return event_of(values)

    def _value(self, column: Column, stated: Any) -> Any:
        if column.name == "properties":
            if stated is None:
                return "{}"
            return json_text(stated)
        if column.name == "application" and not stated:
            stated = self.application
        if isinstance(stated, Decimal) and isinstance(column, Number):
            stated = _plain(stated)
        if stated is None:
            stated = ""
        if not isinstance(stated, str):
            raise CellError(gettext("is a text in quotes"))
        return column.parse(cleaned(stated), ".", "iso")


def event_of(values: Mapping[str, Any]) -> Event:
    """Of the values of ``COLUMNS``."""
    quantity = values.get("quantity")
    return Event(
        key=values["event"],
        occurred_at=values["occurred_at"],
        tenant=values["tenant"],
        application=values["application"],
        meter=values["meter"],
        user_name=values.get("user") or "",
        quantity=Decimal(1) if quantity is None else quantity,
        properties=values.get("properties") or "{}",
        reverses=values.get("reverses") or "",
    )


def out_of_time(event: Event, now: datetime) -> str:
    """Why an event's instant cannot be; nothing if it can. A wrong clock must not make months without end."""
    if event.occurred_at < now - BACK:
        return gettext("occurred_at: lies more than ten years back")
    if event.occurred_at > now + AHEAD:
        return gettext("occurred_at: lies more than %(days)d days ahead") % {"days": AHEAD.days}
    return ""


# --- JSON ---


def parsed(body: bytes) -> Any:
    """JSON with exact numbers and without a name twice; raises ``ValueError``."""
    try:
        return json.loads(
            body, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number, object_pairs_hook=_once
        )
    except (ArithmeticError, RecursionError):
        raise ValueError from None


def json_text(found: Any) -> str:
    """The text of an object, in bounds that every database takes; raises ``CellError``."""
    if not isinstance(found, dict):
        raise CellError(gettext("is a JSON object in braces"))
    if not found:
        return "{}"
    if len(found) > MOST_PROPERTIES:
        raise CellError(gettext("more than %(limit)d properties") % {"limit": MOST_PROPERTIES})
    text = _text(found, 1)
    if len(text) > LONGEST_PROPERTIES:
        raise CellError(
            gettext("%(length)d characters, at most %(limit)d are allowed")
            % {"length": len(text), "limit": LONGEST_PROPERTIES}
        )
    return text


def _text(found: Any, depth: int) -> str:
    if isinstance(found, str):
        return json.dumps(cleaned(found), ensure_ascii=False)
    if isinstance(found, bool) or found is None:
        return json.dumps(found)
    if isinstance(found, Decimal):
        return _plain(found)
    if depth > DEEPEST:
        raise CellError(gettext("nested more than %(limit)d deep") % {"limit": DEEPEST})
    if isinstance(found, list):
        return f"[{', '.join(_text(one, depth + 1) for one in found)}]"
    pairs = (f"{json.dumps(cleaned(name), ensure_ascii=False)}: {_text(one, depth + 1)}" for name, one in found.items())
    return f"{{{', '.join(pairs)}}}"


_PLAIN: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


def _plain(number: Decimal) -> str:
    """Without an exponent; refuses what no meter could hold."""
    if abs(number.adjusted()) > 30:
        raise CellError(gettext("“%(cell)s” is too long a number") % {"cell": shown(str(number))})
    text = f"{number:f}"
    if not _PLAIN.fullmatch(text):
        raise CellError(gettext("“%(cell)s” is too long a number") % {"cell": shown(text)})
    return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")
