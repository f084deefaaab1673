"""The documents of some days with their files, for a tax audit: an index and the bytes that were stored, proved again.

The form of the index is fixed, whatever the language: columns by name, amounts with a point, days as 2026-02-01.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from invoicing import pdf
from invoicing.models import DocumentFile, Invoice
from tenants import files
from tenants.cells import neutralised
from tenants.errors import OperatorError
from tenants.models import Activity, Issuer

COLUMNS: Final = "number kind issued_on recipient currency net vat gross file sha256".split()
MISSING_COLUMNS: Final = ["number", "reason"]
CHUNK: Final = 200


class Unwritable(OperatorError):
    """The folder of an export cannot be written to."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file of a document as the index lists it; or ``fault``: why it is not there, and then no content."""

    cells: list[str]
    name: str = ""
    content: bytes = b""
    fault: str = ""

    @property
    def number(self) -> str:
        return self.cells[0]


@dataclass(slots=True)
class Report:
    """What an export came to; ``faults`` names documents of which a file is missing, and says why."""

    documents: int = 0
    files: int = 0
    size: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    _last: str = ""

    def add(self, one: Exported) -> None:
        if one.number != self._last:
            self.documents, self._last = self.documents + 1, one.number
        if one.fault:
            self.faults.append((one.number, one.fault))
        else:
            self.files, self.size = self.files + 1, self.size + len(one.content)


def documents(first: date, last: date, issuers: Iterable[Issuer] | None = None) -> Iterator[Invoice]:
    """Documents issued from ``first`` through ``last``, of ``issuers`` or of all, by issuer, range and number."""
    found = Invoice.objects.issued().filter(issued_on__gte=first, issued_on__lte=last)
    if issuers is not None:
        found = found.filter(issuer__in=list(issuers))
    return (
        found.select_related("issuer", "recipient")
        .order_by("issuer__reference", "range_id", "sequence")
        .iterator(chunk_size=CHUNK)
    )


def exported(found: Iterable[Invoice]) -> Iterator[Exported]:
    """Each file of each document, in the given order. A PDF that is not made yet is made now.

    One document's trouble stops no other: it is listed with its fault.
    """
    chunk: list[Invoice] = []
    for invoice in found:
        chunk.append(invoice)
        if len(chunk) == CHUNK:
            yield from _exported(chunk)
            chunk = []
    yield from _exported(chunk)


def _exported(chunk: list[Invoice]) -> Iterator[Exported]:
    kept: dict[int, list[DocumentFile]] = {invoice.pk: [] for invoice in chunk}
    for one in DocumentFile.objects.filter(invoice__in=chunk).select_related("file").order_by("invoice_id", "kind"):
        kept[one.invoice_id].append(one)
    for invoice in chunk:
        own = kept[invoice.pk]
        if not any(one.kind == DocumentFile.Kind.PDF for one in own):
            try:
                pdf.render_document(invoice.pk)
            except (OperatorError, OSError) as trouble:
                yield Exported([*_head(invoice), "", ""], fault=str(trouble))
            own = list(invoice.files.select_related("file").order_by("kind"))
        for one in own:
            name = _name(invoice, one)
            try:
                content = files.read(one.file)
            except files.DamagedFile as damage:
                yield Exported([*_head(invoice), "", one.file.sha256], fault=str(damage))
            else:
                yield Exported([*_head(invoice), name, one.file.sha256], name, content)


def _head(invoice: Invoice) -> list[str]:
    places = places_of(invoice.currency)
    amounts = (invoice.net.amount, invoice.vat.amount, invoice.gross.amount)
    return [
        neutralised(str(invoice.number)),
        invoice.kind,
        invoice.issued_on.isoformat(),
        neutralised(invoice.recipient.reference),
        invoice.currency,
        *(f"{rounded(amount, places):f}" for amount in amounts),
    ]


def _name(invoice: Invoice, one: DocumentFile) -> str:
    """``MAIN/RE-2026-00001.pdf``: numbers are unique with their issuer alone."""
    suffix = PurePosixPath(one.file.path).suffix
    return f"{_plain(invoice.issuer.reference)}/{_plain(str(invoice.number))}{suffix}"


def _plain(text: str) -> str:
    """As the name of a file, on any system, and another one for each text: ``Ä/1`` is ``%C3%84%2F1``."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def write(folder: Path, found: Iterable[Invoice]) -> Iterator[Report]:
    """Write the files and, when all of them are there, ``index.csv`` below ``folder``; the report so far, file by file.

    May be repeated: what is there already is replaced by the same. Faults are listed in ``missing.csv``, too. Raises
    ``Unwritable``.
    """
    report, rows = Report(), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in exported(found):
            rows.append(one.cells)
            if not one.fault:
                _put(folder / one.name, one.content)
            report.add(one)
            yield report
        _put(folder / "index.csv", _sheet(COLUMNS, rows))
        if report.faults:
            _put(folder / "missing.csv", _sheet(MISSING_COLUMNS, map(list, report.faults)))
        else:
            (folder / "missing.csv").unlink(missing_ok=True)
    except OSError as error:
        raise Unwritable(
            _("%(path)s cannot be written: %(reason)s.") % {"path": error.filename or folder, "reason": error.strerror}
        ) from error
    yield report


def zipped(found: Iterable[Invoice]) -> Iterator[bytes]:
    """The same as one ZIP file, piece by piece, while it is being made."""
    report, rows, sink = Report(), [], _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for one in exported(found):
            rows.append(one.cells)
            if not one.fault:
                archive.writestr(one.name, one.content)
            report.add(one)
            yield sink.taken()
        archive.writestr("index.csv", _sheet(COLUMNS, rows))
        if report.faults:
            archive.writestr("missing.csv", _sheet(MISSING_COLUMNS, map(list, report.faults)))
    yield sink.taken()


def record(actor: str, channel: str, first: date, last: date, count: int) -> None:
    """Note who exported which documents, and how many."""
    Activity.objects.create(
        actor=actor,
        channel=channel,
        table=Invoice._meta.db_table,
        row=0,
        action="export",
        after={"rows": count, "first": first.isoformat(), "last": last.isoformat()},
    )


class _Sink(io.RawIOBase):
    """What a ZIP file is written to, piece by piece: no place to go back to."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _sheet(columns: list[str], rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    sheet = csv.writer(out, delimiter=";", lineterminator="\r\n")
    sheet.writerow(columns)
    sheet.writerows(rows)
    return out.getvalue().encode()


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(draft).chmod(0o600)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
