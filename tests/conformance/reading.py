"""Read folders of cases, and a case's fields, so that whatever is odd is named by its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo


class NotSupported(Exception):
    """The engine has no answer to this; says what it lacks, or which field cannot be read."""


@dataclass(frozen=True)
class Case:
    place: str  # file:line
    id: str
    topic: str
    kind: str
    title: str
    given: Given
    expect: dict[str, Any]
    convention: dict[str, Any]
    by_convention: bool
    note: str


@dataclass(frozen=True)
class Unread:
    """A line that is no case, and why."""

    place: str
    reason: str


def read(folder: Path) -> Iterator[Case | Unread]:
    """All cases of all ``*.jsonl`` files in and below a folder, in the order of names and lines."""
    for path in sorted(folder.rglob("*.jsonl")):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            yield Unread(str(path), f"cannot be read: {error}")
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield _case(f"{path}:{number}", line, path.stem)


def _case(place: str, line: str, topic: str) -> Case | Unread:
    try:
        found = json.loads(line, parse_float=Decimal, parse_int=int)
    except (ValueError, RecursionError) as error:
        return Unread(place, f"not JSON: {error}")
    if not isinstance(found, dict):
        return Unread(place, "not a case: a JSON object is expected")
    for name, kind in (("id", str), ("kind", str), ("given", dict), ("expect", dict)):
        if not isinstance(found.get(name), kind):
            return Unread(place, f"{name}: {'missing' if name not in found else 'of another type'}")
    convention = found.get("convention")
    return Case(
        place=place,
        id=found["id"],
        topic=str(found.get("topic") or topic),
        kind=found["kind"],
        title=str(found.get("title") or ""),
        given=Given(found["given"], "given"),
        expect=found["expect"],
        convention=convention if isinstance(convention, dict) else {},
        by_convention=found.get("convention_dependent") is True,
        note=str(found.get("convention_note") or ""),
    )


class Given:
    """An object of a case, field by field; remembers which fields were asked for."""

    def __init__(self, fields: Any, path: str) -> None:
        if not isinstance(fields, dict):
            raise NotSupported(f"{path}: an object is expected, not {fields!r}")
        self.fields = fields
        self.path = path
        self.asked: set[str] = set()
        self.children: dict[str, list[Given]] = {}

    def __contains__(self, name: str) -> bool:
        """Whether it is there and says anything."""
        self.asked.add(name)
        return self.fields.get(name) is not None

    def raw(self, name: str) -> Any:
        if name not in self:
            raise NotSupported(f"{self.path}.{name}: missing")
        return self.fields[name]

    def unread(self) -> list[str]:
        """Paths of the fields that nobody asked for."""
        own = [f"{self.path}.{name}" for name in self.fields if name not in self.asked]
        return own + [path for children in self.children.values() for child in children for path in child.unread()]

    def child(self, name: str) -> Given:
        return self._known(name, [self.raw(name)])[0]

    def children_of(self, name: str) -> list[Given]:
        """The objects of a list; an empty list if it is not there."""
        return self._known(name, self.values(name), numbered=True)

    def by_name(self, name: str) -> dict[str, Given]:
        """The objects of an object by their names; none if it is not there."""
        if name not in self:
            return {}
        found = self.child(name)
        return {key: found.child(key) for key in found.fields}

    def _known(self, name: str, values: list[Any], *, numbered: bool = False) -> list[Given]:
        if name not in self.children:
            self.children[name] = [
                Given(value, f"{self.path}.{name}[{n}]" if numbered else f"{self.path}.{name}")
                for n, value in enumerate(values)
            ]
        return self.children[name]

    def values(self, name: str) -> list[Any]:
        if name not in self:
            return []
        found = self.raw(name)
        if not isinstance(found, list):
            raise NotSupported(f"{self.path}.{name}: a list is expected, not {found!r}")
        return found

    def text(self, name: str, default: str | None = None) -> str:
        if name not in self and default is not None:
            return default
        found = self.raw(name)
        if not isinstance(found, str):
            raise NotSupported(f"{self.path}.{name}: a text is expected, not {found!r}")
        return found

    def flag(self, name: str) -> bool:
        return name in self and self.raw(name) is True

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        if name not in self and default is not None:
            return default
        return as_decimal(self.raw(name), f"{self.path}.{name}")

    def numbers(self, name: str) -> list[Decimal]:
        return [as_decimal(value, f"{self.path}.{name}[{n}]") for n, value in enumerate(self.values(name))]

    def fraction(self, name: str) -> Fraction:
        return as_fraction(self.raw(name), f"{self.path}.{name}")

    def whole(self, name: str, default: int | None = None) -> int:
        if name not in self and default is not None:
            return default
        found = self.number(name)
        if found != int(found):
            raise NotSupported(f"{self.path}.{name}: a whole number is expected, not {found}")
        return int(found)

    def day(self, name: str) -> date:
        return as_day(self.raw(name), f"{self.path}.{name}")

    def days(self, name: str) -> list[date]:
        return [as_day(value, f"{self.path}.{name}[{n}]") for n, value in enumerate(self.values(name))]

    def instant(self, name: str) -> datetime:
        found = self.text(name)
        try:
            parsed = datetime.fromisoformat(found)
        except ValueError:
            raise NotSupported(f"{self.path}.{name}: no instant: {found!r}") from None
        if parsed.tzinfo is None:
            raise NotSupported(f"{self.path}.{name}: an instant without its time zone: {found!r}")
        return parsed

    def zone(self, name: str, default: str | None = None) -> ZoneInfo:
        found = self.text(name, default)
        try:
            return ZoneInfo(found)
        except (KeyError, ValueError, OSError):
            raise NotSupported(f"{self.path}.{name}: no time zone: {found!r}") from None


def as_decimal(value: Any, path: str) -> Decimal:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        found = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise NotSupported(f"{path}: no number: {value!r}") from None
    if not found.is_finite():
        raise NotSupported(f"{path}: no number: {value!r}")
    return found


def as_fraction(value: Any, path: str) -> Fraction:
    try:
        return Fraction(value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise NotSupported(f"{path}: no fraction: {value!r}") from None


def as_day(value: Any, path: str) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise NotSupported(f"{path}: no day: {value!r}") from None
