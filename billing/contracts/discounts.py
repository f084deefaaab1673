"""Discounts of a running contract: granted for so many billed periods, and ended."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import User
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.contracts.timing import Effective, day_of
from billing.contracts.writing import Change, changing, charged_before
from billing.kernel.changes import When
from billing.models import Amendment, Discount, Grant, Subscription


def grant(
    subscription: Subscription,
    *,
    discount: Discount,
    periods: int | None = None,
    on: date,
    effective: Effective = When.PERIOD_END,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Give a discount for ``periods`` billed periods (``None``: as long as it lasts), for a reason.

    It begins with the first period from the day on; if days from there on were charged already, these are charged anew.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        if not reason.strip():
            raise change.refuse(_("a discount is granted for a reason."))
        if discount.kind == Discount.Kind.FIXED and discount.currency != fresh.currency:
            raise change.refuse(
                _("it runs in %(currency)s, the discount %(discount)s in %(other)s."),
                currency=fresh.currency,
                discount=discount.reference,
                other=discount.currency,
            )
        starts_on = _day(change, effective, on)
        if Grant.objects.filter(subscription=fresh, discount=discount, starts_on=starts_on).exists():
            raise change.refuse(_("it has the discount %(discount)s already."), discount=discount.reference)
        granted = Grant.objects.create(
            subscription=fresh, discount=discount, reason=reason[:200], periods=periods, starts_on=starts_on
        )
        data = {
            "grant": granted.pk,
            "discount": discount.reference,
            "periods": periods,
            "breaks": _breaks(fresh, starts_on),
        }
        return change.write(Amendment.Kind.DISCOUNT, starts_on, data)


def end(
    subscription: Subscription,
    *,
    grant: Grant,
    on: date,
    effective: Effective = When.PERIOD_END,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """End a granted discount: no period that begins on the day or later has it."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        held = Grant.objects.filter(subscription=fresh, pk=grant.pk).select_related("discount").first()
        if held is None:
            raise change.refuse(_("it does not have this discount."))
        ends_before = _day(change, effective, on)
        if held.ends_before is not None and held.ends_before <= ends_before:
            raise change.refuse(
                _("the discount ends before %(day)s already."), day=date_format(ends_before, "SHORT_DATE_FORMAT")
            )
        held.ends_before = max(ends_before, held.starts_on or ends_before)
        held.save(update_fields=["ends_before"])
        data = {"grant": held.pk, "discount": held.discount.reference, "breaks": _breaks(fresh, ends_before)}
        return change.write(Amendment.Kind.DISCOUNT_END, ends_before, data)


def _day(change: Change, effective: Effective, on: date) -> date:
    return day_of(change, effective, on, list(change.course.on(on).values()))


def _breaks(subscription: Subscription, day: date) -> bool:
    """Whether days that are charged already have to be charged anew, from this day on."""
    charged = charged_before(subscription)
    return charged is not None and charged > day
