"""Several processes work off one run: together they leave the rows of one."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection, transaction

from invoicing import bill_run
from invoicing.models import Outcome
from tenants.models import Issuer
from tests.stories.conftest import Billed, billed
from tests.stories.processes import PATIENCE, settled, start_bill, wait_until


def waiting_for_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.torture)])
def test_processes_that_bill_at_once_leave_the_rows_of_one(own_book, undisturbed: Billed, processes: int):
    """They are held at the first payer until all are there, so that they do run at the same time."""
    day = date(2026, 2, 1)
    bill_run.start(issuer=Issuer.objects.get(), through=day, issue_on=day, issues_by_itself=True, chunk_size=20)
    with transaction.atomic(using="owner"):
        list(Outcome.objects.using("owner").select_for_update())
        running = [start_bill(own_book, chunk=20) for _ in range(processes)]
        wait_until(lambda: waiting_for_a_lock() == processes)
        assert settled() == 0
    for process in running:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    assert billed() == undisturbed
