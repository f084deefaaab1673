"""Kept files against the bytes on the disk, and the files of documents against their seals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext

from config.books.breach import Breach
from tenants.models import File

CHUNK: Final = 500


def files_hold() -> Iterator[Breach]:
    """Every kept file is there, as long as it was, and byte for byte what was stored. Reads all of them."""
    last = 0
    while rows := list(
        File.objects.filter(pk__gt=last).order_by("pk").values_list("pk", "path", "size", "sha256")[:CHUNK]
    ):
        for last, path, size, digest in rows:
            if sentence := _fault(Path(settings.FILES_ROOT) / path, size, digest):
                yield Breach("file", path, sentence)


def seals_hold() -> Iterator[Breach]:
    """The seal of each file of a document follows from the document's hash and from what is kept of the file.

    So a file cannot be exchanged together with its hash, nor be given to another document.
    """
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "select i.number, d.kind, d.seal, i.chain_hash, f.path, f.content_type, f.size, f.sha256"
            "  from invoicing_documentfile d"
            "  join invoicing_invoice i on i.id = d.invoice_id join tenants_file f on f.id = d.file_id order by d.id"
        )
        for number, kind, seal, chain, *kept in cursor:
            if seal != hashlib.sha256("\n".join([chain, kind, *map(str, kept)]).encode()).hexdigest():
                yield Breach(
                    "seal",
                    gettext("document %(document)s") % {"document": number},
                    gettext("Its file (%(kind)s) is not the one that was made for it: the seal differs.")
                    % {"kind": kind},
                )


def _fault(path: Path, size: int, digest: str) -> str | None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            length = file.tell()
    except OSError as error:
        return gettext("The file cannot be read: %(reason)s.") % {"reason": error.strerror}
    if length != size:
        return gettext("The file has %(found)s bytes; %(stored)s were stored.") % {"found": length, "stored": size}
    if found != digest:
        return gettext("The file is not what was stored: its hash differs.")
    return None
