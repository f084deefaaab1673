"""Documents as they are stored, a chunk at a time, and the hash that follows from their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from django.db import connection

from invoicing import former_vat
from invoicing.kernel import content
from invoicing.kernel.taxation import Customer, Place, buyer_of
from invoicing.kernel.vat import EU, Case

CHUNK: Final = 1_000
Row = tuple[Any, ...]

HEADS: Final = """
    select id, coalesce(number, '#' || id), state, kind, issued_on, due_on, language, currency, collection, po_number,
           vat_case, net, vat, gross, parties, content_hash
      from invoicing_invoice where id > %s and (%s::bigint[] is null or id = any(%s)) order by id limit %s
"""
SECTIONS: Final = """
    select s.invoice_id, s.position, s.name, s.net, s.project_code, s.currency from invoicing_section s
     where s.invoice_id = any(%s) order by s.invoice_id, s.position
"""
LINES: Final = """
    select l.invoice_id, l.position, s.position, l.text, l.quantity, l.unit, l.starts_on, l.ends_before, l.vat_case,
           l.vat_rate, l.net, l.details, l.currency
      from invoicing_line l left join invoicing_section s on s.id = l.section_id
     where l.invoice_id = any(%s) order by l.invoice_id, l.position
"""
SHARES: Final = """
    select s.invoice_id, s.vat_case, s.vat_rate, s.base, s.vat, s.country, s.exemption_code, s.notice,
           array[r.vat_case, r.place, s.ledger_role], s.currency
      from invoicing_vatshare s left join invoicing_taxrule r on r.id = s.rule_id where s.invoice_id = any(%s)
     order by s.invoice_id, s.vat_rate desc, s.vat_case collate "C"
"""
IN_BOOKS: Final = """
    select invoice_id, net, vat, rate, rate_on, source, currency from invoicing_bookvat where invoice_id = any(%s)
"""
ALLOWANCES: Final = """
    select invoice_id, position, text, percent, vat_case, vat_rate, base, amount, trace, currency
      from invoicing_allowance
     where invoice_id = any(%s) order by invoice_id, position
"""


@dataclass(slots=True)
class Document:
    """The rows of a document, each as the query above selects it (lines and the like without the document's key)."""

    head: Row
    sections: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    shares: list[Row] = field(default_factory=list)
    allowances: list[Row] = field(default_factory=list)
    in_books: list[Row] = field(default_factory=list)  # one, of a document in a foreign currency

    def case_by_rule(self) -> str | None:
        """What the tax rules named by the VAT shares make of it; none where no rule is named.

        A rule for another place than the buyer's makes nothing of it: the empty text.
        """
        rules = {(case, place) for case, place, _role in (share[7] for share in self.shares) if case}
        parties = json.loads(self.head[14])
        if former_vat.marked(parties):  # the buyer may have moved since
            cases = {case for case, _place in rules} or {self.head[10]}
            return str(min(cases, key=lambda case: (case == self.head[10], case)))
        if not rules:
            return None
        try:
            seller, buyer = parties["seller"]["country"], parties["buyer"]
            there = buyer_of(
                seller,
                buyer["country"],
                buyer.get("postcode", ""),
                buyer.get("vat_id", ""),
                customer=Customer.BUSINESS_WITHOUT_ID,
                home_is_eu=seller in EU,
            )
        except (KeyError, TypeError):
            return ""
        places = {"", there.place.value, there.country} | ({Place.EU.value} if there.is_northern_irish else set())
        cases = {case if place in places else "" for case, place in rules}
        return min(cases, key=lambda case: (case == self.head[10], case))

    def nets(self) -> list[tuple[Case, Decimal, Decimal]]:
        """Case, rate and net of each line and, taken off, of each allowance. Raises ``ValueError`` for no VAT case."""
        return [
            *((Case(line[7]), line[8], line[9]) for line in self.lines),
            *((Case(lowered[3]), lowered[4], -lowered[6]) for lowered in self.allowances),
        ]


def chunks(keys: Sequence[int] | None = None) -> Iterator[dict[int, Document]]:
    """All documents, or those of ``keys``, by their keys; six queries for each chunk."""
    last, wanted = 0, None if keys is None else list(keys)
    with connection.cursor() as cursor:
        while True:
            cursor.execute(HEADS, [last, wanted, wanted, CHUNK])
            documents = {head[0]: Document(head) for head in cursor.fetchall()}
            if not documents:
                return
            last = max(documents)
            for query, part in (
                (SECTIONS, "sections"),
                (LINES, "lines"),
                (SHARES, "shares"),
                (ALLOWANCES, "allowances"),
                (IN_BOOKS, "in_books"),
            ):
                cursor.execute(query, [list(documents)])
                for key, *row in cursor.fetchall():
                    getattr(documents[key], part).append(row)
            yield documents


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
        [content.section_text(position, name, net, code) for position, name, net, code, _ in document.sections],
        [_line_text(line) for line in document.lines],
        [
            *(content.share_text(*share[:-2]) for share in document.shares),
            *(content.book_vat_text(one[-1], *one[:-1]) for one in document.in_books),
        ],
        [content.allowance_text(*allowance[:-2]) for allowance in document.allowances],
    )


def _line_text(line: Sequence[Any]) -> str:
    columns = [*line[:-2], _canonical(line[-2])]
    return content.line_text(*columns)


@lru_cache(maxsize=4_096)
def _canonical(text: str) -> str:
    return content.canonical_json(json.loads(text))
