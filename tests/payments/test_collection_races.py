"""Two at once, killed between, run again: the rows of one undisturbed run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from payments import collection
from payments.collection import NotToBeReleased, reading
from payments.models import Collection, CollectionItem, Debit, LeftOut, Payment, PaymentRun
from tenants.models import Issuer, Message, Tenant
from tenants.transactions import lock_payers
from tests.concurrency import in_thread, wait_until_blocked
from tests.payments.debits import NOON, ON, issue, make_creditor, make_payer, sent

VALUE = ON + timedelta(days=7)


@pytest.fixture
def issuer(own_database, settings, tmp_path) -> Issuer:
    settings.FILES_ROOT = tmp_path / "files"
    issuer = make_creditor().issuer
    for number in range(4):
        make_payer(issuer, "100.00", reference=f"P{number}", mandate=number != 3)
    issue(issuer)
    return issuer


def rows() -> list[Any]:
    return [
        list(PaymentRun.objects.values_list("kind", "state", "on", "collect_on")),
        sorted(Collection.objects.values_list("payer__reference", "amount", "outcome", "debit__sequence")),
        sorted(CollectionItem.objects.values_list("open_item", "amount", "is_unsettled")),
        sorted(LeftOut.objects.values_list("payer__reference", "reason", "amount")),
    ]


@pytest.fixture
def undisturbed(issuer) -> list[Any]:
    """What one run leaves; undone."""
    with transaction.atomic():
        collection.propose(issuer, on=ON)
        found = rows()
        transaction.set_rollback(True)
    assert [len(part) for part in found] == [1, 3, 3, 1]
    return found


def test_two_proposals_at_once_leave_the_rows_of_one(issuer, undisturbed):
    with transaction.atomic():
        lock_payers([Tenant.objects.get(reference="P0").pk])
        both = [in_thread(lambda: collection.propose(issuer, on=ON)) for _each in range(2)]
        wait_until_blocked()
        assert Debit.objects.count() == 0
    first, second = (one.result(timeout=30) for one in both)
    assert first == second
    assert rows() == undisturbed


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_proposal_that_was_killed_is_completed(issuer, undisturbed, monkeypatch, after):
    monkeypatch.setattr(reading, "CHUNK", 1)
    done = []

    def die(proposal: Any) -> None:
        done.append(proposal)
        if len(done) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.propose(issuer, on=ON, on_chunk=die)
    assert Debit.objects.count() + LeftOut.objects.count() == after
    collection.propose(issuer, on=ON)
    assert rows() == undisturbed


def test_two_releases_at_once_write_one_file(issuer):
    run = collection.propose(issuer, on=ON)
    with transaction.atomic():
        list(PaymentRun.objects.select_for_update().filter(pk=run.pk))
        both = [in_thread(lambda: collection.release(run.pk, now=NOON)) for _each in range(2)]
        wait_until_blocked()
    answers = []
    for one in both:
        try:
            answers.append(one.result(timeout=30).state)
        except NotToBeReleased as refusal:
            answers.append(str(refusal))
    assert sorted(answers)[0] == "released" or sorted(answers)[1] == "released"
    assert len(set(answers)) == 2
    run.refresh_from_db()
    assert (run.state, run.file.size > 0) == ("released", True)
    assert Message.objects.count() == 0  # the documents have told day and amount


def test_a_release_that_dies_leaves_the_run_as_it_was(issuer, monkeypatch):
    run = collection.propose(issuer, on=ON)
    before = rows()

    def die(*_arguments: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("payments.collection.releasing.record", die)
        with pytest.raises(KeyboardInterrupt):
            collection.release(run.pk, now=NOON)
    assert rows() == before
    assert collection.release(run.pk, now=NOON).state == "released"


def test_two_lines_of_the_bank_at_once_book_one_payment(issuer):
    run = sent(issuer)
    keys = list(run.collections.values_list("pk", flat=True))
    with transaction.atomic():
        lock_payers([Tenant.objects.get(reference="P0").pk])
        both = [in_thread(lambda: collection.settle(keys, value_on=VALUE, on=VALUE)) for _each in range(2)]
        wait_until_blocked()
    assert sorted(len(one.result(timeout=30)) for one in both) == [0, 3]
    assert Payment.objects.count() == 3


def test_an_item_is_on_one_way_at_a_time_whatever_the_code_does(issuer):
    run = collection.propose(issuer, on=ON)
    item = CollectionItem.objects.earliest("pk")
    other = Collection.objects.create(
        issuer=issuer,
        payer=run.collections.first().payer,
        run=run,
        method="provider",
        key="X",
        currency="EUR",
        amount=1,
    )
    with pytest.raises(IntegrityError, match="collection_item_one_attempt_at_a_time"):
        CollectionItem.objects.create(collection=other, open_item=item.open_item, currency="EUR", amount=1)
