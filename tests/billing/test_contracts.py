"""The life of a contract: what an amendment makes of its positions, and what charging then finds."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from billing import contracts
from billing.contracts import ChangeRefused, When
from billing.models import Amendment, Charge, Item, Pause, Subscription
from config import books
from invoicing.models import ExchangeRate, Invoice
from tests.builders import (
    make_grant,
    make_item,
    make_price,
    make_product,
    make_subscription,
    make_tenant,
)
from tests.small_book import bill

pytestmark = pytest.mark.django_db
BY_TEST: dict[str, Any] = {"reason": "as ordered", "by": None, "channel": "command"}


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def day(text: str) -> date:
    return date.fromisoformat(text)


def make(price: str, starts_on: str, *, item: dict[str, Any] | None = None, **fields) -> Subscription:
    """A contract with one position at a price per unit."""
    subscription = make_subscription(starts_on=day(starts_on), **fields)
    product = make_product(**{key: item.pop(key) for key in ("interval", "timing", "proration") if key in (item or {})})
    make_item(
        subscription=subscription,
        price=make_price((None, price, "0"), product=product, price_class=subscription.price_class),
        **{"timing": product.timing, "proration": product.proration} | (item or {}),
    )
    return subscription


def run(subscription: Subscription, through: str) -> None:
    bill(subscription.issuer, day(through))


def nets(subscription: Subscription) -> list[str]:
    """All charges, reversals included, as the documents print them."""
    printed = booked(subscription).order_by("line__invoice_id", "line__position")
    return [f"{charge.net.amount:.2f}" for charge in printed]


def booked(subscription: Subscription) -> Any:
    return Charge.objects.filter(item__subscription=subscription)


def total(subscription: Subscription) -> Decimal:
    return sum((charge.net.amount for charge in booked(subscription)), Decimal(0))


def stretches(subscription: Subscription) -> list[tuple[str, str | None, str]]:
    """First day, end and quantity of each position that has days."""
    return [
        (item.starts_on.isoformat(), item.ends_before and item.ends_before.isoformat(), f"{item.quantity:.0f}")
        for item in subscription.items.all()
        if item.ends_before is None or item.starts_on < item.ends_before
    ]


def quantity(subscription: Subscription, quantity: int, on: str, **more) -> Amendment:
    named = {"line": 1, "quantity": Decimal(quantity), "on": day(on), "effective": day(on)} | BY_TEST | more
    return contracts.change_quantity(subscription, **named)


def pause(subscription: Subscription, effective: str, **more) -> Amendment:
    return contracts.pause(subscription, effective=day(effective), **BY_TEST | more)


def resume(subscription: Subscription, effective: str) -> Amendment:
    return contracts.resume(subscription, effective=day(effective), **BY_TEST)


# --- quantity, price, product ---


def test_licences_added_in_the_month_cost_the_rest_of_it():
    contract = make("10.00", "2026-03-01")
    run(contract, "2026-03-01")
    quantity(contract, 3, "2026-03-11")
    run(contract, "2026-03-11")
    assert nets(contract) == ["10.00", "-6.77", "20.32"]  # 10/31 of 10.00 are used
    assert stretches(contract) == [("2026-03-01", "2026-03-11", "1"), ("2026-03-11", None, "3")]
    run(contract, "2026-04-01")
    assert nets(contract)[3:] == ["30.00"]
    assert list(books.check(with_files=False)) == []


def test_more_holds_at_once_and_less_from_the_next_period():
    contract = make("10.00", "2026-03-01", item={"quantity": Decimal(5)})
    more = quantity(contract, 6, "2026-03-11", effective=None)
    less = quantity(contract, 2, "2026-03-12", effective=None)
    assert (more.effective_on, less.effective_on) == (day("2026-03-11"), day("2026-04-01"))
    assert stretches(contract) == [
        ("2026-03-01", "2026-03-11", "5"),
        ("2026-03-11", "2026-04-01", "6"),
        ("2026-04-01", None, "2"),
    ]


def test_an_upgrade_gives_the_old_product_back_and_charges_the_new_one():
    """E-04: 20.00 a month from 11 April, 30.00 from 26 April."""
    contract = make("20.00", "2026-04-11")
    better = make_product()
    make_price((None, "30.00", "0"), product=better, price_class=contract.price_class)
    run(contract, "2026-04-11")
    contracts.change_product(contract, line=1, product=better, on=day("2026-04-26"), **BY_TEST)
    run(contract, "2026-04-26")
    assert nets(contract) == ["20.00", "-10.00", "15.00"]


def test_from_monthly_to_yearly_begins_a_year_on_that_day():
    """Kill Bill's example: 1,000.00 a month to 10,000.00 a year on 16 August."""
    contract = make("1000.00", "2026-08-01")
    yearly = make_product(interval="yearly", proration="month_first")
    make_price((None, "10000.00", "0"), product=yearly, price_class=contract.price_class)
    run(contract, "2026-08-01")
    contracts.change_product(
        contract, line=1, product=yearly, on=day("2026-08-16"), effective=When.IMMEDIATE, **BY_TEST
    )
    run(contract, "2026-08-16")
    assert nets(contract) == ["1000.00", "-516.13", "10000.00"]
    run(contract, "2027-08-15")
    assert len(nets(contract)) == 3
    run(contract, "2027-08-16")
    assert nets(contract)[3:] == ["10000.00"]


