"""Undo charges as a whole, so that their days are due again."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import connection

from billing.kernel.money import places_of, rounded
from billing.models import Charge
from tenants.copying import copy_rows, new_keys, table_of

CHARGES = table_of(Charge)
OPPOSITE = {
    Charge.Kind.FEE.value: Charge.Kind.CREDIT.value,
    Charge.Kind.CREDIT.value: Charge.Kind.FEE.value,
}


def reverse(charges: Sequence[int]) -> dict[int, int]:
    """Write a reversal of each charge, in the caller's transaction, under the payers' locks; its key by that of the
    charge. Afterwards neither of the two stands.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"select id, item_id, kind, starts_on, ends_before, quantity, currency, net from {CHARGES}"
            " where id = any(%s) order by id",
            [list(charges)],
        )
        found = cursor.fetchall()
        keys = new_keys(**{CHARGES: len(found)})[CHARGES]
        reversals = {row[0]: key for row, key in zip(found, keys, strict=True)}
        cursor.execute(
            f"update {CHARGES} c set reversed_by_id = p.by from unnest(%s::bigint[], %s::bigint[]) as p(key, by)"
            " where c.id = p.key",
            [list(reversals), list(reversals.values())],
        )
    rows = []
    for charge, item, kind, starts_on, ends_before, quantity, currency, net in found:
        net = rounded(net, places_of(currency))
        trace = {"v": 1, "exact": "0", "booked": format(net, "f"), "net": format(-net, "f")}
        rows.append(
            (
                reversals[charge],
                item,
                OPPOSITE[kind],
                starts_on,
                ends_before,
                quantity,
                currency,
                -net,
                charge,
                json.dumps(trace),
            )
        )
    columns = "id item_id kind starts_on ends_before quantity currency net reverses_id trace".split()
    copy_rows(CHARGES, columns, rows)
    return reversals
