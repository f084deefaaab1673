"""A scenario file -> its fields with the paths at which they stand. Nothing of it is reckoned with binary fractions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import yaml
from django.conf import settings
from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from tenants.errors import OperatorError

SCHEMA = Path(settings.BASE_DIR) / "docs" / "simulation.schema.json"
DIGITS = 15


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: ``$.contracts[0].changes[1].quantity``."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ScenarioRefused(OperatorError):
    """A scenario that cannot be run; each fault names its place in the file."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Node:
    """A group of fields and the path at which it stands."""

    data: Mapping[str, Any]
    path: str = "$"

    def __contains__(self, name: str) -> bool:
        return self.data.get(name) is not None

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if name else self.path

    def refuse(self, reason: str, name: str = "") -> NoReturn:
        raise ScenarioRefused(Fault(self.at(name), reason))

    def text(self, name: str, default: str = "") -> str:
        return str(self.data.get(name, default))

    def whole(self, name: str) -> int | None:
        return self.data.get(name)

    def flag(self, name: str) -> bool:
        return bool(self.data.get(name, False))

    def day(self, name: str) -> date | None:
        return date.fromisoformat(self.data[name]) if name in self else None

    def required_day(self, name: str) -> date:
        return date.fromisoformat(self.data[name])

    def figure(self, name: str, places: int = 4) -> Decimal | None:
        """A decimal of at most ``places``, exactly as it is written; one that is longer is refused, never rounded."""
        if name not in self:
            return None
        try:
            figure = Decimal(str(self.data[name]))
        except InvalidOperation:
            self.refuse(_("must be a number, such as 12.50."), name)
        if figure and figure.adjusted() >= DIGITS:
            self.refuse(_("is too large."), name)
        exponent = int(figure.normalize().as_tuple().exponent)
        if -exponent > places:
            self.refuse(_("has more than %(places)s decimals.") % {"places": places}, name)
        return figure

    def group(self, name: str) -> Node:
        return Node(self.data.get(name) or {}, self.at(name))

    def groups(self, name: str) -> list[Node]:
        return [Node(part, f"{self.at(name)}[{n}]") for n, part in enumerate(self.data.get(name) or ())]


def read(path: Path) -> Node:
    """The scenario of a file: JSON if its name ends so, else YAML. Raises ``ScenarioRefused`` naming each fault."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScenarioRefused(Fault(str(path), error.strerror or str(error))) from error
    except UnicodeDecodeError as error:
        raise ScenarioRefused(Fault(str(path), _("is not UTF-8."))) from error
    return checked(parsed(text, is_json=path.suffix.lower() == ".json"))


def parsed(text: str, *, is_json: bool) -> Any:
    """The data of a file's text; days stay texts, decimals are ``Decimal``."""
    try:
        if is_json:
            return json.loads(text, parse_float=Decimal, parse_constant=_no_figure, object_pairs_hook=_once_each)
        return yaml.load(text, _Loader)
    except (json.JSONDecodeError, _Twice) as error:
        raise ScenarioRefused(Fault("$", _("cannot be read: %(problem)s.") % {"problem": error})) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = {"line": mark.line + 1 if mark else "?", "column": mark.column + 1 if mark else "?"}
        reason = _("line %(line)s, column %(column)s cannot be read: %(problem)s.")
        raise ScenarioRefused(Fault("$", reason % {**place, "problem": error.problem})) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ScenarioRefused(Fault("$", _("cannot be read: %(problem)s.") % {"problem": error})) from error


def checked(data: Any) -> Node:
    """``data`` as the published schema has it. Raises ``ScenarioRefused`` naming each fault."""
    try:
        faults = {fault for error in _validator().iter_errors(data) for fault in _faults(error)}
    except RecursionError:
        faults = {Fault("$", _("is nested too deeply."))}
    if faults:
        raise ScenarioRefused(*sorted(faults, key=lambda fault: (_natural(fault.path), fault.reason)))
    return Node(data)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text()), format_checker=FormatChecker(["date"]))


