"""A campaign is applied while somebody changes a contract, applies it, too, or withdraws it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import transaction

from billing import campaigns, contracts
from billing.campaigns import applying
from billing.models import Amendment, PriceCampaign, PriceNotice
from tests.billing.test_campaigns import ANNOUNCED, JANUARY, make_campaign, rows_of
from tests.builders import make_issuer, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.small_book import make_contract


def announced(count: int) -> PriceCampaign:
    issuer = make_issuer()
    for n in range(count):
        make_contract(issuer, make_tenant(), reference=f"V{n}")
    return campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command")


def test_a_contract_that_is_changed_meanwhile_is_seen_as_changed(own_database):
    campaign = announced(2)
    contract = campaign.changes.get(subscription__reference="V0").subscription
    with transaction.atomic():
        contracts.change_quantity(
            contract,
            line=1,
            quantity=Decimal(2),
            on=ANNOUNCED,
            effective=date(2026, 12, 1),
            reason="",
            by=None,
            channel="admin",
        )
        applied = in_thread(lambda: campaigns.apply(campaign))
        wait_until_blocked()
    applied.result(timeout=30)
    assert rows_of(campaign) == {"V0": ("parked", JANUARY), "V1": ("changed", JANUARY)}


def test_two_who_apply_it_write_everything_once(own_database, monkeypatch):
    monkeypatch.setattr(applying, "STEP", 2)
    announced(12)
    both = [in_thread(lambda: campaigns.apply(PriceCampaign.objects.get())) for _ in range(2)]
    for one in both:
        assert one.result(timeout=60).state == "applied"
    assert Amendment.objects.filter(kind="override").count() == 12
    assert PriceNotice.objects.count() == 12


def test_what_is_withdrawn_meanwhile_is_not_written(own_database):
    campaign = announced(1)
    with transaction.atomic():
        campaigns.withdraw(campaign, on=ANNOUNCED, reason="Irrtum", by=None, channel="admin")
        applied = in_thread(lambda: campaigns.apply(campaign))
        wait_until_blocked()
    assert applied.result(timeout=30).state == "withdrawn"
    assert not Amendment.objects.filter(kind="override").exists()
    assert not PriceNotice.objects.exists()
