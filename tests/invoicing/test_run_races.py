"""A person decides about a run while a worker is at it: whoever comes second sees what the first one did."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import transaction

from config import business_day
from invoicing import bill_run, review, tasks
from invoicing.models import BillRun, Outcome
from tenants.models import Tenant
from tenants.transactions import lock_free_payers, lock_payers
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.small_book import FEBRUARY, MARCH, bill, make_contract


@pytest.fixture
def run(own_database) -> BillRun:
    """One payer with a draft, and one parked for want of a street."""
    issuer = make_issuer()
    for reference in ("A", "B"):
        make_contract(issuer, make_tenant(reference=reference))
    Tenant.objects.filter(reference="B").update(street="")
    return bill(issuer, FEBRUARY, issues=False)


def test_a_run_stays_open_for_a_payer_who_is_made_pending_while_it_ends(run):
    BillRun.objects.filter(pk=run.pk).update(state=BillRun.State.RUNNING)
    with transaction.atomic():
        review.discard(run.invoices.all())
        ending = in_thread(lambda: bill_run.finish(run))  # had looked before: nobody was pending
        wait_until_blocked()
    ending.result(timeout=30)
    run.refresh_from_db()
    assert (run.state, run.outcomes.pending().count()) == (BillRun.State.RUNNING, 1)


def test_a_second_click_does_not_make_pending_who_was_billed_meanwhile(run):
    parked = run.outcomes.get(state=Outcome.State.PARKED)
    Tenant.objects.filter(pk=parked.payer_id).update(street="Neuer Weg 1")
    with transaction.atomic():
        assert review.again(run, [parked.payer_id]) == 1
        second = in_thread(lambda: review.again(run, [parked.payer_id]))
        wait_until_blocked()
        bill_run.step(run)
    assert second.result(timeout=30) == 0
    parked.refresh_from_db()
    assert (parked.state, parked.documents) == (Outcome.State.PROPOSED, 1)


def test_a_payer_whom_somebody_holds_holds_up_no_other(own_database):
    issuer = make_issuer()
    payers = [make_tenant(reference=reference) for reference in ("A", "B", "C")]
    for payer in payers:
        make_contract(issuer, payer)
    run = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True)
    with transaction.atomic():
        lock_payers([payers[1].pk])  # say, a person who looks at what a change would cost
        assert in_thread(lambda: bill_run.step(run)).result(timeout=30) == 2
        rest = in_thread(lambda: bill_run.bill(run))
        wait_until_blocked()
    rest.result(timeout=30)
    run.refresh_from_db()
    assert (run.state, bill_run.progress(run).issued) == (BillRun.State.FINISHED, 3)


@pytest.mark.parametrize("chunk", [1, 2], ids=["alone", "in a chunk"])
def test_a_payer_whose_contract_another_has_just_been_charged_for_is_billed_without_it(own_database, chunk, caplog):
    """The account gets another payer while the old one's worker is at it: the new one's sees the charges."""
    issuer, group = make_issuer(), make_tenant(reference="GROUP")
    part = {"kind": "branch", "parent": group}
    old, new = make_tenant(reference="OLD", **part), make_tenant(reference="NEW", **part)
    moving = make_tenant(reference="MOVING", pay_by=old, **part)
    for tenant in (new, moving, make_tenant(reference="OTHER")):
        make_contract(issuer, tenant)
    run = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True, chunk_size=chunk)
    with transaction.atomic():
        run.chunk_size = 1
        assert bill_run.step(run) == 1  # OLD, the first by its key
        run.chunk_size = chunk
        in_thread(lambda: Tenant.objects.filter(pk=moving.pk).update(pay_by=new)).result(timeout=30)
        second = in_thread(lambda: bill_run.step(run))
        wait_until_blocked()
    assert second.result(timeout=30) == chunk
    bill_run.bill(run)
    assert {
        reference: rest
        for reference, *rest in run.outcomes.values_list("payer__reference", "state", "documents", "lines")
    } == {reference: ["issued", 1, 1] for reference in ("OLD", "NEW", "OTHER")}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_run_is_worked_on_while_somebody_holds_its_first_payer(own_database):
    issuer = make_issuer()
    for _ in range(3):
        make_contract(issuer, make_tenant())
    run = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True, chunk_size=1)
    with transaction.atomic():
        bill_run.step(run)
        assert in_thread(lambda: bill_run.is_worked_on(run)).result(timeout=30)
        assert in_thread(lambda: business_day.sweep(now=datetime(2026, 2, 1, 12, 1, tzinfo=UTC))).result(30) == []
    assert not bill_run.is_worked_on(run)
    assert "invoicing.bill" in business_day.sweep(now=datetime(2026, 2, 1, 12, 1, tzinfo=UTC))


def test_a_run_lets_go_of_its_worker_after_its_turn_and_queues_anew(own_database, monkeypatch):
    issuer = make_issuer()
    for _ in range(3):
        make_contract(issuer, make_tenant())
    run = bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=True, chunk_size=1)
    sent = []
    wakes = SimpleNamespace(send_task=lambda task, kwargs: sent.append((task, kwargs)))
    monkeypatch.setattr(tasks, "current_app", wakes)
    monkeypatch.setattr(tasks, "TURN", 0)
    tasks.bill(run_id=run.pk)
    assert (bill_run.progress(run).pending, sent) == (2, [("invoicing.bill", {"run_id": run.pk})])
    monkeypatch.setattr(tasks, "TURN", 60)
    tasks.bill(run_id=run.pk)
    assert len(sent) == 1
    run.refresh_from_db()
    assert (run.state, bill_run.progress(run).issued) == (BillRun.State.FINISHED, 3)


def test_the_payer_of_what_is_corrected_is_waited_for_before_all_others(own_database):
    """GROUP owes the document that TEAM's contract corrects: while that is held, TEAM is let go of."""
    issuer, group = make_issuer(), make_tenant(reference="GROUP")
    team = make_tenant(reference="TEAM", kind="branch", parent=group, invoice_to=group, pay_by=group)
    other = make_tenant(reference="OTHER")
    contract = make_contract(issuer, team)
    make_contract(issuer, other)
    bill(issuer, FEBRUARY)
    Tenant.objects.filter(pk=team.pk).update(invoice_to=None, pay_by=None)
    type(contract).objects.filter(pk=contract.pk).update(ends_before=FEBRUARY.replace(day=15))
    run = bill_run.start(issuer=issuer, through=MARCH, issue_on=MARCH, issues_by_itself=True)
    with transaction.atomic():
        lock_payers([group.pk])
        with pytest.raises(bill_run.HeldElsewhere) as refused:
            in_thread(lambda: bill_run.step(run)).result(timeout=30)
        assert refused.value.payers == {group.pk}
        billing = in_thread(lambda: bill_run.bill(run))
        wait_until_blocked()
        assert lock_free_payers([team.pk, other.pk]) == [team.pk, other.pk]
    billing.result(timeout=30)
    assert list(
        run.invoices.order_by("recipient__reference").values_list("recipient__reference", "payer__reference", "net")
    ) == [("GROUP", "GROUP", Decimal("-50.00")), ("OTHER", "OTHER", Decimal("100.00"))]
    assert bill_run.progress(run).issued == 2
