"""Usage is charged when its period is over, once; what comes in late is added, what is taken back is charged anew."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from billing import charging, contracts, metering
from billing.contracts import Author
from billing.metering import Event
from billing.models import Application, Charge, Meter, Subscription, UsageSource
from billing.strategies import ChargedTwice, refuse_second
from tests.builders import make_grant, make_issuer, make_item, make_price, make_product, make_subscription, make_tenant

pytestmark = pytest.mark.django_db
MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
TIERS = [("10", "0.90", "0"), ("100", "0.80", "0"), (None, "0.50", "0")]
_serial = count(1)


def metered_product(aggregation: str = "count", name: str = "", **fields):
    application, _made = Application.objects.get_or_create(reference="PBX")
    meter = Meter.objects.create(
        application=application, reference=f"m{next(_serial)}", aggregation=aggregation, property=name
    )
    return make_product(meter=meter, timing="arrears", **fields)


def usage_contract(*tiers, product=None, starts_on=MARCH, issuer=None, tenant=None, **price) -> Subscription:
    subscription = make_subscription(
        starts_on=starts_on, **{name: value for name, value in (("issuer", issuer), ("tenant", tenant)) if value}
    )
    price.setdefault("model", "graduated")
    listed = make_price(*(tiers or TIERS), product=product or metered_product(), **price)
    make_item(subscription=subscription, price=listed, timing="arrears")
    return subscription


def used(subscription: Subscription, *days: str, quantity: str = "1", properties: str = "{}", times: int = 1, **more):
    """Report events of the contract's meter at noon of these days."""
    meter = subscription.items.get(line=1, ends_before=None).product.meter
    source, _made = UsageSource.objects.get_or_create(reference="SRC", defaults={"issuer": subscription.issuer})
    events = [
        Event(
            key=f"e{next(_serial)}",
            occurred_at=datetime.fromisoformat(f"{day}T12:00:00+01:00"),
            tenant=subscription.tenant.reference,
            application="PBX",
            meter=meter.reference,
            quantity=Decimal(quantity),
            properties=properties,
            **more,
        )
        for day in days
        for _n in range(times)
    ]
    assert metering.take_in(source, events, now=NOW).accepted == len(events)
    return events


def charge(subscription: Subscription, through: date) -> list[tuple[str, str, str, str, int]]:
    """What a run books: first day, kind, quantity, net, number of the addition."""
    proposal = charging.propose(subscription.issuer_id, [subscription.tenant_id], through=through)
    charging.write(proposal)
    return [
        (str(c.due.period.start), c.due.kind.value, f"{c.due.quantity.normalize():f}", f"{c.due.net}", c.due.addition)
        for c in proposal.charges
    ]


def standing(subscription: Subscription) -> Decimal:
    charges = Charge.objects.filter(item__subscription=subscription)
    return sum((charge.net.amount for charge in charges), Decimal(0))


def test_a_period_is_charged_when_it_is_over_and_once():
    contract = usage_contract()
    used(contract, "2026-03-05", times=11)
    used(contract, "2026-04-01", times=3)
    assert charge(contract, date(2026, 3, 31)) == []
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "11", "9.80", 0)]
    assert charge(contract, APRIL) == []
    assert charge(contract, MAY) == [("2026-04-01", "fee", "3", "2.70", 0)]


def test_a_period_without_usage_is_charged_with_nothing_and_a_minimum_is_due_all_the_same():
    assert charge(usage_contract(), APRIL) == [("2026-03-01", "fee", "0", "0.00", 0)]
    assert charge(usage_contract(minimum=Decimal("4.00")), APRIL) == [("2026-03-01", "fee", "0", "4.00", 0)]


def test_what_comes_in_late_is_added_to_its_period_at_what_it_costs_there():
    contract = usage_contract()
    used(contract, "2026-03-05", times=10)
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "10", "9.00", 0)]
    used(contract, "2026-03-31", times=2)
    assert charge(contract, date(2026, 4, 2)) == [("2026-03-01", "fee", "2", "1.60", 1)]
    used(contract, "2026-03-01")
    assert charge(contract, date(2026, 4, 3)) == [("2026-03-01", "fee", "1", "0.80", 2)]
    assert charge(contract, date(2026, 4, 3)) == []
    assert standing(contract) == Decimal("11.40")  # of 13: 10 × 0.90 + 3 × 0.80
    late = Charge.objects.get(item__subscription=contract, addition=2)
    assert (late.trace["quantity"], late.trace["before"], late.trace["more"]) == ("13", "12", "1")
    assert (late.trace["booked"], late.trace["net"], late.trace["events"]) == ("10.60", "0.80", "13")


def test_late_usage_within_the_free_quantity_is_added_with_nothing():
    contract = usage_contract((None, "1", "0"), model="per_unit", free_quantity=5)
    used(contract, "2026-03-05", times=2)
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "2", "0.00", 0)]
    used(contract, "2026-03-06", times=3)
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "3", "0.00", 1)]
    used(contract, "2026-03-06", times=1)
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "1", "1.00", 2)]


def test_what_is_taken_back_undoes_all_that_stands_and_charges_the_rest_anew():
    contract = usage_contract()
    [event, *_others] = used(contract, "2026-03-05", times=11)
    charge(contract, APRIL)
    used(contract, "2026-03-06")
    charge(contract, APRIL)
    used(contract, "2026-03-05", reverses=event.key)
    used(contract, "2026-03-06", reverses=used(contract, "2026-03-06")[0].key)
    assert charge(contract, APRIL) == [
        ("2026-03-01", "credit", "11", "-9.80", 0),
        ("2026-03-01", "credit", "1", "-0.80", 0),
        ("2026-03-01", "fee", "11", "9.80", 0),
    ]
    assert standing(contract) == Decimal("9.80")
    assert charge(contract, APRIL) == []


