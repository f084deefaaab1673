"""Changes of what a contract holds: quantity, product and price, further positions, ends of positions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.charging import grid_of
from billing.contracts.course import Event, Stretch, Terms, day_from
from billing.contracts.timing import Effective, day_of
from billing.contracts.values import recurring
from billing.contracts.writing import Change, changing
from billing.kernel.changes import When, default_when, direction
from billing.kernel.schedule import INTERVALS, Unit
from billing.models import Amendment, Price, Product, Subscription, Tier


def change_quantity(
    subscription: Subscription,
    *,
    line: int,
    quantity: Decimal,
    on: date,
    effective: Effective | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """More or fewer of a position: it ends, and one with the new quantity opens on the same periods.

    Said on the day ``on``; without ``effective``, more holds at once and less from the next period.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        if not quantity > 0:
            raise change.refuse(_("the quantity is above zero; to take all of it away, end the position."))
        running = said_of(change, line, on, effective)
        after = Terms.of({**running.terms.data(), "quantity": str(quantity)})
        starts_on = _starts(change, running, after, on, effective)
        if change.position(line, starts_on).terms.quantity == quantity:
            raise change.refuse(_("the quantity is %(quantity)s already."), quantity=f"{quantity.normalize():f}")
        return change.write(Amendment.Kind.QUANTITY, starts_on, {"line": line, "quantity": f"{quantity.normalize():f}"})


