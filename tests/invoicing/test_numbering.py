"""The report on numbers says what is missing, what was given twice and what was cancelled."""

from __future__ import annotations

from datetime import date

import pytest

from invoicing import numbering
from invoicing.kernel.retention import kept_through
from tests.small_book import make_small_book

pytestmark = pytest.mark.django_db


def test_ranges_without_gap():
    make_small_book()
    found = numbering.report()
    assert [one.is_whole for one in found] == [True] * len(found)
    (invoices,) = [one for one in found if one.kind == "invoice"]
    assert (invoices.first, invoices.last, invoices.count) == (
        "RE-2026-00001",
        f"RE-2026-{invoices.count:05}",
        invoices.last_sequence,
    )
    assert invoices.chain_head


@pytest.mark.parametrize(
    ("issued_on", "last"),
    [("2026-01-01", "2034-12-31"), ("2026-12-31", "2034-12-31"), ("2027-01-01", "2035-12-31")],
)
def test_documents_are_kept_for_eight_years_from_the_end_of_theirs(issued_on, last):
    assert kept_through(date.fromisoformat(issued_on)) == date.fromisoformat(last)
