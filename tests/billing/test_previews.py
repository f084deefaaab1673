"""What a preview of a change says is what the next run books; and many changes billed day by day add up the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import translation
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing import charging, contracts
from billing.admin import amendments
from billing.contracts import ChangeRefused
from billing.models import Amendment, Charge, Item, Subscription
from config import books
from tests.billing.test_contracts import BY_TEST, booked, day, make, nets, run, total
from tests.builders import make_grant, make_price, make_product, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


CHANGES: dict[str, Callable[[Subscription, date], Any]] = {
    "more": lambda contract, on: contracts.change_quantity(
        contract, line=1, quantity=Decimal(7), on=on, effective=on, **BY_TEST
    ),
    "pause": lambda contract, on: contracts.pause(contract, effective=on, **BY_TEST),
    "cancel": lambda contract, on: contracts.cancel(contract, on=on, effective=on, **BY_TEST),
    "agree": lambda contract, on: contracts.agree_price(
        contract, line=1, flat_amount=Decimal("3.33"), on=on, effective=on, **BY_TEST
    ),
    "align": lambda contract, on: contracts.align(contract, billing_day=20, on=on, effective=on, **BY_TEST),
    "transfer": lambda contract, on: contracts.transfer(
        contract, tenant=make_tenant(reference="T-OTHER"), reference="V-OTHER", effective=on, **BY_TEST
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("on", ["2026-03-11", "2026-02-01", "2026-04-20"])
def test_the_preview_is_what_the_next_run_books(change, on):
    contract = make("10.00", "2026-01-31", item={"quantity": Decimal(3)})
    make_grant(subscription=contract, percent=Decimal("12.5"))
    for through in ("2026-01-31", "2026-02-28", "2026-03-31"):
        run(contract, through)
    before = nets(contract)
    with transaction.atomic():
        shown = contracts.preview(contract, lambda: CHANGES[change](contract, day(on)), through=day("2026-04-30"))
    assert not Amendment.objects.exists()
    assert nets(contract) == before
    CHANGES[change](contract, day(on))
    run(contract, "2026-04-30")
    now = Charge.objects.filter(item__subscription__reference__in=[contract.reference, "V-OTHER"])
    fresh = sorted(f"{charge.net.amount:.2f}" for charge in now)
    for net in before:
        fresh.remove(net)
    assert fresh == sorted(f"{line.net:.2f}" for line in shown.booked)
    assert shown.net_without == Decimal("26.25")
    assert shown.difference == sum((line.net for line in shown.added), Decimal(0)) - sum(
        (line.net for line in shown.dropped), Decimal(0)
    )


def test_a_preview_says_until_when_the_total_value_counts():
    """A pause of a month that the term makes up for moves the day."""
    contract = make("10.00", "2026-01-01", term_months=12, renewal_months=12)
    shown = contracts.preview(
        contract,
        lambda: contracts.pause(
            contract, effective=day("2026-04-01"), until=day("2026-05-01"), policy="extend_term", **BY_TEST
        ),
        through=day("2026-04-01"),
    )
    assert (shown.value_ends_without, shown.value_ends_with) == (day("2027-01-01"), day("2027-01-31"))
    words = "total value (before: through 31 Dec 2026, afterwards: through 30 Jan 2027)"
    assert str(amendments.money_of(shown)["months"][1][0]) == words
    more = contracts.preview(contract, lambda: CHANGES["more"](contract, day("2026-07-01")), through=day("2026-07-01"))
    assert str(amendments.money_of(more)["months"][1][0]) == "total value through 31 Dec 2026"
    unlimited = make("10.00", "2026-01-01")
    shown = contracts.preview(
        unlimited, lambda: CHANGES["more"](unlimited, day("2026-07-01")), through=day("2026-07-01")
    )
    assert str(amendments.money_of(shown)["months"][1][0]) == "total value"


def test_a_preview_says_what_a_month_and_the_whole_contract_are_worth():
    contract = make("10.00", "2026-01-01", ends_before=day("2027-01-01"))
    shown = contracts.preview(contract, lambda: CHANGES["more"](contract, day("2026-07-01")), through=day("2026-07-01"))
    assert (shown.mrr_before, shown.mrr_after, shown.mrr_change) == (10, 70, 60)
    assert (shown.tcv_before, shown.tcv_after, shown.tcv_change) == (120, 480, 360)
    assert (shown.value_ends_without, shown.value_ends_with) == (day("2027-01-01"), day("2027-01-01"))
    unlimited = make("10.00", "2026-01-01")
    assert (
        contracts.preview(
            unlimited, lambda: CHANGES["more"](unlimited, day("2026-07-01")), through=day("2026-07-01")
        ).tcv_change
        is None
    )


def test_a_preview_names_the_changes_that_would_be_overtaken():
    contract = make("10.00", "2026-01-01")
    later = CHANGES["more"](contract, day("2026-07-01"))
    shown = contracts.preview(
        contract, lambda: CHANGES["cancel"](contract, day("2026-06-01")), through=day("2026-07-01")
    )
    assert shown.overtaken == [later.sequence]


START = date(2026, 1, 31)
KINDS = st.sampled_from(["quantity", "price", "agree", "pause", "resume", "cancel", "go on", "align", "extra"])
HISTORIES = st.lists(
    st.tuples(KINDS, st.integers(0, 120), st.integers(0, 120), st.integers(1, 9)), min_size=1, max_size=7
)


def change(contract: Subscription, kind: str, on: date, number: int, products: list[Any]) -> None:
    """One random change; what the contract refuses does not happen."""
    try:
        if kind == "quantity":
            contracts.change_quantity(contract, line=1, quantity=Decimal(number), on=on, effective=on, **BY_TEST)
        elif kind == "price":
            contracts.change_product(contract, line=1, product=products[number % 3], on=on, effective=on, **BY_TEST)
        elif kind == "agree":
            contracts.agree_price(contract, line=1, unit_price=Decimal(number), on=on, effective=on, **BY_TEST)
        elif kind == "pause":
            contracts.pause(contract, effective=on, until=on + timedelta(days=number), **BY_TEST)
        elif kind == "resume":
            contracts.resume(contract, effective=on, **BY_TEST)
        elif kind == "cancel":
            contracts.cancel(contract, on=on, effective=on, money="none" if number % 2 else "credit", **BY_TEST)
        elif kind == "go on":
            contracts.reinstate(contract, **BY_TEST)
        elif kind == "align":
            contracts.align(contract, billing_day=number * 3, on=on, effective=on, **BY_TEST)
        else:
            contracts.add(contract, product=products[number % 3], quantity=Decimal(number), effective=on, **BY_TEST)
    except ChangeRefused:
        pass


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES)
@example(history=[("quantity", 0, 1, 2), ("cancel", 0, 1, 1)])  # overtaken on the day on which the contract ends
def test_a_history_billed_day_by_day_gives_what_one_run_at_the_end_gives(history):
    """The first day of a change and the day on which it is written are independent: backdated and future-dated."""
    with transaction.atomic():
        products = []
        for price, interval in (("7.77", "monthly"), ("100.00", "yearly"), ("13.13", "monthly")):
            product = make_product(interval=interval)
            make_price((None, price, "0"), product=product)
            products.append(product)
        daily, once = (make("10.00", START.isoformat()) for _ in range(2))
        for kind, written, effective, number in sorted(history, key=lambda one: one[1]):
            for contract in (daily, once):
                change(contract, kind, START + timedelta(days=effective), number, products)
            charge(daily, START + timedelta(days=written))
        end = START + timedelta(days=130)
        for contract in (daily, once):
            charge(contract, end)
        assert by_line(daily) == by_line(once)
        assert total(daily) == total(once)
        for contract in (daily, once):
            assert_no_day_twice(contract)
            charge(contract, end)
        transaction.set_rollback(True)


def charge(contract: Subscription, through: date) -> None:
    charging.write(charging.propose(contract.issuer_id, [contract.tenant_id], through=through))


def by_line(contract: Subscription) -> list[tuple[int, date, date | None, Decimal]]:
    """The positions that have days, without the numbers of their products."""
    return [
        (item.line, item.starts_on, item.ends_before, item.quantity)
        for item in Item.objects.filter(subscription=contract).order_by("line", "starts_on")
        if item.ends_before is None or item.starts_on < item.ends_before
    ]


def assert_no_day_twice(contract: Subscription) -> None:
    """Of each position, over all items that continue one another."""
    days: set[tuple[int, date]] = set()
    for fee in booked(contract).filter(kind="fee", reversed_by=None, reverses=None).select_related("item"):
        given_back = {
            credit.starts_on + timedelta(days=n)
            for credit in booked(contract).filter(corrects=fee, reversed_by=None)
            for n in range((credit.ends_before - credit.starts_on).days)
        }
        for n in range((fee.ends_before - fee.starts_on).days):
            one = fee.starts_on + timedelta(days=n)
            if one not in given_back:
                assert (fee.item.line, one) not in days
                days.add((fee.item.line, one))


def test_a_story_of_many_changes_keeps_the_books():
    contract = make("10.00", "2026-01-31")
    products = []
    for price, interval in (("7.77", "monthly"), ("100.00", "yearly"), ("13.13", "monthly")):
        product = make_product(interval=interval)
        make_price((None, price, "0"), product=product)
        products.append(product)
    story = [
        ("quantity", 20, 10, 5),
        ("extra", 30, 25, 2),
        ("pause", 40, 35, 8),
        ("price", 50, 45, 1),
        ("align", 60, 70, 5),
        ("cancel", 90, 80, 2),
        ("go on", 95, 0, 0),
    ]
    for kind, written, effective, number in story:
        change(contract, kind, START + timedelta(days=effective), number, products)
        run(contract, (START + timedelta(days=written)).isoformat())
    assert Amendment.objects.filter(subscription=contract).count() == 8
    assert_no_day_twice(contract)
    assert list(books.check(with_files=False)) == []
