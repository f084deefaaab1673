"""E-mail: written with its cause, sent once.

SMTP cannot be exactly once. What can be had: a message is marked as under way, with its fixed Message-ID, before the
server is called; if the server may have taken it without our knowing, it becomes unknown and waits for a person.
"""

from __future__ import annotations

import logging
import smtplib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from tenants import files, intents
from tenants.models import File, Issuer, Message, MessageAttachment, Tenant

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)  # far above what one message can take: each word with the server ends after EMAIL_TIMEOUT


def compose(
    key: str,
    *,
    issuer: Issuer,
    tenant: Tenant,
    recipient: str,
    subject: str,
    body: str,
    file: File | None = None,
    file_name: str = "",
) -> Message:
    """A message to be stored with its cause. ``key`` names that cause: a second message with it is refused."""
    return Message(
        key=key,
        tenant=tenant,
        sender=sender_of(issuer),
        recipient=recipient,
        subject=" ".join(subject.split())[:250],
        body=body,
        file=file,
        file_name=file_name,
        message_id=f"<{uuid.uuid4().hex}@{issuer.email.rpartition('@')[2]}>",
    )


def enclose(further: Iterable[tuple[Message, File, str]]) -> None:
    """Put further files (message, file, its name) into stored messages, each after those named before it.

    In the transaction in which the messages arise: no worker sees one without all that goes with it.
    """
    position: Counter[int] = Counter()
    rows = []
    for message, file, name in further:
        position[message.pk] += 1
        rows.append(MessageAttachment(message=message, position=position[message.pk], file=file, file_name=name))
    MessageAttachment.objects.bulk_create(rows)


def sender_of(issuer: Issuer) -> str:
    """Name and address as the column holds them; the mail package encodes the name."""
    name = " ".join(issuer.name.replace('"', "").replace("\\", "").split())
    return f'"{name[: 245 - len(issuer.email)]}" <{issuer.email}>'


def key_of(cause: str, recipient: str) -> str:
    """The key of a message for one of several recipients of ``cause`` (``invoice:17``)."""
    return f"{cause}:{sha256(recipient.lower().encode()).hexdigest()[:20]}"


def addresses(contacts: Iterable[str], otherwise: str) -> list[str]:
    """Whom to write to: each contact's address once, or else the account's own; none if there is none at all."""
    wanted = {address.strip().lower(): address.strip() for address in contacts if address.strip()}
    return sorted(wanted.values()) or ([otherwise.strip()] if otherwise.strip() else [])


def send(message_id: int, *, now: datetime) -> bool:
    """Send one message if it waits and its time has come. Returns whether it was answered for."""
    return _send_claimed(Message.objects.filter(pk=message_id), now=now, limit=1) > 0


def send_pending(*, now: datetime, limit: int = 20, after_each: Callable[[], None] | None = None) -> int:
    """Send what waits, at most ``limit`` messages, through one connection. Returns how many were answered for.

    It stops when the connection fails: one message is put back (or unknown), the rest stays as it is. Zero means that
    nothing waits or that the server is not to be had; call it again, with a later ``now``, until it says zero.
    """
    return _send_claimed(Message.objects.all(), now=now, limit=limit, after_each=after_each)


def expire(*, now: datetime) -> int:
    """What a dead worker was about to send becomes unknown: the server may have it."""
    return intents.expire(Message.objects.all(), now=now)


