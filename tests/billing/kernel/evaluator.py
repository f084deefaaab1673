"""Recompute a charge from its trace alone, by other means than the kernel: fractions and plain loops."""

from datetime import date
from fractions import Fraction
from math import ceil


def evaluate(trace):
    """The net that follows from the figures of ``trace``; asserts that each intermediate figure follows, too."""
    assert trace["v"] == 1
    amount = Fraction(0)
    if "price" in trace:
        amount = list_price(trace)
        share = Fraction(trace.get("share", 1))
        if trace.get("policy") == "actual":
            (first, last), (start, end) = (map(date.fromisoformat, trace[key]) for key in ("nominal", "days"))
            assert share == Fraction((end - start).days, (last - first).days)
        amount *= share
        base, before = amount, ""
        for code, value, step, _key in trace.get("discounts", ()):
            if not code == before == "stacked_percent":
                base = amount
            off = Fraction(value) if code == "fixed" else base * Fraction(value) / 100
            assert -Fraction(step) == min(off, max(amount, 0))
            amount, before = amount + Fraction(step), code
    assert amount == Fraction(trace["exact"])
    places = len(trace["net"].partition(".")[2])
    net = to_places(amount, places) - Fraction(trace.get("booked", 0))
    if "part" in trace:  # one of several stretches that a credit gives back
        assert abs(net * Fraction(trace["part"]) / Fraction(trace["of"]) - Fraction(trace["net"])) <= Fraction(
            1, 10**places
        )
        net = Fraction(trace["net"])
    assert net == Fraction(trace["net"])
    return net


def to_places(amount, places):
    nearest = int(abs(amount) * 10**places * 2 + 1) // 2
    return Fraction(nearest if amount >= 0 else -nearest, 10**places)


def list_price(trace):
    price = trace["price"]
    tiers = [tuple(map(Fraction, tier)) for tier in price["tiers"]]
    quantity = max(Fraction(0), Fraction(trace["quantity"]) - Fraction(price.get("free_quota", 0)))
    model, size = price["model"], Fraction(price.get("package_size", 1))
    if model == "flat":
        amount = tiers[0][2]
    elif not quantity:
        amount = tiers[0][2] if price.get("flat_when_zero") else Fraction(0)
    elif model in ("volume", "stairstep"):
        _, unit_price, flat = [tier for tier in tiers if tier[0] < quantity][-1]
        amount = flat if model == "stairstep" else quantity * unit_price + flat
    else:
        if model == "package" and "package_per_tier" not in price:
            quantity = ceil(quantity / size) * size
        amount = Fraction(0)
        for (floor, unit_price, flat), ceiling in zip(tiers, [t[0] for t in tiers[1:]] + [quantity], strict=True):
            units = min(quantity, ceiling) - floor
            if units > 0:
                if model == "package":
                    units = ceil(units / size)
                amount += units * (unit_price / 100 if model == "percentage" else unit_price) + flat
    if "slices" in trace:
        assert sum(Fraction(part[3]) for part in trace["slices"]) == amount
    if "minimum" in price:
        amount = max(amount, Fraction(price["minimum"]))
    if "cap" in price:
        amount = min(amount, Fraction(price["cap"]))
    assert amount == Fraction(trace["list"])
    return amount
