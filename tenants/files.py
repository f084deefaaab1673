"""Bytes that are kept: written once below ``settings.FILES_ROOT``, and proved by their hash whenever they are read."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.utils.translation import gettext as _

from tenants.errors import OperatorError
from tenants.models import File


class DamagedFile(OperatorError):
    """A kept file is missing, or is no longer what was stored."""


def store(name: str, content: bytes, *, content_type: str) -> File:
    """Keep ``content`` for good under ``name`` (folders and an ending: ``2026/RE-7.pdf``), in the caller's transaction.

    The bytes are on the disk before the row exists. The path carries a part of their hash, so that what a killed
    attempt left behind is never taken for something else, and never overwritten by something else.
    """
    digest = sha256(content).hexdigest()
    wanted = PurePosixPath(name)
    path = wanted.with_name(f"{wanted.stem}-{digest[:12]}{wanted.suffix}")
    _write(Path(settings.FILES_ROOT) / path, content)
    return File.objects.create(path=str(path), content_type=content_type, size=len(content), sha256=digest)


def read(file: File) -> bytes:
    """The kept bytes. Raises ``DamagedFile`` if they are gone or differ from what was stored."""
    try:
        content = (Path(settings.FILES_ROOT) / file.path).read_bytes()
    except OSError as error:
        raise DamagedFile(
            _("The file %(path)s cannot be read: %(reason)s") % {"path": file.path, "reason": error.strerror}
        ) from error
    if sha256(content).hexdigest() != file.sha256:
        raise DamagedFile(_("The file %(path)s is not what was stored: its hash differs.") % {"path": file.path})
    return content


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the power fails."""
    Path(settings.FILES_ROOT).mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
