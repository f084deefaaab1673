"""Events told to others by signed HTTP requests, after the Standard Webhooks specification (standardwebhooks.com).

Each is told at least once: an answer that never came makes us ask again, and the other side knows the repetition by
its ``webhook-id``.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from tenants import intents, outbound
from tenants.encryption import decrypted, encrypted
from tenants.models import WebhookAttempt, WebhookEndpoint, WebhookEvent, WebhookMessage
from tenants.transactions import acting

logger = logging.getLogger(__name__)

PURPOSE: Final = "webhook"
PREFIX: Final = "whsec_"
LEASE: Final = timedelta(minutes=2)
OVERLAP: Final = timedelta(hours=24)  # for which the secret before an exchange still signs
LONGEST_WAIT: Final = timedelta(hours=6)
GONE: Final = 410  # by the specification: do not tell us any more


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell an endpoint of. ``key`` names it for good; ``data`` is JSON, amounts and days as text."""

    endpoint: int
    key: str
    event: str
    about: str
    at: datetime
    data: dict[str, Any]


def queue(events: Iterable[Event]) -> int:
    """Store messages for ``events``, each once however often it is queued. Returns how many were new."""
    rows = [
        WebhookMessage(
            endpoint_id=event.endpoint,
            key=event.key,
            event=event.event,
            about=event.about,
            payload=payload(event.event, event.at, event.data),
        )
        for event in events
    ]
    before = set(WebhookMessage.objects.filter(key__in=[row.key for row in rows]).values_list("endpoint_id", "key"))
    WebhookMessage.objects.bulk_create(rows, ignore_conflicts=True)
    return len({(row.endpoint_id, row.key) for row in rows} - before)


def payload(event: str, at: datetime, data: dict[str, Any]) -> str:
    """The body of the request: ``type``, ``timestamp`` (UTC) and ``data``."""
    timestamp = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": timestamp, "data": data}, ensure_ascii=False, separators=(",", ":"))


def open_endpoint(endpoint: WebhookEndpoint) -> str:
    """Store a new endpoint with a secret of its own, and return that: it is shown this once."""
    secret = new_secret()
    endpoint.secret = encrypted(secret, PURPOSE)
    endpoint.save()
    return secret


def exchange_secret(endpoint: WebhookEndpoint, *, now: datetime) -> str:
    """Give the endpoint another secret, and return it. For a day both sign, so that the other side can follow."""
    secret = new_secret()
    with transaction.atomic():
        fresh = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        fresh.old_secret, fresh.old_secret_until = fresh.secret, now + OVERLAP
        fresh.secret = encrypted(secret, PURPOSE)
        fresh.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return secret


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def send_test(endpoint: WebhookEndpoint, *, now: datetime) -> None:
    """Queue a try, so that a person sees in the log what the other side answers."""
    key = f"{WebhookEvent.TEST}:{secrets.token_hex(8)}"
    queue([Event(endpoint.pk, key, WebhookEvent.TEST, endpoint.name, now, {"endpoint": endpoint.name})])


def send_pending(*, clock: Callable[[], datetime], limit: int = 20) -> int:
    """Tell at most ``limit`` of what waits; returns how many requests were made.

    An endpoint that does not answer is left alone for the rest of this call, so that it holds up no other.
    """
    failing: set[int] = set()
    made = 0
    while made < limit:
        waiting = WebhookMessage.objects.filter(endpoint__is_active=True).exclude(endpoint__in=failing)
        claimed = intents.claim(waiting, now=clock(), lease=LEASE, limit=1)
        if not claimed:
            break
        (message,) = claimed
        made += 1
        if not _tell(message, clock):
            failing.add(message.endpoint_id)
    return made


def expire(*, now: datetime) -> int:
    """What a dead worker was about to tell is told again: the other side knows a repetition by its id."""
    return intents.expire(WebhookMessage.objects.all(), now=now, becomes=WebhookMessage.State.WAITING)


def signature(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over id, timestamp and body, by the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def headers_of(message: WebhookMessage, keys: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of a request made ``now``, signed with each of ``keys``."""
    name, timestamp = f"msg_{message.pk}", int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": "Kontor",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(key, name, timestamp, message.payload) for key in keys),
    }


def _tell(message: WebhookMessage, clock: Callable[[], datetime]) -> bool:
    """Make the request and store the answer; whether there was one of success."""
    endpoint = WebhookEndpoint.objects.get(pk=message.endpoint_id)
    now = clock()
    keys = _secrets_of(endpoint, now)
    if not keys:
        intents.park(message, _("The secret was encrypted with another key of this installation: exchange it."))
        return False
    started = monotonic()
    answer, trouble = None, ""
    try:
        answer = outbound.post(
            endpoint.url,
            message.payload.encode(),
            headers_of(message, keys, now),
            to_anyone=settings.WEBHOOKS_TO_ANYONE,
        )
    except outbound.Unreachable as error:
        trouble = str(error)
    taken = int((monotonic() - started) * 1000)
    with transaction.atomic():
        WebhookAttempt.objects.create(
            message=message,
            at=now,
            milliseconds=taken,
            status=answer.status if answer else None,
            answer=_shown(answer.text if answer else trouble),
        )
        if answer and 200 <= answer.status < 300:
            intents.finish(message, sent_at=now)
            return True
        if answer and answer.status == GONE:
            _close(endpoint)
        reason = f"{answer.status} {_shown(answer.text)}".strip() if answer else trouble
        logger.info("A webhook was not taken", extra={"webhook": message.pk, "status": answer and answer.status})
        intents.retry(message, reason, now=now)
        if answer and answer.retry_after and message.state == WebhookMessage.State.WAITING:
            wait = min(timedelta(seconds=answer.retry_after), LONGEST_WAIT)
            WebhookMessage.objects.filter(pk=message.pk, next_at__lt=now + wait).update(next_at=now + wait)
    return False


def _secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    tokens = [endpoint.secret]
    if endpoint.old_secret_until and endpoint.old_secret_until > now:
        tokens.append(endpoint.old_secret)
    return [secret for token in tokens if (secret := decrypted(token, PURPOSE))]


def _close(endpoint: WebhookEndpoint) -> None:
    """Tell it no more, because it said so; what waits for it stays, should a person open it again."""
    with acting(actor="", channel="webhook", reason=_("The endpoint answered that it is gone (410).")):
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(is_active=False)


def _shown(text: str) -> str:
    """What the other side wrote, as one line that a table can hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
