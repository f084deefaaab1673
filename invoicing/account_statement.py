"""What was booked on an account, from its own side: what it owes is negative, what it paid or got back positive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from billing.kernel.money import places_of, rounded
from tenants.models import Tenant

BOOKED: Final = """
    from invoicing_posting p
    join invoicing_openitem o on o.id = p.open_item_id
    join invoicing_journalentry e on e.id = p.entry_id
    left join invoicing_invoice i on i.id = o.invoice_id
    join tenants_tenant t on t.id = o.payer_id
   where {scope}
"""


@dataclass(frozen=True, slots=True)
class Movement:
    """One booking: its day, the kind of entry, the document, whose account it is, and the amount from that side.

    Of a payment, ``document`` is its reference, and there is no ``invoice``.
    """

    day: date
    kind: str
    document: str
    document_kind: str
    invoice: int | None
    account: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """The movements of one currency between two days; ``opening`` and they add up to ``closing``."""

    currency: str
    opening: Decimal
    movements: tuple[Movement, ...]
    closing: Decimal

    @property
    def count(self) -> int:
        return len(self.movements)

    @property
    def total(self) -> Decimal:
        """The sum of the movements alone."""
        return self.closing - self.opening


def statements(tenant: Tenant, *, with_descendants: bool, after: date | None, through: date) -> list[Statement]:
    """The account's statements by currency, or those of all accounts from it downwards taken together.

    ``after``: the last day that belongs to the opening balance (``None``: from the beginning). Two queries.
    """
    scope, values = _scope(tenant, with_descendants)
    booked = BOOKED.format(scope=scope)
    opening: dict[str, Decimal] = {}
    moved: dict[str, list[Movement]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"select p.currency, -sum(p.amount) {booked} and e.booked_on <= %(after)s group by p.currency",
            values | {"after": after or date.min},
        )
        opening.update(cursor.fetchall())
        cursor.execute(
            f"""
            select p.currency, e.booked_on, e.kind, coalesce(i.number, o.reference), coalesce(i.kind, ''), i.id, t.reference, -p.amount {booked}
               and e.booked_on > %(after)s and e.booked_on <= %(through)s order by e.booked_on, p.id
            """,
            values | {"after": after or date.min, "through": through},
        )
        for currency, *row in cursor.fetchall():
            row[-1] = rounded(row[-1], places_of(currency))
            moved.setdefault(currency, []).append(Movement(*row))
    found = []
    for currency in sorted(opening.keys() | moved.keys()):
        first = rounded(opening.get(currency, Decimal(0)), places_of(currency))
        movements = tuple(moved.get(currency, ()))
        found.append(Statement(currency, first, movements, first + sum((one.amount for one in movements), Decimal(0))))
    return found


def balances(tenant: Tenant, *, with_descendants: bool) -> dict[str, Decimal]:
    """What stands on the account now, by currency, from its own side: a debt is negative."""
    scope, values = _scope(tenant, with_descendants)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select p.currency, -sum(p.amount) {BOOKED.format(scope=scope)} group by p.currency order by p.currency",
            values,
        )
        return {currency: rounded(left, places_of(currency)) for currency, left in cursor.fetchall()}


def rows(found: list[Statement]) -> Iterator[tuple[str, Movement]]:
    """All movements with their currency, for a table of them all."""
    for statement in found:
        for movement in statement.movements:
            yield statement.currency, movement


def _scope(tenant: Tenant, with_descendants: bool) -> tuple[str, dict[str, Any]]:
    if not with_descendants:
        return "t.id = %(tenant)s", {"tenant": tenant.pk}
    return (
        "t.tree_id = %(tree)s and t.lft >= %(left)s and t.rght <= %(right)s",
        {"tree": tenant.tree_id, "left": tenant.lft, "right": tenant.rght},
    )
