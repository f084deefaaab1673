"""A rule, its words and the names of what it is about; where a rule does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from config.books.breach import Breach


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold. ``breaches`` selects where it does not; its columns fill in the words."""

    invariant: str
    record: Any
    sentence: Any
    breaches: str


CHARGE: Final = _("charge %(key)s of contract %(contract)s")
DOCUMENT: Final = _("document %(document)s")
LINES: Final = """
    invoicing_line l join invoicing_invoice i on i.id = l.invoice_id join billing_charge c on c.id = l.charge_id
"""
NAMED_DOCUMENT: Final = "coalesce(i.number, '#' || i.id) as document"
CHARGES: Final = """
    billing_charge c join billing_item p on p.id = c.item_id join billing_subscription s on s.id = p.subscription_id
"""


def breaches_of(rule: Rule) -> Iterator[Breach]:
    for found in rows_of(rule.breaches):
        yield Breach(rule.invariant, str(rule.record) % found, str(rule.sentence) % found)


def rows_of(query: str, parameters: list[Any] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a query by the names of their columns, from a cursor on the server."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        names: list[str] = []
        for row in cursor:
            names = names or [column.name for column in cursor.description]
            yield dict(zip(names, row, strict=True))
