"""From which day a change holds: at once, with the next period, with the next term, or from a day that is named."""

from __future__ import annotations

from datetime import date, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.charging import grid_of
from billing.contracts.course import Stretch
from billing.contracts.writing import Change
from billing.kernel.changes import When
from billing.kernel.period import Period
from billing.kernel.schedule import Grid, Unit
from billing.kernel.term import Term, term_on
from billing.models import Subscription

Effective = date | When


def term_of(subscription: Subscription, day: date) -> Term | None:
    """The term in force on ``day``, longer by the pauses that extend it; ``None`` without one."""
    return term_on(
        day,
        subscription.term_from or subscription.starts_on,
        subscription.term_months,
        subscription.renewal_months,
        subscription.notice_days,
        subscription.extended_days,
    )


def earliest_end(subscription: Subscription, day: date) -> date:
    """How early the contract can end if notice is given on ``day``: the end of a term, or the days of notice later.

    Always the first day that is no longer covered.
    """
    term = term_of(subscription, day)
    if term is None:
        return day + timedelta(days=subscription.notice_days + 1) if subscription.notice_days else day
    if term.notice_by >= day:
        return term.renews_on
    following = term_of(subscription, term.renews_on)
    return following.renews_on if following is not None else term.renews_on


def grid_at(subscription: Subscription, stretch: Stretch) -> Grid:
    """Where the periods of a position begin."""
    terms = stretch.terms
    return grid_of(terms.interval, subscription.billing_day, subscription.paid_from, terms.anchor_on, terms.anchor_day)


def period_of(subscription: Subscription, stretch: Stretch, day: date) -> Period | None:
    """The period of a position that holds ``day``; ``None`` if it is charged once."""
    grid = grid_at(subscription, stretch)
    return None if grid.interval.unit is Unit.ONCE else grid.period(grid.index(day))


def day_of(change: Change, effective: Effective, on: date, stretches: list[Stretch]) -> date:
    """The day meant by ``effective``, said on ``on``: for ``period_end`` the latest end of the positions' periods."""
    if not isinstance(effective, When):
        return effective
    if effective is When.IMMEDIATE:
        return on
    subscription = change.subscription
    if effective is When.TERM_END:
        term = term_of(subscription, on)
        if term is not None:
            return term.renews_on
        if subscription.ends_before is not None:
            return subscription.ends_before
        raise change.refuse(_("it has no term that would end after %(day)s."), day=date_format(on, "SHORT_DATE_FORMAT"))
    periods = [period for stretch in stretches if (period := period_of(subscription, stretch, on)) is not None]
    if not periods:
        raise change.refuse(_("no period of it ends after %(day)s."), day=date_format(on, "SHORT_DATE_FORMAT"))
    end = max(period.end for period in periods)
    return subscription.paid_from if on < subscription.paid_from else end  # of the trial, if that is not over
