"""Several contracts of one customer on one billing day and one day of renewal: all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.contracts.resting import align
from billing.contracts.timing import Effective, term_of
from billing.contracts.writing import changing
from billing.kernel.changes import When
from billing.kernel.period import months_after
from billing.models import Amendment, Subscription
from tenants.transactions import lock_payers_of


@transaction.atomic
def align_all(
    subscriptions: Sequence[Subscription],
    *,
    billing_day: int,
    on: date,
    effective: Effective = When.PERIOD_END,
    reason: str,
    by: User | None,
    channel: str,
) -> list[Amendment]:
    """Bill contracts on one day of the month: each with one stub that leads up to it, then whole periods.

    Raises ``ChangeRefused`` naming the first contract that cannot be moved; then none is.
    """
    _hold(subscriptions)
    return [
        align(one, billing_day=billing_day, on=on, effective=effective, reason=reason, by=by, channel=channel)
        for one in subscriptions
    ]


@transaction.atomic
def coterm(
    subscriptions: Sequence[Subscription], *, renews_on: date, reason: str, by: User | None, channel: str
) -> list[Amendment]:
    """Let the terms in force end together: each contract renews on ``renews_on`` and from there in its own rhythm.

    Raises ``ChangeRefused`` naming the first contract without a term, or with an end before that day; then none is
    changed.
    """
    _hold(subscriptions)
    return [_coterm(one, renews_on, reason, by, channel) for one in subscriptions]


@transaction.atomic
def join(
    subscriptions: Sequence[Subscription],
    *,
    billing_day: int | None,
    renews_on: date | None,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> int:
    """Align to a billing day, to a day of renewal, or to both, all contracts or none; returns how many.

    Contracts without a term that is renewed keep to themselves where only others can be renewed together.
    """
    if billing_day is not None:
        align_all(subscriptions, billing_day=billing_day, on=on, reason=reason, by=by, channel=channel)
    if renews_on is not None:
        renewed = [one for one in subscriptions if one.term_months and one.renewal_months]
        coterm(renewed, renews_on=renews_on, reason=reason, by=by, channel=channel)
    return len(subscriptions)


def _coterm(subscription: Subscription, renews_on: date, reason: str, by: User | None, channel: str) -> Amendment:
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        if not fresh.term_months or not fresh.renewal_months:
            raise change.refuse(_("it has no term that would be renewed."))
        if renews_on <= fresh.starts_on or (fresh.ends_before is not None and fresh.ends_before <= renews_on):
            raise change.refuse(_("it does not run beyond %(day)s."), day=date_format(renews_on, "SHORT_DATE_FORMAT"))
        before = term_of(fresh, renews_on)
        fresh.term_from = months_after(renews_on, -fresh.term_months)
        fresh.save(update_fields=["term_from"])
        data = {
            "renews_on": renews_on.isoformat(),
            "term_from": fresh.term_from.isoformat(),
            "before": before.renews_on.isoformat() if before else None,
        }
        return change.write(Amendment.Kind.COTERM, fresh.starts_on, data)


def _hold(subscriptions: Sequence[Subscription]) -> None:
    """The payers of all, in one order, before the first contract is touched."""
    named = [one.pay_by_id for one in subscriptions if one.pay_by_id is not None]
    lock_payers_of([one.tenant_id for one in subscriptions] + named)
