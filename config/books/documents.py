"""Every document read again, a chunk at a time: sums, VAT, postings and hash from its own rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of
from config.books.breach import Breach
from invoicing.kernel import content
from invoicing.kernel.entries import document_issued
from invoicing.kernel.totals import Share, totals
from invoicing.kernel.vat import Case, case_of

CHUNK: Final = 1_000
Row = tuple[Any, ...]

HEADS: Final = """
    select id, coalesce(number, '#' || id), state, kind, issued_on, due_on, language, currency, collection, po_number,
           vat_case, net, vat, gross, parties, content_hash
      from invoicing_invoice where id > %s order by id limit %s
"""
SECTIONS: Final = """
    select s.invoice_id, s.position, s.name, s.net, s.currency from invoicing_section s
     where s.invoice_id = any(%s) order by s.invoice_id, s.position
"""
LINES: Final = """
    select l.invoice_id, l.position, s.position, l.text, l.quantity, l.unit, l.starts_on, l.ends_before, l.vat_case,
           l.vat_rate, l.net, l.details, l.currency
      from invoicing_line l left join invoicing_section s on s.id = l.section_id
     where l.invoice_id = any(%s) order by l.invoice_id, l.position
"""
SHARES: Final = """
    select invoice_id, vat_case, vat_rate, base, vat, currency from invoicing_vatshare where invoice_id = any(%s)
     order by invoice_id, vat_rate desc, vat_case collate "C"
"""
POSTINGS: Final = """
    select e.invoice_id, a.role, p.amount
      from invoicing_journalentry e
      join invoicing_posting p on p.entry_id = e.id
      join invoicing_ledgeraccount a on a.id = p.account_id
     where e.invoice_id = any(%s) and e.kind = 'issue'
"""


@dataclass(slots=True)
class Document:
    head: Row
    sections: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    shares: list[Row] = field(default_factory=list)
    postings: list[Row] = field(default_factory=list)


def documents_hold() -> Iterator[Breach]:
    """Each document adds up, is taxed as its parties and rates say, is booked as it says, and is what was hashed."""
    for document in _documents():
        name = gettext("document %(document)s") % {"document": document.head[1]}
        for invariant, sentence in _faults(document):
            yield Breach(invariant, name, str(sentence))


def _documents() -> Iterator[Document]:
    last = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(HEADS, [last, CHUNK])
            documents = {head[0]: Document(head) for head in cursor.fetchall()}
            if not documents:
                return
            keys = list(documents)
            last = keys[-1]
            for query, part in ((SECTIONS, "sections"), (LINES, "lines"), (SHARES, "shares"), (POSTINGS, "postings")):
                cursor.execute(query, [keys])
                for key, *row in cursor.fetchall():
                    getattr(documents[key], part).append(row)
            yield from documents.values()


def _faults(document: Document) -> Iterator[tuple[str, Any]]:
    state, kind, currency, vat_case, net, vat, gross = (document.head[n] for n in (2, 3, 7, 10, 11, 12, 13))
    try:
        places = places_of(currency)
        shares = [Share(Case(case), rate, base, part) for case, rate, base, part, _currency in document.shares]
        reckoned = totals([(Case(line[7]), line[8], line[9]) for line in document.lines], places)
    except (ValueError, ArithmeticError):
        yield "totals", _("Its amounts cannot be added up: currency, VAT case or a figure is impossible.")
        return
    if not document.lines:
        yield "totals", _("It has no line.")
    if (reckoned.net, reckoned.vat) != (net, vat):
        yield "totals", _("Its lines do not add up to its net amount and VAT.")
    if gross != net + vat:
        yield "totals", _("Net and VAT do not add up to the gross amount.")
    if (kind == "invoice" and gross < 0) or (kind == "credit_note" and gross > 0):
        yield "totals", _("The sign of its amount does not go with its kind.")
    if any(row[-1] != currency for row in (*document.sections, *document.lines, *document.shares)):
        yield "totals", _("Parts of it are in another currency.")
    if tuple(shares) != reckoned.shares:
        yield "vat", _("Its VAT shares are not the VAT of its lines, rounded once per category and rate.")
    if vat_case != _case(document.head[14], vat_case):
        yield "vat", _("Its VAT case does not follow from the countries of its parties.")
    yield from _section_faults(document)
    if state == "issued":
        booked = sorted((role, amount) for role, amount in document.postings)
        if booked != sorted((side.role, side.amount) for side in document_issued(shares)):
            yield "entries", _("What was booked for it is not what its VAT shares say.")
    if content_hash(document) != document.head[15]:
        yield "content", _("It is no longer what it was when its hash was made.")


def _section_faults(document: Document) -> Iterator[tuple[str, Any]]:
    if not document.sections:
        return
    nets: dict[int | None, Any] = defaultdict(int)
    for line in document.lines:
        nets[line[1]] += line[9]
    if None in nets:
        yield "totals", _("It has sections, and lines in none of them.")
    if {section[0]: section[2] for section in document.sections} != {
        k: net for k, net in nets.items() if k is not None
    }:
        yield "totals", _("The sums of its sections are not those of their lines.")


def _case(parties: str, stated: str) -> str | None:
    """The VAT case by the countries that stand on a document; whether a VAT id was valid is taken from ``stated``."""
    kept = json.loads(parties)
    try:
        return case_of(
            kept["seller"]["country"],
            kept["buyer"]["country"],
            buyer_vat_id_is_valid=stated == Case.REVERSE_CHARGE.value,
        ).value
    except (KeyError, TypeError, ValueError):
        return None


def content_hash(document: Document) -> str:
    """The hash of a document from its rows, by the same canonical text as when it arose."""
    kind, issued_on, due_on, language, currency, collection, po_number, case, net, vat, gross = document.head[3:14]
    head = content.head_text(
        kind,
        issued_on,
        due_on,
        language,
        currency,
        collection,
        po_number,
        case,
        net,
        vat,
        gross,
        _canonical(document.head[14]),
    )
    return content.content_hash(
        head,
        [content.section_text(position, name, net) for position, name, net, _currency in document.sections],
        [_line_text(line) for line in document.lines],
        [content.share_text(case, rate, base, vat) for case, rate, base, vat, _currency in document.shares],
    )


def _line_text(line: Sequence[Any]) -> str:
    columns = [*line[:-2], _canonical(line[-2])]
    return content.line_text(*columns)


@lru_cache(maxsize=4_096)
def _canonical(text: str) -> str:
    return content.canonical_json(json.loads(text))
