"""What was booked on an account, from its own side: what it owes is negative, what it paid or got back positive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from billing.kernel.money import places_of, rounded
from invoicing.models import OpenItem
from tenants.models import Tenant
from tenants.models.visibility import named_keys_of

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

    Of a payment, ``document`` is its reference, and there is no ``invoice``. ``open_item`` is the key of what it is on.
    """

    day: date
    kind: str
    document: str
    document_kind: str
    invoice: int | None
    open_item: int
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


def statements(
    tenant: Tenant,
    *,
    with_descendants: bool,
    after: date | None,
    through: date,
    among: QuerySet[OpenItem] | None = None,
) -> list[Statement]:
    """The account's statements by currency, or those of all accounts from it downwards taken together.

    ``after``: the last day that belongs to the opening balance (``None``: from the beginning). ``among``: the open
    items that count at all. What an entry moves between items that are told of here (a credit set off, a payment
    allocated) changes nothing and is left out. Two queries.
    """
    scope, values = _scope(tenant, with_descendants, among)
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
            select currency, booked_on, kind, document, document_kind, invoice, open_item, account, amount from (
                select p.id, p.currency, e.booked_on, e.kind, coalesce(i.number, o.reference) as document,
                       coalesce(i.kind, '') as document_kind, i.id as invoice, o.id as open_item,
                       t.reference as account, -p.amount as amount,
                       sum(p.amount) over (partition by p.entry_id, p.currency) <> 0 as moves {booked}
                   and e.booked_on > %(after)s and e.booked_on <= %(through)s) told
             where moves order by booked_on, id
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


def balances(tenant: Tenant, *, with_descendants: bool, among: QuerySet[OpenItem] | None = None) -> dict[str, Decimal]:
    """What stands on the account now, by currency, from its own side: a debt is negative."""
    scope, values = _scope(tenant, with_descendants, among)
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


def _scope(tenant: Tenant, with_descendants: bool, among: QuerySet[OpenItem] | None) -> tuple[str, dict[str, Any]]:
    seen = "true"
    values: dict[str, Any] = {}
    if among is not None:
        keys, values = named_keys_of(among)
        seen = f"o.id in ({keys})"
    if not with_descendants:
        return f"t.id = %(tenant)s and {seen}", values | {"tenant": tenant.pk}
    return (
        f"t.tree_id = %(tree)s and t.lft >= %(left)s and t.rght <= %(right)s and {seen}",
        values | {"tree": tenant.tree_id, "left": tenant.lft, "right": tenant.rght},
    )