def test_a_later_peak_that_is_no_higher_changes_nothing():
    contract = usage_contract((None, "9", "0"), product=metered_product("max", "lines"), model="volume")
    used(contract, "2026-03-05", properties='{"lines": 7}')
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "7", "63.00", 0)]
    used(contract, "2026-03-06", properties='{"lines": 6}')
    assert charge(contract, APRIL) == []
    used(contract, "2026-03-07", properties='{"lines": 9}')
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "2", "18.00", 1)]


def test_different_values_are_counted_over_the_period_and_the_last_one_by_its_instant():
    users = usage_contract((None, "2", "0"), product=metered_product("unique", "name"), model="per_unit")
    used(users, "2026-03-05", "2026-03-06", properties='{"name": "anna"}')
    used(users, "2026-03-06", properties='{"name": "berta"}')
    assert charge(users, APRIL) == [("2026-03-01", "fee", "2", "4.00", 0)]
    disk = usage_contract((None, "1", "0"), product=metered_product("last", "gb"), model="per_unit")
    used(disk, "2026-03-20", properties='{"gb": 5}')
    used(disk, "2026-03-10", properties='{"gb": 9}')
    assert charge(disk, APRIL) == [("2026-03-01", "fee", "5", "5.00", 0)]


def test_calendar_months_whatever_the_first_day_and_minimum_and_cap_by_days():
    contract = usage_contract(
        (None, "1", "0"), model="per_unit", starts_on=date(2026, 3, 20), minimum=Decimal(31), cap=Decimal(62)
    )
    used(contract, "2026-03-10", times=50)  # before the contract
    used(contract, "2026-03-21", times=2)
    assert charge(contract, APRIL) == [("2026-03-20", "fee", "2", "12.00", 0)]


def test_usage_in_the_trial_is_free():
    contract = usage_contract((None, "1", "0"), model="per_unit")
    contract.trial_ends_before = date(2026, 3, 20)
    contract.save()
    used(contract, "2026-03-19", times=50)
    used(contract, "2026-03-20", times=2)
    assert charge(contract, APRIL) == [("2026-03-20", "fee", "2", "2.00", 0)]


def test_a_new_price_inside_a_month_parts_its_usage_by_the_day():
    contract = usage_contract((None, "1.00", "0"), model="per_unit")
    used(contract, "2026-03-10", times=3)
    used(contract, "2026-03-20", times=5)
    item = contract.items.get()
    dearer = make_price((None, "2.00", "0"), product=item.product, model="per_unit", agreed_for=contract)
    item.ends_before = date(2026, 3, 15)
    item.save()
    make_item(subscription=contract, price=dearer, timing="arrears", starts_on=date(2026, 3, 15))
    assert charge(contract, APRIL) == [
        ("2026-03-01", "fee", "3", "3.00", 0),
        ("2026-03-15", "fee", "5", "10.00", 0),
    ]


def test_an_end_that_moves_back_undoes_what_is_charged_beyond_it():
    contract = usage_contract((None, "1.00", "0"), model="per_unit")
    used(contract, "2026-03-10", times=3)
    used(contract, "2026-03-20", times=5)
    charge(contract, APRIL)
    author = Author("moved out", None, "admin")
    with_end = contracts.follow_file(Subscription.objects.get(pk=contract.pk), date(2026, 3, 15), author)
    assert with_end is not None
    assert charge(contract, APRIL) == [
        ("2026-03-01", "fee", "3", "3.00", 0),
        ("2026-03-01", "credit", "8", "-8.00", 0),
    ]


def test_discounts_come_last_and_a_fixed_one_is_taken_once_a_period():
    contract = usage_contract((None, "1.00", "0"), model="per_unit", cap=Decimal(20))
    make_grant(subscription=contract, percent=Decimal(50))
    make_grant(subscription=contract, amount=Decimal(4))
    used(contract, "2026-03-10", times=30)
    assert charge(contract, APRIL) == [("2026-03-01", "fee", "30", "6.00", 0)]


def test_of_an_account_and_a_meter_one_position_charges_at_a_time():
    first = usage_contract()
    product = first.items.get().product
    second = make_subscription(tenant=first.tenant, issuer=first.issuer, starts_on=date(2026, 3, 15))
    price = make_price(*TIERS, product=product, model="graduated", agreed_for=second)
    make_item(subscription=second, price=price, timing="arrears")
    with pytest.raises(ChargedTwice) as refusal, translation.override("en"):
        refuse_second(second.pk)
    second.items.all().delete()  # or the constraint would refuse it at the end of the transaction
    assert str(refusal.value) == (
        f"Contract {second.reference}: {first.reference} charges the usage of {first.tenant.reference} by the meter"
        f" PBX/{product.meter.reference} already from 15 Mar 2026 on. End one of the two first, or charge it by another"
        " meter."
    )


@pytest.mark.parametrize("accounts", [1, 12])
def test_the_number_of_statements_does_not_grow_with_the_accounts(accounts: int):
    issuer, product = make_issuer(), metered_product("unique", "name")
    price = make_price((None, "1", "0"), product=product, model="per_unit")
    payers = []
    for _n in range(accounts):
        tenant = make_tenant()
        subscription = make_subscription(issuer=issuer, tenant=tenant, starts_on=MARCH)
        make_item(subscription=subscription, price=price, timing="arrears")
        payers.append(tenant.pk)
    with CaptureQueriesContext(connection) as captured:
        charges = charging.propose(issuer.pk, payers, through=MAY).charges
    assert len(charges) == 2 * accounts
    assert len(captured) == 7
