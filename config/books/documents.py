"""Every document read again, a chunk at a time: sums, VAT, postings and hash from its own rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of
from config.books.breach import Breach
from invoicing import correction, stored
from invoicing.kernel.entries import document_issued
from invoicing.kernel.totals import Share, Totals, totals
from invoicing.kernel.vat import Case, case_of
from invoicing.stored import Document

POSTINGS: Final = """
    select e.invoice_id, a.role, p.amount
      from invoicing_journalentry e
      join invoicing_posting p on p.entry_id = e.id
      join invoicing_ledgeraccount a on a.id = p.account_id
     where e.invoice_id = any(%s) and e.kind = 'issue'
"""
Posted = tuple[str, Any]


def documents_hold() -> Iterator[Breach]:
    """Each document adds up, is taxed as its parties and rates say, is booked as it says, and is what was hashed."""
    for documents in stored.chunks():
        posted = _posted(list(documents))
        by_hand = correction.reckoned(list(documents))
        for key, document in documents.items():
            name = gettext("document %(document)s") % {"document": document.head[1]}
            for invariant, sentence in _faults(document, posted[key], by_hand.get(key)):
                yield Breach(invariant, name, str(sentence))


def _posted(keys: Sequence[int]) -> dict[int, list[Posted]]:
    posted: dict[int, list[Posted]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(POSTINGS, [list(keys)])
        for key, role, amount in cursor.fetchall():
            posted[key].append((role, amount))
    return posted


def _faults(document: Document, posted: Sequence[Posted], by_hand: Totals | None) -> Iterator[tuple[str, Any]]:
    state, kind, currency, vat_case, net, vat, gross = (document.head[n] for n in (2, 3, 7, 10, 11, 12, 13))
    try:
        places = places_of(currency)
        shares = [Share(Case(case), rate, base, part) for case, rate, base, part, *_ in document.shares]
        reckoned = by_hand or totals(document.nets(), places)
    except (ValueError, ArithmeticError):
        yield "totals", _("Its amounts cannot be added up: currency, VAT case or a figure is impossible.")
        return
    if not document.lines:
        yield "totals", _("It has no line.")
    if (reckoned.net, reckoned.vat) != (net, vat):
        yield "totals", _("Its lines, less its allowances, do not add up to its net amount and VAT.")
    if gross != net + vat:
        yield "totals", _("Net and VAT do not add up to the gross amount.")
    if (kind == "invoice" and gross < 0) or (kind == "credit_note" and gross > 0):
        yield "totals", _("The sign of its amount does not go with its kind.")
    parts = (*document.sections, *document.lines, *document.shares, *document.allowances)
    if any(row[-1] != currency for row in parts):
        yield "totals", _("Parts of it are in another currency.")
    if tuple(shares) != reckoned.shares:
        yield "vat", _("Its VAT shares are not the VAT of its lines, rounded once per category and rate.")
    if vat_case != _case(document, vat_case):
        yield "vat", _("Its VAT case does not follow from the countries of its parties.")
    yield from _section_faults(document)
    if state == "issued" and sorted(posted) != sorted(
        (side.role, side.amount)
        for side in document_issued(
            [replace(share, ledger_role=row[7][2]) for share, row in zip(shares, document.shares, strict=True)]
        )
    ):
        yield "entries", _("What was booked for it is not what its VAT shares say.")
    if stored.content_hash(document) != document.head[15]:
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


def _case(document: Document, stated: str) -> str | None:
    """The VAT case by the tax rules that a document names; of an older one by its countries, and whether a VAT id was
    valid is taken from ``stated``.
    """
    if (by_rule := document.case_by_rule()) is not None:
        return by_rule
    kept = json.loads(document.head[14])
    try:
        return case_of(
            kept["seller"]["country"],
            kept["buyer"]["country"],
            buyer_vat_id_is_valid=stated == Case.REVERSE_CHARGE.value,
        ).value
    except (KeyError, TypeError, ValueError):
        return None
