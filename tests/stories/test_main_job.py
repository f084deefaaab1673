"""A book of contracts comes in as files, and goes out as numbered, posted invoices: to the cent what was expected."""

from pathlib import Path

from invoicing import replay
from invoicing.models import Invoice, JournalEntry
from tests.stories.conftest import DAY, billed, output_of


def test_the_sample_book_is_billed_as_expected(own_book: dict[str, str], sample_book: Path):
    said = output_of("bill", "--through", DAY, "--issue-on", DAY)
    assert said.splitlines()[-1] == (
        f"Run 1 (MAIN, through {DAY}, dated {DAY}): 684 payers, 670 issued, 0 proposed, 14 with nothing due, 0 skipped,"
        " 0 parked; 758 documents with 2586 lines."
    )
    first = billed()
    assert first.charges.encode() == (sample_book / "expected_charges.csv").read_bytes()
    assert first.invoices.encode() == (sample_book / "expected_invoices.csv").read_bytes()
    assert first.numbers == tuple(f"RE-2026-{n:05}" for n in range(1, 759))
    assert JournalEntry.objects.count() == 758
    replayed = list(replay.replay())
    assert (len(replayed), [difference for one in replayed for difference in one.differences]) == (758, [])

    said = output_of("bill", "--through", DAY, "--issue-on", DAY)
    assert said.splitlines()[-1].endswith(
        "0 issued, 0 proposed, 684 with nothing due, 0 skipped, 0 parked; 0 documents with 0 lines."
    )
    assert Invoice.objects.issued().count() == 758
    assert (billed().charges, billed().invoices) == (first.charges, first.invoices)
