"""Usage from files: each event once, what differs in error, what is of nobody kept and warned of."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from billing import usage_import
from billing.models import UsageBatch, UsageEvent, UsageKey, UsageSource, UsageTotal
from tenants import staging
from tenants.models import ImportBatch, Issuer
from tests.builders import make_issuer, make_tenant
from tests.conftest import SAMPLE_BOOK
from tests.usage_rows import make_meters, make_source

pytestmark = pytest.mark.django_db
SAMPLE = SAMPLE_BOOK.parent / "usage"
HEAD = "event;occurred_at;tenant;application;meter;quantity;properties"
NOON = "2026-03-10T12:00:00Z"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings) -> Iterator[None]:
    settings.FILES_ROOT = tmp_path
    with translation.override("en"):
        yield


@pytest.fixture
def issuer() -> Issuer:
    make_tenant(reference="K1")
    make_meters()
    return make_issuer(reference="MAIN")


def offered(issuer: Issuer, *lines: str, head: str = HEAD, **options) -> ImportBatch:
    file = BytesIO("\n".join([head, *lines]).encode())
    return staging.offer(usage_import.RECIPE, file, file_name="usage.csv", issuer=issuer, **options)


def taken(issuer: Issuer, *lines: str, **options) -> ImportBatch:
    batch = offered(issuer, *lines, **options)
    staging.apply(usage_import.RECIPE, batch, actor="clerk", channel="import")
    batch.refresh_from_db()
    return batch


def said(batch: ImportBatch) -> list[tuple[int, str, list[list[str]]]]:
    return [(row.number, row.state, row.errors or row.warnings) for row in batch.rows.order_by("number")]


def test_a_file_is_taken_in_once(issuer):
    lines = [f'e1;{NOON};K1;PBX;minutes;;"{{""seconds"": 60}}"', f"e2;{NOON};K1;PBX;sms;3;"]
    batch = taken(issuer, *lines)
    assert {name: batch.counts[name] for name in ("new", "unchanged", "error")} == {
        "new": 2,
        "unchanged": 0,
        "error": 0,
    }
    source = UsageSource.objects.get()
    assert (source.reference, source.issuer) == ("file MAIN", issuer)
    assert set(UsageTotal.objects.values_list("meter__reference", "count", "total")) == {
        ("minutes", 1, 60),
        ("sms", 1, 3),
    }
    again = taken(issuer, *lines)
    assert again.counts["unchanged"] == 2
    assert UsageEvent.objects.count() == UsageKey.objects.count() == 2
    counts = UsageBatch.objects.order_by("id").values_list("import_batch", "channel", "accepted", "replayed", "refused")
    assert list(counts) == [(batch.pk, "file", 2, 0, 0), (again.pk, "file", 0, 2, 0)]


def test_each_row_says_what_is_wrong_with_it(issuer):
    taken(issuer, f"e1;{NOON};K1;PBX;sms;3;")
    batch = offered(
        issuer,
        f"e1;{NOON};K1;PBX;sms;4;",  # known with another quantity
        f"e2;{NOON};K1;PBX;sms;;",
        f"e2;{NOON};K1;PBX;sms;1;",  # the same: an empty quantity is 1
        f"e2;{NOON};K1;PBX;sms;2;",  # not the same
        "e3;2026-03-10 12:00;K1;PBX;sms;;",  # no offset
        "e4;2026-02-30T12:00:00Z;K1;PBX;sms;;",
        "e5;1999-03-10T12:00:00Z;K1;PBX;sms;;",
        f"e6;{NOON};K1;PBX;sms;;[1]",
        f"e7;{NOON};K9;PBX;sms;;",
        f"e8;{NOON};K1;PBX;faxes;;",
        f"e9;{NOON};K1;PBX;sms;1e3;",
        f";{NOON};K1;PBX;sms;;",
    )
    known = "the event is known with “%s”, here it is “%s”; take it back by another event (reverses)"
    assert said(batch) == [
        (2, "error", [["quantity", known % (3, 4)]]),
        (3, "new", []),
        (4, "unchanged", []),
        (5, "error", [["quantity", known % (1, 2)]]),
        (
            6,
            "error",
            [
                [
                    "occurred_at",
                    "“2026-03-10 12:00” is not an instant with its offset, written like 2026-01-31T09:30:00+01:00",
                ]
            ],
        ),
        (7, "error", [["occurred_at", "“2026-02-30T12:00:00Z” is not an instant of calendar and clock"]]),
        (8, "error", [["occurred_at", "lies more than ten years back"]]),
        (9, "error", [["properties", "is a JSON object in braces"]]),
        (
            10,
            "new",
            [["tenant", "there is no account “K9”; the event is kept and billed to nobody until there is"]],
        ),
        (
            11,
            "new",
            [["meter", "there is no meter “PBX / faxes”; the event is kept and billed to nobody until there is"]],
        ),
        (12, "error", [["quantity", "“1e3” is not a number written like 1234,5, without thousands separators"]]),
        (13, "error", [["event", "must not be empty"]]),
    ]
    with pytest.raises(staging.RowsRefused):
        staging.apply(usage_import.RECIPE, batch, actor="clerk", channel="import")
    assert UsageKey.objects.count() == 1


def test_the_good_rows_alone_are_taken_if_so_wanted(issuer):
    batch = taken(issuer, f"e1;{NOON};K1;PBX;sms;3;", "e2;noon;K1;PBX;sms;3;", skip_bad=True)
    assert (batch.counts["new"], batch.counts["error"]) == (1, 1)
    assert UsageBatch.objects.get().refused == 1


def test_a_file_takes_back_what_it_or_another_brought(issuer):
    head = f"{HEAD};reverses"
    taken(issuer, f"e1;{NOON};K1;PBX;sms;3;;", head=head)
    batch = offered(
        issuer,
        f"b1;{NOON};K1;PBX;sms;;;e1",
        f"b2;{NOON};K1;PBX;sms;;;e2",
        f"e2;{NOON};K1;PBX;sms;7;;",
        f"b3;{NOON};K1;PBX;sms;;;e3",
        head=head,
        skip_bad=True,
    )
    assert said(batch)[3] == (
        5,
        "error",
        [["reverses", "there is no event “e3”, neither stored nor in the file"]],
    )
    staging.apply(usage_import.RECIPE, batch, actor="clerk", channel="import")
    assert [(total.count, total.total) for total in UsageTotal.objects.all()] == [(0, 0)]


def test_a_file_that_cannot_be_taken_as_shown_is_not_taken_at_all(issuer):
    """Its row takes back an event of another account: seen only when it is taken in."""
    make_tenant(reference="K2")
    head = f"{HEAD};reverses"
    taken(issuer, f"e1;{NOON};K1;PBX;sms;3;;", head=head)
    batch = offered(issuer, f"b1;{NOON};K2;PBX;sms;;;e1", f"e5;{NOON};K1;PBX;sms;;;", head=head)
    with pytest.raises(staging.Outdated, match="there is no event “e1” of this source, account and meter"):
        staging.apply(usage_import.RECIPE, batch, actor="clerk", channel="import")
    assert set(UsageKey.objects.values_list("key", flat=True)) == {"e1"}
    assert UsageBatch.objects.count() == 1


def test_a_file_may_name_its_source(issuer):
    head = f"{HEAD};source"
    source = make_source(issuer, "switch")
    taken(issuer, f"e1;{NOON};K1;PBX;sms;3;;switch", head=head)
    assert UsageKey.objects.get().source == source
    batch = offered(issuer, f"e2;{NOON};K1;PBX;sms;3;;switch", f"e3;{NOON};K1;PBX;sms;3;;other", head=head)
    assert said(batch)[1][2] == [["source", "all rows of a file are of one source; the first is of “switch”"]]
    batch = offered(issuer, f"e2;{NOON};K1;PBX;sms;3;;nobody", head=head)
    assert said(batch)[0][2] == [["source", "there is no usage source “nobody”"]]
    batch = offered(make_issuer(reference="OTHER"), f"e2;{NOON};K1;PBX;sms;3;;switch", head=head)
    assert said(batch)[0][2] == [["source", "is a source of another issuer"]]


def test_unknown_columns_are_named_and_not_read(issuer):
    batch = taken(issuer, f"e1;{NOON};K1;PBX;sms;3;;blue", head=f"{HEAD};colour")
    assert batch.reading["unknown_columns"] == ["colour"]


def test_the_sample_book_has_6000_events_however_often_it_comes():
    if not SAMPLE.is_dir():
        pytest.skip(f"the sample book of usage is not there: {SAMPLE}")
    for kind in ("issuer", "catalog", "tenants", "contracts"):
        call_command(f"import_{kind}", str(SAMPLE / f"{kind}.csv"), show=0, stdout=StringIO())
    out = StringIO()
    call_command("import_usage", str(SAMPLE / "events.csv"), dry_run=True, show=0, language="en", stdout=out)
    assert out.getvalue().splitlines()[-2:] == [
        "6000 new, 0 changed, 120 unchanged, 0 in error",
        "Dry run: nothing was changed.",
    ]
    assert not UsageKey.objects.exists()
    totals = []
    for fresh, known in ((6000, 120), (0, 6120)):
        out = StringIO()
        call_command("import_usage", str(SAMPLE / "events.csv"), show=0, language="en", stdout=out)
        assert f"{fresh} new, 0 changed, {known} unchanged, 0 in error" in out.getvalue()
        assert (UsageKey.objects.count(), UsageEvent.objects.count()) == (6000, 6000)
        totals.append(list(UsageTotal.objects.order_by("id").values_list()))
    assert totals[0] == totals[1]
    assert sum(row[4] for row in totals[0]) == 6000 - 38 - 30
    assert UsageEvent.objects.unassigned().count() == 38 + 30


def test_a_file_with_an_error_changes_nothing(issuer, tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text("\n".join([HEAD, f"e1;{NOON};K1;PBX;sms;3;", "e2;noon;K1;PBX;sms;3;"]))
    with pytest.raises(CommandError, match="1 row cannot be taken, so nothing of the file was"):
        call_command("import_usage", str(path), language="en", stdout=StringIO())
    assert not UsageKey.objects.exists()
