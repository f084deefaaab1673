"""Notice and cancellation, going on after it, changes taken back, transfer to another account."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing import operators
from billing.contracts.course import Stretch
from billing.contracts.starting import write_start
from billing.contracts.timing import Effective, day_of, earliest_end, grid_at, term_of
from billing.contracts.writing import Author, Change, changing, charged_before
from billing.kernel.changes import MoneyPolicy, When
from billing.kernel.schedule import Unit
from billing.models import Amendment, Grant, Item, Subscription
from tenants.models import Tenant


def cancel(
    subscription: Subscription,
    *,
    on: date,
    effective: Effective | None = None,
    money: MoneyPolicy | str = MoneyPolicy.CREDIT,
    override: bool = False,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """End a contract: ``effective`` is the first day without it, notice was given on the day ``on``.

    Without ``effective`` it ends with the first term, or else period, that the notice reaches. An earlier end is
    refused, naming the earliest; ``override`` allows it for a ``reason``. Days that are charged and that it no longer
    has are given back, unless ``money`` is ``none``: then the period in which it ends stays charged in full. With
    ``refund`` what is given back stays on the account until it is paid out.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        fresh = change.subscription
        earliest = earliest_end(fresh, on)
        ends_before = _end_of(change, effective, on, earliest)
        if ends_before < earliest and not override:
            raise change.refuse(
                _("with notice given on %(day)s it ends on %(earliest)s at the earliest."),
                day=_short(on),
                earliest=_short(earliest),
            )
        if ends_before < earliest and not reason.strip():
            raise change.refuse(_("to end it before the notice is over takes a reason."))
        data = {
            "money": str(MoneyPolicy(money)),
            "noticed_on": on.isoformat(),
            "earliest": earliest.isoformat(),
            "override": ends_before < earliest,
        }
        return change.write(Amendment.Kind.CANCELLATION, ends_before, data)


def _end_of(change: Change, effective: Effective | None, on: date, earliest: date) -> date:
    """The day meant: the end of the term or period that the notice reaches, or what is named."""
    fresh = change.subscription
    if effective is When.TERM_END or (effective is None and term_of(fresh, on) is not None):
        if term_of(fresh, on) is None and fresh.ends_before is not None:
            return fresh.ends_before
        return max(earliest, day_of(change, When.TERM_END, on, []))
    if effective is None or effective is When.PERIOD_END:
        day = max(on, earliest)
        running = [s for s in change.course.on(day).values() if s.terms.interval != "once"]
        if day == earliest and day > on and _begins_period(fresh, running, day):
            return day
        return day_of(change, When.PERIOD_END, day, running) if running else day
    return day_of(change, effective, on, [])


def _begins_period(subscription: Subscription, running: list[Stretch], day: date) -> bool:
    grids = [grid_at(subscription, stretch) for stretch in running]
    return bool(grids) and all(grid.boundary(grid.index(day)) == day for grid in grids)


