"""The sample book, imported once; copies of it to be billed; and what an undisturbed run makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import translation

from config import books
from invoicing.models import BillRun, Invoice, Outcome
from tests.databases import copy_database, database_url, drop_database, use_database

DAY = "2026-02-01"


@dataclass(frozen=True)
class Billed:
    """What a run leaves behind, without keys and times; ``documents`` by their content, which has no number."""

    charges: str
    invoices: str
    numbers: tuple[str, ...]
    documents: tuple[str, ...]
    outcomes: tuple[tuple[str, str, int, int], ...]


def billed() -> Billed:
    """Read the database in use, and prove its books. A run after the first one, if any, found nothing to do."""
    assert list(books.check(with_files=False)) == []
    first = BillRun.objects.order_by("id").first()
    assert not Outcome.objects.exclude(run=first).exclude(state="nothing_due").exists()
    issued = Invoice.objects.issued().filter(issued_on=DAY)
    return Billed(
        output_of("export_charges", "--through", DAY),
        output_of("export_invoices", "--issued-on", DAY),
        tuple(issued.order_by("sequence").values_list("number", flat=True)),
        tuple(sorted(issued.values_list("content_hash", flat=True))),
        tuple(
            Outcome.objects.filter(run=first)
            .order_by("payer_id")
            .values_list("payer__reference", "state", "documents", "lines")
        ),
    )


def output_of(command: str, *arguments: str) -> str:
    out = StringIO(newline="")
    with translation.override("en"):
        call_command(command, *arguments, stdout=out)
    return out.getvalue()


@contextmanager
def copy_of(template: str) -> Iterator[str]:
    """A copy of a database, in use until it is dropped."""
    before = settings.DATABASES["default"]["NAME"]
    name = copy_database(template)
    use_database(name)
    try:
        yield name
    finally:
        use_database(before)
        drop_database(name)


@pytest.fixture(scope="session")
def imported_book(template_database: str, sample_book: Path, django_db_blocker) -> Iterator[str]:
    """A database with the sample book as the commands import it; to be copied, not to be billed."""
    before = settings.DATABASES["default"]["NAME"]
    name = copy_database(template_database)
    try:
        with django_db_blocker.unblock():
            use_database(name)
            for kind in ("issuer", "catalog", "tenants", "contracts"):
                call_command(f"import_{kind}", str(sample_book / f"{kind}.csv"), show=0, stdout=StringIO())
            use_database(before)
        yield name
    finally:
        drop_database(name)


@pytest.fixture(scope="session")
def undisturbed(imported_book: str, django_db_blocker) -> Billed:
    """What one run in one process leaves behind."""
    with django_db_blocker.unblock(), copy_of(imported_book):
        call_command("bill", "--through", DAY, "--issue-on", DAY, stdout=StringIO())
        return billed()


@pytest.fixture
def own_book(imported_book: str, django_db_blocker) -> Iterator[dict[str, str]]:
    """A copy of the imported book of a test's own; gives the environment in which other processes use it."""
    with django_db_blocker.unblock(), copy_of(imported_book) as name:
        yield os.environ | {
            "DATABASE_URL": database_url("default", name),
            "DATABASE_OWNER_URL": database_url("owner", name),
            "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
        }
