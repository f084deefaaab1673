"""Pauses, and what else moves the days of a contract without changing what it holds: trial, start, billing day."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import User
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.contracts.course import Rest
from billing.contracts.timing import Effective, day_of
from billing.contracts.writing import Change, changing, is_charged
from billing.kernel.changes import When
from billing.models import Amendment, Pause, Subscription


def pause(
    subscription: Subscription,
    *,
    effective: date,
    until: date | None = None,
    policy: str = Pause.Policy.CREDIT,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Let a contract rest from a day on; ``until`` is the first day on which it goes on, if that is agreed already.

    Its periods stay where they are.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        if until is not None and until <= effective:
            raise change.refuse(_("the pause ends before it starts."))
        known = _rest_on(change, effective)
        if known is not None:
            raise change.refuse(_("it rests already since %(day)s."), day=_short(known.starts_on))
        for rest in change.course.rests:
            if rest.starts_on > effective and (until is None or until > rest.starts_on):
                raise change.refuse(_("it rests already since %(day)s."), day=_short(rest.starts_on))
        if not change.course.on(effective):
            raise change.refuse(_("nothing of it runs on %(day)s."), day=_short(effective))
        data = {"policy": str(policy), "until": until.isoformat() if until else None}
        return change.write(Amendment.Kind.PAUSE, effective, data)


def resume(subscription: Subscription, *, effective: date, reason: str, by: User | None, channel: str) -> Amendment:
    """Let a contract go on: the day is the first that is charged again."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        rest = _rest_on(change, effective)
        if rest is None:
            raise change.refuse(_("it does not rest on %(day)s."), day=_short(effective))
        return change.write(Amendment.Kind.RESUME, effective, {"pause": rest.sequence})


def _rest_on(change: Change, day: date) -> Rest | None:
    for rest in change.course.rests:
        if rest.starts_on <= day and (rest.ends_before is None or day < rest.ends_before):
            return rest
    return None


def extend_trial(
    subscription: Subscription,
    *,
    ends_before: date,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Let the trial end later; only before it is over and before anything was charged."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        before = fresh.trial_ends_before
        if before is None or before <= on:
            raise change.refuse(_("it has no trial on %(day)s."), day=_short(on))
        if ends_before <= before:
            raise change.refuse(_("its trial lasts until then already."))
        if is_charged(fresh):
            raise change.refuse(_("it was charged for the days after the trial already; discard the draft first."))
        data = {"before": before.isoformat(), "trial_ends_before": ends_before.isoformat()}
        amendment = change.write(Amendment.Kind.TRIAL, max(on, fresh.starts_on), data)
        fresh.trial_ends_before = ends_before
        fresh.save(update_fields=["trial_ends_before"])
        return amendment


def activate(
    subscription: Subscription,
    *,
    activated_on: date | None = None,
    accepted_on: date | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Enter the day on which the service was activated, or the customer accepted it: billing may start with it."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        day = activated_on or accepted_on
        if day is None:
            raise change.refuse(_("say the day of the activation or of the acceptance."))
        before = fresh.billing_starts_on
        fresh.activated_on = activated_on or fresh.activated_on
        fresh.accepted_on = accepted_on or fresh.accepted_on
        if is_charged(fresh) and fresh.billing_starts_on != before:
            raise change.refuse(_("it is billed since %(day)s already."), day=_short(before or day))
        data = {
            "activated_on": activated_on.isoformat() if activated_on else None,
            "accepted_on": accepted_on.isoformat() if accepted_on else None,
        }
        fresh.save(update_fields=["activated_on", "accepted_on"])
        return change.write(Amendment.Kind.ACTIVATION, max(day, fresh.starts_on), data)


def align(
    subscription: Subscription,
    *,
    billing_day: int,
    on: date,
    effective: Effective = When.PERIOD_END,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Bill on another day of the month (1..31): one stub leads up to it, then whole periods follow."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        if not 1 <= billing_day <= 31:
            raise change.refuse(_("the billing day is a day of the month, 1 to 31."))
        running = [s for s in change.course.on(on).values() if s.terms.interval not in ("once", "weekly")]
        starts_on = day_of(change, effective, on, running)
        if not change.course.on(starts_on):
            raise change.refuse(_("nothing of it runs on %(day)s."), day=_short(starts_on))
        return change.write(Amendment.Kind.ALIGNMENT, starts_on, {"billing_day": billing_day})


def _short(day: date) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")
