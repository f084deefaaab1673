"""Tokens by which sources of usage are let in: issued once, kept as hashes, revoked for good."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext

from billing.models import UsageSource, UsageToken
from tenants.errors import OperatorError
from tenants.transactions import acting

PREFIX: Final = "ku_"  # so that scanners for leaked secrets know it
HINT: Final = 8  # characters of a token that lists show
LOCK: Final = 7_011
NOTED: Final = timedelta(minutes=5)  # how exact "last used" is


class RevokedAlready(OperatorError):
    """The token lets nobody in any more."""


def issue(source: UsageSource, *, by: Any) -> tuple[UsageToken, str]:
    """A new token of ``source`` with its text, which nobody can read again."""
    text = PREFIX + secrets.token_urlsafe(32)
    with acting(actor=by.get_username(), channel="admin"):
        token = UsageToken.objects.create(source=source, digest=_digest(text), hint=text[:HINT], created_by=by)
    return token, text


def revoke(token: UsageToken, *, now: datetime, by: Any) -> None:
    with acting(actor=by.get_username(), channel="admin"):
        if not UsageToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            raise RevokedAlready(gettext("The token %(token)s is revoked already.") % {"token": token})


def token_of(text: str, *, now: datetime) -> UsageToken | None:
    """The token that ``text`` is, with its source; none if it is unknown or revoked."""
    found = (
        UsageToken.objects.select_related("source__issuer", "source__application")
        .filter(digest=_digest(text), revoked_at=None)
        .first()
    )
    if found and (found.used_at is None or found.used_at < now - NOTED):
        UsageToken.objects.filter(pk=found.pk).update(used_at=now)
    return found


@contextmanager
def turn_of(token: UsageToken) -> Iterator[bool]:
    """Whether nobody else is sending with this token just now: one request at a time, on all workers together."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s, %s)", [LOCK, token.pk % 2**31])
        is_free = bool(cursor.fetchone()[0])
    try:
        yield is_free
    finally:
        if is_free:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(%s, %s)", [LOCK, token.pk % 2**31])


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
