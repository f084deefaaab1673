"""The canonical text of a document and its hashes. Version 1, fixed: a changed library must not change old hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

VERSION = "1"
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks; decimals do not occur, amounts are text."""
    return _encode(value)


def line_text(
    position: int,
    section: int | None,
    text: str,
    quantity: Decimal,
    unit: str,
    starts_on: date,
    ends_before: date,
    vat_case: str,
    vat_rate: Decimal,
    net: Decimal,
    details: str,
) -> str:
    """One line; ``details`` in canonical JSON, ``section`` by its position."""
    return (
        f"line\t{position}\t{section or ''}\t{text}\t{quantity:.4f}\t{unit}\t{starts_on}\t{ends_before}\t{vat_case}"
        f"\t{vat_rate:.3f}\t{net:.4f}\t{details}"
    )


def share_text(
    vat_case: str,
    vat_rate: Decimal,
    base: Decimal,
    vat: Decimal,
    country: str = "",
    exemption_code: str = "",
    notice: str = "",
) -> str:
    """One VAT share; what came after version 1 is written where it says something."""
    text = f"vat\t{vat_case}\t{vat_rate:.3f}\t{base:.4f}\t{vat:.4f}"
    for word, value in (("country", country), ("code", exemption_code), ("notice", notice)):
        if value:
            text += f"\t{word}\t{value}"
    return text


def book_vat_text(currency: str, net: Decimal, vat: Decimal, rate: Decimal, rate_on: date, source: str) -> str:
    """VAT in the issuer's currency, which documents in others have since it is kept with them."""
    return f"book\t{currency}\t{net:.4f}\t{vat:.4f}\t{rate:.8f}\t{rate_on}\t{source}"


def allowance_text(
    position: int, text: str, percent: Decimal | None, vat_case: str, vat_rate: Decimal, base: Decimal, amount: Decimal
) -> str:
    """What a discount takes off the document; later than version 1, and written only where there is one."""
    share = "" if percent is None else f"{percent:.4f}"
    return f"allowance\t{position}\t{text}\t{share}\t{vat_case}\t{vat_rate:.3f}\t{base:.4f}\t{amount:.4f}"


def section_text(position: int, name: str, net: Decimal, project_code: str = "") -> str:
    """One section. What came after version 1 is written only where it says something: old texts stay as they are."""
    text = f"section\t{position}\t{name}\t{net:.4f}"
    return f"{text}\tproject\t{project_code}" if project_code else text


def head_text(
    kind: str,
    issued_on: date,
    due_on: date,
    language: str,
    currency: str,
    collection: str,
    po_number: str,
    vat_case: str,
    net: Decimal,
    vat: Decimal,
    gross: Decimal,
    parties: str,
) -> str:
    """The head; ``parties`` in canonical JSON."""
    return (
        f"document\t{VERSION}\t{kind}\t{issued_on}\t{due_on}\t{language}\t{currency}\t{collection}\t{po_number}"
        f"\t{vat_case}\t{net:.4f}\t{vat:.4f}\t{gross:.4f}\t{parties}"
    )


def content_hash(
    head: str, sections: Iterable[str], lines: Iterable[str], shares: Iterable[str], allowances: Iterable[str] = ()
) -> str:
    """SHA-256 over head, sections, lines, VAT shares and allowances, each in the order of their positions (shares: as
    printed).
    """
    return sha256("\n".join([head, *sections, *lines, *shares, *allowances]).encode()).hexdigest()


def chained(previous: str, number: str, content: str) -> str:
    """The next link of a number range's chain; the first one follows on an empty text."""
    return sha256(f"{previous}\n{number}\n{content}".encode()).hexdigest()