def change_product(
    subscription: Subscription,
    *,
    line: int,
    product: Product,
    quantity: Decimal | None = None,
    on: date,
    effective: Effective | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Another product, or the price of the same one that is in the list now, from the cell of the contract's class.

    Without ``effective`` what is worth more a month, or as much, holds at once, and what is worth less from the next
    period. A product with another interval begins its periods on the day of the change, or on the contract's billing
    day. Raises ``ChangeRefused`` naming the cell that is missing.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        running = said_of(change, line, on, effective)
        day = effective if effective is not None and not isinstance(effective, When) else on
        data = _priced(change, running, product, day, quantity)
        starts_on = _starts(change, running, Terms.of({**running.terms.data(), **data}), on, effective)
        if starts_on != day:
            data = _priced(change, running, product, starts_on, quantity)
        running = change.position(line, starts_on)
        if data["interval"] != running.terms.interval:
            data |= _own_anchor(change, data["interval"], starts_on)
        if Terms.of({**running.terms.data(), **data}) == running.terms:
            raise change.refuse(_("the position has this product at this price already."))
        return change.write(Amendment.Kind.PRICE, starts_on, {"line": line, **data})


def agree_price(
    subscription: Subscription,
    *,
    line: int,
    unit_price: Decimal | None = None,
    flat_amount: Decimal | None = None,
    on: date,
    effective: Effective | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """A price agreed for this position alone: so much per unit, or a flat amount per period. Give one of the two."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        running = said_of(change, line, on, effective)
        price = agreed_price(change, running.terms.product, unit_price, flat_amount)
        after = Terms.of({**running.terms.data(), "price": price.pk})
        starts_on = _starts(change, running, after, on, effective)
        product = change.position(line, starts_on).terms.product
        if product != price.product_id:
            raise change.refuse(_("its position %(line)s has another product by then."), line=line)
        data = {
            "line": line,
            "product": product,
            "price": price.pk,
            "unit_price": str(unit_price) if unit_price is not None else None,
            "flat_amount": str(flat_amount) if flat_amount is not None else None,
        }
        return change.write(Amendment.Kind.OVERRIDE, starts_on, data)


def take_price(
    subscription: Subscription,
    *,
    line: int,
    price: Price,
    effective: date,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Another price of the product that the position has, from a day on: one of a list, or agreed for this contract."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        running = change.position(line, effective)
        if (running.terms.product, change.subscription.currency) != (price.product_id, price.currency):
            raise change.refuse(_("its position %(line)s has another product or currency by then."), line=line)
        if price.agreed_for_id not in (None, change.subscription.pk):
            raise change.refuse(_("the price is agreed for another contract."))
        if running.terms.price == price.pk:
            raise change.refuse(_("the position has this product at this price already."))
        kind = Amendment.Kind.PRICE if price.agreed_for_id is None else Amendment.Kind.OVERRIDE
        return change.write(kind, effective, {"line": line, "product": price.product_id, "price": price.pk})


def add(
    subscription: Subscription,
    *,
    product: Product,
    quantity: Decimal,
    effective: date,
    flat_amount: Decimal | None = None,
    unit_price: Decimal | None = None,
    instalments: int | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """A further position from a day on, at the price of the list or at an agreed one.

    With ``instalments`` it has periods of its own from that day, and ends after so many of them.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        if not quantity > 0:
            raise change.refuse(_("the quantity is above zero; to take all of it away, end the position."))
        if fresh.ends_before is not None and fresh.ends_before <= effective:
            raise change.refuse(_("it ends before %(day)s."), day=date_format(effective, "SHORT_DATE_FORMAT"))
        if unit_price is None and flat_amount is None:
            price = listed_price(change, product, effective)
        else:
            price = agreed_price(change, product.pk, unit_price, flat_amount)
        data: dict[str, Any] = {
            "line": max(change.course.lines, _highest(fresh)) + 1,
            "product": product.pk,
            "price": price.pk,
            "quantity": f"{quantity.normalize():f}",
            "interval": product.interval,
            "timing": product.timing,
            "proration": product.proration,
            **_anchor_in_force(change, product.interval, effective),
        }
        if instalments is not None:
            parsed = INTERVALS[product.interval]
            if parsed.unit is Unit.ONCE or instalments < 1:
                raise change.refuse(_("a product that is charged once has no instalments."))
            data |= {"anchor_on": effective.isoformat(), "anchor_day": effective.day, "instalments": instalments}
            grid = grid_of(product.interval, None, effective, effective, effective.day)
            data["ends_before"] = grid.period(instalments).start.isoformat()
        return change.write(Amendment.Kind.ADD, effective, data)


def end(
    subscription: Subscription,
    *,
    line: int,
    on: date,
    effective: Effective = When.PERIOD_END,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """End one position; the day is the first without it."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        running = said_of(change, line, on, effective)
        ends_before = day_of(change, effective, on, [running])
        change.position(line, ends_before)
        return change.write(Amendment.Kind.END, ends_before, {"line": line})


def said_of(change: Change, line: int, on: date, effective: Effective | None) -> Stretch:
    """The position as it is when the change is said, or holds."""
    return change.position(line, on if effective is None or isinstance(effective, When) else effective)


def _starts(change: Change, running: Stretch, after: Terms, on: date, effective: Effective | None) -> date:
    if effective is None:
        effective = default_timing(running.terms, after)
    return day_of(change, effective, on, [running])


def default_timing(before: Terms, after: Terms) -> When:
    """At once for what is worth as much a month or more, with the next period for what is worth less."""
    if before.interval == "once":
        return When.IMMEDIATE
    return default_when(direction([recurring(before)], [recurring(after)]))


def _priced(change: Change, running: Stretch, product: Product, day: date, quantity: Decimal | None) -> dict[str, Any]:
    data: dict[str, Any] = {"product": product.pk, "price": listed_price(change, product, day).pk}
    if product.pk == running.terms.product:
        data |= {name: getattr(running.terms, name) for name in ("interval", "timing", "proration")}
    else:
        data |= {"interval": product.interval, "timing": product.timing, "proration": product.proration}
    if quantity is not None:
        data["quantity"] = f"{quantity.normalize():f}"
    return data


def _own_anchor(change: Change, interval: str, starts_on: date) -> Mapping[str, Any]:
    """Periods that begin with the change or, if the contract has a billing day, with the next such day."""
    parsed = INTERVALS[interval]
    if parsed.unit is Unit.ONCE:
        return {"anchor_on": None, "anchor_day": None, "periods_before": None}
    aligned = _aligned(change, starts_on)
    day = (aligned.data["billing_day"] if aligned else change.subscription.billing_day) if parsed.months else None
    anchor = starts_on if day is None else day_from(starts_on, day)
    return {"anchor_on": anchor.isoformat(), "anchor_day": day or starts_on.day, "periods_before": None}


def _anchor_in_force(change: Change, interval: str, day: date) -> Mapping[str, Any]:
    """Where periods of further positions begin: as the contract's, or as since its latest alignment."""
    aligned = _aligned(change, day) if INTERVALS[interval].months else None
    if aligned is None:
        return {"anchor_on": None, "anchor_day": None}
    billing_day = aligned.data["billing_day"]
    return {"anchor_on": day_from(aligned.on, billing_day).isoformat(), "anchor_day": billing_day}


def _aligned(change: Change, day: date) -> Event | None:
    """The alignment to another billing day in force on ``day``."""
    found = [event for event in change.events if event.kind == Amendment.Kind.ALIGNMENT and event.on <= day]
    return max(found, key=lambda event: (event.on, event.sequence), default=None)


def _highest(subscription: Subscription) -> int:
    return subscription.items.order_by("-line").values_list("line", flat=True).first() or 0


def listed_price(change: Change, product: Product, day: date) -> Price:
    """The price of the contract's class and currency on a day. Raises ``ChangeRefused`` naming the missing cell."""
    fresh = change.subscription
    price = (
        Price.objects.listed()
        .valid_on(day)
        .filter(product=product, price_class=fresh.price_class, currency=fresh.currency)
        .first()
    )
    if price is None:
        raise change.refuse(
            _("the product %(product)s has no price in class %(price_class)s and %(currency)s on %(day)s."),
            product=product.reference,
            price_class=fresh.price_class.number,
            currency=fresh.currency,
            day=date_format(day, "SHORT_DATE_FORMAT"),
        )
    return price


def agreed_price(change: Change, product: int, unit_price: Decimal | None, flat_amount: Decimal | None) -> Price:
    """A price that stands in no list: per unit or flat."""
    fresh = change.subscription
    if (unit_price is None) == (flat_amount is None):
        raise change.refuse(_("say either a price per unit or a flat amount."))
    if min(unit_price or 0, flat_amount or 0) < 0:
        raise change.refuse(_("a price is not negative; use a discount."))
    price = Price.objects.create(
        product_id=product,
        price_class=fresh.price_class,
        currency=fresh.currency,
        model=Price.Model.PER_UNIT if flat_amount is None else Price.Model.FLAT,
        agreed_for=fresh,
    )
    Tier.objects.create(price=price, unit_price=unit_price or Decimal(0), flat_amount=flat_amount or Decimal(0))
    return price
