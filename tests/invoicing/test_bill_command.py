"""What `bill` says to whoever calls it, in their language."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import translation

from invoicing.models import BillRun, Invoice
from tests.builders import make_issuer, make_tenant
from tests.small_book import make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def book():
    issuer = make_issuer(reference="MAIN")
    make_contract(issuer, make_tenant(reference="A", name="Anton"))
    make_contract(issuer, make_tenant(reference="B", name="Berta", street=""))
    make_contract(issuer, make_tenant(reference="C", name="Cäsar", status="suspended"))


def said(language: str, *options: str) -> list[str]:
    out = StringIO()
    with translation.override(language):
        call_command("bill", "--through", "2026-02-01", *options, stdout=out)
    return out.getvalue().splitlines()


def test_a_rehearsal_tells_what_would_be_and_writes_nothing():
    assert said("de", "--dry-run") == [
        "A;A;invoice;EUR;1;S;100.00;19.00;119.00",
        "würde ungeklärt bleiben: B: Es fehlt Straße; eine Rechnung braucht das (§ 14 Abs. 4 UStG).",
        "EUR: 1 Belege, netto 100.00, brutto 119.00",
        "Probelauf: 1 Belege, 1 Rechnungspositionen, 1 ungeklärt; es wurde nichts geschrieben.",
    ]
    assert said("en", "--dry-run")[-2:] == [
        "EUR: 1 documents, net 100.00, gross 119.00",
        "Dry run: 1 documents, 1 lines, 1 parked; nothing written.",
    ]
    assert not (BillRun.objects.exists() or Invoice.objects.exists())


def test_a_run_tells_first_who_could_not_be_billed():
    parked, skipped, summary = said("de")
    assert parked == "ungeklärt: B Berta: B: Es fehlt Straße; eine Rechnung braucht das (§ 14 Abs. 4 UStG)."
    assert skipped == "übersprungen: C Cäsar: Der Mandant ist nicht aktiv."
    assert summary.partition(": ")[2] == (
        "3 Zahler, 1 ausgestellt, 0 vorgeschlagen, 0 ohne Fälliges, 1 übersprungen, 1 ungeklärt;"
        " 1 Belege mit 1 Rechnungspositionen."
    )
