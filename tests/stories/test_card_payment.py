"""A-11: an issued invoice with a saved method makes one payment, whoever works, is killed, or hears of it twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import translation

from config import books
from invoicing.models import OpenItem
from payments import card_collection
from payments.models import Collection, Payment
from tests.payments import cards
from tests.stories.processes import PATIENCE, wait_until
from tests.stripe_server import Stripe, provider

ROOT = Path(__file__).resolve().parents[2]
PAYERS = 6


@pytest.fixture
def server(tmp_path: Path, settings) -> Iterator[Stripe]:
    with provider(tmp_path / "stripe") as running, translation.override("en"):
        settings.STRIPE_URL = running.url
        yield running


@pytest.fixture
def account(own_database, server):
    """Six payers with a saved card each, who owe 119.00 each."""
    account = cards.make_account()
    for _each in range(PAYERS):
        cards.save_method(server, account, cards.make_payer(account))
    cards.issue(account)
    return account


def start(own_database, server: Stripe) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "charge", "--on", cards.DUE.isoformat()],
        cwd=ROOT,
        env=own_database.environment | {"STRIPE_URL": server.url, "STRIPE_TIMEOUT": "4"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def taken(server: Stripe) -> list[int]:
    return [row["amount"] for row in server.all("charge") if row["status"] == "succeeded"]


def left() -> Decimal:
    return sum(OpenItem.objects.filter(invoice__isnull=False).with_open_amount().values_list("open_amount", flat=True))


def after_the_lease() -> datetime:
    until = Collection.objects.get(state="working").lease_until
    assert until is not None
    return until + timedelta(hours=1)


def test_two_that_charge_at_once_take_each_amount_once(own_database, server, account):
    """The first request hangs, so that the other process is at work meanwhile."""
    server.does("next", status="hang", path="/v1/payment_intents")
    running = [start(own_database, server) for _each in range(2)]
    for process in running:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    assert taken(server) == [11900] * PAYERS
    assert (Collection.objects.count(), Payment.objects.count(), left()) == (PAYERS, PAYERS, 0)
    cards.tell_all(server, account)
    cards.tell_all(server, account, backwards=True)
    assert (Payment.objects.count(), left()) == (PAYERS, 0)
    assert list(books.check()) == []


def test_killed_between_call_and_answer_it_is_found_out_what_became_of_it(own_database, server, account):
    server.does("next", status="hang", path="/v1/payment_intents")  # the answer never comes; the next ones do
    process = start(own_database, server)
    wait_until(lambda: Collection.objects.filter(state="working").exists(), while_running=[process])
    wait_until(lambda: Collection.objects.filter(sent_at__isnull=False).exists(), while_running=[process])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    [held] = Collection.objects.filter(state="working")
    later = after_the_lease()
    assert card_collection.expire(now=later) == 1
    held.refresh_from_db()
    assert held.state == "unknown"
    card_collection.charge_pending(clock=lambda: later)
    assert len(taken(server)) == PAYERS - 1, "nothing is tried for what is unknown"
    card_collection.ask_pending(clock=lambda: later)
    card_collection.charge_pending(clock=lambda: later + timedelta(hours=1))
    assert taken(server) == [11900] * PAYERS
    assert (Payment.objects.count(), left()) == (PAYERS, 0)
    assert list(books.check()) == []


def test_killed_after_the_provider_took_it_nothing_is_taken_again(own_database, server, account):
    server.does("next", status="lost", path="/v1/payment_intents")
    server.does("next", status="hang", path="/v1/payment_intents", times=1)
    process = start(own_database, server)
    wait_until(lambda: len(taken(server)) == 1, while_running=[process])
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert (len(taken(server)), Payment.objects.count()) == (1, 0)
    later = after_the_lease()
    card_collection.expire(now=later)
    assert card_collection.ask_pending(clock=lambda: later) == 1
    assert Payment.objects.count() == 1
    card_collection.charge_pending(clock=lambda: later)
    assert taken(server) == [11900] * PAYERS
    assert (Payment.objects.count(), left()) == (PAYERS, 0)
