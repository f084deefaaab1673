"""What a campaign means for each position it selects: its day and why, its price and its monthly value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from billing.campaigns.reading import Book, read, select
from billing.kernel.charges import ItemTerms
from billing.kernel.legal_day import Agreement, LegalDay, Step, legal_day
from billing.kernel.money import places_of, plain, rounded
from billing.kernel.pricing import Model, PriceTerms
from billing.kernel.recurring import NOTHING, monthly_value
from billing.kernel.repricing import by_amount, by_percent
from billing.kernel.term import term_on
from billing.models import Price, PriceCampaign, Subscription

CHUNK: Final = 500  # contracts read at a time
Figures = list[list[str]]  # of each tier: the units it ends with (inclusive; empty: no end), unit price, flat amount


@dataclass(frozen=True, slots=True)
class Position:
    """A position of a contract as a campaign would change it; or why it would not (``reason``).

    ``mrr_before`` and ``mrr_after`` are rounded to the currency's minor unit, so that what is shown adds up: its part
    of the contract's value of a month (exact in ``value_before`` and ``value_after``) on the day on which all of the
    contract's positions have changed. ``price_after`` is ``None`` for a price that has yet to be made; ``terms_after``
    are its terms.
    """

    subscription: int
    contract: str
    tenant: int
    account: str
    line: int
    product: int
    quantity: Decimal
    currency: str
    price_before: int
    price_after: int | None = None
    terms_before: PriceTerms | None = None
    terms_after: PriceTerms | None = None
    effective_on: date | None = None
    steps: tuple[Step, ...] = ()
    mrr_before: Decimal = Decimal(0)
    mrr_after: Decimal = Decimal(0)
    value_before: Fraction = NOTHING
    value_after: Fraction = NOTHING
    reason: str = ""

    @property
    def changes(self) -> bool:
        return not self.reason

    def said(self) -> tuple[Any, ...]:
        """What must still hold when the change is written."""
        return (
            self.line,
            self.price_before,
            self.price_after,
            figures_of(self.terms_after),
            self.quantity,
            self.effective_on,
            self.mrr_before,
            self.mrr_after,
        )


@dataclass(slots=True)
class Total:
    """The value of a month of positions that change, and how many these are; of one currency."""

    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    positions: int = 0

    @property
    def difference(self) -> Decimal:
        return self.after - self.before

    def add(self, before: Decimal, after: Decimal) -> None:
        self.before += before
        self.after += after
        self.positions += 1


@dataclass(slots=True)
class Preview:
    """What a campaign would do, in the order of the account tree."""

    positions: list[Position] = field(default_factory=list)

    @property
    def changing(self) -> list[Position]:
        return [position for position in self.positions if position.changes]

    @property
    def skipped(self) -> list[Position]:
        return [position for position in self.positions if not position.changes]

    def totals(self) -> dict[str, Total]:
        """By currency."""
        found: dict[str, Total] = defaultdict(Total)
        for position in self.changing:
            found[position.currency].add(position.mrr_before, position.mrr_after)
        return dict(sorted(found.items()))

    def by_account(self) -> dict[int, list[Position]]:
        found: dict[int, list[Position]] = defaultdict(list)
        for position in self.positions:
            found[position.tenant].append(position)
        return dict(found)


def preview(campaign: PriceCampaign, *, on: date) -> Preview:
    """What ``campaign`` would do if it were announced on ``on``; writes nothing."""
    found = Preview()
    selected = list(select(campaign).values_list("pk", flat=True))
    for at in range(0, len(selected), CHUNK):
        found.positions += propose(campaign, selected[at : at + CHUNK], on=on)
    return found


def seal(positions: Iterable[Position]) -> str:
    """A hash of what was shown, in whatever language, to be named when it is confirmed."""
    told = "\n".join(f"{one.subscription} {one.changes} {one.said()}" for one in positions)
    return sha256(told.encode()).hexdigest()


def propose(campaign: PriceCampaign, contracts: Sequence[int], *, on: date) -> list[Position]:
    """What the campaign, announced on ``on``, means for some contracts (their keys), in their order.

    Asks the same number of questions however many they are.
    """
    rows = Subscription.objects.select_related("tenant").in_bulk(list(contracts))
    book = read(campaign, list(rows.values()), on)
    found: list[Position] = []
    for key in contracts:
        if key in rows:
            found += _valued(list(_of_contract(campaign, rows[key], book, on)), book)
    return found


def _of_contract(campaign: PriceCampaign, contract: Subscription, book: Book, on: date) -> Iterator[Position]:
    """Its positions, as yet without their values."""
    by_line: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for item in book.items[contract.pk]:
        by_line[item["line"]].append(item)
    for line, own in by_line.items():
        running = [item for item in own if item["ends_before"] is None or item["ends_before"] > campaign.wanted_on]
        first = next((item for item in running if _is_wanted(campaign, item)), None)
        if first is not None:
            yield _of_line(campaign, contract, line, first, running, book, on)


def _is_wanted(campaign: PriceCampaign, item: Mapping[str, Any]) -> bool:
    return (
        item["interval"] != "once"
        and campaign.product_id in (None, item["product_id"])
        and campaign.price_id in (None, item["price_id"])
    )


def _of_line(
    campaign: PriceCampaign,
    contract: Subscription,
    line: int,
    item: Mapping[str, Any],
    running: Sequence[Mapping[str, Any]],
    book: Book,
    on: date,
) -> Position:
    found = Position(
        subscription=contract.pk,
        contract=contract.reference,
        tenant=contract.tenant_id,
        account=str(contract.tenant),
        line=line,
        product=item["product_id"],
        quantity=item["quantity"],
        currency=contract.currency,
        price_before=item["price_id"],
        terms_before=book.prices.get(item["price_id"]),
    )
    if contract.pk in book.refused:
        return replace(found, reason=book.refused[contract.pk])
    if item["id"] not in book.terms:
        return replace(found, reason=_("Its billing has not started yet."))
    if (contract.pk, line) in book.elsewhere:
        name, day = book.elsewhere[contract.pk, line]
        return replace(
            found,
            reason=_("The campaign “%(campaign)s” changes it on %(day)s.") % {"campaign": name, "day": _short(day)},
        )
    legal, held = _day_of(campaign, contract, line, item, running, book, on)
    if held is None or not _is_wanted(campaign, held):
        text = _("It has another product or price by %(day)s.") if held else _("It is over, or rests, by %(day)s.")
        return replace(found, steps=legal.steps, reason=text % {"day": _short(legal.day)})
    found = replace(
        found,
        product=held["product_id"],
        quantity=held["quantity"],
        price_before=held["price_id"],
        terms_before=book.prices[held["price_id"]],
        effective_on=legal.day,
        steps=legal.steps,
    )
    renewed_on = _renewed_first(contract, found, book, on)
    if campaign.rule != PriceCampaign.Rule.LIST and renewed_on is not None:
        text = _("Its renewal on %(day)s takes another price of the list first.")
        return replace(found, effective_on=None, reason=text % {"day": _short(renewed_on)})
    return _priced(campaign, contract, found, book)


def _day_of(
    campaign: PriceCampaign,
    contract: Subscription,
    line: int,
    item: Mapping[str, Any],
    running: Sequence[Mapping[str, Any]],
    book: Book,
    on: date,
) -> tuple[LegalDay, Mapping[str, Any] | None]:
    """The day, and what the position is then: another item may run by then, on other periods."""
    agreement = Agreement(
        term_from=contract.term_from or contract.starts_on,
        term_months=contract.term_months,
        renewal_months=contract.renewal_months,
        notice_days=contract.notice_days,
        extended_days=contract.extended_days,
    )
    for _turn in range(len(running) + 1):
        legal = legal_day(
            campaign.wanted_on,
            announced_on=on,
            notice_days=campaign.notice_days,
            agreement=agreement,
            grid=book.terms[item["id"]].schedule.grid,
            starts_on=item["starts_on"],
            charged_before=book.charged.get((contract.pk, line)),
            within_term=campaign.within_term,
        )
        following = next((one for one in running if _end(one, contract) > legal.day), None)
        if following is None or following["id"] == item["id"] or following["interval"] == "once":
            break
        item = following
    return legal, following


def _end(item: Mapping[str, Any], contract: Subscription) -> date:
    return min(item["ends_before"] or date.max, contract.ends_before or date.max)


def _priced(campaign: PriceCampaign, contract: Subscription, found: Position, book: Book) -> Position:
    """With its new price."""
    before = found.terms_before
    assert before is not None and found.effective_on is not None
    if campaign.rule == PriceCampaign.Rule.LIST:
        if found.price_before in book.agreed and not campaign.price_id:
            return replace(found, reason=_("Its price was agreed for this contract."))
        cell = campaign.new_price or _listed(contract, found, book, found.effective_on)
        if cell is None:
            return replace(
                found,
                reason=_("The price list has no price for it on %(day)s.") % {"day": _short(found.effective_on)},
            )
        if (cell.product_id, cell.currency) != (found.product, found.currency):
            return replace(found, reason=_("The price is one of another product or currency."))
        found = replace(found, price_after=cell.pk, terms_after=book.prices[cell.pk])
    elif campaign.rule == PriceCampaign.Rule.PERCENT:
        assert campaign.percent is not None
        after = by_percent(before, campaign.percent, places_of(found.currency))
        found = replace(found, terms_after=after)
    else:
        assert campaign.amount is not None
        if before.model is Model.PERCENTAGE:
            return replace(found, reason=_("Its price is a percentage: no amount can be added to it."))
        try:
            found = replace(found, terms_after=by_amount(before, campaign.amount))
        except ValueError:
            return replace(found, reason=_("The price would be below zero."))
    if found.price_after == found.price_before or found.terms_after == before:
        return replace(found, reason=_("It has this price already."))
    return found


def _listed(contract: Subscription, found: Position, book: Book, day: date) -> Price | None:
    for price in book.listed.get((found.product, contract.price_class_id, contract.currency), ()):
        if (price.starts_on or date.min) <= day < (price.ends_before or date.max):
            return price
    return None


def _renewed_first(contract: Subscription, found: Position, book: Book, on: date) -> date | None:
    """The first renewal before the change with which a price of the list gives way to the one that is valid then."""
    assert found.effective_on is not None
    if found.price_before in book.agreed or not contract.renewal_months:
        return None
    day, first = on, contract.term_from or contract.starts_on
    while True:
        term = term_on(day, first, contract.term_months, contract.renewal_months, None, contract.extended_days)
        if term is None or term.renews_on >= found.effective_on:
            return None
        price = _listed(contract, found, book, term.renews_on)
        if price is not None and price.pk != found.price_before:
            return term.renews_on
        day = term.renews_on


def _valued(positions: list[Position], book: Book) -> list[Position]:
    """The positions of one contract with what they add to its monthly value once all have changed."""
    changing = [position for position in positions if position.changes]
    if not changing:
        return positions
    day = max(position.effective_on for position in changing if position.effective_on)
    before, after = ([values[position.line] for position in changing] for values in values_on(changing, book, day))
    places = places_of(changing[0].currency)
    valued = {
        position.line: replace(
            position,
            value_before=old,
            value_after=new,
            mrr_before=rounded(old, places),
            mrr_after=rounded(new, places),
        )
        for position, old, new in zip(changing, before, after, strict=True)
    }
    return [valued.get(position.line, position) for position in positions]


def values_on(changing: Sequence[Position], book: Book, day: date) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """What each position that changes adds to the value of its contract on ``day``, without and with the change.

    Positions may share a discount; so each is added to those before it, and the parts make up the whole.
    """
    items = [item for item in book.items[changing[0].subscription] if item["id"] in book.terms]
    lines = {position.line: position for position in changing}
    others = [book.terms[item["id"]] for item in items if item["line"] not in lines]
    old = {line: [book.terms[item["id"]] for item in items if item["line"] == line] for line in lines}
    new = {
        line: [_repriced(book, item, position) for item in items if item["line"] == line]
        for line, position in lines.items()
    }
    return _parts(others, old, day), _parts(others, new, day)


def _repriced(book: Book, item: Mapping[str, Any], position: Position) -> ItemTerms:
    """The item at the new price, if it has the old one and runs on or after the day of the change."""
    terms = book.terms[item["id"]]
    assert position.effective_on is not None and position.terms_after is not None
    ends_before = item["ends_before"] or date.max
    if item["price_id"] != position.price_before or ends_before <= position.effective_on:
        return terms
    return replace(terms, price=position.terms_after)


def _parts(others: list[ItemTerms], lines: Mapping[int, list[ItemTerms]], day: date) -> dict[int, Fraction]:
    held = list(others)
    last = monthly_value(held, day) if held else NOTHING
    parts = {}
    for line, own in lines.items():
        held += own
        value = monthly_value(held, day)
        parts[line], last = value - last, value
    return parts


def figures_of(price: PriceTerms | None) -> Figures:
    """A price as it is stored with a change and printed: its tiers."""
    if price is None:
        return []
    bounds = [plain(tier.floor) for tier in price.tiers[1:]] + [""]
    return [
        [bound, plain(tier.unit_price), plain(tier.flat_amount)]
        for bound, tier in zip(bounds, price.tiers, strict=True)
    ]


def _short(day: date) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")
