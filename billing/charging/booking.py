"""Write the charges that were proposed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import connection

from billing.charging.proposal import Proposal
from billing.models import Charge
from tenants.copying import copy_rows, new_keys, table_of

CHARGES = table_of(Charge)
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write(proposal: Proposal) -> None:
    """Book what ``propose`` found, in the caller's transaction, under the payers' locks."""
    if not proposal.charges:
        return
    keys = new_keys(**{CHARGES: len(proposal.charges)})[CHARGES]
    traces: dict[int, str] = {}
    rows = []
    reversed_by: list[tuple[int, int]] = []
    for charge, key in zip(proposal.charges, keys, strict=True):
        charge.key = key
        due = charge.due
        trace = traces.get(id(due.trace))
        if trace is None:
            trace = traces[id(due.trace)] = _as_json(due.trace)
        if due.reverses is not None:
            reversed_by.append((due.reverses, key))
        rows.append(
            (
                key,
                due.item,
                due.kind,
                due.period.start,
                due.period.end,
                due.quantity,
                charge.position.contract.currency,
                due.net,
                due.corrects,
                due.reverses,
                due.addition,
                trace,
            )
        )
    if reversed_by:
        _mark_reversed(reversed_by)  # first: what it charges anew must not overlap what it undoes
    copy_rows(
        CHARGES,
        (
            "id",
            "item_id",
            "kind",
            "starts_on",
            "ends_before",
            "quantity",
            "currency",
            "net",
            "corrects_id",
            "reverses_id",
            "addition",
            "trace",
        ),
        rows,
    )


def _mark_reversed(pairs: Sequence[tuple[int, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"update {CHARGES} c set reversed_by_id = p.by from unnest(%s::bigint[], %s::bigint[]) as p(key, by)"
            " where c.id = p.key",
            [[key for key, _by in pairs], [by for _key, by in pairs]],
        )
