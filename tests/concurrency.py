"""A second session beside the test's own, for what happens between two transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

Result = TypeVar("Result")


def in_thread(work: Callable[[], Result]) -> Future[Result]:
    """Start ``work`` on a connection of its own, which is closed when it ends."""

    def run() -> Result:
        try:
            return work()
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(run)
    pool.shutdown(wait=False)
    return future


def wait_until_blocked() -> None:
    """Return once another session of this database waits for a lock."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("select pg_stat_clear_snapshot()")  # a transaction sees the sessions of its first look only
            cursor.execute(
                "select exists (select from pg_locks w join pg_stat_activity a using (pid)"
                " where not w.granted and a.datname = current_database())"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
