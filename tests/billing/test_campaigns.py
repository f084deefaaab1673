"""Price campaigns: what they select, the day of each contract, their money, and how they are applied."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.utils import translation

from billing import campaigns, contracts, metrics
from billing.campaigns import applying
from billing.models import Amendment, Charge, Price, PriceCampaign, PriceChange, PriceNotice, Subscription
from invoicing.models import Line
from tenants.models import Activity, Issuer
from tests.builders import (
    make_grant,
    make_issuer,
    make_item,
    make_price,
    make_price_class,
    make_product,
    make_subscription,
    make_tenant,
)
from tests.small_book import bill, make_contract

pytestmark = pytest.mark.django_db

LINE = [field.attname for field in Line._meta.concrete_fields]
ANNOUNCED = date(2026, 11, 2)
JANUARY = date(2027, 1, 1)


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def make_campaign(issuer: Issuer, **fields) -> PriceCampaign:
    """3 percent from January 2027 on, 42 days of announcement."""
    return PriceCampaign.objects.create(
        **{"issuer": issuer, "name": "Preise 2027", "wanted_on": JANUARY, "reason": "Höhere Kosten"}
        | ({} if fields.keys() & {"amount", "rule"} else {"percent": Decimal(3)})
        | fields
    )


def run(campaign: PriceCampaign, on: date = ANNOUNCED) -> PriceCampaign:
    announced = campaigns.announce(campaign, on=on, by=None, channel="command")
    return campaigns.apply(announced)


def rows_of(campaign: PriceCampaign) -> dict[str, tuple[str, date | None]]:
    return {
        row.subscription.reference: (row.state, row.effective_on)
        for row in campaign.changes.select_related("subscription")
    }


def test_each_contract_changes_on_its_own_day_and_the_reason_is_said():
    issuer, tenant = make_issuer(), make_tenant()
    price = make_price((None, "100.00", "0"))
    make_contract(issuer, tenant, reference="FREE", price=price)
    make_contract(issuer, tenant, reference="TERM", price=price, term_months=12, renewal_months=12, notice_days=30)
    make_contract(issuer, tenant, reference="NOTICE", price=price, notice_days=90)
    ending = make_contract(issuer, tenant, reference="ENDING", price=price, ends_before=date(2027, 1, 15))
    found = campaigns.preview(make_campaign(issuer), on=ANNOUNCED)
    assert {one.contract: (one.effective_on, campaigns.why(one.steps)) for one in found.changing} == {
        "FREE": (JANUARY, "as wanted"),
        "TERM": (date(2027, 2, 1), "its term fixes the price until 31 Jan 2027"),
        "NOTICE": (date(2027, 2, 1), "announced in time for 1 Feb 2027"),
        "ENDING": (JANUARY, "as wanted"),
    }
    assert found.totals()["EUR"] == campaigns.Total(Decimal("400.00"), Decimal("412.00"), 4)
    contracts.cancel(ending, on=ANNOUNCED, effective=JANUARY, reason="Umzug", by=None, channel="command")
    again = campaigns.preview(make_campaign(issuer, name="2"), on=ANNOUNCED)
    assert "ENDING" not in {one.contract for one in again.positions}  # over by the wanted day: not selected at all


def test_positions_that_stay_say_why():
    issuer, tenant = make_issuer(), make_tenant()
    product = make_product()
    price = make_price((None, "100.00", "0"), product=product)
    make_contract(issuer, tenant, reference="OVER", price=price, term_months=24, ends_before=date(2027, 6, 1))
    make_contract(
        issuer, tenant, reference="WAITING", price=price, billing_starts_with="activation", starts_on=date(2026, 5, 1)
    )
    agreed = make_contract(issuer, tenant, reference="AGREED", price=price)
    contracts.agree_price(
        agreed,
        line=1,
        unit_price=Decimal(90),
        on=JANUARY,
        effective=date(2026, 5, 1),
        reason="",
        by=None,
        channel="admin",
    )
    make_contract(issuer, tenant, reference="LISTED", price=price)
    found = campaigns.preview(make_campaign(issuer, rule="list"), on=ANNOUNCED)
    assert {one.contract: one.reason for one in found.positions} == {
        "OVER": "It is over, or rests, by 1 Feb 2028.",
        "WAITING": "Its billing has not started yet.",
        "AGREED": "Its price was agreed for this contract.",
        "LISTED": "It has this price already.",
    }
    with pytest.raises(campaigns.CampaignRefused, match="changes no contract"):
        run(PriceCampaign.objects.get())
    assert not PriceChange.objects.exists()
    below = campaigns.preview(
        make_campaign(issuer, name="2", amount=Decimal(-101), rule="amount", currency="EUR"), on=JANUARY
    )
    assert {one.reason for one in below.positions if one.contract == "LISTED"} == {"The price would be below zero."}


def test_a_renewal_that_takes_another_list_price_first_is_not_raised_on_the_old_one():
    """The renewal of July 2027 has the new price of the list; the change would hold with the one after it."""
    issuer, product = make_issuer(), make_product()
    old = make_price((None, "100.00", "0"), product=product, ends_before=JANUARY)
    make_price((None, "110.00", "0"), product=product, starts_on=JANUARY)
    terms = {"starts_on": date(2026, 7, 1), "term_months": 12, "renewal_months": 12, "notice_days": 300}
    make_contract(issuer, make_tenant(), price=old, **terms)
    (left,) = campaigns.preview(make_campaign(issuer), on=ANNOUNCED).positions
    assert left.reason == "Its renewal on 1 Jul 2027 takes another price of the list first."
    (changed,) = campaigns.preview(make_campaign(issuer, name="2", rule="list"), on=ANNOUNCED).positions
    assert (changed.effective_on, changed.mrr_after) == (date(2028, 7, 1), Decimal("110.00"))


def test_days_that_are_charged_already_keep_their_price():
    issuer = make_issuer()
    make_contract(issuer, make_tenant())
    bill(issuer, date(2027, 2, 1), ANNOUNCED)
    (changed,) = campaigns.preview(make_campaign(issuer), on=ANNOUNCED).positions
    assert changed.effective_on == date(2027, 3, 1)
    assert campaigns.why(changed.steps) == "charged until 28 Feb 2027 already"


def test_what_is_selected():
    issuer = make_issuer()
    group = make_tenant()
    branch = make_tenant(parent=group, kind="branch")
    first, second = make_price((None, "100.00", "0")), make_price((None, "50.00", "0"), price_class=make_price_class(2))
    dollars = make_price((None, "10.00", "0"), currency="USD")
    make_contract(issuer, group, reference="A", price=first)
    make_contract(issuer, branch, reference="B", price=second, price_class=make_price_class(2))
    make_contract(issuer, make_tenant(), reference="C", price=dollars, currency="USD", starts_on=date(2026, 6, 1))
    make_contract(make_issuer(), group, reference="D", price=first)
    for choice, names in (
        ({}, "A B C"),
        ({"product": first.product}, "A"),
        ({"price": second}, "B"),
        ({"price_class": second.price_class}, "B"),
        ({"currency": "USD"}, "C"),
        ({"tenant": group}, "A B"),
        ({"tenant": branch}, "B"),
        ({"starts_from": date(2026, 6, 1)}, "C"),
        ({"starts_before": date(2026, 6, 1)}, "A B"),
    ):
        found = campaigns.preview(make_campaign(issuer, name=str(choice), **choice), on=ANNOUNCED)
        assert " ".join(sorted(one.contract for one in found.positions)) == names, choice


def test_the_list_has_another_price_by_then():
    issuer, product = make_issuer(), make_product()
    old = make_price((None, "100.00", "0"), product=product, ends_before=JANUARY)
    new = make_price((None, "110.00", "0"), product=product, starts_on=JANUARY)
    contract = make_contract(issuer, make_tenant(), price=old)
    run(make_campaign(issuer, rule="list"))
    assert list(contract.items.order_by("starts_on").values_list("price", "starts_on", "ends_before")) == [
        (old.pk, date(2026, 2, 1), JANUARY),
        (new.pk, JANUARY, None),
    ]
    assert contract.amendments.get(kind="price").effective_on == JANUARY
    assert contracts.mrr(contract, JANUARY) == Decimal("110.00")


def test_a_named_price_of_the_list_replaces_another():
    issuer, product = make_issuer(), make_product()
    old = make_price((None, "100.00", "0"), product=product)
    new = make_price((None, "80.00", "0"), product=product, price_class=make_price_class(2))
    contract = make_contract(issuer, make_tenant(), price=old)
    run(make_campaign(issuer, rule="list", price=old, new_price=new))
    assert contract.items.latest("starts_on").price == new


def test_tiers_and_bounds_rise_together():
    issuer = make_issuer()
    price = make_price(
        ("10", "2.00", "0"), (None, "1.50", "5.00"), model="graduated", minimum=Decimal(10), cap=Decimal(100)
    )
    contract = make_contract(issuer, make_tenant(), price=price, quantity=Decimal(20))
    run(make_campaign(issuer, percent=Decimal(10)))
    after = contract.items.latest("starts_on").price
    assert (after.agreed_for, after.model, after.minimum, after.cap) == (contract, "graduated", 11, 110)
    assert list(after.tiers.values_list("up_to", "unit_price", "flat_amount")) == [
        (Decimal(10), Decimal("2.20"), Decimal(0)),
        (None, Decimal("1.65"), Decimal("5.50")),
    ]


def test_the_finer_rules_of_a_price_stay():
    issuer, tenant = make_issuer(), make_tenant()
    price = make_price(("10", "2.00", "0"), (None, "1.50", "5.00"), model="graduated", quota_prorated=True)
    price.tiers.filter(up_to=None).update(package_size=5)
    packages = make_price(("15", "8.00", "0"), (None, "6.00", "0"), model="package", package_size=10)
    Price.objects.filter(pk=packages.pk).update(package_per_tier=True)
    flat = make_price((None, "0", "49.00"), model="flat", flat_when_zero=True)
    found = [make_contract(issuer, tenant, price=one, quantity=Decimal(20)) for one in (price, packages, flat)]
    campaign = run(make_campaign(issuer, percent=Decimal(10)))
    assert set(campaign.changes.values_list("state", flat=True)) == {"changed"}
    after = [contract.items.latest("starts_on").price for contract in found]
    assert [(one.quota_prorated, one.package_per_tier, one.flat_when_zero) for one in after] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert list(after[0].tiers.values_list("package_size", flat=True)) == [None, 5]


def test_an_amount_raises_a_commitment_and_no_percentage():
    issuer, tenant = make_issuer(), make_tenant()
    least = make_price((None, "0", "500.00"), model="commitment")
    share = make_price((None, "2.5", "0"), model="percentage")
    for name, price in (("LEAST", least), ("SHARE", share)):
        make_contract(issuer, tenant, reference=name, price=price)
    campaign = run(make_campaign(issuer, rule="amount", amount=Decimal(20), currency="EUR"))
    assert {row.subscription.reference: (row.state, row.reason) for row in campaign.changes.all()} == {
        "LEAST": ("changed", ""),
        "SHARE": ("skipped", "Ihr Preis ist ein Prozentsatz: Ein Betrag kann nicht aufgeschlagen werden."),
    }
    (tier,) = Price.objects.get(agreed_for__reference="LEAST").tiers.all()
    assert (tier.unit_price, tier.flat_amount) == (0, 520)


def make_mixed_book(issuer: Issuer, count: int) -> list[Subscription]:
    """Contracts of every sort: monthly to yearly, with and without term, notice, discount, several positions."""
    prices = {
        interval: make_price((None, "120.00", "0"), product=make_product(interval=interval))
        for interval in ("monthly", "quarterly", "yearly")
    }
    tenants = [make_tenant() for _ in range(max(1, count // 5))]
    made = []
    for n in range(count):
        starts_on = date(2025, 1 + n % 12, (1, 15, 31, 28)[n % 4] if n % 12 not in (1, 3, 5, 8, 10) else 28)
        contract = make_subscription(
            issuer=issuer,
            tenant=tenants[n % len(tenants)],
            starts_on=starts_on,
            term_months=(None, 12, 24, 6)[n % 4],
            renewal_months=(None, 12, None, 6)[n % 4] if n % 8 else None,
            notice_days=(None, 30, 90, 0, 14)[n % 5],
            billing_day=1 if n % 7 == 0 else None,
        )
        make_item(subscription=contract, price=prices[("monthly", "quarterly", "yearly")[n % 3]], quantity=1 + n % 4)
        if n % 10 == 0:
            make_item(subscription=contract, line=2, price=prices[("quarterly", "yearly", "monthly")[n % 3]])
        if n % 6 == 0:
            make_grant(subscription=contract, percent=Decimal(25))
        made.append(contract)
    return made


def documents(issuer: Issuer) -> dict[str, list[dict]]:
    """All that was issued, as the database has it."""
    found = {row["number"]: [row] for row in issuer.invoices.issued().values()}
    for line in (
        Line.objects.filter(invoice__in=issuer.invoices.issued()).order_by("pk").values("invoice__number", *LINE)
    ):
        found[line["invoice__number"]].append(line)
    return found


def test_three_percent_on_500_contracts_with_mixed_terms():
    """Each changes on its own next legal date; the total of the preview is that of the contracts later; and what was
    issued before stays as it is."""
    issuer = make_issuer()
    made = make_mixed_book(issuer, 500)
    bill(issuer, ANNOUNCED)
    issued = documents(issuer)
    later = date(2030, 1, 1)
    before = metrics.mrr(later)["EUR"]
    worth = {contract.pk: contracts.mrr(contract, later) for contract in made}
    campaign = make_campaign(issuer)
    found = campaigns.preview(campaign, on=ANNOUNCED)
    total = found.totals()["EUR"]
    run(campaign)
    assert documents(issuer) == issued
    assert {row.state for row in campaign.changes.all()} == {"changed"}
    assert campaign.state == "draft" and PriceCampaign.objects.get().state == "applied"
    # each on its own day, one amendment for each position, as shown
    days = {(one.subscription, one.line): one.effective_on for one in found.changing}
    assert len(days) == 550
    assert len(set(days.values())) == 21
    written = Amendment.objects.filter(kind="override").select_related("price_change")
    assert {(one.subscription_id, one.data["line"]): one.effective_on for one in written} == days
    assert {one.channel for one in written} == {"command"}
    assert {one.reason for one in written} == {"Preise 2027: Höhere Kosten"}
    # the money, by three ways that do not know of campaigns
    assert metrics.mrr(later)["EUR"] - before == total.difference
    assert sum(contracts.mrr(contract, later) - worth[contract.pk] for contract in made) == total.difference
    assert total.after == total.before * Decimal("1.03")
    # what is billed from then on
    bill(issuer, max(days.values()))
    now = documents(issuer)
    assert len(now) > len(issued) and {number: now[number] for number in issued} == issued
    assert not Charge.objects.filter(kind="credit").exists()
    for charge in Charge.objects.select_related("item__price", "item__subscription"):
        changed_on = days[charge.item.subscription_id, charge.item.line]
        assert (charge.item.price.agreed_for_id is not None) == (charge.starts_on >= changed_on)
    charged = Charge.objects.filter(item__price__agreed_for__isnull=False)
    assert set(charged.values_list("item__subscription", "item__line")) == set(days)


def test_a_second_time_nothing_is_left(django_assert_num_queries):
    issuer = make_issuer()
    make_mixed_book(issuer, 12)
    campaign = run(make_campaign(issuer))
    amendments = Amendment.objects.count()
    assert campaign.state == "applied"
    campaigns.apply(campaign)
    assert (Amendment.objects.count(), PriceNotice.objects.count()) == (amendments, 2)
    assert campaigns.progress(campaign) == campaigns.Progress(0, 14, 0, 0, 0)


def test_killed_in_the_middle_it_goes_on(monkeypatch):
    issuer = make_issuer()
    make_mixed_book(issuer, 12)
    campaign = campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command")
    monkeypatch.setattr(applying, "STEP", 5)

    class Killed(BaseException):
        pass

    def kill(_done: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        campaigns.apply(campaign, on_step=kill)
    assert campaigns.progress(campaign).changed == campaign.changes.exclude(amendment=None).count() == 6
    assert list(campaigns.unfinished()) == [campaign]
    assert not PriceNotice.objects.exists()
    campaigns.apply(campaign)
    assert campaigns.progress(campaign).changed == Amendment.objects.filter(kind="override").count() == 14
    assert not campaigns.unfinished().exists()


def test_a_contract_amended_since_is_parked_alone():
    issuer, tenant = make_issuer(), make_tenant()
    price = make_price((None, "100.00", "0"))
    amended, other = (make_contract(issuer, tenant, reference=name, price=price) for name in "AB")
    campaign = campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command")
    contracts.change_quantity(
        amended,
        line=1,
        quantity=Decimal(2),
        on=ANNOUNCED,
        effective=date(2026, 12, 1),
        reason="",
        by=None,
        channel="admin",
    )
    campaigns.apply(campaign)
    assert rows_of(campaign) == {"A": ("parked", JANUARY), "B": ("changed", JANUARY)}
    assert campaign.changes.get(state="parked").reason.startswith("Seit der Ankündigung geändert")
    assert not amended.amendments.filter(kind="override").exists()
    assert contracts.mrr(other, JANUARY) == Decimal("103.00")


def test_a_contract_that_ended_since_is_parked_with_all_its_positions(monkeypatch):
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant())
    make_item(subscription=contract, line=2)
    campaign = campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command")
    taken, calls = contracts.take_price, []

    def fails_at_the_second(*arguments, **options):
        calls.append(options["line"])
        if len(calls) == 2:
            raise contracts.ChangeRefused("Nein.")
        return taken(*arguments, **options)

    monkeypatch.setattr(contracts, "take_price", fails_at_the_second)
    campaigns.apply(campaign)
    assert list(campaign.changes.values_list("state", "reason")) == [("parked", "Nein.")] * 2
    assert not contract.amendments.filter(kind="override").exists()
    assert not Price.objects.filter(agreed_for=contract).exists()


def test_what_would_not_come_out_as_announced_is_undone(monkeypatch):
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant())
    campaign = campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command")
    take = contracts.take_price
    later = {"effective": date(2027, 2, 1)}
    monkeypatch.setattr(contracts, "take_price", lambda *arguments, **options: take(*arguments, **options | later))
    campaigns.apply(campaign)
    assert rows_of(campaign) == {contract.reference: ("parked", JANUARY)}
    assert "nicht den angekündigten Wert" in campaign.changes.get().reason
    assert not contract.amendments.filter(kind="override").exists()


def test_another_campaign_does_not_raise_twice():
    issuer = make_issuer()
    make_contract(issuer, make_tenant())
    run(make_campaign(issuer))
    second = campaigns.preview(make_campaign(issuer, name="2"), on=ANNOUNCED)
    assert [one.reason for one in second.positions] == ["The campaign “Preise 2027” changes it on 1 Jan 2027."]


def test_the_preview_that_was_seen_is_what_is_announced():
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant())
    campaign = make_campaign(issuer)
    seen = campaigns.seal(campaigns.preview(campaign, on=ANNOUNCED).positions)
    make_contract(issuer, contract.tenant)
    with pytest.raises(campaigns.CampaignRefused, match="since the preview"):
        campaigns.announce(campaign, on=ANNOUNCED, by=None, channel="admin", seen=seen)
    assert PriceCampaign.objects.get().state == "draft"


def test_withdrawn_prices_are_taken_back_unless_they_are_in_force():
    issuer, tenant = make_issuer(), make_tenant()
    price = make_price((None, "100.00", "0"))
    make_contract(issuer, tenant, reference="FREE", price=price)
    term = make_contract(issuer, tenant, reference="TERM", price=price, term_months=12, renewal_months=12)
    campaign = run(make_campaign(issuer))
    assert campaigns.withdraw(campaign, on=JANUARY, reason="Irrtum", by=None, channel="command") == []
    assert rows_of(campaign) == {"FREE": ("changed", JANUARY), "TERM": ("withdrawn", date(2027, 2, 1))}
    assert contracts.mrr(term, date(2027, 3, 1)) == Decimal("100.00")
    with pytest.raises(campaigns.CampaignRefused, match="not announced"):
        campaigns.apply(PriceCampaign.objects.get())


def test_who_did_it_is_on_record():
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant())
    clerk = User.objects.create_user("jana")
    campaign = campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=clerk, channel="admin")
    campaigns.apply(campaign)
    amendment = contract.amendments.get(kind="override")
    assert (amendment.author, amendment.channel) == (clerk, "admin")
    told = Activity.objects.filter(table="billing_pricecampaign", action="update").order_by("pk")
    assert [(one.actor, one.channel, one.after["state"]) for one in told] == [
        ("jana", "admin", "announced"),
        ("jana", "admin", "applied"),
    ]


def test_a_chunk_asks_the_same_number_of_questions(django_assert_max_num_queries):
    issuer = make_issuer()
    make_mixed_book(issuer, 3)
    campaign = make_campaign(issuer)
    with django_assert_max_num_queries(14):
        campaigns.preview(campaign, on=ANNOUNCED)
    make_mixed_book(issuer, 30)
    with django_assert_max_num_queries(14):
        campaigns.preview(campaign, on=ANNOUNCED)
