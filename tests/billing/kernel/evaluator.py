"""Recompute a charge from its trace alone, by other means than the kernel: fractions and plain loops."""

from datetime import date
from fractions import Fraction
from math import ceil


def evaluate(trace):
    """The net that follows from the figures of ``trace``; asserts that each intermediate figure follows, too."""
    assert trace["v"] == 1
    if "commitment" in trace:
        return true_up(trace)
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


def true_up(trace):
    """What is missing to a commitment, from the figures of its trace."""
    exact = Fraction(trace["commitment"]) * Fraction(trace["share"])
    places = len(trace["committed"].partition(".")[2])
    assert exact == Fraction(trace["exact"])
    assert to_places(exact, places) == Fraction(trace["committed"])
    missing = max(Fraction(0), Fraction(trace["committed"]) - Fraction(trace["charged"]))
    net = missing - Fraction(trace.get("booked", 0))
    assert net == Fraction(trace["net"])
    return net


def list_price(trace):
    price = trace["price"]
    sizes = [Fraction(size) if size else None for size in price.get("tier_packages", [""] * len(price["tiers"]))]
    tiers = [(*map(Fraction, tier), size) for tier, size in zip(price["tiers"], sizes, strict=True)]
    quota = Fraction(price.get("free_quota", 0))
    if quota:
        assert Fraction(trace["free"]) == min(quota, Fraction(trace["quantity"]))
    quantity = max(Fraction(0), Fraction(trace["quantity"]) - quota)
    model, size = price["model"], Fraction(price.get("package_size", 1))
    reached = Fraction(trace.get("tier_quantity", quantity))
    if model == "flat":
        amount = tiers[0][2]
    elif not reached or (not quantity and model not in ("volume", "stairstep")):
        amount = tiers[0][2] if price.get("flat_when_zero") else Fraction(0)
    elif model in ("volume", "stairstep"):
        _, unit_price, flat, per = [tier for tier in tiers if tier[0] < reached][-1]
        amount = flat if model == "stairstep" else (ceil(quantity / per) if per else quantity) * unit_price + flat
    else:
        if model == "package" and "package_per_tier" not in price:
            quantity = ceil(quantity / size) * size
        amount = Fraction(0)
        for (floor, unit_price, flat, per), ceiling in zip(tiers, [t[0] for t in tiers[1:]] + [quantity], strict=True):
            units = min(quantity, ceiling) - floor
            if units > 0:
                if model == "package" or per:
                    units = ceil(units / (per or size))
                amount += units * (unit_price / 100 if model == "percentage" else unit_price) + flat
    if "slices" in trace:
        assert sum(Fraction(part[3]) for part in trace["slices"]) == amount
    if "minimum" in price:
        amount = max(amount, Fraction(price["minimum"]))
    if "cap" in price:
        amount = min(amount, Fraction(price["cap"]))
    assert amount == Fraction(trace["list"])
    return amount
