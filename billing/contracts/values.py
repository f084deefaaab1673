"""What a contract is worth: a month on a day, and in all until its end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing.charging import price_terms, recurring_of
from billing.contracts.course import Terms
from billing.contracts.timing import term_of
from billing.kernel.changes import Recurring
from billing.kernel.money import places_of, rounded
from billing.kernel.pricing import rate
from billing.kernel.recurring import monthly_value, total_value
from billing.kernel.schedule import Interval
from billing.models import Product, Subscription


def recurring(terms: Terms) -> Recurring:
    """What a position costs per interval, before discounts; what is charged by use counts with nothing."""
    if Product.objects.filter(pk=terms.product, meter__isnull=False).exists():
        return Decimal(0), Interval.parse(terms.interval)
    price = price_terms({terms.price})[terms.price]
    return rate(price, terms.quantity).amount, Interval.parse(terms.interval)


def mrr(subscription: Subscription, day: date) -> Decimal:
    """The recurring value of a month of what is paid on ``day``, rounded to the currency's minor unit."""
    return rounded(monthly(subscription, day), places_of(subscription.currency))


def monthly(subscription: Subscription, day: date) -> Fraction:
    """The same, exact."""
    return monthly_value([position.terms for position in recurring_of([subscription.pk])], day)


def tcv(subscription: Subscription, day: date) -> Decimal | None:
    """The total contract value: all that is charged from its start to its end, or the end of the term in force on
    ``day``; ``None`` for a contract that has neither."""
    end = value_ends_before(subscription, day)
    if end is None:
        return None
    return total_value([position.terms for position in recurring_of([subscription.pk])], end)


def value_ends_before(subscription: Subscription, day: date) -> date | None:
    """The first day that the total contract value of ``day`` no longer counts."""
    term = term_of(subscription, day)
    ends = [end for end in (subscription.ends_before, term.renews_on if term else None) if end is not None]
    return min(ends, default=None)
