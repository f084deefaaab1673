"""The table of a document's lines, and how each amount was reckoned."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from invoicing.einvoice.facts import (
    DocumentFacts,
    LineFacts,
)
from invoicing.kernel.printing import Part, Reckoning, Step, StepKind, decimals_of, reckoning, shown_price
from invoicing.pdf import paper
from invoicing.pdf.letter import squeezed
from invoicing.pdf.wording import Wording


def lines_table(facts: DocumentFacts, wording: Wording, colour: str) -> list[Flowable]:
    mixed = len(facts.vat) > 1
    head = [_("Pos."), _("Service"), _("Quantity"), _("Unit price"), _("Amount") + " " + facts.currency]
    widths = [11 * mm, 87 * mm, 20 * mm, 22 * mm, 25 * mm]
    if mixed:
        head.insert(4, _("VAT"))
        widths = [11 * mm, 75 * mm, 20 * mm, 22 * mm, 12 * mm, 25 * mm]
    grid = paper.Grid(head, widths, right_from=2, colour=colour)
    for section in facts.sections:
        if facts.is_consolidated:
            name = f"{section.tenant_name} ({section.tenant_reference})"
            if section.project_code:
                name += " · " + _("Project %(code)s") % {"code": section.project_code}
            grid.add([paper.plain(name, font=paper.BOLD)], bold=True, tint=True)
        for position, line in enumerate(section.lines):
            grid.add(line_cells(facts, line, wording, mixed=mixed))
            if facts.is_consolidated and position == 0:
                grid.stay_with_previous()
        if facts.is_consolidated:
            blanks = [""] * (len(head) - 2)
            subtotal = _("Subtotal %(name)s") % {"name": section.tenant_name}
            amount = wording.amount(section.net)
            grid.add([*blanks, paper.one_line(subtotal, 135 * mm, paper.BOLD), amount], bold=True)
            grid.stay_with_previous()
    return [grid.table()]


def line_cells(facts: DocumentFacts, line: LineFacts, wording: Wording, *, mixed: bool) -> list[Any]:
    price, said = price_of(line, wording)
    period = wording.days(line.starts_on, line.last_day)
    if line.contract:
        period += " · " + _("Contract %(reference)s") % {"reference": line.contract}
    details = [period, *said]
    if line.corrects and line.corrects != facts.original:
        values = {"number": line.corrects.number, "day": wording.day(line.corrects.issued_on)}
        details.append(_("Corrects invoice %(number)s of %(day)s") % values)
    cells = [str(line.position), paper.rich(line.text, details), wording.quantity(line.quantity, line.unit), price]
    if mixed:
        cells.append(wording.percent(line.vat_rate))
    return [*cells, wording.amount(line.net)]


def price_of(line: LineFacts, wording: Wording) -> tuple[str, list[str]]:
    """What stands under "unit price", and how the amount was reckoned where it is not quantity times that price."""
    explanation = line.explanation
    if explanation.unit_price is not None and not explanation.steps:
        price = shown_price(explanation.unit_price, line.quantity, line.net, wording.places)
        return (wording.figure(price, decimals_of(price, wording.places)) if price is not None else ""), []
    if explanation.full is None:
        return "", []
    way = reckoning(explanation.full, explanation.steps, line.net, wording.places)
    if way is None:
        labels = [step_label(step, wording) for step in explanation.steps]
        return "", [*labels, _("Parts of the period are balanced to the cent.")]
    flat = not explanation.steps and all(part.unit_price is None for part in explanation.parts)
    return _("flat rate") if flat else "", list(reckoned(line, way, wording))


def reckoned(line: LineFacts, way: Reckoning, wording: Wording) -> Iterator[str]:
    explanation = line.explanation
    if explanation.free:
        yield _("%(quantity)s free of charge") % {"quantity": wording.quantity(explanation.free, line.unit)}
    if isinstance(explanation.unit_price, Decimal):
        yield product(line.quantity, explanation.unit_price, way.full, wording)
    for part in explanation.parts:
        yield part_text(part, line.unit, wording)
    if explanation.steps and explanation.unit_price is None and len(explanation.parts) != 1:
        yield _("Price of the period: %(amount)s") % {"amount": wording.figure(way.full, way.decimals)}
    yield from steps_text(way, wording)


def product(quantity: Decimal, price: Decimal, amount: Decimal, wording: Wording) -> str:
    shown = wording.figure(price, decimals_of(price, wording.places))
    return f"{wording.number(quantity)} × {shown} = {wording.figure(amount, decimals_of(amount, wording.places))}"


def part_text(part: Part, unit: str, wording: Wording) -> str:
    if part.unit_price is None:
        values = {
            "quantity": wording.quantity(part.quantity, unit),
            "amount": wording.figure(part.amount, decimals_of(part.amount, wording.places)),
        }
        return _("Flat amount for %(quantity)s: %(amount)s") % values
    if part.package_size is None:
        return product(part.quantity, part.unit_price, part.amount, wording)
    size = wording.quantity(part.package_size, unit)
    return (
        _("Packages of %(size)s") % {"size": size}
        + ": "
        + product(part.quantity, part.unit_price, part.amount, wording)
    )


def steps_text(way: Reckoning, wording: Wording) -> Iterator[str]:
    return (f"{label}: {figure}" for label, figure in steps_of(way, wording))


def steps_of(way: Reckoning, wording: Wording) -> Iterator[tuple[str, str]]:
    """What each step that bit is called, and the figure it adds, takes off or leads to."""
    for shown in way.steps:
        if shown.step.kind in (StepKind.MINIMUM, StepKind.CAP) and not shown.change:
            continue  # it did not bite
        sets = shown.step.kind in (StepKind.MINIMUM, StepKind.CAP, StepKind.SHARE)
        figure = shown.remains if sets else shown.change
        yield step_label(shown.step, wording), wording.figure(figure, way.decimals)


def step_label(step: Step, wording: Wording) -> str:
    match step.kind:
        case StepKind.MINIMUM:
            return _("Minimum charge")
        case StepKind.CAP:
            return _("Maximum charge")
        case StepKind.SHARE if step.days:
            return _("for %(days)s of %(whole)s days") % {"days": step.days[0], "whole": step.days[1]}
        case StepKind.SHARE:
            share = {"part": step.value.numerator, "whole": step.value.denominator}
            return _("for %(part)s/%(whole)s of the period") % share
        case StepKind.PERCENT | StepKind.STACKED_PERCENT:
            percent = wording.percent(step.value)
            if squeezed(percent) in squeezed(step.reason):
                return step.reason
            label = _("%(percent)s discount") % {"percent": percent}
            return f"{label} ({step.reason})" if step.reason else label
        case StepKind.FIXED:
            return step.reason or _("Discount")
        case StepKind.BOOKED:
            return _("already charged")
