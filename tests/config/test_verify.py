"""Whatever is altered of what was issued is named: any column of any of its rows, and any byte of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from config import books
from config.books import heads
from invoicing import numbering
from tests.config.test_books import DOCUMENT, FIRST, book, english, found, tamper, undone  # noqa: F401

# Rows of the first document, by table. Of these columns nothing on a document, in the books or in its proof depends:
# when a row was written, in which run, and words that the document carries itself.
ROWS = {
    "invoicing_invoice": f"id = {FIRST}",
    "invoicing_line": f"invoice_id = {FIRST}",
    "invoicing_vatshare": f"invoice_id = {FIRST}",
    "invoicing_documentfile": f"invoice_id = {FIRST}",
    "tenants_file": f"id in (select file_id from invoicing_documentfile where invoice_id = {FIRST})",
    "invoicing_journalentry": f"invoice_id = {FIRST}",
    "invoicing_posting": f"entry_id in (select id from invoicing_journalentry where invoice_id = {FIRST})",
    "invoicing_openitem": f"invoice_id = {FIRST}",
    "billing_charge": f"id in (select charge_id from invoicing_line where invoice_id = {FIRST})",
}
OF_NO_WEIGHT = {"created_at", "run_id", "reason", "sealed_at"}


def columns() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name::text, column_name::text, data_type::text from information_schema.columns"
            " where table_schema = 'public' and table_name = any(%s) order by 1, ordinal_position",
            [list(ROWS)],
        )
        return [row for row in cursor.fetchall() if row[1] not in OF_NO_WEIGHT | {"id"} and not row[1].endswith("_id")]


def references() -> list[tuple[str, str, str]]:
    """Table, column and what it refers to."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text from pg_constraint c"
            "  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]"
            " where c.contype = 'f' and c.conrelid::regclass::text = any(%s) order by 1, 2",
            [list(ROWS)],
        )
        return [row for row in cursor.fetchall() if row[1] not in OF_NO_WEIGHT]


def altered(column: str, kind: str) -> str:
    """SQL for another value of the column."""
    match kind:
        case "date" | "numeric" | "integer" | "bigint" | "smallint":
            return f"{column} + 1"
        case "jsonb":
            return f"""jsonb_set({column}, '{{altered}}', '"x"')"""
        case "boolean":
            return f"not {column}"
        case _:
            return f"case when length({column}) > 1 then 'x' || substr({column}, 2) else 'x' end"


def without_checks(table: str) -> None:
    """What an owner of the database would do first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select conname from pg_constraint where contype in ('c', 'u', 'x') and conrelid = %s::regclass", [table]
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"alter table {table} drop constraint {name}")


def test_whatever_is_altered_of_a_document_is_named(book):  # noqa: F811
    unnoticed, tried = [], 0
    for table, column, kind in columns():
        with undone():
            without_checks(table)
            tamper(f"update {table} set {column} = {altered(column, kind)} where {ROWS[table]}")
            tried += 1
            if not found():
                unnoticed.append((table, column))
    assert unnoticed == []
    assert tried > 50


def test_whatever_a_document_is_made_to_refer_to_is_named(book):  # noqa: F811
    unnoticed, tried = [], 0
    for table, column, other in references():
        with undone():
            without_checks(table)
            another = f"(select max(o.id) from {other} o where o.id is distinct from {column})"
            with connection.cursor() as cursor:
                cursor.execute(f"select count(*) from {table} where {ROWS[table]} and {another} is not null")
                if not cursor.fetchone()[0]:
                    continue
            tamper(f"update {table} set {column} = {another} where {ROWS[table]}")
            tried += 1
            if not found():
                unnoticed.append((table, column))
    assert unnoticed == []
    assert tried > 8


@pytest.fixture
def kept(book, tmp_path) -> Path:  # noqa: F811
    """The heads as they were before anything was forged."""
    path = tmp_path / "heads.csv"
    call_command("verify", "--write-heads", str(path))
    return path


def test_kept_heads_are_compared(kept, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert kept.read_text().splitlines()[1].startswith("MAIN;RE-2026-;4;RE-2026-00004;")
    call_command("verify", "--against", str(kept))
    assert "2 heads that were kept are in their places." in capsys.readouterr().out


def test_a_history_that_was_written_anew_is_found_by_a_head_that_was_kept(kept):
    """Every hash reckoned again after a forgery: the chain itself holds, only the head kept elsewhere tells."""
    with undone():
        (head, *_rest) = (one for one in heads.heads() if one.number == "RE-2026-00004")
        tamper(f"update invoicing_invoice set chain_hash = repeat('0', 64) where id = {FIRST}")
        assert list(heads.heads_hold([head])) == []
        tamper("update invoicing_invoice set chain_hash = repeat('0', 64) where number = 'RE-2026-00004'")
        assert [(breach.invariant, breach.record) for breach in heads.heads_hold([head])] == [("head", "RE-2026-00004")]
        tamper("update invoicing_invoice set sequence = 9 where number = 'RE-2026-00004'")
        assert [breach.record for breach in heads.heads_hold([head])] == ["RE-2026-00004"]


@pytest.mark.parametrize(
    "content", ["", "a;b\r\n", "issuer;range;sequence;number;chain_hash\r\nMAIN;RE;four;RE-4;x\r\n"]
)
def test_a_file_that_holds_no_heads_is_refused(book, tmp_path, content):  # noqa: F811
    path = tmp_path / "heads.csv"
    path.write_text(content)
    with pytest.raises(CommandError):
        call_command("verify", "--against", str(path))


def test_a_byte_of_a_file_is_named(book, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    (path,) = Path(settings.FILES_ROOT).glob("documents/*.pdf")
    try:
        path.write_bytes(b"%PDX")
        with pytest.raises(CommandError, match="1 breach"):
            call_command("verify")
        assert capsys.readouterr().out.startswith(f"file: documents/{path.name}: ")
    finally:
        path.write_bytes(b"%PDF")


def test_a_forged_word_stops_no_other_proof(book):  # noqa: F811
    with undone():
        without_checks("billing_charge")
        charges = f"select charge_id from invoicing_line where invoice_id = {FIRST}"
        tamper(f"update billing_charge set kind = 'xee' where id in ({charges})")
        second = DOCUMENT % 2
        tamper(f"update invoicing_line set text = text || '.' where invoice_id = {second}")
        names = {(breach.invariant, breach.record) for breach in books.check(with_files=False)}
        assert ("content", "document RE-2026-00002") in names
        assert ("proof", "days_are_answered") in names
        assert any(invariant == "known words" and record.startswith("charge ") for invariant, record in names)


def test_missing_and_doubled_numbers_are_reported(book):  # noqa: F811
    with undone():
        without_checks("invoicing_invoice")
        tamper("update invoicing_invoice set sequence = sequence + 2 where number = 'RE-2026-00004'")
        tamper("update invoicing_invoice set number = 'RE-2026-00001' where number = 'RE-2026-00002'")
        (invoices,) = [one for one in numbering.report() if one.prefix == "RE-2026-"]
        assert (invoices.missing, invoices.twice, invoices.is_whole) == ([(4, 5)], ["RE-2026-00001"], False)
