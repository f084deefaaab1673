"""Locks, who acts and what they decide, rehearsals, and waking workers: what every station's transaction needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import current_app
from django.db import connection, transaction

TREE_LOCK = 7_001


def tree_lock() -> None:
    """Hold the tree until the transaction ends; every structural write to the account tree takes it first."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [TREE_LOCK])


def lock_payers_of(tenants: Sequence[int]) -> None:
    """Hold ``tenants`` (keys) and those who pay for them, in key order, as ``lock_payers`` does.

    Who pays is read again under the lock: where somebody else has changed it meanwhile, all are let go (a savepoint
    gives locks back) and the new payers are waited for, in order. Holding the account keeps its payer what it is.
    """
    while True:
        savepoint = transaction.savepoint()
        payers = _payers_of(tenants)
        lock_payers(sorted(payers | set(tenants)))
        if _payers_of(tenants) <= payers:
            transaction.savepoint_commit(savepoint)
            return
        transaction.savepoint_rollback(savepoint)


def _payers_of(tenants: Sequence[int]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(pay_by_id, id) from tenants_tenant where id = any(%s)", [list(tenants)])
        return {row[0] for row in cursor.fetchall()}


def lock_payers(payers: Sequence[int]) -> None:
    """Hold ``payers`` (tenant keys) until the transaction ends, in key order, so that two callers cannot deadlock."""
    with connection.cursor() as cursor:
        cursor.execute("select 1 from tenants_tenant where id = any(%s) order by id for no key update", [list(payers)])


def lock_free_payers(payers: Sequence[int]) -> list[int]:
    """As ``lock_payers``, for those that nobody holds just now; returns them, in key order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select id from tenants_tenant where id = any(%s) order by id for no key update skip locked",
            [list(payers)],
        )
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def acting(*, actor: str, channel: str, reason: str = "") -> Iterator[None]:
    """One transaction whose changes the activity record ascribes to ``actor``, through ``channel``, for ``reason``."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "select set_config('kontor.actor', %s, true), set_config('kontor.channel', %s, true),"
                " set_config('kontor.reason', %s, true)",
                [actor, channel, reason],
            )
        yield


def record(table: str, row: int, action: str, facts: dict[str, Any], *, by: Any = None, reason: str = "") -> None:
    """Put on record what no trigger sees: a decision, or a step of a run.

    ``by`` is the user who decided; without one it is ascribed to whom ``acting`` names. ``action``: 10 characters.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            'insert into tenants_activity (actor, channel, reason, "table", row, action, after) values'
            " (coalesce(%s, current_setting('kontor.actor', true), ''),"
            "  coalesce(current_setting('kontor.channel', true), ''), %s, %s, %s, %s, %s)",
            [by and by.get_username(), reason, table, row, action, json.dumps(facts)],
        )


@contextmanager
def rehearsal() -> Iterator[None]:
    """Run the real code and undo it: for imports and single changes only, never for anything that takes a number."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def wake(task: str, **arguments: Any) -> None:
    """Tell a worker, once this transaction is committed, that ``task`` has something to do. A hint: it may get lost."""
    transaction.on_commit(lambda: current_app.send_task(task, kwargs=arguments), robust=True)
