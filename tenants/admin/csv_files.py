"""Lists as files for spreadsheets: UTF-8 with a mark and semicolons, days and figures in the active language.

German spreadsheets read 31.12.2026 and 1234,50; all others get 2026-12-31 and 1234.50. No figure is grouped.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.utils.translation import get_language

from tenants.cells import neutralised


def csv_answer(name: str, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> HttpResponse:
    """A file to download, never kept by a browser; characters that no file name should have become underscores."""
    response = HttpResponse("\N{BYTE ORDER MARK}", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]", "_", name)}"'
    response["Cache-Control"] = "no-store"
    write_rows(response, head, rows)
    return response


def write_rows(stream: Any, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    writer = csv.writer(stream, delimiter=";", lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe; figures stay figures, however small."""
    if isinstance(value, str):
        return neutralised(value)
    is_german = get_language() == "de"
    if isinstance(value, date):
        return f"{value:%d.%m.%Y}" if is_german else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}".replace(".", ",") if is_german else f"{value:f}"
    return value  # csv writes None as nothing