class Line:
    """A connection to the mail server, opened when first needed, that knows whether a message was handed over."""

    def __init__(self) -> None:
        self.connection = mail.get_connection()
        self.handed_over = False

    def open(self) -> None:
        """Reach the server, or raise ``OSError`` (as all of smtplib's errors are)."""
        self.handed_over = False
        if self.connection.open():
            smtp = getattr(self.connection, "connection", None)
            if isinstance(smtp, smtplib.SMTP):
                smtp.data = self._watched(smtp.data)  # type: ignore[assignment]

    def pass_on(self, email: EmailMessage) -> None:
        email.connection = self.connection
        email.send()

    def drop(self) -> None:
        """Give the connection up; the next message opens another."""
        with suppress(OSError):
            self.connection.close()
        self.connection = mail.get_connection()

    def _watched(self, data: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """From this command on the server may have the message, whatever we hear afterwards."""

        def watched(content: Any) -> Any:
            self.handed_over = True
            return data(content)

        return watched


@contextmanager
def _line() -> Iterator[Line]:
    line = Line()
    try:
        yield line
    finally:
        line.drop()


def _send_claimed(waiting: Any, *, now: datetime, limit: int, after_each: Callable[[], None] | None = None) -> int:
    tried = 0
    with _line() as line:
        while tried < limit:
            claimed = intents.claim(waiting.select_related(None), now=now, lease=LEASE, limit=1)
            if not claimed or not _send_one(line, claimed[0], now):
                break
            tried += 1
            if after_each:
                after_each()
    return tried


def _send_one(line: Line, message: Message, now: datetime) -> bool:
    """Try one claimed message and store the answer. False if the server cannot be reached."""
    about = {"mail": message.pk}
    try:
        email = _email(message)
    except (files.DamagedFile, ValueError) as error:  # ValueError: an address or header that cannot be written
        logger.error("A message cannot be made", extra=about | {"reason": str(error)})
        intents.park(message, str(error))
        return True
    try:
        line.open()
    except OSError as error:
        logger.warning("The mail server cannot be reached", extra=about | {"error": type(error).__name__})
        intents.retry(message, _("The mail server cannot be reached: %(answer)s") % {"answer": _said(error)}, now=now)
        line.drop()
        return False
    try:
        line.pass_on(email)
    except Exception as error:
        return _answer_failure(line, message, error, now)
    intents.finish(message, sent_at=now)
    return True


def _answer_failure(line: Line, message: Message, error: Exception, now: datetime) -> bool:
    """Store what a failure means. False if the connection broke: what still waits had better wait for a while."""
    code, said = _code(error), _said(error)
    about = {"mail": message.pk, "code": code, "error": type(error).__name__}
    if 500 <= code < 600:
        logger.warning("The mail server refuses a message", extra=about)
        intents.park(message, _("The mail server refuses the message: %(answer)s") % {"answer": said})
    elif 400 <= code < 500:
        logger.info("The mail server puts a message off", extra=about)
        intents.retry(message, _("The mail server puts the message off: %(answer)s") % {"answer": said}, now=now)
    elif line.handed_over:
        logger.warning("It is unknown whether a message was sent", extra=about)
        intents.leave_unknown(
            message, _("The connection broke before the mail server confirmed: %(answer)s") % {"answer": said}
        )
    elif isinstance(error, OSError):
        logger.info("The connection to the mail server broke before a message was handed over", extra=about)
        intents.retry(message, _("The connection to the mail server broke: %(answer)s") % {"answer": said}, now=now)
    elif isinstance(error, ValueError):
        logger.error("A message cannot be made", extra=about)
        intents.park(message, said)
    else:
        logger.exception("A message could not be sent because of an error in the program", extra=about)
        intents.park(message, _("An error in the program; see the log."))
    if code == 0 or code == 421:  # 421: the server says it is closing
        line.drop()
    return code != 0 or not isinstance(error, OSError)


def _email(message: Message) -> EmailMessage:
    email = EmailMessage(
        subject=message.subject,
        body=message.body,
        from_email=message.sender,
        to=[message.recipient],
        headers={"Message-ID": message.message_id, "Auto-Submitted": "auto-generated"},
    )
    if message.file:
        email.attach(message.file_name, files.read(message.file), message.file.content_type)
    for one in message.attachments.select_related("file").order_by("position"):
        email.attach(one.file_name, files.read(one.file), one.file.content_type)
    email.message()  # what cannot be written is refused before the server is called
    return email


def _code(error: Exception) -> int:
    """The server's reply code, 0 if it gave none."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _said in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


def _said(error: Exception) -> str:
    """The server's own words, or the system's."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = max(error.recipients.values())
        return f"{code} {_text(said)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
