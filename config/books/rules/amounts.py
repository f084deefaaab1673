"""Every amount is one of its currency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.utils.translation import gettext

from billing.kernel.money import places_of
from config.books.breach import Breach
from config.books.rules.rule import rows_of

AMOUNTS: Final = (
    ("billing_charge", "net"),
    ("invoicing_invoice", "net"),
    ("invoicing_invoice", "vat"),
    ("invoicing_invoice", "gross"),
    ("invoicing_line", "net"),
    ("invoicing_section", "net"),
    ("invoicing_vatshare", "base"),
    ("invoicing_vatshare", "vat"),
    ("invoicing_openitem", "amount"),
    ("invoicing_posting", "amount"),
    ("payments_letter", "total"),
    ("payments_reminder", "open"),
)


def amounts_fit_their_currency() -> Iterator[Breach]:
    """No amount is finer than the minor unit of its currency, none is NaN, and every currency is one."""
    places: dict[str, int] = {}
    tables = sorted({table for table, _column in AMOUNTS})
    for row in list(rows_of(" union ".join(f"select currency from {table}" for table in tables))):
        try:
            places[row["currency"]] = places_of(row["currency"])
        except ValueError:
            yield Breach("amounts", row["currency"], gettext("This is no currency that is known."))
    for table, column in AMOUNTS:
        found = rows_of(
            f"select id, {column} as amount, a.currency from {table} a"
            " join unnest(%s::text[], %s::int[]) as u(currency, places) on u.currency = a.currency"
            f" where {column} <> round({column}, u.places) or {column} = 'NaN'",
            [list(places), list(places.values())],
        )
        for row in found:
            yield Breach(
                "amounts",
                f"{table} {row['id']}",
                gettext("%(amount)s is no amount of %(currency)s in column %(column)s.") % (row | {"column": column}),
            )
