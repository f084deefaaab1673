"""A book with usage comes in as files; its usage is charged to the cent as expected, and every event has its answer."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command

from billing import metering
from billing.kernel.coverage import Reason
from billing.metering import Event
from billing.models import Charge, UsageSource
from config import books
from invoicing import coverage, replay
from invoicing.einvoice import judge
from invoicing.einvoice.facts import DocumentFacts, LineFacts
from invoicing.einvoice.reading import facts_of
from invoicing.einvoice.writing import written
from invoicing.models import Invoice
from invoicing.pdf import render
from tenants.models import Issuer
from tests.conftest import SAMPLE_BOOK
from tests.databases import copy_database, drop_database, use_database
from tests.stories.conftest import copy_of, output_of

SAMPLE = SAMPLE_BOOK.parent / "usage"
DAY = "2026-05-01"
NOW = datetime(2026, 5, 1, 3, tzinfo=UTC)


def read_events() -> list[Event]:
    with (SAMPLE / "events.csv").open(newline="", encoding="utf-8") as file:
        return [
            Event(
                key=row["event"],
                occurred_at=datetime.fromisoformat(row["occurred_at"]),
                tenant=row["tenant"],
                application=row["application"],
                meter=row["meter"],
                user_name=row["user"],
                quantity=Decimal(row["quantity"] or 1),
                properties=json.dumps(json.loads(row["properties"] or "{}", parse_float=Decimal), default=str),
            )
            for row in csv.DictReader(file, delimiter=";")
        ]


@pytest.fixture(scope="module")
def imported_usage(template_database: str, django_db_blocker) -> Iterator[str]:
    """A database with the sample book of usage; to be copied, not to be billed."""
    if not SAMPLE.is_dir():
        pytest.skip(f"the sample book of usage is not there: {SAMPLE}")
    before = settings.DATABASES["default"]["NAME"]
    name = copy_database(template_database)
    try:
        with django_db_blocker.unblock():
            use_database(name)
            for kind in ("issuer", "catalog", "tenants", "contracts"):
                call_command(f"import_{kind}", str(SAMPLE / f"{kind}.csv"), show=0, stdout=StringIO())
            source = UsageSource.objects.create(reference="PBX", issuer=Issuer.objects.get(reference="USAGE"))
            assert metering.take_in(source, read_events(), now=NOW).accepted == 6000
            use_database(before)
        yield name
    finally:
        drop_database(name)


def usage_lines(document: DocumentFacts) -> list[LineFacts]:
    return [line for line in document.lines if line.usage is not None]


@pytest.fixture
def usage_book(imported_usage: str, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock(), copy_of(imported_usage):
        yield


def test_the_usage_of_the_sample_book_is_charged_as_expected(usage_book: None):
    said = output_of("bill", "--through", DAY, "--issue-on", DAY)
    assert said.splitlines()[-1].endswith(" 0 skipped, 0 parked; 7 documents with 72 lines.")
    exported = output_of("export_charges", "--through", DAY)
    assert exported.encode() == (SAMPLE / "expected_charges.csv").read_bytes()
    assert list(books.check(with_files=False)) == []
    replayed = list(replay.replay())
    assert (len(replayed), [difference for one in replayed for difference in one.differences]) == (7, [])
    documents = facts_of(Invoice.objects.issued().values_list("pk", flat=True))
    assert [len(usage_lines(document)) for document in documents] == [len(list(one.lines)) for one in documents]
    assert all(render(document).startswith(b"%PDF") for document in documents)
    assert [judge.findings(written(replace(document, format="zugferd"))) for document in documents] == [[]] * 7
    report = coverage.usage_report(through=date(2026, 5, 1))
    assert report.total == 6000
    assert report.events[Reason.STANDS] + report.events[Reason.FREE] == 4531
    assert report.events - Counter({Reason.STANDS: 9999, Reason.FREE: 9999}) == {Reason.NOT_DUE: 31}
    assert report.unbilled == {"account": 38, "meter": 30, "contract": 21, "before": 1349}
    assert output_of("coverage", "--through", DAY).splitlines()[-6:] == [
        "Nutzung, ohne Vertrag: 1438 Ereignisse",
        "    der Mandant ist nicht bekannt: 38 Ereignisse",
        "    der Zähler ist nicht bekannt: 30 Ereignisse",
        "    der Mandant hat keinen Vertrag für diesen Zähler: 21 Ereignisse",
        "    vor Beginn des Vertrags: 1349 Ereignisse",
        "Nutzung, zusammen: 6000 Ereignisse",
    ]
    before = Charge.objects.count()

    said = output_of("bill", "--through", DAY, "--issue-on", DAY)
    assert said.splitlines()[-1].endswith("0 parked; 0 documents with 0 lines.")
    assert (Charge.objects.count(), Invoice.objects.issued().count()) == (before, 7)
