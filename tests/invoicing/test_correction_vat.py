"""Credit notes by hand and cancellations are taxed, explained and booked as the document that they correct was."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from config import books
from invoicing import correction, replay
from invoicing.correction import Wanted
from invoicing.models import Invoice, Posting, VatShare
from tenants.models import Issuer, VatCheck
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
TENTH = date(2026, 2, 10)
KEPT = ("vat_case", "vat_rate", "country", "exemption_code", "notice", "ledger_role", "rule_id", "vat_check_id")
AUSTRIAN = {"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True}
REGIMES: Any = [
    pytest.param(AUSTRIAN, "standard", "", ("AE", "", "VATEX-EU-AE"), "revenue_AE", None, id="AE"),
    pytest.param(AUSTRIAN, "goods", "", ("K", "", "VATEX-EU-IC"), "revenue_K", None, id="K"),
    pytest.param({"country": "CH"}, "goods", "", ("G", "", "VATEX-EU-G"), "revenue_G", None, id="G"),
    pytest.param({"country": "CH"}, "standard", "", ("O", "", "VATEX-EU-O"), "revenue_O", None, id="O"),
    pytest.param({}, "exempt", "", ("E", "", "VATEX-EU-132"), "revenue_E", None, id="E"),
    pytest.param({}, "standard", "is_small_business", ("E", "", ""), "revenue_SMALL", None, id="small business"),
    pytest.param(
        {"country": "FI", "buys_as": "consumer"},
        "digital",
        "uses_oss",
        ("S", "FI", ""),
        "revenue_OSS",
        ("vat_OSS", Decimal("25.5")),
        id="OSS",
    ),
]


@pytest.mark.parametrize(("buyer", "category", "switch", "stated", "role", "vat"), REGIMES)
@pytest.mark.parametrize("share", [Decimal("0.3"), Decimal(1)], ids=["credit note", "cancellation"])
def test_a_correction_is_taxed_as_its_document(buyer, category, switch, stated, role, vat, share):
    issuer = make_issuer(reference="MAIN")
    if switch:
        Issuer.objects.filter(pk=issuer.pk).update(**{switch: True})
        issuer.refresh_from_db()
    tenant = make_tenant(**{"reference": "A"} | buyer)
    if tenant.vat_id:
        VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="vies", is_valid=True)
    price = make_price((None, "100.00", "0"))
    price.product.tax_category = category
    price.product.save()
    make_contract(issuer, tenant, price=price)
    bill(issuer, FEBRUARY)
    original = Invoice.objects.get()
    type(tenant).objects.filter(pk=tenant.pk).update(country="DE", vat_id="", vat_id_valid=False, buys_as="business")
    Issuer.objects.filter(pk=issuer.pk).update(is_small_business=False, uses_oss=False)

    if share == 1:
        (key,) = correction.cancel([original.pk], on=TENTH, reason="Doppelt")
    else:
        key = correction.credit(original.pk, [Wanted(1, percent=share * 100)], on=TENTH, reason="Kulanz")

    then, now = VatShare.objects.get(invoice=original), VatShare.objects.get(invoice=key)
    assert (then.vat_case, then.country, then.exemption_code) == stated
    assert bool(then.notice) == (then.vat_case != "S")
    assert [getattr(now, name) for name in KEPT] == [getattr(then, name) for name in KEPT]
    assert (now.base.amount, now.vat.amount) == (-100 * share, -share * (vat[1] if vat else 0))
    booked = Posting.objects.filter(entry__invoice=key, entry__kind="issue").exclude(account__role="receivables")
    wanted = {role: 100 * share} | ({vat[0]: vat[1] * share} if vat else {})
    assert dict(booked.values_list("account__role", "amount")) == wanted
    assert [difference for one in replay.replay() for difference in one.differences] == []
    assert list(books.check(with_files=False)) == []
