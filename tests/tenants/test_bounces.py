"""Reports of mail servers find the message that they are about; anything else changes nothing."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from tenants import bounces
from tenants.models import Message
from tests.tenants.test_messages import make_message

NOW = datetime(2026, 2, 1, 4, 0, tzinfo=UTC)

REPORT = """\
From: MAILER-DAEMON@mx.example.net
To: rechnung@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

I am sorry.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Sun, 1 Feb 2026 04:00:02 +0100

Final-Recipient: rfc822; kunde@example.com
Action: {action}
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <kunde@example.com>:
 Recipient address rejected

--b1
Content-Type: {kind}

From: rechnung@example.com
Message-ID: {message_id}
Subject: Rechnung RE-2026-000001

{body}
--b1--
"""


def report(message_id: str, action: str = "failed", kind: str = "message/rfc822", body: str = "Guten Tag") -> bytes:
    return REPORT.format(message_id=message_id, action=action, kind=kind, body=body).encode()


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers"])
def test_what_a_report_says(kind):
    found = bounces.read(report("<abc@example.com>", kind=kind))
    assert found == bounces.Report(
        "<abc@example.com>", "5.1.1 550 5.1.1 <kunde@example.com>: Recipient address rejected"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: Out of office\r\n\r\nI am away.",
        report("<abc@example.com>", action="delayed"),
        report("<abc@example.com>", action="relayed"),
        report("").replace(b"Message-ID: \n", b""),
        report("<abc@example.com>")[:300],
        b'Content-Type: multipart/report; boundary="b1"\r\n\r\n--b1\r\nContent-Type: message/delivery-status\r\n\r\nx',
    ],
)
def test_what_is_no_report_of_a_failure(raw):
    assert bounces.read(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        report("<["),
        report("<"),
        report("<abc@"),
        report("<a\0bc@example.com>"),
        report("=?foo?b?!!!?="),
        report("<a@b>", kind="text/rfc822-headers; charset=none-such"),
        report("<a@b>", kind="text/rfc822-headers; charset=hex"),
        b"Content-Type: multipart/report; *0=a;\r\n\r\n--a\r\n",
        b"".join(b"Content-Type: multipart/report; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000)),
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 2000,
    ],
)
@pytest.mark.django_db
def test_a_broken_mail_holds_up_no_other(raw):
    message = make_message()
    assert bounces.take([raw, report(message.message_id)], now=NOW) == 1


@pytest.mark.django_db
def test_the_message_is_noted_once():
    message = make_message()
    other = make_message("invoice:2")
    mails = [report(message.message_id), report(message.message_id), report("<foreign@example.com>")]
    assert bounces.take(mails, now=NOW) == 1
    assert bounces.take(mails, now=NOW.replace(hour=5)) == 0
    message.refresh_from_db()
    assert (message.bounced_at, message.bounce) == (
        NOW,
        "5.1.1 550 5.1.1 <kunde@example.com>: Recipient address rejected",
    )
    assert Message.objects.get(pk=other.pk).bounced_at is None


@pytest.mark.django_db
def test_files_and_the_standard_input(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    first, second = make_message(), make_message("invoice:2")
    path = tmp_path / "report.eml"
    path.write_bytes(report(first.message_id))
    call_command("take_bounces", str(path))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(report(second.message_id))))
    call_command("take_bounces")
    assert capsys.readouterr().out.splitlines() == ["1 message came back."] * 2
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("take_bounces", str(tmp_path / "none.eml"))
