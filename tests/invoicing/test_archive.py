"""What an auditor gets: every file of every document of some days, proved by its hash, with an index."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from invoicing import archive, pdf
from invoicing.models import DocumentFile, Invoice
from tenants.models import Activity, Issuer
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files_root(tmp_path, settings, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    settings.FILES_ROOT = tmp_path / "kept"
    return settings.FILES_ROOT


@pytest.fixture
def issuer():
    """Two documents of February, with their PDFs; two of March, without."""
    issuer = make_issuer(reference="MAIN")
    for reference in ("+49-ONE", "TWO"):
        make_contract(issuer, make_tenant(reference=reference), reference=f"V-{reference}")
    bill(issuer, FEBRUARY)
    pdf.render_pending(10)
    bill(issuer, MARCH)
    return issuer


def index(folder: Path) -> list[list[str]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter=";"))


def export(folder: Path, first: str = "2026-01-01", through: str = "2026-12-31", **options) -> None:
    call_command("export_documents", "--from", first, "--through", through, "--to", str(folder), **options)


def test_the_index_lists_each_file_and_each_file_is_there(issuer, tmp_path, capsys):
    export(tmp_path / "out")
    head, *rows = index(tmp_path / "out")
    assert head == ["number", "kind", "issued_on", "recipient", "currency", "net", "vat", "gross", "file", "sha256"]
    assert [row[:9] for row in rows] == [
        [f"RE-2026-0000{n}", "invoice", day, recipient, "EUR", "100.00", "19.00", "119.00", f"MAIN/RE-2026-0000{n}.pdf"]
        for n, (day, recipient) in enumerate(
            [(day, recipient) for day in ("2026-02-01", "2026-03-01") for recipient in ("'+49-ONE", "TWO")], 1
        )
    ]
    for row in rows:
        content = (tmp_path / "out" / row[8]).read_bytes()
        assert content.startswith(b"%PDF")
        assert sha256(content).hexdigest() == row[9]
    assert "4 documents, 4 files" in capsys.readouterr().out
    assert DocumentFile.objects.count() == 4  # what was not made yet is made
    (noted,) = Activity.objects.filter(action="export")
    assert (noted.channel, noted.after) == ("command", {"rows": 4, "first": "2026-01-01", "last": "2026-12-31"})


def test_only_the_days_and_the_issuer_asked_for(issuer, tmp_path):
    other = make_issuer(reference="OTHER")
    make_contract(other, make_tenant(reference="FOREIGN"), reference="V-FOREIGN")
    bill(other, FEBRUARY)
    export(tmp_path / "all", through="2026-02-28")
    assert [row[8] for row in index(tmp_path / "all")[1:]] == [
        "MAIN/RE-2026-00001.pdf",
        "MAIN/RE-2026-00002.pdf",
        "OTHER/RE-2026-00001.pdf",
    ]
    export(tmp_path / "main", issuer="MAIN", first="2026-03-01", through="2026-03-01")
    assert [row[0] for row in index(tmp_path / "main")[1:]] == ["RE-2026-00003", "RE-2026-00004"]


def test_a_second_export_gives_the_same(issuer, tmp_path):
    def seen():
        return {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    export(tmp_path / "out")
    before = seen()
    export(tmp_path / "out")
    assert seen() == before
    assert len(before) == 5


def test_a_damaged_file_is_named_and_the_others_are_there(issuer, files_root, tmp_path, capsys):
    kept = DocumentFile.objects.select_related("file").order_by("invoice_id").first().file
    (files_root / kept.path).write_bytes(b"%PDF forged")
    with pytest.raises(CommandError, match="1 file is missing"):
        export(tmp_path / "out")
    rows = index(tmp_path / "out")[1:]
    assert rows[0][8:] == ["", kept.sha256]
    assert len([row for row in rows if row[8]]) == 3
    assert "RE-2026-00001: The file" in capsys.readouterr().err
    assert (tmp_path / "out" / "missing.csv").read_text().splitlines()[1].startswith("RE-2026-00001;The file")
    assert not (tmp_path / "out" / "MAIN" / "RE-2026-00001.pdf").exists()


def test_a_document_that_cannot_be_printed_is_named(issuer, tmp_path, monkeypatch):
    def refuse(invoice_id):
        raise pdf.UnprintableText("a character is missing")

    monkeypatch.setattr(archive.pdf, "render_document", refuse)
    report = None
    for report in archive.write(tmp_path / "out", archive.documents(MARCH, MARCH)):
        pass
    assert report.faults == [(f"RE-2026-0000{n}", "a character is missing") for n in (3, 4)]
    assert (report.documents, report.files) == (2, 0)


def test_a_folder_that_cannot_be_written_is_named(issuer, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(CommandError, match=r"out cannot be written"):
        export(tmp_path / "out")


def test_days_in_the_wrong_order_are_refused(issuer, tmp_path):
    with pytest.raises(CommandError, match="first day is after"):
        export(tmp_path / "out", first="2026-03-01", through="2026-02-01")


def test_the_zip_file_holds_the_same(issuer, tmp_path):
    export(tmp_path / "out")
    pieces = list(archive.zipped(archive.documents(date(2026, 1, 1), date(2026, 12, 31))))
    assert len(pieces) > 4  # sent while it is made
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as packed:
        assert packed.testzip() is None
        names = {info.filename for info in packed.infolist()}
        assert names == {"index.csv", *(f"MAIN/RE-2026-0000{n}.pdf" for n in (1, 2, 3, 4))}
        for name in names:
            assert packed.read(name) == (tmp_path / "out" / name).read_bytes()


def test_names_of_files_stay_in_their_folder():
    invoice = Invoice(number="../../etc/passwd")
    invoice.issuer = make_issuer(reference="../AG")
    kept = pdf.filing.File(path="documents/1/2026/x-1234.pdf")
    assert archive._name(invoice, DocumentFile(file=kept)) == "%2E%2E%2FAG/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd.pdf"


def test_each_document_has_a_file_of_its_own():
    """Whatever the references of issuers and the prefixes of their numbers: one would take the other's place."""
    kept = pdf.filing.File(path="documents/1/2026/x-1234.pdf")
    of = [("Ä", "1"), ("Ö", "1"), ("A/B", "1"), ("A_B", "1"), ("A.B", "1"), ("%C3%84", "1"), ("A", "B/1"), ("A", "B_1")]
    names = {archive._name(Invoice(number=n, issuer=Issuer(reference=r)), DocumentFile(file=kept)) for r, n in of}
    assert len(names) == len(of)
