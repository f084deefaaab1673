"""What was cancelled or credited says so beside its state: in the list, on its page, on the account's page."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoicing import correction
from invoicing.admin import corrections
from invoicing.correction import Wanted
from invoicing.models import Invoice
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
HOW = {"on": date(2026, 2, 10), "reason": "Falsche Menge"}
CANCELLED, CORRECTED = ("cancelled", "danger"), ("corrected", "warning")


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"
    with time_machine.travel("2026-02-10 09:00:00+01:00", tick=False):
        yield


@pytest.fixture
def documents() -> list[Invoice]:
    """Of three customers, 300.00 net each."""
    issuer, price = make_issuer(), make_price((None, "100.00", "0"))
    for reference in ("A", "B", "C"):
        make_contract(issuer, make_tenant(reference=reference), price=price, quantity=Decimal(3))
    bill(issuer, FEBRUARY)
    return list(Invoice.objects.order_by("payer__reference"))


def credit(invoice: Invoice) -> int:
    return correction.credit(invoice.pk, [Wanted(1, amount=Decimal("100.00"))], **HOW)


def marks(client) -> dict[str, tuple[str, str] | None]:
    rows = client.get(reverse("admin:invoicing_invoice_changelist")).context["cl"].result_list
    return {row.payer.reference: row.mark for row in rows if row.kind == Invoice.Kind.INVOICE}


def test_a_cancelled_and_a_credited_document_are_marked(client, admin_user, documents):
    client.force_login(admin_user)
    cancelled, credited, _whole = documents
    assert marks(client) == {"A": None, "B": None, "C": None}
    correction.cancel([cancelled.pk], **HOW)
    note = credit(credited)
    assert marks(client) == {"A": CANCELLED, "B": CORRECTED, "C": None}
    html = client.get(reverse("admin:invoicing_invoice_changelist")).content.decode()
    assert (html.count(">cancelled</span>"), html.count(">corrected</span>")) == (1, 1)
    for invoice, mark in ((cancelled, CANCELLED), (credited, CORRECTED)):
        shown = client.get(reverse("admin:invoicing_invoice_change", args=[invoice.pk])).content.decode()
        assert f'<span class="k-badge k-badge-{mark[1]}">{mark[0]}</span>' in shown
        rows = client.get(reverse("account", args=[invoice.payer_id])).context["documents"]
        assert {row["number"]: row["mark"] for row in rows}[invoice.number] == mark

    correction.cancel([note], **HOW)
    assert marks(client) == {"A": CANCELLED, "B": None, "C": None}
    assert corrections.marks_of([note]) == {note: CANCELLED}


def test_marks_take_two_queries_for_any_number_of_documents(documents):
    correction.cancel([documents[0].pk], **HOW)
    for some in (documents[:1], documents):
        with CaptureQueriesContext(connection) as queries:
            corrections.marks_of(one.pk for one in some)
        assert len(queries) == 2
