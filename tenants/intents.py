"""Claim what waits, answer for what was claimed: the one way in which anything outside the database is tried.

A row is claimed and committed before the world is called; the answer is stored in a transaction of its own, and only by
whoever holds the row's token. Attempts, patience and giving up are kept in the row, not in the broker.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from tenants.models import Intent
from tenants.models.intent import AnyIntent, IntentQuerySet

logger = logging.getLogger(__name__)

State = Intent.State


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried: the waits double from ``first_wait`` up to ``longest_wait``."""

    attempts: int
    first_wait: timedelta
    longest_wait: timedelta


THREE_DAYS = Patience(attempts=20, first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=6))


def claim(waiting: IntentQuerySet[AnyIntent], *, now: datetime, lease: timedelta, limit: int) -> list[AnyIntent]:
    """Take at most ``limit`` of the rows that wait and whose time has come, and commit; nobody else gets them.

    ``lease`` is longer than the work can take: after it the row counts as abandoned (``expire``).
    """
    model = waiting.model
    with transaction.atomic(durable=True):
        keys = list(
            waiting.claimable(now)
            .order_by("next_at", "pk")
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .values_list("pk", flat=True)[:limit]
        )
        if not keys:
            return []
        token = uuid.uuid4()
        model._base_manager.filter(pk__in=keys).update(
            state=State.WORKING, token=token, attempts=F("attempts") + 1, lease_until=now + lease
        )
    return list(model._base_manager.filter(token=token).order_by("next_at", "pk"))


def finish(intent: Intent, **fields: Any) -> bool:
    """Store that it is done, with ``fields``. False, and nothing stored, if the row is no longer ours."""
    return _answer(intent, state=State.DONE, reason="", **fields)


def retry(intent: Intent, reason: str, *, now: datetime, patience: Patience = THREE_DAYS) -> bool:
    """Let it wait for another attempt; after the last one park it with the reason."""
    if intent.attempts >= patience.attempts:
        return park(
            intent,
            _("Given up after %(attempts)s attempts: %(reason)s") % {"attempts": intent.attempts, "reason": reason},
        )
    return _answer(intent, state=State.WAITING, reason=reason, next_at=now + wait_before_next(intent, patience))


def park(intent: Intent, reason: str) -> bool:
    """Set it aside with the reason: only a person sends it on its way again (``release``)."""
    return _answer(intent, state=State.PARKED, reason=reason)


def leave_unknown(intent: Intent, reason: str) -> bool:
    """Record that the other side may or may not have acted; it is not tried again by itself."""
    return _answer(intent, state=State.UNKNOWN, reason=reason)


def expire(intents: IntentQuerySet[AnyIntent], *, now: datetime, becomes: str = State.UNKNOWN) -> int:
    """Answer for workers that died: claimed rows whose lease is over become unknown, or waiting where that is safe."""
    return intents.abandoned(now).update(
        state=becomes, lease_until=None, reason=_("The worker ended before it could say what became of it.")
    )


def release(intents: QuerySet[AnyIntent], *, now: datetime) -> int:
    """Try failed or unknown rows anew, because a person says so. What is under way or done is left alone."""
    return intents.filter(state__in=[State.PARKED, State.UNKNOWN]).update(
        state=State.WAITING, attempts=0, next_at=now, lease_until=None, token=None, reason=""
    )


def withdraw(intents: QuerySet[AnyIntent], *, reason: str) -> int:
    """Give up rows that wait, failed or are unknown, because a person says so."""
    return intents.filter(state__in=[State.WAITING, State.PARKED, State.UNKNOWN]).update(
        state=State.WITHDRAWN, lease_until=None, token=None, reason=reason
    )


def wait_before_next(intent: Intent, patience: Patience) -> timedelta:
    """Doubling waits, up to a quarter longer: each row by its own share, so that a thousand do not return at once."""
    wait: timedelta = min(patience.longest_wait, patience.first_wait * 2 ** max(0, intent.attempts - 1))
    digest = sha256(f"{intent._meta.label}:{intent.pk}:{intent.attempts}".encode()).digest()
    return wait + wait * digest[0] // 1024


def _answer(intent: Intent, **fields: Any) -> bool:
    """Store an answer if the token is still ours. An unknown row may still be settled by the worker that held it."""
    mine = type(intent)._base_manager.filter(pk=intent.pk, token=intent.token, state__in=[State.WORKING, State.UNKNOWN])
    if not mine.update(lease_until=None, **fields):
        logger.warning(
            "An answer came for a row that someone else holds by now",
            extra={"intent": intent._meta.label, "row": intent.pk, "answer": fields["state"]},
        )
        return False
    for name, value in fields.items():
        setattr(intent, name, value)
    return True
