"""A contract is changed while another changes it, or who pays for it: whoever comes second sees what came first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from django.db import transaction

from billing import contracts
from tenants.transactions import lock_payers
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.small_book import make_contract

BY_TEST: dict[str, Any] = {"reason": "as ordered", "by": None, "channel": "command"}
APRIL, MAY, JUNE = date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1)


@pytest.mark.parametrize(("stated", "kind", "on"), [(MAY, "reinstatement", APRIL), (None, "reinstatement", APRIL)])
def test_a_file_goes_by_the_end_that_somebody_else_sets_meanwhile(own_database, stated, kind, on):
    contract = make_contract(make_issuer(), make_tenant(), ends_before=JUNE)
    author = contracts.Author("file", None, "csv")
    with transaction.atomic():
        contracts.cancel(contract, on=date(2026, 2, 1), effective=APRIL, **BY_TEST)
        following = in_thread(lambda: contracts.follow_file(contract, stated, author))
        wait_until_blocked()
    written = following.result(timeout=30)
    assert written is not None
    assert (written.kind, written.effective_on) == (kind, on)
    contract.refresh_from_db()
    assert contract.ends_before == stated


def test_a_file_that_states_the_end_somebody_else_sets_meanwhile_changes_nothing(own_database):
    contract = make_contract(make_issuer(), make_tenant(), ends_before=JUNE)
    author = contracts.Author("file", None, "csv")
    with transaction.atomic():
        contracts.cancel(contract, on=date(2026, 2, 1), effective=APRIL, **BY_TEST)
        following = in_thread(lambda: contracts.follow_file(contract, APRIL, author))
        wait_until_blocked()
    assert following.result(timeout=30) is None
    assert contract.amendments.count() == 2


def test_a_change_waits_for_the_payer_whom_the_account_is_given_meanwhile(own_database):
    group = make_tenant()
    branch = make_tenant(kind="branch", parent=group)
    contract = make_contract(make_issuer(), branch)
    held, released = Event(), Event()

    def hold() -> None:  # say, a run that bills the group
        with transaction.atomic():
            lock_payers([group.pk])
            held.set()
            assert released.wait(60)

    run = in_thread(hold)
    assert held.wait(30)
    try:
        with transaction.atomic():
            branch.pay_by = group
            branch.save()
            changing = in_thread(
                lambda: contracts.change_quantity(
                    contract, line=1, quantity=Decimal(2), on=APRIL, effective=APRIL, **BY_TEST
                )
            )
            wait_until_blocked()
        wait_until_blocked()
        assert not changing.done()
    finally:
        released.set()
    run.result(timeout=30)
    assert changing.result(timeout=30).sequence == 2