def _faults(error: ValidationError) -> Iterator[Fault]:
    path = error.json_path
    rule = str(error.validator)
    value: Any = error.instance
    bound: Any = error.validator_value
    schema: Any = error.schema
    if rule == "required":
        yield from (Fault(f"{path}.{name}", _("is missing.")) for name in bound if name not in value)
    elif rule == "additionalProperties":
        known = schema["properties"]
        for name in value:
            if name not in known:
                reason = _("is not known here; known are: %(names)s.") % {"names": ", ".join(known)}
                yield Fault(f"{path}.{name}", reason)
    elif rule in ("oneOf", "anyOf") and not isinstance(value, str):
        reason = _("give one of these fields, no two of them: %(names)s.") if rule == "oneOf" else _("give: %(names)s.")
        yield Fault(path, reason % {"names": ", ".join(_required_in(bound))})
    else:
        yield Fault(path, _reason(rule, bound, value, schema))


def _reason(rule: str, bound: Any, value: Any, schema: Any) -> str:
    facts = {"bound": bound, "value": shortened(value)}
    if rule == "anyOf":
        return _("must be immediate, period_end, term_end or a day such as 2026-01-31, not %(value)s.") % facts
    if rule == "format" or (rule == "pattern" and schema.get("format") == "date"):
        return _("must be a day such as 2026-01-31, not %(value)s.") % facts
    if rule == "pattern" and "number" in schema.get("type", ()):
        return _("must be a number, such as 12.50, not %(value)s.") % facts
    if rule == "type":
        wanted = bound if isinstance(bound, list) else [bound]
        kinds = " / ".join(_kind(one) for one in wanted)
        return _("must be %(kinds)s, not %(value)s.") % {**facts, "kinds": kinds}
    if rule == "enum":
        return _("must be one of %(names)s, not %(value)s.") % {**facts, "names": ", ".join(map(str, bound))}
    if rule == "minimum":
        return _("must be at least %(bound)s.") % facts
    if rule == "exclusiveMinimum":
        return _("must be above %(bound)s.") % facts
    if rule == "maximum":
        return _("must be at most %(bound)s.") % facts
    if rule in ("minItems", "minLength"):
        return _("must not be empty.")
    if rule == "maxLength":
        return _("is longer than %(bound)s characters.") % facts
    return _("does not have the right form: %(value)s.") % facts


def _kind(name: str) -> str:
    return {
        "object": _("a group of fields"),
        "array": _("a list"),
        "string": _("a text"),
        "number": _("a number"),
        "integer": _("a whole number"),
        "boolean": _("true or false"),
    }[name]


def shortened(value: Any) -> str:
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _required_in(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    return [name for rule in rules for name in rule.get("required", ())]


def _natural(path: str) -> list[tuple[int, str]]:
    """$.runs[10] after $.runs[9]."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


class _Twice(ValueError):
    pass


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(_("the field %(name)s stands twice") % {"name": name})
        found[name] = value
    return found


def _no_figure(text: str) -> NoReturn:
    raise ValueError(text)


class _Loader(yaml.SafeLoader):
    """YAML without its surprises: NO is a text, 01067 is a text, 2026-01-31 is a text, 0.1 is exactly that."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _value in node.value]
        for n, name in enumerate(names):
            if not isinstance(name, str) or name in names[:n]:
                problem = _("the field %(name)s stands twice") if name in names[:n] else _("%(name)s is no field")
                raise yaml.constructor.ConstructorError(
                    None, None, problem % {"name": name}, node.value[n][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("bool", "true|false", "tf")
_resolve("null", "null|~|", "n~")
_resolve("int", "-?(?:0|[1-9][0-9]*)", "-0123456789")
_resolve("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", "-0123456789")
_Loader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile("^$")))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(node.value))