def test_a_product_that_is_worth_less_comes_with_the_next_period_and_a_missing_price_is_named():
    contract = make("20.00", "2026-04-11")
    smaller = make_product(reference="SMALL")
    with pytest.raises(ChangeRefused, match="SMALL has no price in class 1 and EUR on 26 Apr 2026"):
        contracts.change_product(contract, line=1, product=smaller, on=day("2026-04-26"), **BY_TEST)
    assert not Amendment.objects.exists()
    make_price((None, "15.00", "0"), product=smaller, price_class=contract.price_class)
    amendment = contracts.change_product(contract, line=1, product=smaller, on=day("2026-04-26"), **BY_TEST)
    assert amendment.effective_on == day("2026-05-11")
    assert (amendment.sequence, amendment.channel, amendment.reason) == (2, "command", "as ordered")


def test_an_agreed_price_stands_in_no_list_and_outlasts_a_renewal():
    contract = make("20.00", "2026-01-01", term_months=12, renewal_months=12, notice_days=30)
    listed = contract.items.get().price
    contracts.agree_price(
        contract, line=1, unit_price=Decimal("17.505"), on=day("2026-02-01"), effective=day("2026-02-01"), **BY_TEST
    )
    listed.ends_before = day("2027-01-01")
    listed.save()
    renewed = contracts.renew(contract, renews_on=day("2027-01-01"), **BY_TEST)
    assert renewed.data == {"prices": {}}
    run(contract, "2026-02-01")
    assert nets(contract) == ["20.00", "17.51"]


# --- several changes ---


def test_changes_of_one_day_follow_one_another_and_one_overtaken_costs_nothing():
    contract = make("10.00", "2026-03-01")
    run(contract, "2026-03-01")
    quantity(contract, 4, "2026-03-11")
    quantity(contract, 3, "2026-03-11")
    assert [(i.starts_on, i.ends_before) for i in contract.items.filter(quantity=4)] == [
        (day("2026-03-11"), day("2026-03-11"))
    ]
    run(contract, "2026-03-11")
    assert nets(contract) == ["10.00", "-6.77", "20.32"]


