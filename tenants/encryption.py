"""Texts that must not be readable in the database, and that we need again: encrypted with the secret key."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


def encrypted(text: str, purpose: str) -> str:
    """``text`` as a token that only ``decrypted`` with the same ``purpose`` can read; authenticated (Fernet)."""
    return _box(purpose).encrypt(text.encode()).decode()


def decrypted(token: str, purpose: str) -> str | None:
    """The text of ``token``; ``None`` if no key of ours made it. Old keys (``SECRET_KEY_FALLBACKS``) still read."""
    try:
        return _box(purpose).decrypt(token.encode()).decode()
    except InvalidToken:
        return None


def keyed_hash(text: str, purpose: str) -> str:
    """A hash by which the same ``text`` is found again, and which says nothing to who lacks our key."""
    return _hash(text, purpose, str(settings.SECRET_KEY))


def keyed_hashes(text: str, purpose: str) -> list[str]:
    """``keyed_hash`` by each key that still reads: what is stored may have been hashed with an old one."""
    return [_hash(text, purpose, str(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _hash(text: str, purpose: str, key: str) -> str:
    return hmac.new(sha256(f"{purpose}:{key}".encode()).digest(), text.encode(), sha256).hexdigest()


def _box(purpose: str) -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(f"{purpose}:{key!s}")) for key in keys])


def _key(text: str) -> bytes:
    return base64.urlsafe_b64encode(sha256(text.encode()).digest())
