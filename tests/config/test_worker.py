"""A worker of its own, woken through the broker, takes a bill run from its start to the mails."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from celery import Celery

from config import env
from invoicing import bill_run
from invoicing.models import BillRun, DocumentFile, Invoice
from tenants.models import Message
from tests.builders import make_issuer, make_item, make_subscription, make_tenant
from tests.conftest import OwnDatabase
from tests.server_process import ROOT
from tests.smtp_server import mail_server

DAY = date(2026, 2, 1)


@pytest.fixture
def wakes() -> Iterator[Celery]:
    """Sends to a queue of this test's own, where no other worker listens, on the real broker."""
    app = Celery("test", broker=env.broker_url(), set_as_current=False)
    app.conf.task_default_queue = f"test-{uuid.uuid4().hex}"
    yield app
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(app.conf.task_default_queue)


def environment_of(own_database: OwnDatabase, wakes: Celery, tmp_path: Path, **more: str) -> dict[str, str]:
    return own_database.environment | {
        "CELERY_BROKER_URL": env.broker_url(),
        "CELERY_QUEUE": wakes.conf.task_default_queue,
        "KONTOR_HOME": str(tmp_path / "home"),
        "DJANGO_SETTINGS_MODULE": "config.settings.base",
        **more,
    }


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2", "--loglevel", "INFO"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(60)


def wait_until(condition, log: Path) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.mark.broker
def test_a_worker_bills_prints_and_mails(own_database, wakes, tmp_path):
    issuer = make_issuer()
    for _ in range(3):
        make_item(subscription=make_subscription(tenant=make_tenant(), issuer=issuer, starts_on=DAY))
    run = bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    log = tmp_path / "worker.log"
    with mail_server(tmp_path / "smtp") as server:
        environment = environment_of(own_database, wakes, tmp_path, EMAIL_URL=f"smtp://127.0.0.1:{server.port}")
        with worker(environment, log):
            for _ in range(2):  # woken twice: harmless
                wakes.send_task("invoicing.bill", kwargs={"run_id": run.pk, "from_a_later_version": True})
            wait_until(lambda: Message.objects.filter(state="done").count() == 3, log)
        run.refresh_from_db()
        assert run.state == BillRun.State.FINISHED
        assert Invoice.objects.issued().count() == DocumentFile.objects.count() == Message.objects.count() == 3
        assert sorted(mail["Message-ID"] for mail in server.mails) == sorted(
            Message.objects.values_list("message_id", flat=True)
        )


@pytest.mark.broker
def test_the_night_and_the_sweep_find_what_is_due(own_database, wakes, tmp_path):
    """Nobody woke anyone: the nightly task finds the issuer, the sweep what a dead worker left."""
    issuer = make_issuer(time_zone="Pacific/Kiritimati")
    subscription = make_subscription(
        tenant=make_tenant(auto_mail=False), issuer=issuer, starts_on=DAY, ends_before=date(2026, 3, 1)
    )
    make_item(subscription=subscription)
    abandoned = bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)
    log = tmp_path / "worker.log"
    environment = environment_of(own_database, wakes, tmp_path)
    with worker(environment, log):
        wakes.send_task("config.sweep")
        wait_until(lambda: DocumentFile.objects.count() == 1, log)
        abandoned.refresh_from_db()
        assert abandoned.state == BillRun.State.FINISHED
        wakes.send_task("config.nightly")
        wait_until(lambda: BillRun.objects.exclude(pk=abandoned.pk).filter(state="finished").exists(), log)
    assert Invoice.objects.count() == 1  # the night found nothing due that was not billed
