"""Mail that came back: reports of other mail servers (RFC 3464) -> the message that they are about.

Our mail server took the message and is done with it; whether it reached anybody is told by such a report alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from typing import Final

from tenants.models import Message as Mail

logger = logging.getLogger(__name__)

SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Report:
    """That one message did not reach its recipient, and why; ``message_id`` is ours."""

    message_id: str
    reason: str


def read(raw: bytes) -> Report | None:
    """What a report says of a message that failed for good; ``None`` for any other mail, and for one merely delayed.

    Anybody can send us one, so headers are taken as they stand: the parsers of newer policies fail at broken ones.
    """
    try:
        return _read(message_from_bytes(raw))
    except RecursionError:  # parts within parts, deeper than any report
        return None


def take(raws: Iterable[bytes], *, now: datetime) -> int:
    """Note the reports among these mails at the messages they are about; returns how many messages came back.

    A report that came before changes nothing; what is about no message of ours is left out.
    """
    taken = 0
    for raw in raws:
        report = read(raw)
        if report is None:
            continue
        taken += Mail.objects.filter(message_id=report.message_id, bounced_at=None).update(
            bounced_at=now, bounce=report.reason[:SHOWN]
        )
    if taken:
        logger.info("Mails came back", extra={"count": taken})
    return taken


def _read(mail: Message) -> Report | None:
    if mail.get_content_type() != "multipart/report":
        return None
    message_id, reason = "", ""
    for part in mail.walk():
        match part.get_content_type():
            case "message/delivery-status":
                reason = reason or next(_failures(part), "")
            case "message/rfc822" | "text/rfc822-headers":
                message_id = message_id or _message_id(part)
    return Report(message_id, reason) if message_id and reason else None


def _failures(part: Message) -> Iterator[str]:
    """Of each recipient whom the message did not reach: its status, and what the other server said."""
    blocks = part.get_payload()
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Message) and str(block.get("Action", "")).strip().lower() == "failed":
            said = str(block.get("Diagnostic-Code", "")).partition(";")
            yield _line(f"{block.get('Status', '')} {said[2] or said[0]}") or "failed"


def _message_id(part: Message) -> str:
    """The Message-ID of the mail that is sent back, whole or by its headers alone."""
    inner = part.get_payload()
    if isinstance(inner, list):
        headers = inner[0] if inner and isinstance(inner[0], Message) else Message()
    else:
        text = part.get_payload(decode=True)
        headers = message_from_bytes(text if isinstance(text, bytes) else b"")
    return _line(str(headers.get("Message-ID", "")))


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
