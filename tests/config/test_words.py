"""Every text a person sees has its German words: the sources are read, not run."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from django.apps import apps
from django.conf import settings
from django.utils import translation
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
APPS = ("tenants", "billing", "invoicing", "payments", "config")
CATALOGUES = {app: ROOT / app / "locale" / "de" / "LC_MESSAGES" / "django.po" for app in APPS}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}")
IN_TEMPLATES = re.compile(r"""\b(gettext|ngettext|pgettext|npgettext|_)\((?=\s*u?["'])""")


class Word(NamedTuple):
    """A text of the sources; ``plural`` and ``context`` are empty where it has none."""

    text: str
    plural: str
    context: str
    place: str

    @property
    def key(self) -> tuple[str, str]:
        return self.context, self.text


def words() -> Iterator[Word]:
    """All texts of the code and the templates."""
    for path in [ROOT / "manage.py", *(path for app in APPS for path in sorted((ROOT / app).rglob("*.py")))]:
        if "migrations" not in path.parts:
            yield from words_of_code(path.read_text(), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "templates").rglob("*.*")):
        code = templatize(path.read_text())
        place = str(path.relative_to(ROOT))
        for found in IN_TEMPLATES.finditer(code):
            yield from words_of_code(code[found.start() : end_of_call(code, found.end())], place)


def words_of_code(code: str, place: str) -> Iterator[Word]:
    tree = ast.parse(code)
    names = {"_": "gettext"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
            names |= {name.asname or name.name: name.name for name in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        kind = names.get(called, called).removesuffix("_lazy").removesuffix("_noop")
        if kind not in ("gettext", "ngettext", "pgettext", "npgettext"):
            continue
        at = f"{place}:{node.lineno}"
        assert not any(isinstance(part, ast.JoinedStr) for part in node.args), f"{at}: an f-string is never translated"
        texts = [part.value if isinstance(part, ast.Constant) else None for part in node.args]
        context = str(texts.pop(0)) if "p" in kind else ""
        plural = texts[1] if kind.startswith("n") else ""
        if isinstance(texts[0], str) and texts[0]:
            yield Word(texts[0], str(plural or ""), context, at)


def end_of_call(code: str, start: int) -> int:
    """Where the parenthesis before ``start`` closes; texts may hold parentheses themselves."""
    depth, quote, at = 1, "", start
    while depth:
        character = code[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        else:
            depth += {"(": 1, ")": -1}.get(character, 0)
        at += 1
    return at


def catalogue(app: str) -> Catalog:
    with CATALOGUES[app].open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="module")
def catalogues() -> dict[str, Catalog]:
    return {app: catalogue(app) for app in APPS}


def entries(catalog: Catalog) -> Iterator[tuple[tuple[str, str], list[str], list[str]]]:
    """Key, English forms and German forms of each message."""
    for message in catalog:
        if message.id:
            english = list(message.id) if isinstance(message.id, tuple | list) else [message.id]
            german = list(message.string) if isinstance(message.string, tuple | list) else [message.string or ""]
            yield (message.context or "", english[0]), english, german


def test_every_text_has_its_german_words(catalogues):
    known: dict[tuple[str, str], list[str]] = {}
    for catalog in catalogues.values():
        known |= {key: english for key, english, _german in entries(catalog)}
    missing = [f"{word.place}: {word.text!r}" for word in words() if word.key not in known]
    without_plural = [
        f"{word.place}: {word.text!r}"
        for word in words()
        if word.plural and word.key in known and known[word.key][1:] != [word.plural]
    ]
    assert missing == []
    assert without_plural == []


def test_german_words_are_whole(catalogues):
    faults = []
    for app, catalog in catalogues.items():
        faults += [f"{app}: fuzzy: {message.id!r}" for message in catalog if message.id and message.fuzzy]
        for _key, english, german in entries(catalog):
            if not all(text.strip() for text in german):
                faults.append(f"{app}: empty: {english[0]!r}")
            wanted = set(PLACEHOLDER.findall(english[-1]))
            for n, text in enumerate(german):
                held = set(PLACEHOLDER.findall(text))
                if not (held == wanted or (n == 0 < len(german) - 1 and held < wanted)):  # "one" may be a word
                    faults.append(f"{app}: other placeholders: {english[0]!r}")
            if "Gutschrift" in " ".join(german):
                faults.append(f"{app}: “Gutschrift” is self-billing (§ 14 (2) UStG): {english[0]!r}")
    assert faults == []


def test_a_text_stands_in_the_catalogue_of_one_app(catalogues):
    homes = defaultdict(set)
    for app, catalog in catalogues.items():
        for key, _english, _german in entries(catalog):
            homes[key].add(app)
    used = {word.key for word in words()}
    assert {key: sorted(found) for key, found in homes.items() if len(found) > 1} == {}
    assert {key for key, found in homes.items() if key not in used and found != {"config"}} == set()


def test_records_and_their_columns_have_names():
    """A column without a name of its own would show the English word that Django makes of the attribute."""
    unnamed = []
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            named: list[tuple[str, Any]] = [(str(model._meta), model._meta.verbose_name)]
            named += [
                (str(field), field.verbose_name)
                for field in model._meta.local_fields
                if field.editable and not field.primary_key
            ]
            unnamed += [
                where for where, name in named if isinstance(name, str) and name not in ("SHA-256", "Message-ID")
            ]
    assert unnamed == []


def test_the_glossary_knows_every_record_and_state():
    rows = {
        tuple(cell.strip().strip("`") for cell in line.split("|")[1:4])
        for line in (ROOT / "docs" / "glossary.md").read_text().splitlines()
        if line.startswith("| ")
    }
    wanted = set()
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            wanted.add((model.__name__, *in_both(model._meta.verbose_name)))
            for field in model._meta.local_fields:
                wanted |= {(str(value), *in_both(label)) for value, label in field.flatchoices if field.choices}
    assert {row for row in wanted - rows if row[0] not in ("de", "en", "pdf")} == set()


def in_both(text: Any) -> tuple[str, str]:
    with translation.override("en"):
        english = str(text)
    with translation.override("de"):
        return english, str(text)
