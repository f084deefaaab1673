"""Issued documents reckoned again, from what was stored when they arose and from the rows they rest on; compared.

Each charge is evaluated from its trace, and reckoned anew from its position, price and discounts; then lines, sections,
VAT, totals, the hash of the content and its link in the chain. Nothing is written. A price, a discount, a trace or a
line that was changed behind the guards is a difference; what contracts became afterwards is none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import charging
from billing.kernel.charges import Proration, discounted, share_of
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.evaluation import evaluate
from billing.kernel.metered import QUANTITY_PLACES
from billing.kernel.money import places_of, plain, rounded
from billing.kernel.period import Period, months_after
from billing.kernel.pricing import PriceTerms, prorated, rate
from billing.kernel.schedule import Grid, Interval, Unit
from invoicing import allowances, correction, stored, taxation
from invoicing.kernel import vat
from invoicing.kernel.content import chained
from invoicing.kernel.taxation import NoPercentage, Percentage, percentage
from invoicing.kernel.totals import Share, Totals, totals
from invoicing.stored import Document
from tenants.errors import OperatorError

CHARGES: Final = """
    select l.invoice_id, l.position, c.starts_on, c.ends_before, c.quantity, c.currency, c.net, c.trace,
           i.quantity, i.interval, i.proration, i.price_id, s.billing_day, s.id, o.vat_case, o.vat_rate
      from invoicing_line l
      join billing_charge c on c.id = l.charge_id
      join billing_item i on i.id = c.item_id
      join billing_subscription s on s.id = i.subscription_id
      left join invoicing_line o on o.charge_id = coalesce(c.corrects_id, c.reverses_id)
     where l.invoice_id = any(%s)
"""
CHAINS: Final = """
    select i.id, i.chain_hash, coalesce(p.chain_hash, '')
      from invoicing_invoice i
      left join invoicing_invoice p on p.range_id = i.range_id and p.sequence = i.sequence - 1
     where i.id = any(%s) and i.range_id is not null
"""
# Positions of a contract share a fixed discount: the first one of a period has all of it, the next what is left.
SHARED: Final = """
    select i.subscription_id, d ->> 3, max((d ->> 1)::numeric)
      from billing_item i
      join billing_charge c on c.item_id = i.id
     cross join lateral jsonb_array_elements(c.trace -> 'discounts') d
     where i.subscription_id = any(%s) and jsonb_exists(c.trace, 'discounts') and d ->> 0 = 'fixed'
     group by i.subscription_id, d ->> 3
"""
DISCOUNTS: Final = """
    select reference, kind, coalesce(percent, amount) from billing_discount where reference = any(%s)
"""

# What a price says, in the words of a trace
PRICE_WORDS: Final = {
    "model": _("price model"),
    "tiers": _("tiers"),
    "package_size": _("package size"),
    "minimum": _("minimum"),
    "cap": _("maximum"),
    "free_quota": _("free quantity"),
}
TRACE_WORDS: Final = {
    "committed": _("minimum commitment"),
    "slices": _("sum of the tiers"),
    "list": _("price for a whole period"),
    "share": _("share of the period"),
    "discounts": _("discount"),
    "exact": _("exact amount"),
    "net": _("net"),
    "trace": _("trace"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of a document, or of the line at ``position``, that does not come out as it stands there."""

    document: str
    position: int | None
    figure: str
    stands: str
    replayed: str

    def __str__(self) -> str:
        words = {"figure": self.figure, "stands": self.stands, "replayed": self.replayed, "document": self.document}
        if self.position is None:
            return gettext("%(document)s, %(figure)s: %(stands)s, replayed %(replayed)s") % words
        words["position"] = str(self.position)
        return gettext("%(document)s, line %(position)s, %(figure)s: %(stands)s, replayed %(replayed)s") % words


Found = tuple[str, Any, Any]  # figure, as it stands, as replayed


@dataclass(frozen=True, slots=True)
class LineCharge:
    """The charge of a line with what it rests on."""

    position: int
    starts_on: date
    ends_before: date
    quantity: Decimal
    currency: str
    net: Decimal
    trace: Mapping[str, Any]
    item_quantity: Decimal
    interval: str
    proration: str
    price: int
    billing_day: int | None
    contract: int
    original_case: str | None = None  # of the line that it gives back
    original_rate: Decimal | None = None

    @property
    def period(self) -> Period:
        return Period(self.starts_on, self.ends_before)


