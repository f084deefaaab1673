"""Locks, the name of who acts, rehearsals, and waking workers: what every station's transaction needs."""

from __future__ import annotations

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


def lock_payers(payers: Sequence[int]) -> None:
    """Hold ``payers`` (tenant keys) until the transaction ends, in key order, so that two callers cannot deadlock."""
    with connection.cursor() as cursor:
        cursor.execute("select 1 from tenants_tenant where id = any(%s) order by id for no key update", [list(payers)])


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


@contextmanager
def rehearsal() -> Iterator[None]:
    """Run the real code and undo it: for imports and single changes only, never for anything that takes a number."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def wake(task: str, **arguments: Any) -> None:
    """Tell a worker, once this transaction is committed, that ``task`` has something to do. A hint: it may get lost."""
    transaction.on_commit(lambda: current_app.send_task(task, kwargs=arguments), robust=True)
