"""The usage statements of a document: per account, application and period what was counted, and how it was priced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from babel.dates import format_datetime
from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from invoicing.einvoice.facts import DocumentFacts, LineFacts, UsageFacts
from invoicing.kernel.printing import Part, decimals_of, reckoning
from invoicing.pdf import paper
from invoicing.pdf.letter import address
from invoicing.pdf.lines import steps_of
from invoicing.pdf.wording import Wording

INSTANTS = {"de": "dd.MM.yyyy, HH:mm zzz", "en": "d MMM yyyy, HH:mm zzz"}


def usage_statements(facts: DocumentFacts, wording: Wording, colour: str) -> list[Flowable]:
    """Nothing where the document charges no usage."""
    lines = sorted((line for line in facts.lines if line.usage is not None), key=_belongs)
    return [part for _key, own in groupby(lines, key=_belongs) for part in statement(facts, list(own), wording, colour)]


def _belongs(line: LineFacts) -> tuple[Any, ...]:
    usage = _usage_of(line)
    return usage.account.reference, usage.application, line.starts_on, line.last_day


def _usage_of(line: LineFacts) -> UsageFacts:
    assert line.usage is not None
    return line.usage


def statement(facts: DocumentFacts, lines: Sequence[LineFacts], wording: Wording, colour: str) -> Iterator[Flowable]:
    """One account's usage of one application in one period: head, columns, a row per meter with its tiers, the sum."""
    first = _usage_of(lines[0])
    head = [_("Usage"), _("Events"), _("Quantity"), _("Unit price"), _("Amount") + " " + facts.currency]
    grid = paper.Grid(head, [79 * mm, 18 * mm, 22 * mm, 21 * mm, 25 * mm], right_from=1, colour=colour)
    for line in lines:
        for row in rows_of(line, wording):
            grid.add(row.cells, rule=row.is_last)
            if not row.is_first:
                grid.stay_with_previous()
    total = wording.amount(sum((line.net for line in lines), Decimal(0)))
    events = sum(_usage_of(line).events for line in lines)
    grid.add([_("Sum of the usage"), wording.number(Decimal(events)), "", "", total], bold=True)
    grid.stay_with_previous()
    heading = _("Usage statement %(application)s") % {"application": first.application}
    spacer, room, title, table = paper.headed(heading, grid.table(), colour)
    yield from (spacer, room, title)
    yield paper.rich(first.account.name, list(particulars(facts, lines[0], wording)))
    yield Spacer(1, 4)
    yield table


def particulars(facts: DocumentFacts, line: LineFacts, wording: Wording) -> Iterator[str]:
    """Account, address, contact, period, and when the usage was counted."""
    usage = _usage_of(line)
    account = usage.account
    yield ", ".join(
        [
            _("Customer no. %(reference)s") % {"reference": account.reference},
            *address(account, facts.seller, wording)[1:],
        ]
    )
    if account.email:
        yield _("Contact: %(contact)s") % {"contact": account.email}
    yield _("Period: %(days)s") % {"days": wording.days(line.starts_on, line.last_day)}
    counted = format_datetime(usage.counted_at, INSTANTS[wording.language], locale=wording.language)
    yield _("Counted on: %(instant)s") % {"instant": counted}


class Row:
    """Cells of a row; what belongs to one meter stays together under one hairline."""

    def __init__(self, cells: list[Any], *, is_first: bool = False) -> None:
        self.cells = cells
        self.is_first = is_first
        self.is_last = False


def rows_of(line: LineFacts, wording: Wording) -> list[Row]:
    """The meter with its count and sum, then each tier, the free quantity, and each step to the amount."""
    usage = _usage_of(line)
    about = [way_of(usage), _("Contract %(reference)s") % {"reference": line.contract}]
    if usage.before is not None:
        facts = {"before": wording.quantity(usage.before, line.unit)}
        about.append(_("late usage: of the quantity %(before)s was charged before") % facts)
    name = usage.meter if usage.meter == line.text else f"{line.text} ({usage.meter})"
    quantity = wording.quantity(usage.quantity, line.unit)
    rows = [
        Row(
            [paper.rich(name, about), wording.number(Decimal(usage.events)), quantity, "", wording.amount(line.net)],
            is_first=True,
        ),
        *(Row(cells) for cells in sub_lines(line, usage, wording)),
    ]
    rows[-1].is_last = True
    return rows


def sub_lines(line: LineFacts, usage: UsageFacts, wording: Wording) -> Iterator[list[Any]]:
    explanation = line.explanation
    if usage.quota:
        facts = {
            "used": wording.quantity(explanation.free, line.unit),
            "quota": wording.quantity(usage.quota, line.unit),
        }
        yield small(_("free of charge: %(used)s of %(quota)s used") % facts)
    if explanation.full is None:
        return
    parts = explanation.parts
    if isinstance(explanation.unit_price, Decimal):
        parts = (Part(usage.quantity, explanation.unit_price, explanation.full),)
    for number, part in enumerate(parts, 1):
        yield part_cells(part, number if len(parts) > 1 else 0, line, wording)
    if len(parts) > 1:
        yield small(
            _("Subtotal"), amount=wording.figure(explanation.full, decimals_of(explanation.full, wording.places))
        )
    way = reckoning(explanation.full, explanation.steps, line.net, wording.places)
    if way is not None:
        for label, figure in steps_of(way, wording):
            yield small(label, amount=figure)


def part_cells(part: Part, tier: int, line: LineFacts, wording: Wording) -> list[Any]:
    amount = wording.figure(part.amount, decimals_of(part.amount, wording.places))
    label = _("tier %(number)d") % {"number": tier} if tier else _("priced")
    if part.unit_price is None:
        return small(_("flat amount"), quantity=wording.quantity(part.quantity, line.unit), amount=amount)
    price = wording.figure(part.unit_price, decimals_of(part.unit_price, wording.places))
    if part.package_size is None:
        return small(label, quantity=wording.quantity(part.quantity, line.unit), price=price, amount=amount)
    size = wording.quantity(part.package_size, line.unit)
    label = _("Packages of %(size)s") % {"size": size}
    return small(label, quantity=wording.number(part.quantity), price=price, amount=amount)


def small(label: str, *, quantity: str = "", price: str = "", amount: str = "") -> list[Any]:
    return [paper.aside(label), "", quantity, price, amount]


def way_of(usage: UsageFacts) -> str:
    """How the events became the quantity, with the name of the property that was counted."""
    name = {"property": usage.property}
    if not usage.property:
        return {
            "count": _("number of events"),
            "sum": _("sum of the quantities"),
            "maximum": _("highest quantity"),
            "last": _("last quantity"),
        }[usage.way]
    return {
        "sum": _("sum of “%(property)s”"),
        "maximum": _("highest “%(property)s”"),
        "last": _("last “%(property)s”"),
        "unique": _("different values of “%(property)s”"),
    }[usage.way] % name
