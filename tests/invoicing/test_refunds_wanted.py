"""A contract cancelled with a refund leaves a credit that is marked to be paid out; with a credit, one to set off."""

from __future__ import annotations

from datetime import date

import pytest

from billing import contracts
from invoicing import credit_balance
from invoicing.models import Invoice, RefundRequest
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
MIDDLE = date(2026, 2, 15)


@pytest.mark.parametrize(("money", "wanted"), [("refund", 1), ("credit", 0), ("none", 0)])
def test_what_a_cancellation_gives_back_is_marked_by_its_policy(money, wanted):
    issuer, tenant = make_issuer(reference="MAIN"), make_tenant(reference="ALONE")
    contract = make_contract(issuer, tenant, reference="V-1", price=make_price((None, "280.00", "0")))
    bill(issuer, FEBRUARY)
    contracts.cancel(
        contract, on=MIDDLE, effective=MIDDLE, money=money, override=True, reason="E", by=None, channel="command"
    )
    bill(issuer, MARCH)
    credit = Invoice.objects.filter(kind="credit_note").first()
    assert (credit is None) == (money == "none")
    assert RefundRequest.objects.count() == wanted
    if wanted:
        request = RefundRequest.objects.get()
        assert (request.open_item.invoice, request.wanted_on) == (credit, MARCH)
        assert "V-1" in request.reason
        assert credit.net.amount == -140
        assert credit_balance.propose(issuer, tenant) == []
    elif credit is not None:
        assert len(credit_balance.propose(issuer, tenant)) == 1