def reinstate(
    subscription: Subscription,
    *,
    effective: date | None = None,
    ends_before: date | None = None,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Let a contract that was ended go on, from its end or a later day; ``ends_before``: until then."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        end = change.course.ends_before
        if end is None:
            raise change.refuse(_("it has no end."))
        starts_on = effective or end
        if starts_on < end:
            raise change.refuse(_("it runs until %(day)s anyway."), day=_short(end))
        if ends_before is not None and ends_before <= starts_on:
            raise change.refuse(_("it would end before it goes on."))
        if any(event.kind == Amendment.Kind.TRANSFER for event in change.events if event.on == end):
            raise change.refuse(_("it was transferred to another account."))
        data = {"ends_before": ends_before.isoformat() if ends_before else None}
        return change.write(Amendment.Kind.REINSTATEMENT, starts_on, data)


FINAL = {
    Amendment.Kind.START,
    Amendment.Kind.WITHDRAWAL,
    Amendment.Kind.TRIAL,
    Amendment.Kind.TRANSFER,
    Amendment.Kind.RESPONSIBILITY,
    Amendment.Kind.COTERM,
}


def withdraw(subscription: Subscription, *, sequence: int, reason: str, by: User | None, channel: str) -> Amendment:
    """Take an amendment back as if it had never been; what was charged of it is corrected by the next run."""
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        event = next((event for event in change.events if event.sequence == sequence), None)
        if event is None or event.kind in FINAL or event.kind == Amendment.Kind.ACTIVATION:
            raise change.refuse(_("amendment %(number)s cannot be withdrawn."), number=sequence)
        if any(e.kind == Amendment.Kind.WITHDRAWAL and e.data["sequence"] == sequence for e in change.events):
            raise change.refuse(_("amendment %(number)s is withdrawn already."), number=sequence)
        if event.kind in (Amendment.Kind.DISCOUNT, Amendment.Kind.DISCOUNT_END):
            charged = charged_before(change.subscription)
            if charged is not None and charged > event.on:
                raise change.refuse(
                    _("days from %(day)s on are charged with it; end the discount or grant it anew."),
                    day=_short(event.on),
                )
        amendment = change.write(Amendment.Kind.WITHDRAWAL, event.on, {"sequence": sequence})
        if event.kind == Amendment.Kind.DISCOUNT:
            Grant.objects.filter(pk=event.data["grant"]).update(ends_before=event.on)
        elif event.kind == Amendment.Kind.DISCOUNT_END:
            Grant.objects.filter(pk=event.data["grant"]).update(ends_before=None)
        return amendment


def transfer(
    subscription: Subscription,
    *,
    tenant: Tenant,
    reference: str,
    effective: date,
    reason: str,
    by: User | None,
    channel: str,
) -> tuple[Amendment, Subscription]:
    """End a contract here and open it as ``reference`` for another account, on the same periods and discounts.

    Both are one transaction, under the locks of both payers. What was charged beyond the day is given back here.
    """
    with changing(subscription, reason=reason, by=by, channel=channel, tenants=[tenant.pk]) as change:
        fresh, tenant = change.subscription, Tenant.objects.get(pk=tenant.pk)
        if tenant.pk == fresh.tenant_id:
            raise change.refuse(_("it belongs to this account already."))
        if tenant.status == Tenant.Status.CLOSED:
            raise change.refuse(_("the account %(account)s is closed."), account=tenant.reference)
        if Subscription.objects.filter(issuer=fresh.issuer, reference=reference).exists():
            raise change.refuse(_("the issuer has a contract %(reference)s already."), reference=reference)
        running = change.course.on(effective)
        if not running:
            raise change.refuse(_("nothing of it runs on %(day)s."), day=_short(effective))
        later = [s for s in change.course.stretches if s.starts_on > effective]
        if later:
            raise change.refuse(
                _("changes after %(day)s are written down already; withdraw them first."), day=_short(effective)
            )
        successor = _successor(fresh, tenant, reference, effective)
        operators.refuse(successor)
        items = [_moved(fresh, successor, stretch, effective) for stretch in running.values()]
        ending = change.write(Amendment.Kind.TRANSFER, effective, {"to": reference, "money": str(MoneyPolicy.CREDIT)})
        Item.objects.bulk_create(items)
        _move_grants(fresh, successor, effective)
        write_start(successor, Author(reason, by, channel), transferred_from=fresh.reference)
        return ending, successor


def _successor(fresh: Subscription, tenant: Tenant, reference: str, effective: date) -> Subscription:
    """The same terms for the other account; a trial or a term goes on where it stands, and so does the wait for the
    day with which billing starts."""
    trial = fresh.trial_ends_before
    return Subscription.objects.create(
        issuer=fresh.issuer,
        reference=reference,
        tenant=tenant,
        currency=fresh.currency,
        price_class=fresh.price_class,
        starts_on=effective,
        ends_before=fresh.ends_before,
        trial_ends_before=trial if trial is not None and trial > effective else None,
        billing_starts_with=fresh.billing_starts_with,
        activated_on=fresh.activated_on,
        accepted_on=fresh.accepted_on,
        billing_day=fresh.billing_day,
        term_from=fresh.term_from or fresh.starts_on,
        term_months=fresh.term_months,
        extended_days=fresh.extended_days,
        renewal_months=fresh.renewal_months,
        notice_days=fresh.notice_days,
        po_number=fresh.po_number,
        is_invoiced_alone=fresh.is_invoiced_alone,
    )


def _moved(fresh: Subscription, successor: Subscription, stretch: Stretch, effective: date) -> Item:
    """A position on the same periods, its billed periods counted on; there are none while billing waits."""
    grid = grid_at(fresh, stretch)
    terms = stretch.terms
    if grid.interval.unit is not Unit.ONCE and fresh.billing_starts_on is not None:
        before = grid.index(effective) - grid.index(max(fresh.paid_from, fresh.starts_on))
        terms = replace(terms, anchor_on=grid.anchor, anchor_day=grid.anchor_day, periods_before=max(0, before))
    return Item(
        subscription=successor,
        line=stretch.line,
        product_id=terms.product,
        price_id=terms.price,
        quantity=terms.quantity,
        interval=terms.interval,
        timing=terms.timing,
        proration=terms.proration,
        anchor_on=terms.anchor_on,
        anchor_day=terms.anchor_day,
        periods_before=terms.periods_before,
        starts_on=effective,
        ends_before=stretch.ends_before if stretch.ends_before != fresh.ends_before else None,
    )


def _move_grants(fresh: Subscription, successor: Subscription, effective: date) -> None:
    for grant in fresh.grants.all():
        if grant.ends_before is None or grant.ends_before > effective:
            Grant.objects.create(
                subscription=successor,
                discount=grant.discount,
                reason=grant.reason,
                periods=grant.periods,
                starts_on=grant.starts_on,
                ends_before=grant.ends_before,
            )


def follow_file(subscription: Subscription, ends_before: date | None, author: Author) -> Amendment | None:
    """Set the end a contract file states, earlier or later than it was; no notice is asked for."""
    with changing(subscription, reason=author.reason, by=author.by, channel=author.channel) as change:
        now = change.course.ends_before
        if now == ends_before:
            return None
        data: dict[str, Any] = {"ends_before": ends_before.isoformat() if ends_before else None}
        if ends_before is not None and (now is None or ends_before < now):
            return change.write(
                Amendment.Kind.CANCELLATION, ends_before, data | {"money": str(MoneyPolicy.CREDIT), "override": False}
            )
        assert now is not None
        return change.write(Amendment.Kind.REINSTATEMENT, now, data)


def _short(day: date) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")