@pytest.mark.parametrize("billed_between", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_in_which_changes_of_several_days_are_written_does_not_matter(order, billed_between):
    contract = make("10.00", "2026-03-01")
    changes = [(3, "2026-03-05"), (7, "2026-03-11"), (2, "2026-03-21")]
    for n in order:
        quantity(contract, *changes[n])
        if billed_between:
            run(contract, "2026-03-25")
    run(contract, "2026-03-25")
    assert stretches(contract) == [
        ("2026-03-01", "2026-03-05", "1"),
        ("2026-03-05", "2026-03-11", "3"),
        ("2026-03-11", "2026-03-21", "7"),
        ("2026-03-21", None, "2"),
    ]
    assert total(contract) == Decimal("36.78")  # 1.29 + 5.81 + 22.58 + 7.10
    assert list(books.check(with_files=False)) == []


def test_a_backdated_change_comes_with_the_next_invoice_or_as_a_correction():
    contract = make("100.00", "2026-01-01", item={"quantity": Decimal(2)})
    run(contract, "2026-01-01")
    run(contract, "2026-02-01")
    quantity(contract, 3, "2026-01-17")
    run(contract, "2026-02-15")
    assert nets(contract) == ["200.00", "200.00", "-96.77", "145.16", "-200.00", "300.00"]
    document = Invoice.objects.latest("pk")
    assert (document.kind, document.net.amount) == ("invoice", Decimal("148.39"))
    quantity(contract, 1, "2026-02-01")
    run(contract, "2026-02-16")
    document = Invoice.objects.latest("pk")
    assert (document.kind, document.net.amount) == ("credit_note", Decimal("-200.00"))
    assert list(books.check(with_files=False)) == []


def test_a_change_that_was_withdrawn_never_was():
    contract = make("10.00", "2026-03-01")
    change = quantity(contract, 4, "2026-03-11")
    run(contract, "2026-03-11")
    contracts.withdraw(contract, sequence=change.sequence, **BY_TEST)
    run(contract, "2026-03-12")
    assert total(contract) == Decimal("10.00")
    with pytest.raises(ChangeRefused, match="withdrawn already"):
        contracts.withdraw(contract, sequence=change.sequence, **BY_TEST)


# --- further positions ---


def test_a_further_position_is_billed_on_the_days_of_the_contract():
    contract = make("10.00", "2026-03-10")
    extra = make_product()
    make_price((None, "5.00", "0"), product=extra, price_class=contract.price_class)
    added = contracts.add(contract, product=extra, quantity=Decimal(2), effective=day("2026-03-20"), **BY_TEST)
    run(contract, "2026-04-10")
    assert [f"{c.net.amount:.2f}" for c in booked(contract).filter(item__line=2)] == ["6.77", "10.00"]  # 21/31
    contracts.end(contract, line=added.data["line"], on=day("2026-04-11"), **BY_TEST)
    run(contract, "2026-05-10")
    assert booked(contract).filter(item__line=2).count() == 2
    with pytest.raises(ChangeRefused, match="position 2 does not run on 10 May 2026"):
        quantity(contract, 3, "2026-05-10", line=2)


def test_a_plan_of_24_instalments_ends_after_24():
    contract = make("10.00", "2026-01-01")
    device = make_product()
    contracts.add(
        contract,
        product=device,
        quantity=Decimal(1),
        flat_amount=Decimal("41.65"),
        instalments=24,
        effective=day("2026-01-31"),
        **BY_TEST,
    )
    for through in ("2027-01-01", "2028-01-01", "2030-01-01"):  # an issuer's bound is 36 periods at once
        run(contract, through)
    instalments = booked(contract).filter(item__line=2)
    assert instalments.count() == 24
    assert {charge.net.amount for charge in instalments} == {Decimal("41.65")}
    assert contract.items.get(line=2).ends_before == day("2028-01-31")


# --- pauses ---


def test_a_pause_gives_its_days_back_and_moves_no_period():
    """Kill Bill's example: 500.00 for 31 August to 30 September, paused on the 5th, resumed on the 10th."""
    contract = make("500.00", "2026-07-31", item={"starts_on": day("2026-08-31")})
    run(contract, "2026-08-31")
    pause(contract, "2026-09-05")
    run(contract, "2026-09-05")
    resume(contract, "2026-09-10")
    run(contract, "2026-09-10")
    assert nets(contract) == ["500.00", "-416.67", "333.33"]
    run(contract, "2026-09-30")
    assert nets(contract)[3:] == ["500.00"]
    assert Pause.objects.get().ends_before == day("2026-09-10")


def test_a_pause_agreed_with_its_end_is_the_same_billed_at_once():
    contract = make("500.00", "2026-07-31", item={"starts_on": day("2026-08-31")})
    pause(contract, "2026-09-05", until=day("2026-09-10"))
    run(contract, "2026-09-10")
    assert sorted(nets(contract)) == ["333.33", "83.33"]


def test_two_pauses_in_a_year_paid_in_advance():
    contract = make("3650.00", "2026-01-01", item={"interval": "yearly"})
    run(contract, "2026-01-01")
    for start, end in (("2026-03-01", "2026-03-11"), ("2026-10-01", "2026-10-21")):
        pause(contract, start)
        run(contract, start)
        resume(contract, end)
        run(contract, end)
    assert nets(contract) == ["3650.00", "-3060.00", "2960.00", "-920.00", "720.00"]
    run(contract, "2027-01-01")
    assert nets(contract)[5:] == ["3650.00"]
    assert list(books.check(with_files=False)) == []


def test_a_pause_without_credit_goes_on_charging_and_one_that_extends_makes_the_term_longer():
    contract = make("100.00", "2026-01-01", ends_before=day("2027-01-01"), term_months=12)
    pause(contract, "2026-02-01", until=day("2026-03-01"), policy="no_credit")
    run(contract, "2026-03-01")
    assert nets(contract) == ["100.00"] * 3
    pause(contract, "2026-04-01", until=day("2026-05-01"), policy="extend_term")
    contract.refresh_from_db()
    assert (contract.ends_before, contract.extended_days) == (day("2027-01-31"), 30)
    assert contracts.term_of(contract, day("2026-06-01")).renews_on == day("2027-01-31")
    run(contract, "2026-05-01")
    assert nets(contract) == ["100.00"] * 4


def test_a_discount_for_three_periods_is_not_used_up_by_a_pause():
    contract = make("100.00", "2026-01-01")
    make_grant(subscription=contract, percent=Decimal(10), periods=3)
    pause(contract, "2026-02-01", until=day("2026-04-01"))
    run(contract, "2026-06-01")
    assert nets(contract) == ["90.00", "90.00", "90.00", "100.00"]


def test_three_months_upgraded_downgraded_paused_and_resumed_in_tokyo():
    """E-12: resumed at 15:00 in Tokyo on 29 February, which is the customer's day everywhere."""
    tenant = make_tenant(time_zone="Asia/Tokyo", currency="JPY")
    contract = make("3100", "2024-01-01", tenant=tenant, currency="JPY")
    Item.objects.filter(subscription=contract).update(
        price=make_price((None, "3100", "0"), currency="JPY", product=contract.items.get().product)
    )
    for on in ("2024-01-01", "2024-01-15", "2024-01-25", "2024-02-10", "2024-02-29", "2024-05-01"):
        ExchangeRate.objects.create(currency="JPY", day=day(on), rate=Decimal(160), source="EZB")
    run(contract, "2024-01-01")
    for on, units in (("2024-01-15", 2), ("2024-01-25", 1)):
        quantity(contract, units, on)
        run(contract, on)
    pause(contract, "2024-02-10")
    run(contract, "2024-02-10")
    resume(contract, "2024-02-29")
    for through in ("2024-02-29", "2024-03-01"):
        run(contract, through)
    contracts.cancel(contract, on=day("2024-03-01"), effective=day("2024-04-01"), **BY_TEST)
    run(contract, "2024-05-01")
    january = 1400 + 2000 + 700
    february = round(Decimal(3100) * 9 / 29) + round(Decimal(3100) / 29)
    assert total(contract) == january + february + 3100
    assert list(books.check(with_files=False)) == []


# --- trial, start, billing day ---


def test_a_trial_is_extended_only_before_it_ends():
    contract = make("100.00", "2026-01-01", trial_ends_before=day("2026-01-15"))
    extend = {"ends_before": day("2026-02-01"), **BY_TEST}
    with pytest.raises(ChangeRefused, match="no trial on 15 Jan 2026"):
        contracts.extend_trial(contract, on=day("2026-01-15"), **extend)
    contracts.extend_trial(contract, on=day("2026-01-14"), **extend)
    run(contract, "2026-03-01")
    assert nets(contract) == ["100.00", "100.00"]


@pytest.mark.parametrize(("starts_with", "field"), [("activation", "activated_on"), ("acceptance", "accepted_on")])
def test_billing_waits_for_the_day_it_starts_with(starts_with, field):
    contract = make("100.00", "2026-01-01", billing_starts_with=starts_with)
    run(contract, "2026-02-01")
    assert nets(contract) == []
    assert contracts.activation_missing(contract.issuer_id, day("2026-02-01")) == [contract]
    contracts.activate(contract, **{field: day("2026-02-10")}, **BY_TEST)
    run(contract, "2026-03-10")
    assert [c.starts_on for c in booked(contract)] == [day("2026-02-10"), day("2026-03-10")]
    assert nets(contract) == ["100.00", "100.00"]
    with pytest.raises(ChangeRefused, match="billed since 10 Feb 2026"):
        contracts.activate(contract, **{field: day("2026-02-12")}, **BY_TEST)


def test_another_billing_day_takes_one_stub_and_then_whole_periods():
    """Kill Bill's example: 1,000.00 a month, from day 1 to day 7."""
    contract = make("1000.00", "2026-08-01")
    run(contract, "2026-08-01")
    contracts.align(contract, billing_day=7, on=day("2026-08-20"), **BY_TEST)
    run(contract, "2026-09-07")
    assert nets(contract) == ["1000.00", "193.55", "1000.00"]
    extra = make_product()
    make_price((None, "5.00", "0"), product=extra, price_class=contract.price_class)
    contracts.add(contract, product=extra, quantity=Decimal(1), effective=day("2026-10-07"), **BY_TEST)
    run(contract, "2026-10-07")
    assert nets(contract)[3:] == ["1000.00", "5.00"]


# --- discounts ---


def test_a_discount_granted_later_counts_its_own_periods():
    contract = make("100.00", "2026-01-01")
    discount = make_grant(percent=Decimal(20)).discount
    run(contract, "2026-02-01")
    contracts.grant(contract, discount=discount, periods=2, on=day("2026-02-10"), **BY_TEST)
    run(contract, "2026-05-01")
    assert nets(contract) == ["100.00", "100.00", "80.00", "80.00", "100.00"]
    with pytest.raises(ChangeRefused, match="for a reason"):
        contracts.grant(contract, discount=discount, on=day("2026-05-10"), **BY_TEST | {"reason": " "})


def test_a_backdated_discount_charges_anew_what_was_charged_without_it():
    contract = make("100.00", "2026-01-01")
    discount = make_grant(percent=Decimal(20)).discount
    run(contract, "2026-01-01")
    contracts.grant(
        contract, discount=discount, periods=1, on=day("2026-01-20"), effective=day("2026-01-01"), **BY_TEST
    )
    run(contract, "2026-01-20")
    assert nets(contract) == ["100.00", "-100.00", "80.00"]
    run(contract, "2026-02-01")
    assert nets(contract)[3:] == ["100.00"]


def test_a_discount_that_is_ended_holds_for_no_later_period():
    contract = make("100.00", "2026-01-01")
    granted = make_grant(subscription=contract, percent=Decimal(20))
    run(contract, "2026-01-01")
    contracts.end_discount(contract, grant=granted, on=day("2026-01-20"), **BY_TEST)
    run(contract, "2026-02-01")
    assert nets(contract) == ["80.00", "100.00"]


# --- the end ---


@pytest.mark.parametrize(
    ("money", "wanted"), [("credit", ["310.00", "-210.00"]), ("refund", ["310.00", "-210.00"]), ("none", ["310.00"])]
)
@pytest.mark.parametrize("billed_before", [True, False])
def test_a_cancelled_contract_gives_back_what_the_policy_says(money, wanted, billed_before):
    contract = make("310.00", "2026-03-01")
    if billed_before:
        run(contract, "2026-03-01")
    contracts.cancel(contract, on=day("2026-03-11"), effective=day("2026-03-11"), money=money, **BY_TEST)
    run(contract, "2026-06-01")
    assert total(contract) == sum(map(Decimal, wanted))
    if billed_before:
        assert nets(contract) == wanted


def test_notice_reaches_the_end_of_a_term_and_an_earlier_end_takes_a_reason():
    contract = make("100.00", "2026-01-01", term_months=12, renewal_months=12, notice_days=90)
    assert contracts.earliest_end(contract, day("2026-10-02")) == day("2027-01-01")
    assert contracts.earliest_end(contract, day("2026-10-03")) == day("2028-01-01")
    early: dict[str, Any] = {"on": day("2026-10-03"), "effective": day("2027-01-01")}
    with pytest.raises(ChangeRefused, match="3 Oct 2026 it ends on 1 Jan 2028 at the earliest"):
        contracts.cancel(contract, **early, **BY_TEST)
    with pytest.raises(ChangeRefused, match="takes a reason"):
        contracts.cancel(contract, **early, override=True, **BY_TEST | {"reason": ""})
    assert contracts.cancel(contract, **early, override=True, **BY_TEST).data["override"]
    usual = make("100.00", "2026-01-01", term_months=12, renewal_months=12, notice_days=90)
    assert contracts.cancel(usual, on=day("2026-10-03"), **BY_TEST).effective_on == day("2028-01-01")
    without_term = make("100.00", "2026-01-01", notice_days=14)
    assert contracts.cancel(without_term, on=day("2026-01-10"), **BY_TEST).effective_on == day("2026-02-01")
    assert contracts.cancel(make("1.00", "2026-01-01"), on=day("2026-01-10"), **BY_TEST).effective_on == day(
        "2026-02-01"
    )


def test_a_contract_goes_on_after_its_end_without_charging_a_day_twice():
    contract = make("310.00", "2026-03-01")
    run(contract, "2026-03-01")
    contracts.cancel(contract, on=day("2026-03-05"), effective=day("2026-03-11"), **BY_TEST)
    run(contract, "2026-03-11")
    contracts.reinstate(contract, effective=day("2026-03-21"), **BY_TEST)
    run(contract, "2026-04-01")
    assert nets(contract) == ["310.00", "-210.00", "110.00", "310.00"]
    contract.refresh_from_db()
    assert contract.ends_before is None


def test_a_contract_moves_to_another_account_on_the_same_days():
    contract = make("310.00", "2026-01-15")
    make_grant(subscription=contract, percent=Decimal(50), periods=3)
    run(contract, "2026-02-15")
    other = make_tenant()
    _ending, moved = contracts.transfer(
        contract, tenant=other, reference="V-NEW", effective=day("2026-03-01"), **BY_TEST
    )
    run(contract, "2026-04-15")
    assert nets(contract) == ["155.00", "155.00", "-77.50"]
    assert [(c.starts_on.isoformat(), f"{c.net.amount:.2f}") for c in booked(moved)] == [
        ("2026-03-01", "77.50"),
        ("2026-03-15", "155.00"),
        ("2026-04-15", "310.00"),
    ]
    assert moved.amendments.get().data["transferred_from"] == contract.reference
    with pytest.raises(ChangeRefused, match="transferred"):
        contracts.reinstate(contract, **BY_TEST)


def test_a_term_goes_on_at_the_other_account_where_it_stands():
    contract = make("10.00", "2026-01-31", term_months=1, renewal_months=1, notice_days=10)
    pause(contract, "2026-03-05", until=day("2026-03-10"), policy="extend_term")
    _ending, moved = contracts.transfer(
        contract, tenant=make_tenant(), reference="V-NEW", effective=day("2026-04-03"), **BY_TEST
    )
    quantity(moved, 2, "2026-04-20")
    moved.refresh_from_db()
    for there in (contract, moved):
        there.refresh_from_db()
        terms = [contracts.term_of(there, day(on)).renews_on for on in ("2026-04-05", "2026-05-05", "2026-06-05")]
        assert terms == [day("2026-05-05"), day("2026-06-05"), day("2026-07-05")]
    assert contracts.term_of(moved, day("2026-04-05")).notice_by == day("2026-04-24")
    assert contracts.earliest_end(moved, day("2026-04-24")) == day("2026-05-05")


def test_a_contract_that_waits_for_its_activation_waits_at_the_other_account():
    contract = make("100.00", "2026-01-01", billing_starts_with="activation")
    _ending, moved = contracts.transfer(
        contract, tenant=make_tenant(), reference="V-NEW", effective=day("2026-02-01"), **BY_TEST
    )
    run(moved, "2026-03-01")
    assert nets(moved) == []
    contracts.activate(moved, activated_on=day("2026-03-10"), **BY_TEST)
    run(moved, "2026-03-10")
    assert [(c.starts_on, f"{c.net.amount:.2f}") for c in booked(moved)] == [(day("2026-03-10"), "100.00")]


# --- renewal ---


def test_a_contract_is_renewed_when_notice_can_no_longer_be_given_at_the_price_of_that_day():
    contract = make("100.00", "2026-01-01", term_months=12, renewal_months=12, notice_days=90)
    old = contract.items.get().price
    old.ends_before = day("2027-01-01")
    old.save()
    make_price((None, "110.00", "0"), product=old.product, price_class=old.price_class, starts_on=day("2027-01-01"))
    issuer = contract.issuer
    assert [
        (r.renews_on, r.notice_by, r.at_risk) for r in contracts.renewals_due(issuer, on=day("2026-10-01"), days=100)
    ]
    assert contracts.renewals_due(issuer, on=day("2026-09-01"), days=100) == []
    assert contracts.renew_due(issuer, on=day("2026-10-02")).amendments == []
    (renewed,) = contracts.renew_due(issuer, on=day("2026-10-03")).amendments
    assert (renewed.effective_on, renewed.channel) == (day("2027-01-01"), "schedule")
    assert contracts.renew_due(issuer, on=day("2026-10-03")).amendments == []
    run(contract, "2027-01-01")
    assert nets(contract)[-2:] == ["100.00", "110.00"]


def test_every_term_since_the_last_renewal_is_made_up_for_however_late():
    contract = make("100.00", "2025-02-01", term_months=12, renewal_months=6, notice_days=30)
    old = contract.items.get().price
    old.ends_before = day("2026-02-01")
    old.save()
    make_price((None, "110.00", "0"), product=old.product, price_class=old.price_class, starts_on=day("2026-02-01"))
    issuer = contract.issuer
    (overdue,) = contracts.renewals_due(issuer, on=day("2026-09-15"), days=0)
    assert overdue.renews_on == day("2026-02-01")
    done = contracts.renew_due(issuer, on=day("2026-09-15"))
    assert [a.effective_on for a in done.amendments] == [day("2026-02-01"), day("2026-08-01")]
    assert contracts.renew_due(issuer, on=day("2026-09-15")).amendments == []
    run(contract, "2026-02-01")
    assert nets(contract)[-2:] == ["100.00", "110.00"]


def test_a_renewal_that_is_refused_is_listed_and_tried_again_and_stops_no_other():
    contract = make("100.00", "2025-02-01", reference="V-A", term_months=12, renewal_months=6, notice_days=30)
    other = make(
        "10.00", "2025-02-01", reference="V-B", issuer=contract.issuer, term_months=12, renewal_months=12, notice_days=0
    )
    old = contract.items.get().price
    old.ends_before = day("2026-02-01")
    old.save()
    for on in ("2026-02-01", "2026-08-20"):
        done = contracts.renew_due(contract.issuer, on=day(on))
        assert [reason for reason in done.refused if "V-A" in reason] == done.refused != []
    assert [a.effective_on for a in other.amendments.filter(kind="renewal")] == [day("2026-02-01")]
    assert [
        r.subscription.reference for r in contracts.renewals_due(contract.issuer, on=day("2026-08-20"), days=1)
    ] == ["V-A"]
    make_price((None, "110.00", "0"), product=old.product, price_class=old.price_class, starts_on=day("2026-02-01"))
    done = contracts.renew_due(contract.issuer, on=day("2026-08-21"))
    assert ([a.effective_on for a in done.amendments], done.refused) == ([day("2026-02-01"), day("2026-08-01")], [])


def test_renewals_from_before_a_contract_was_taken_over_are_not_made_up_for():
    contract = make(
        "100.00",
        "2020-02-01",
        term_months=12,
        renewal_months=12,
        notice_days=0,
        billed_before=day("2025-02-01"),
        ends_before=day("2026-02-01"),
    )
    done = contracts.renew_due(contract.issuer, on=day("2026-03-01"))
    assert [a.effective_on for a in done.amendments] == [day("2025-02-01")]
