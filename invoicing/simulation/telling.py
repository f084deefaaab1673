"""A simulation as data for machines, and as tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from babel.numbers import format_decimal
from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from billing.kernel.money import places_of
from billing.models import Amendment
from invoicing.models import Invoice
from invoicing.simulation.running import SimulatedDocument, SimulatedLine, Simulation

WIDE = 60


def as_json(simulation: Simulation) -> str:
    """Everything; amounts and days are texts, so that no reader makes binary fractions of them."""
    data: dict[str, Any] = {
        "title": simulation.title,
        "amendments": [_plain(one) for one in simulation.amendments],
        "refused": simulation.refused,
        "runs": [_plain(run) for run in simulation.runs],
        "totals": {
            currency: {
                name: _figure(sum_, places_of(currency))
                for name, sum_ in zip(("net", "vat", "gross"), sums, strict=True)
            }
            for currency, sums in simulation.totals.items()
        },
    }
    for run in data["runs"]:
        run["parked"] = [{"payer": payer, "reason": reason} for payer, reason in run["parked"]]
    return json.dumps(data, ensure_ascii=False, indent=2)


AMOUNTS = {"net", "vat", "gross", "base", "amount"}


def _plain(record: Any, currency: str = "") -> dict[str, Any]:
    """Of a dataclass, its parts included; amounts with the places of the document's currency."""
    currency = getattr(record, "currency", currency)
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(record)):
        value = getattr(record, name)
        if name in AMOUNTS:
            value = _figure(value, places_of(currency))
        elif isinstance(value, Decimal):
            value = f"{value.normalize():f}"
        elif isinstance(value, date):
            value = value.isoformat()
        elif isinstance(value, list) and value and hasattr(value[0], "__dataclass_fields__"):
            value = [_plain(one, currency) for one in value]
        found[name] = value
    return found


def _figure(amount: Decimal, places: int) -> str:
    return f"{amount:.{places}f}"


def as_tables(simulation: Simulation) -> Iterator[str]:
    """Line by line, in the active language."""
    if simulation.title:
        yield simulation.title
        yield ""
    for one in simulation.amendments:
        yield _("%(day)s  contract %(contract)s: %(kind)s, effective %(effective)s") % {
            "day": _day(one.on),
            "contract": one.contract,
            "kind": Amendment.Kind(one.kind).label,
            "effective": _day(one.effective_on),
        }
    yield from simulation.refused
    if simulation.amendments or simulation.refused:
        yield ""
    for run in simulation.runs:
        count = len(run.documents)
        yield _("Run through %(through)s, invoice date %(issue_on)s: %(result)s") % {
            "through": _day(run.through),
            "issue_on": _day(run.issue_on),
            "result": ngettext("%(count)d document", "%(count)d documents", count) % {"count": count},
        }
        for payer, reason in run.parked:
            yield "  " + _("%(payer)s cannot be billed: %(reason)s") % {"payer": payer, "reason": reason}
        for document in run.documents:
            yield ""
            yield from _document(document)
        yield ""
    for currency, (net, vat, gross) in simulation.totals.items():
        yield _("Sum of %(currency)s: net %(net)s, VAT %(vat)s, gross %(gross)s") % {
            "currency": currency,
            "net": _money(net, currency),
            "vat": _money(vat, currency),
            "gross": _money(gross, currency),
        }


def _document(document: SimulatedDocument) -> Iterator[str]:
    number = document.number or Invoice.State(document.state).label
    heading = f"  {Invoice.Kind(document.kind).label} {number} · {document.recipient}"
    if document.payer != document.recipient:
        heading += " · " + _("paid by %(payer)s") % {"payer": document.payer}
    yield heading + " · " + _("due %(day)s") % {"day": _day(document.due_on)}
    headings = (_("contract"), _("text"), _("days"), _("quantity"), _("VAT"), _("net"))
    rows = [_row(line, document.currency) for line in document.lines]
    widths = [max(len(row[n]) for row in (headings, *rows)) for n in range(len(headings))]
    yield _aligned(headings, widths)
    for line, row in zip(document.lines, rows, strict=True):
        yield _aligned(row, widths)
        if line.corrects:
            yield "      " + _("takes back part of %(number)s") % {"number": line.corrects}
        for sentence in line.explanation:
            yield f"      {sentence}"
    for allowance in document.allowances:
        yield "    " + _("Discount %(name)s on %(base)s: %(amount)s") % {
            "name": allowance.text,
            "base": _money(allowance.base, document.currency),
            "amount": _money(-allowance.amount, document.currency),
        }
    for share in document.vat_shares:
        yield "    " + _("VAT %(rate)s %% on %(base)s: %(vat)s") % {
            "rate": _number(share.rate),
            "base": _money(share.base, document.currency),
            "vat": _money(share.vat, document.currency),
        }
    yield "    " + _("net %(net)s + VAT %(vat)s = %(gross)s") % {
        "net": _money(document.net, document.currency),
        "vat": _money(document.vat, document.currency),
        "gross": f"{_money(document.gross, document.currency)} {document.currency}",
    }


def _row(line: SimulatedLine, currency: str) -> tuple[str, ...]:
    text = line.text if len(line.text) <= WIDE else f"{line.text[: WIDE - 1]}…"
    last = line.ends_before - timedelta(days=1)
    days = _day(line.starts_on) if last == line.starts_on else f"{_day(line.starts_on)} – {_day(last)}"
    contract = f"{line.section} / {line.contract}" if line.section else line.contract
    return (contract, text, days, _number(line.quantity), f"{_number(line.vat_rate)} %", _money(line.net, currency))


def _aligned(cells: Sequence[str], widths: Iterable[int]) -> str:
    """Texts to the left, the last three columns, which are figures, to the right."""
    return "    " + "  ".join(
        cell.ljust(width) if n < 3 else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _day(day: date) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")


def _number(figure: Decimal) -> str:
    return format_decimal(figure, "#,##0.####", locale=get_language() or "en", decimal_quantization=False)


def _money(amount: Decimal, currency: str) -> str:
    places = "0" * places_of(currency)
    return format_decimal(amount, f"#,##0.{places}" if places else "#,##0", locale=get_language() or "en")