@dataclass(frozen=True, slots=True)
class Basis:
    """What the charges of a chunk rest on: prices, or why they cannot be read; discounts by reference; the most that a
    contract ever had of a fixed one in a period, by contract and reference.
    """

    prices: Mapping[int, PriceTerms]
    refusals: Mapping[int, str]
    discounts: Mapping[str, tuple[str, Decimal]]
    most: Mapping[tuple[int, str], Decimal]
    rates: Sequence[Percentage]


@dataclass(slots=True)
class Replayed:
    """One document and what does not come out."""

    number: str
    differences: list[Difference]


def replay(keys: Sequence[int] | None = None) -> Iterator[Replayed]:
    """Every issued document, or those of ``keys``, in the order of their keys; a fixed number of queries per chunk."""
    for documents in stored.chunks(keys):
        issued = {key: document for key, document in documents.items() if document.head[2] == "issued"}
        charges = _charges(list(issued))
        basis = _basis([charge for own in charges.values() for charge in own])
        chains = _chains(list(issued))
        by_hand = correction.reckoned(list(issued))
        for key, document in issued.items():
            number = document.head[1]
            found = [
                *_document_differences(document, chains.get(key), by_hand.get(key)),
                *_line_differences(document, charges.get(key, []), basis),
            ]
            yield Replayed(number, [Difference(number, position, *figure) for position, figure in found])


