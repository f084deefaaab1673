"""The bill run beside its floor, in one run on one server: `python -m tests.bench.bill_run --contracts 10000`.

The floor is COPY of the rows that the run wrote, as they are before numbering, into the same tables of a copy of the
database, all constraints and triggers in force. Figures mean something as ratios only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import django
from django.db import connection, connections, transaction

ROW_TABLES = (
    "billing_charge",
    "invoicing_invoice",
    "invoicing_section",
    "invoicing_line",
    "invoicing_vatshare",
    "invoicing_journalentry",
    "invoicing_openitem",
    "invoicing_posting",
)
UNNUMBERED = {"state": "'released'", "range_id": "null", "sequence": "null", "number": "null", "chain_hash": "''"}


def peak_memory() -> float:
    """The most this process has held, in MiB. Not ``ru_maxrss``: a child inherits that from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def bill(chunk: int) -> dict[str, float]:
    """Bill the book in this process; seconds, peak memory before and after in MiB."""
    from invoicing import bill_run
    from tenants.models import Issuer
    from tests.bench.book import THROUGH

    issuer = Issuer.objects.get()
    start = time.perf_counter()
    for _part in bill_run.rehearse(issuer, through=THROUGH, issue_on=THROUGH, chunk_size=chunk):
        pass
    preview = time.perf_counter() - start
    before = peak_memory()
    start = time.perf_counter()
    run = bill_run.start(issuer=issuer, through=THROUGH, issue_on=THROUGH, issues_by_itself=True, chunk_size=chunk)
    bill_run.bill(run)
    seconds = time.perf_counter() - start
    peak = peak_memory()
    done = bill_run.progress(run)
    assert done.parked == 0, "the generated book bills without parking"
    return {
        "preview": preview,
        "seconds": seconds,
        "peak_before": before,
        "peak": peak,
        "documents": done.documents,
        "lines": done.lines,
    }


def copied_out() -> dict[str, bytes]:
    """The rows the run wrote, as COPY text, documents as they were before they got a number."""
    rows = {}
    with connection.cursor() as cursor:
        for table in ROW_TABLES:
            cursor.execute(
                "select column_name from information_schema.columns where table_name = %s and is_generated = 'NEVER'"
                " order by ordinal_position",
                [table],
            )
            columns = [row[0] for row in cursor.fetchall()]
            unnumbered = UNNUMBERED if table == "invoicing_invoice" else {}
            picked = ", ".join(unnumbered.get(column, f'"{column}"') for column in columns)
            text = BytesIO()
            cursor.copy_expert(f"copy (select {picked} from {table} order by id) to stdout", text)
            rows[f"{table} ({', '.join(columns)})"] = text.getvalue().replace(b"", b"")
    return rows


def floor(rows: dict[str, bytes]) -> float:
    """Seconds of one COPY per table and the commit, run and number range being there already."""
    start = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        for target, text in rows.items():
            cursor.copy_expert(f"copy {target} from stdin", BytesIO(text))
    return time.perf_counter() - start


def in_own_process(name: str, chunk: int) -> dict[str, float]:
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.bill_run", "--in", name, "--chunk", str(chunk)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
    )
    return json.loads(result.stdout.splitlines()[-1])


def measure(template: str, contracts: int, chunk: int) -> None:
    from tests.bench import book
    from tests.databases import copy_database, drop_database, use_database

    databases = []
    try:
        filled = copy_database(template)
        databases.append(filled)
        use_database(filled)
        book.make_book(contracts)
        book.analyse()
        connections.close_all()
        bare = copy_database(filled)
        databases.append(bare)
        figures = in_own_process(filled, chunk)
        rows = copied_out()
        use_database(bare)
        from invoicing import bill_run
        from tenants.models import Issuer

        bill_run.start(issuer=Issuer.objects.get(), through=book.THROUGH, issue_on=book.THROUGH, issues_by_itself=True)
        seconds = floor(rows)
        documents = int(figures["documents"])
        print(
            f"{contracts:>8} contracts, {documents} documents, {int(figures['lines'])} lines, chunks of {chunk}:\n"
            f"         COPY of the same rows  {seconds:7.2f} s  {documents / seconds:8.0f} documents/s   1.00\n"
            f"         preview (dry run)      {figures['preview']:7.2f} s  {documents / figures['preview']:8.0f}"
            f" documents/s  {figures['preview'] / seconds:5.2f} x COPY\n"
            f"         bill run               {figures['seconds']:7.2f} s  {documents / figures['seconds']:8.0f}"
            f" documents/s  {figures['seconds'] / seconds:5.2f} x COPY\n"
            f"         peak memory of the worker {figures['peak']:.0f} MiB"
            f" ({figures['peak'] - figures['peak_before']:+.1f} MiB in the run)",
            flush=True,
        )
    finally:
        connections.close_all()
        for name in databases:
            drop_database(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument("--chunk", type=int, default=1_000)
    parser.add_argument("--in", dest="database", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    from tests.databases import migrated_template, use_database

    if options.database:
        use_database(options.database)
        print(json.dumps(bill(options.chunk)))
        return
    from config import env, servers

    servers.ensure(env.home(), env.embedded())
    template = migrated_template()
    for contracts in options.contracts:
        measure(template, contracts, options.chunk)


if __name__ == "__main__":
    main()
