"""The sample book, reckoned by the kernel alone, straight from its files: every expected charge, and none beside."""

import csv
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from billing.kernel.charges import Booked, ItemTerms, Kind, due_after, due_less_booked, is_settled
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.money import places_of
from billing.kernel.pricing import Model, PriceTerms, tiers_up_to
from billing.kernel.schedule import Grid, Interval, Schedule

from .evaluator import evaluate

BOOK = Path(__file__).resolve().parents[4] / "shared/samples/book"
THROUGH = date(2026, 2, 1)

pytestmark = pytest.mark.skipif(not BOOK.is_dir(), reason=f"the sample book is not at {BOOK}")


def rows(name, encoding="utf-8"):
    with (BOOK / name).open(encoding=encoding, newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def german(text):
    return Decimal(text.replace(".", "").replace(",", "."))


def day(text):
    return date(*map(int, reversed(text.split("."))))


def read_prices():
    tiers = defaultdict(list)
    about = {}
    for row in rows("catalog.csv"):
        cell = row["product"], row["price_class"], row["currency"]
        about[cell] = Model(row["model"]), Decimal(row["package_size"] or 1), Interval.parse(row["interval"])
        up_to = Decimal(row["up_to"]) if row["up_to"] else None
        tiers[cell].append((up_to, Decimal(row["unit_price"] or 0), Decimal(row["flat_amount"] or 0)))
    return {
        cell: (PriceTerms(model, tiers_up_to(tiers[cell]), package_size=size), interval)
        for cell, (model, size, interval) in about.items()
    }


def discounts_of(row):
    periods = int(row["discount_periods"]) if row["discount_periods"] else None
    for kind, text in ((DiscountKind.PERCENT, row["discount_percent"]), (DiscountKind.FIXED, row["discount_amount"])):
        if text:
            yield DiscountTerms(kind, german(text), periods=periods)


@pytest.fixture(scope="module")
def contracts():
    prices = read_prices()
    tenants = {row["tenant"]: row for row in rows("tenants.csv", "cp1252")}
    terms = {}
    for number, row in enumerate(rows("contracts.csv", "utf-8-sig"), start=1):
        tenant = tenants[row["tenant"]]
        price, interval = prices[row["product"], tenant["price_class"], tenant["currency"]]
        starts_on = day(row["starts_on"])
        paid_from = starts_on + timedelta(days=int(row["trial_days"] or 0))
        grid = (
            Grid.on_billing_day(interval, int(row["billing_day"]), paid_from)
            if row["billing_day"]
            else Grid.anniversary(interval, paid_from)
        )
        ends_before = day(row["last_day"]) + timedelta(days=1) if row["last_day"] else None
        terms[row["contract"]] = ItemTerms(
            key=number,
            places=places_of(tenant["currency"]),
            schedule=Schedule(grid, starts_on, ends_before, paid_from=paid_from),
            price=price,
            quantity=german(row["quantity"]),
            discounts=tuple(discounts_of(row)),
        )
    return terms


def listed(contract, charge):
    return contract, charge.period.start.isoformat(), charge.period.end.isoformat(), f"{charge.net:f}"


def test_every_expected_charge_and_no_other(contracts):
    expected = sorted(tuple(row.values()) for row in rows("expected_charges.csv"))
    charges = [(contract, due) for contract, item in contracts.items() for due in due_less_booked(item, (), THROUGH)]
    assert sorted(listed(contract, due) for contract, due in charges) == expected
    assert len(expected) == 2_586
    for _, due in charges:
        assert due.kind is Kind.FEE
        assert evaluate(due.trace) == due.net


def test_billed_night_by_night_it_comes_to_the_same(contracts):
    expected = sorted(tuple(row.values()) for row in rows("expected_charges.csv"))
    charges = []
    for contract, item in contracts.items():
        booked, night = [], item.schedule.starts_on
        while night <= THROUGH:
            for due in due_less_booked(item, booked, night):
                charges.append(listed(contract, due))
                booked.append(Booked(len(booked), due.kind, due.period, due.net))
            night += timedelta(days=1)
        before = max((charge.period.end for charge in booked), default=None)
        assert is_settled(item, before, sum(charge.period.days for charge in booked))
        assert due_after(item, before, THROUGH) == []
    assert sorted(charges) == expected
