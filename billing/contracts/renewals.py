"""Renewal: the next term, at the prices that are valid then; and what will be renewed soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import takewhile

from django.contrib.auth.models import User
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from billing.charging import recurring_of
from billing.contracts.positions import listed_price
from billing.contracts.timing import term_of
from billing.contracts.writing import Change, changing
from billing.kernel.charges import ItemTerms
from billing.kernel.money import places_of, rounded
from billing.kernel.recurring import monthly_value
from billing.kernel.term import Term
from billing.models import Amendment, Price, Product, Subscription
from tenants.errors import OperatorError
from tenants.models import Issuer


@dataclass(frozen=True, slots=True)
class Renewal:
    """A contract whose term ends; ``at_risk``: its recurring value for the next term, at the prices of today."""

    subscription: Subscription
    renews_on: date
    notice_by: date
    at_risk: Decimal


def due(issuer: Issuer | None, *, on: date, days: int, among: QuerySet[Subscription] | None = None) -> list[Renewal]:
    """The contracts that renew themselves within so many days, unless notice is given; by the day of their renewal.

    Each with its next renewal, or the first one that is overdue. ``among``: these alone, whatever their issuer if it is
    ``None``.
    """
    firsts = ((subscription, next(terms, None)) for subscription, terms in _renewing(issuer, on, among))
    return _valued(
        (one, term) for one, term in firsts if term is not None and term.renews_on <= on + timedelta(days=days)
    )


def overdue_and_ahead(
    issuer: Issuer | None, *, on: date, days: int, among: QuerySet[Subscription] | None = None
) -> tuple[list[Renewal], list[Renewal]]:
    """As ``due``, in two: each contract's first renewal that ought to be written by ``on``, and the next after it."""
    late: list[tuple[Subscription, Term]] = []
    soon: list[tuple[Subscription, Term]] = []
    for subscription, terms in _renewing(issuer, on, among):
        first = next(terms, None)
        coming = first
        if first is not None and first.renews_on <= on:
            late.append((subscription, first))
            coming = next((term for term in terms if term.renews_on > on), None)
        if coming is not None and coming.renews_on <= on + timedelta(days=days):
            soon.append((subscription, coming))
    return _valued(late), _valued(soon)


def next_term(subscription: Subscription, renewed_until: date | None, *, on: date) -> Term | None:
    """The first term after ``on`` that is still to be renewed, as ``overdue_and_ahead`` has it; asks nothing.

    ``renewed_until``: the effective day of the contract's last renewal (``last_renewal``).
    """
    if not (subscription.term_months and subscription.renewal_months):
        return None
    return next((term for term in _unrenewed(subscription, renewed_until) if term.renews_on > on), None)


def last_renewal() -> Max:
    """To annotate contracts with: the day of the last renewal on record."""
    return Max("amendments__effective_on", filter=Q(amendments__kind=Amendment.Kind.RENEWAL))


def _valued(terms: Iterable[tuple[Subscription, Term]]) -> list[Renewal]:
    """By the day of their renewal, each with what its next term is worth."""
    listed = list(terms)
    held: dict[int, list[ItemTerms]] = defaultdict(list)
    for position in recurring_of([subscription.pk for subscription, _term in listed]):
        held[position.contract.key].append(position.terms)
    found = []
    for subscription, term in listed:
        value = monthly_value(held[subscription.pk], term.renews_on) * (subscription.renewal_months or 0)
        at_risk = rounded(value, places_of(subscription.currency))
        found.append(Renewal(subscription, term.renews_on, term.notice_by, at_risk))
    return sorted(found, key=lambda renewal: (renewal.renews_on, renewal.subscription.reference))


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a day of renewals did; ``refused`` names the contracts that could not be renewed, with the reason."""

    amendments: list[Amendment]
    refused: list[str]


def renew_due(issuer: Issuer, *, on: date, by: User | None = None, channel: str = "schedule") -> Renewed:
    """Renew every contract of which notice can no longer be given on ``on``. A second time finds nothing.

    Every term since the last renewal is made up for, however long nobody asked. A contract that cannot be renewed (its
    price is no longer in the list) stops no other; it is refused anew each time, until it can be, and its later terms
    wait for it.
    """
    written, refused = [], []
    for subscription, terms in _renewing(issuer, on):
        try:
            for term in takewhile(lambda term: term.notice_by < on, terms):
                written.append(renew(subscription, renews_on=term.renews_on, reason="", by=by, channel=channel))
        except OperatorError as refusal:
            refused.append(str(refusal))
    return Renewed(written, refused)


def renew(subscription: Subscription, *, renews_on: date, reason: str, by: User | None, channel: str) -> Amendment:
    """The next term from ``renews_on`` on: positions at a price of the lists take the one that is valid then.

    An agreed price stays. What keeps its price goes on as it is.
    """
    with changing(subscription, reason=reason, by=by, channel=channel) as change:
        if any(event.kind == Amendment.Kind.RENEWAL and event.on == renews_on for event in change.events):
            raise change.refuse(_("it is renewed already."))
        return change.write(Amendment.Kind.RENEWAL, renews_on, {"prices": _prices_on(change, renews_on)})


def _prices_on(change: Change, day: date) -> dict[str, list[int]]:
    """By position: product and new price, where another price is valid than the one it has."""
    running = {line: stretch for line, stretch in change.course.on(day).items() if stretch.terms.interval != "once"}
    keys = {stretch.terms.price for stretch in running.values()}
    agreed = set(Price.objects.filter(pk__in=keys, agreed_for__isnull=False).values_list("pk", flat=True))
    products = Product.objects.in_bulk({stretch.terms.product for stretch in running.values()})
    prices = {}
    for line, stretch in running.items():
        if stretch.terms.price not in agreed:
            price = listed_price(change, products[stretch.terms.product], day)
            if price.pk != stretch.terms.price:
                prices[str(line)] = [stretch.terms.product, price.pk]
    return prices


def _renewing(
    issuer: Issuer | None, on: date, among: QuerySet[Subscription] | None = None
) -> Iterator[tuple[Subscription, Iterator[Term]]]:
    """Contracts that renew themselves and began by ``on``, each with its terms since its last renewal.

    A renewal is on record as an amendment; what was renewed by hand, or withdrawn, counts as done.
    """
    candidates = (
        (Subscription.objects.all() if among is None else among)
        .filter(Q() if issuer is None else Q(issuer=issuer), starts_on__lte=on, renewal_months__gt=0, term_months__gt=0)
        .annotate(renewed_until=last_renewal())
        .select_related("tenant")
        .order_by("reference")
    )
    for subscription in candidates:
        yield subscription, _unrenewed(subscription, subscription.renewed_until)


def _unrenewed(subscription: Subscription, renewed_until: date | None) -> Iterator[Term]:
    """The terms that another follows, from the one that began with the last renewal on, without end but the contract's.

    Left out is what came before it began here: of one taken over, the renewals that another system or account saw to.
    """
    taken_over = subscription.billed_before and subscription.billed_before - timedelta(days=1)
    day = renewed_until or max(subscription.starts_on, taken_over or subscription.starts_on)
    while (term := term_of(subscription, day)) is not None:
        if subscription.ends_before is not None and subscription.ends_before <= term.renews_on:
            return
        yield term
        day = term.renews_on