def _charges(keys: Sequence[int]) -> dict[int, list[LineCharge]]:
    charges: dict[int, list[LineCharge]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(CHARGES, [list(keys)])
        for document, *columns in cursor.fetchall():
            columns[6] = json.loads(columns[6])
            charges[document].append(LineCharge(*columns))
    return charges


def _chains(keys: Sequence[int]) -> dict[int, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(CHAINS, [list(keys)])
        return {key: (chain, previous) for key, chain, previous in cursor.fetchall()}


def _basis(charges: Sequence[LineCharge]) -> Basis:
    prices, refusals = _prices(sorted({charge.price for charge in charges}))
    named = {step[3] for charge in charges for step in charge.trace.get("discounts", ())}
    with connection.cursor() as cursor:
        cursor.execute(DISCOUNTS, [list(named)])
        discounts = {reference: (kind, value) for reference, kind, value in cursor.fetchall()}
        cursor.execute(SHARED, [list({charge.contract for charge in charges if "discounts" in charge.trace})])
        most = {(contract, reference): value for contract, reference, value in cursor.fetchall()}
    return Basis(prices, refusals, discounts, most, taxation.rates_of_all())


def _prices(keys: Sequence[int]) -> tuple[dict[int, PriceTerms], dict[int, str]]:
    """Halved down to the price that cannot be read."""
    try:
        return charging.price_terms(set(keys)), {}
    except OperatorError as refusal:
        if len(keys) == 1:
            return {}, {keys[0]: str(refusal)}
        middle = len(keys) // 2
        prices, refusals = _prices(keys[:middle])
        more, others = _prices(keys[middle:])
        return prices | more, refusals | others


# Documents


def _document_differences(
    document: Document, chain: tuple[str, str] | None, by_hand: Totals | None
) -> Iterator[tuple[int | None, Found]]:
    number, currency, vat_case = document.head[1], document.head[7], document.head[10]
    net, vat_amount, gross = document.head[11:14]
    nets: dict[Any, Decimal] = defaultdict(Decimal)
    for line in document.lines:
        nets[line[1]] += line[9]
    for position, _name, section_net, _code, _currency in document.sections:
        if section_net != nets[position]:
            yield None, (gettext("sum of section %s") % position, section_net, nets[position])
    try:
        reckoned = by_hand or totals(document.nets(), places_of(currency))
        kept = tuple(Share(vat.Case(case), rate, base, part) for case, rate, base, part, *_ in document.shares)
    except (ValueError, ArithmeticError) as error:
        yield None, (gettext("totals"), "", error)
        return
    for text, given, reckoned_anew in allowances.deviations(document.allowances, places_of(currency)):
        yield None, (gettext("discount %s") % text, given, reckoned_anew)
    for share in set(kept) ^ set(reckoned.shares):
        figure = gettext("VAT at %s percent") % plain(share.rate)
        yield None, (figure, *_either(share, kept))
    for figure, stands, replayed in (
        (gettext("net"), net, reckoned.net),
        (gettext("VAT"), vat_amount, reckoned.vat),
        (gettext("gross"), gross, reckoned.gross),
        (gettext("VAT case"), vat_case, _case(document)),
        (gettext("hash of the content"), document.head[15], stored.content_hash(document)),
    ):
        if stands != replayed:
            yield None, (figure, stands, replayed)
    if chain is not None and chain[0] != (link := chained(chain[1], number, document.head[15])):
        yield None, (gettext("hash of the chain"), chain[0], link)


def _either(share: Share, kept: Sequence[Share]) -> tuple[str, str]:
    told = f"{share.vat} ({share.base})"
    return (told, "–") if share in kept else ("–", told)


def _case(document: Document) -> str | None:
    """By the tax rules it names; of an older one by its countries, and the case says whether a VAT id was valid."""
    if (by_rule := document.case_by_rule()) is not None:
        return by_rule
    parties = json.loads(document.head[14])
    try:
        is_reverse_charge = document.head[10] == vat.Case.REVERSE_CHARGE.value
        return vat.case_of(
            parties["seller"]["country"], parties["buyer"]["country"], buyer_vat_id_is_valid=is_reverse_charge
        ).value
    except (KeyError, TypeError, ValueError):
        return None


# Lines


def _line_differences(
    document: Document, charges: Sequence[LineCharge], basis: Basis
) -> Iterator[tuple[int | None, Found]]:
    by_position = {charge.position: charge for charge in charges}
    for (
        position,
        _section,
        _text,
        quantity,
        _unit,
        start,
        end,
        case,
        vat_rate,
        net,
        _details,
        currency,
    ) in document.lines:
        charge = by_position.get(position)
        if charge is None:  # given back by hand: its rates are those of the line it corrects, its net is a decision
            continue
        compared = [
            (gettext("net"), net, charge.net),
            (gettext("quantity"), quantity, charge.quantity),
            (gettext("first day of service"), start, charge.starts_on),
            (gettext("first day no longer covered"), end, charge.ends_before),
            (gettext("currency"), currency, charge.currency),
            (gettext("VAT case"), case, document.head[10]),
        ]
        yield from ((position, found) for found in compared if found[1] != found[2])
        if charge.original_rate is not None:
            if (case, vat_rate) != (charge.original_case, charge.original_rate):
                then = f"{charge.original_case} {plain(charge.original_rate)}"
                yield position, (gettext("VAT of the corrected line"), f"{case} {plain(vat_rate)}", then)
        elif vat_rate not in (legal := _legal_rates(document, case, charge.period.last_day, basis.rates)):
            yield position, (gettext("VAT rate"), vat_rate, " / ".join(map(plain, legal)))
        yield from ((position, found) for found in _charge_differences(charge, basis))


def _legal_rates(document: Document, case: str, last_day: date, rates: Sequence[Percentage]) -> list[Decimal]:
    """The rates of the country of the VAT that hold on a day."""
    if case != vat.Case.STANDARD:
        return [vat.NO_RATE]
    home = json.loads(document.head[14]).get("seller", {}).get("country", "")
    country = next((share[4] for share in document.shares if share[4]), home)
    kinds = {rate.kind for rate in rates if rate.country == country}
    found = set()
    for kind in kinds:
        with suppress(NoPercentage):
            found.add(percentage(rates, country, kind, last_day))
    return sorted(found)


def _charge_differences(charge: LineCharge, basis: Basis) -> Iterator[Found]:
    trace = charge.trace
    for deviation in evaluate(trace, places_of(charge.currency)):
        word = TRACE_WORDS.get(deviation.figure, deviation.figure)
        yield gettext("%s in the trace") % word, deviation.stored, deviation.follows
    if trace.get("net") is not None and Decimal(trace["net"]) != charge.net:
        yield gettext("charge"), charge.net, trace["net"]
    if "price" not in trace:
        return
    if charge.price in basis.refusals:
        yield gettext("price"), trace["price"].get("key", ""), basis.refusals[charge.price]
        return
    try:
        found = list(_reckoned_anew(charge, basis))
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError) as error:
        found = [(gettext("trace"), "", error)]  # of a form that is not known; the evaluation above names it, too
    yield from found


def _reckoned_anew(charge: LineCharge, basis: Basis) -> Iterator[Found]:
    """What the charge would be by its position, its price and its discounts as they are now."""
    trace = charge.trace
    price = prorated(basis.prices[charge.price], Fraction(trace["price"].get("prorated", 1)))
    yield from _price_differences(trace["price"], price.trace)
    if "usage" in trace:
        quantity = Decimal(trace["quantity"])  # what was used then: the meter may have counted more since
        more = rounded(quantity, QUANTITY_PLACES) - Decimal(trace.get("before", 0))
        if charge.quantity != more:
            yield gettext("quantity"), charge.quantity, plain(more)
    else:
        quantity = charge.item_quantity
    if Decimal(trace["quantity"]) != quantity:
        yield gettext("quantity"), trace["quantity"], plain(charge.item_quantity)
    share, grid = Fraction(1), _grid(charge)
    if "share" in trace:
        nominal, days = (Period(*map(date.fromisoformat, trace[key])) for key in ("nominal", "days"))
        if grid is None:
            yield gettext("period"), f"{nominal.start} – {nominal.last_day}", charge.interval
            return
        if trace["policy"] != charge.proration:
            yield gettext("parts of a period"), trace["policy"], charge.proration
        share = share_of(days, nominal, Proration(charge.proration), grid)
        if share != Fraction(trace["share"]):
            yield gettext("share of the period"), trace["share"], share
    elif "usage" not in trace and grid is None and "booked" not in trace and charge.proration != Proration.NONE:
        yield gettext("period"), f"{charge.starts_on} – {charge.period.last_day}", charge.interval
    discounts = []
    for kind, value, _step, key in trace.get("discounts", ()):
        known, held = basis.discounts.get(key), Decimal(value)
        if known is None or known[0] != kind.removeprefix("stacked_"):
            yield gettext("discount %s") % key, value, "–" if known is None else plain(known[1])
            return
        stands = known[1]
        if kind == "fixed" and held < basis.most.get((charge.contract, key), held):
            stands = held  # what the positions before it have left
        if stands != held:
            yield gettext("discount %s") % key, value, plain(stands)
        discounts.append(DiscountTerms(DiscountKind(known[0]), stands, stacked=kind.startswith("stacked_"), key=key))
    amount = rate(price, quantity).amount
    whole = amount if share == 1 else Fraction(amount) * share
    net = discounted(whole, discounts, places_of(charge.currency), {}).net - Decimal(trace.get("booked", 0))
    if "part" not in trace and net != charge.net:
        yield gettext("net by position, price and discounts"), charge.net, net


def _price_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Found]:
    for name in sorted((then.keys() | now.keys()) - {"key"}):
        if then.get(name) != now.get(name):
            word = PRICE_WORDS.get(name, name)
            yield gettext("%s of the price") % word, _told(then.get(name)), _told(now.get(name))


def _told(figure: Any) -> str:
    if isinstance(figure, list):
        return "; ".join(" ".join(map(str, row)) if isinstance(row, list) else str(row) for row in figure)
    return "–" if figure is None else str(figure)


def _grid(charge: LineCharge) -> Grid | None:
    """A grid of the position's interval that has the charge's nominal period; ``None`` if there is none.

    The contract may have had another billing day then, so that the period itself says where it begins.
    """
    interval = Interval.parse(charge.interval)
    trace, nominal = charge.trace, charge.period
    if "nominal" in trace:
        nominal = Period(*map(date.fromisoformat, trace["nominal"]))
    if interval.unit is Unit.ONCE:
        return Grid.anniversary(interval, nominal.start)
    for day in {charge.billing_day or nominal.start.day, nominal.start.day, 29, 30, 31}:
        if interval.months and months_after(nominal.start, 0, day) != nominal.start:
            continue
        grid = Grid(interval, nominal.start, day)
        if grid.period(0) == nominal:
            return grid
    return None
