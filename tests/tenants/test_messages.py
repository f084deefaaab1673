"""Mail through a real server that refuses, hangs and breaks off."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tenants import files, intents, messages
from tenants.models import Message
from tests.builders import make_issuer, make_tenant
from tests.smtp_server import MailServer, mail_server

NOW = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_TIMEOUT = 1
    with mail_server(tmp_path / "smtp") as server:
        settings.EMAIL_PORT = server.port
        yield server


def make_message(key: str = "invoice:1", recipient: str = "kunde@example.com", **fields) -> Message:
    message = messages.compose(
        key,
        issuer=make_issuer(name='Müller & "Söhne" GmbH', email="rechnung@example.com"),
        tenant=make_tenant(),
        recipient=recipient,
        subject="Rechnung\nRE-2026-000001",
        body="Guten Tag,\nanbei die Rechnung über 1.190,00 €.\n",
        **fields,
    )
    message.next_at = NOW
    message.save()
    return message


def states() -> list[tuple[str, str, int]]:
    return list(Message.objects.order_by("pk").values_list("key", "state", "attempts"))


def test_a_message_arrives_once_with_its_file(server: MailServer):
    file = files.store("2026/RE-2026-000001.pdf", b"%PDF-1.7 \xff", content_type="application/pdf")
    message = make_message(file=file, file_name="Rechnung-RE-2026-000001.pdf")

    assert messages.send(message.pk, now=NOW)
    assert not messages.send(message.pk, now=LATER)
    assert messages.send_pending(now=LATER) == 0

    (mail,) = server.mails
    assert mail["Message-ID"] == message.message_id
    assert mail["From"].addresses[0].display_name == "Müller & Söhne GmbH"
    assert (mail["To"], mail["Subject"]) == ("kunde@example.com", "Rechnung RE-2026-000001")
    body, attachment = mail.iter_parts()
    assert body.get_content().replace("\r\n", "\n") == message.body
    assert (attachment.get_filename(), attachment.get_content()) == ("Rechnung-RE-2026-000001.pdf", b"%PDF-1.7 \xff")
    message.refresh_from_db()
    assert (message.state, message.sent_at, message.lease_until) == ("done", NOW, None)


def test_further_files_go_with_it_in_their_order(server: MailServer):
    xml = files.store("2026/RE-1.xml", b"<Invoice/>", content_type="application/xml")
    paper = files.store("2026/RE-1.pdf", b"%PDF-1.7 \xff", content_type="application/pdf")
    notes = files.store("2026/RE-1.txt", b"Hinweise", content_type="text/plain")
    message = make_message(file=xml, file_name="RE-1.xml")
    alone = make_message("invoice:2", file=xml, file_name="RE-2.xml")  # as all messages of earlier versions
    messages.enclose([(message, paper, "RE-1.pdf"), (message, notes, "Hinweise.txt")])

    assert messages.send_pending(now=NOW) == 2
    assert messages.send_pending(now=LATER) == 0
    sent = {mail["Message-ID"]: [part.get_filename() for part in mail.iter_attachments()] for mail in server.mails}
    assert sent == {message.message_id: ["RE-1.xml", "RE-1.pdf", "Hinweise.txt"], alone.message_id: ["RE-2.xml"]}
    papers = {part.get_filename(): part.get_content() for mail in server.mails for part in mail.iter_attachments()}
    assert papers["RE-1.pdf"] == b"%PDF-1.7 \xff"


def test_a_further_file_that_was_changed_keeps_the_mail_back(server: MailServer, settings):
    paper = files.store("2026/RE-1.pdf", b"%PDF-1.7", content_type="application/pdf")
    message = make_message()
    messages.enclose([(message, paper, "RE-1.pdf")])
    (settings.FILES_ROOT / paper.path).chmod(0o600)
    (settings.FILES_ROOT / paper.path).write_bytes(b"%PDF-1.8")
    assert messages.send(message.pk, now=NOW)
    assert (server.mails, [state for _, state, _ in states()]) == ([], ["parked"])


def test_a_server_that_is_down_is_waited_for(server: MailServer, settings):
    make_message("a")
    make_message("b")
    with socket.socket() as nobody:  # bound, not listening: refused
        nobody.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = nobody.getsockname()[1]
        assert messages.send_pending(now=NOW) == 0
    assert states() == [("a", "waiting", 1), ("b", "waiting", 0)]  # the second is not tried in vain
    message = Message.objects.get(key="a")
    assert timedelta(minutes=1) <= message.next_at - NOW <= timedelta(seconds=75)
    assert "111" in message.reason  # ECONNREFUSED

    settings.EMAIL_PORT = server.port
    assert messages.send_pending(now=LATER) == 2
    assert states() == [("a", "done", 2), ("b", "done", 1)]
    assert len(server.mails) == 2


def test_answers_of_the_server_decide_each_message_alone(server: MailServer):
    make_message("unknown address", recipient="nobody@example.com")
    make_message("good address")
    server.does("refuse-550", "nobody@example.com")
    assert messages.send_pending(now=NOW) == 2
    assert states() == [("unknown address", "parked", 1), ("good address", "done", 1)]
    assert "550 No such user" in Message.objects.get(key="unknown address").reason

    server.does("refuse-450")
    waiting = make_message("busy")
    assert messages.send_pending(now=NOW) == 1
    waiting.refresh_from_db()
    assert (waiting.state, "450 Try again later" in waiting.reason) == ("waiting", True)
    assert messages.send_pending(now=NOW) == 0  # its time has not come
    server.does("accept")
    assert messages.send_pending(now=LATER) == 1
    assert len(server.mails) == 2


@pytest.mark.parametrize("mode", ["drop-after-data", "hang"])
def test_a_message_without_an_answer_is_never_sent_again_by_itself(server: MailServer, mode: str):
    make_message("first")
    make_message("second")
    server.does(mode)
    assert messages.send_pending(now=NOW) == 0
    server.does("accept")
    assert messages.send_pending(now=NOW + timedelta(days=1)) == 1
    assert states() == [("first", "unknown", 1), ("second", "done", 1)]
    assert len(server.mails) == 2

    assert intents.release(Message.objects.filter(key="first"), now=LATER) == 1  # a person says so
    assert messages.send_pending(now=LATER) == 1
    first, _, again = server.mails
    assert again["Message-ID"] == first["Message-ID"]


def test_a_connection_lost_before_the_message_is_tried_again(server: MailServer):
    make_message("first")
    server.does("drop-before-data")
    assert messages.send_pending(now=NOW) == 0
    assert states() == [("first", "waiting", 1)]


def test_a_dead_workers_message_is_unknown_and_a_late_worker_is_heard(server: MailServer):
    make_message("first")
    (claimed,) = intents.claim(Message.objects.all(), now=NOW, lease=timedelta(minutes=15), limit=5)
    assert messages.expire(now=NOW + timedelta(minutes=15)) == 0
    assert messages.expire(now=NOW + timedelta(minutes=16)) == 1
    assert states() == [("first", "unknown", 1)]
    assert messages.send_pending(now=LATER) == 0

    assert intents.finish(claimed, sent_at=NOW)  # it was only slow
    assert states() == [("first", "done", 1)]


def test_who_lost_the_row_cannot_answer_for_it(server: MailServer):
    make_message("first")
    (slow,) = intents.claim(Message.objects.all(), now=NOW, lease=timedelta(minutes=15), limit=5)
    messages.expire(now=LATER)
    intents.release(Message.objects.all(), now=LATER)
    (other,) = intents.claim(Message.objects.all(), now=LATER, lease=timedelta(minutes=15), limit=5)
    assert not intents.park(slow, "too late")
    assert intents.finish(other)
    assert states() == [("first", "done", 1)]


def test_the_last_attempt_parks_with_the_reason(server: MailServer, settings):
    make_message("first")
    server.does("refuse-450")
    now, waits = NOW, []
    while (message := Message.objects.get()).state == "waiting":
        now = max(now, message.next_at)
        assert messages.send_pending(now=now) == 1
        waits.append(Message.objects.get().next_at - now)
    assert (message.attempts, len(waits)) == (20, 20)
    assert timedelta(days=2) < now - NOW < timedelta(days=5)
    assert "450 Try again later" in message.reason


def test_a_file_that_was_changed_is_not_sent(server: MailServer, settings):
    file = files.store("2026/RE-1.pdf", b"%PDF one", content_type="application/pdf")
    (settings.FILES_ROOT / file.path).write_bytes(b"%PDF two")
    message = make_message(file=file, file_name="RE-1.pdf")
    assert messages.send(message.pk, now=NOW)
    message.refresh_from_db()
    assert (message.state, file.path in message.reason) == ("parked", True)
    assert server.mails == []
