"""Upholding a dispute calls the judge of e-invoices while nobody is held."""

from __future__ import annotations

from datetime import date

from django.db import connection

from invoicing import judging
from invoicing.einvoice import judge
from invoicing.models import Invoice, Line
from payments import disputes
from payments.models import Dispute
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract


def test_the_credit_note_of_an_e_invoice_is_judged_while_no_payer_is_locked(own_database, monkeypatch):
    issuer = make_issuer(reference="MAIN", document_format="zugferd")
    make_contract(issuer, make_tenant(), price=make_price((None, "100.00", "0")))
    bill(issuer, FEBRUARY)
    judging.judge_pending()
    dispute = disputes.contest(Line.objects.get().pk, on=date(2026, 2, 10), reason="Nicht bestellt")
    judged, inside = judge.findings_apart, []

    def watched(documents):
        if documents:
            inside.append(connection.in_atomic_block)
        return judged(documents)

    monkeypatch.setattr(judge, "findings_apart", watched)
    note = disputes.uphold(dispute.pk, on=date(2026, 3, 1), resolution="Nicht bestellt")
    assert inside == [False]  # once, and issuing found the verdict
    assert Invoice.objects.get(pk=note).state == "issued"
    assert Dispute.objects.get().state == "upheld"
