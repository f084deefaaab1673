"""A charge told from end to end in the active language: contract, position, days, reckoning, VAT, document."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing.explanation import Words, explain
from billing.kernel.charges import Proration
from billing.models import Charge
from invoicing.models import Invoice, Line
from tenants.errors import OperatorError


class NoSuchCharge(OperatorError):
    """What was asked for is no charge, no document and no line of one."""


def charges_of(reference: str) -> list[Charge]:
    """The charges of a document ("RE-2026-00001") or of one of its lines ("RE-2026-00001/3"), or the one with that key.

    Raises ``NoSuchCharge`` if there is none.
    """
    number, _slash, position = reference.partition("/")
    lines = Line.objects.filter(invoice__number=number)
    if position:
        lines = lines.filter(position=int(position)) if position.isdigit() else lines.none()
    of_charges = lines.filter(charge__isnull=False).order_by("invoice_id", "position")
    keys = list(of_charges.values_list("charge_id", flat=True))
    if not keys and reference.isdigit():
        keys = [int(reference)]
    charges = Charge.objects.select_related(
        "item__subscription__tenant", "item__product", "item__price__price_class", "line__invoice"
    ).in_bulk(keys)
    if not charges:
        raise NoSuchCharge(_("%s is no charge, no document and no line of one.") % reference)
    return [charges[key] for key in keys]


def told(charge: Charge) -> list[str]:
    """All there is to say about the charge, a sentence per step; the reckoning as its trace tells it."""
    words = Words(charge.currency)
    return [*_what(charge, words), *explain(charge.trace, charge.currency), *_where(charge, words)]


def _what(charge: Charge, words: Words) -> Iterator[str]:
    item = charge.item
    contract = item.subscription
    yield _("Charge %(charge)s of contract %(contract)s, account %(account)s.") % {
        "charge": charge.pk,
        "contract": contract.reference,
        "account": contract.tenant,
    }
    name = item.product.name_de if get_language() == "de" else item.product.name_en
    yield _("Position: %(quantity)s × %(product)s %(name)s, %(interval)s, %(timing)s.") % {
        "quantity": words.figure(str(charge.quantity)),
        "product": item.product.reference,
        "name": name,
        "interval": item.get_interval_display(),
        "timing": item.get_timing_display(),
    }
    yield _("Price: %(product)s, class %(price_class)s, %(currency)s; %(model)s.") % {
        "product": item.product.reference,
        "price_class": item.price.price_class.number,
        "currency": item.price.currency,
        "model": item.price.get_model_display(),
    }
    yield _("Days: %(days)s.") % {"days": words.days([charge.starts_on.isoformat(), charge.ends_before.isoformat()])}
    if item.proration == Proration.NONE:
        yield _("A part of a period is charged as a whole one.")
    if charge.corrects_id:
        yield _("It gives back days of charge %(charge)s.") % {"charge": charge.corrects_id}
    if charge.reverses_id:
        yield _("It undoes charge %(charge)s.") % {"charge": charge.reverses_id}
    if charge.reversed_by_id:
        yield _("It was undone by charge %(charge)s.") % {"charge": charge.reversed_by_id}


def _where(charge: Charge, words: Words) -> Iterator[str]:
    line: Line | None = getattr(charge, "line", None)
    if line is None:
        yield _("It stands on no document yet.")
        return
    invoice = line.invoice
    yield _("VAT: %(rate)s percent, %(case)s, with the other lines of that rate on the document.") % {
        "rate": words.figure(str(line.vat_rate)),
        "case": line.get_vat_case_display(),
    }
    facts = {
        "document": invoice.number or f"#{invoice.pk}",
        "kind": invoice.get_kind_display(),
        "state": invoice.get_state_display(),
        "day": words.day(invoice.issued_on.isoformat()),
        "position": line.position,
        "net": words.money(str(line.net.amount)),
    }
    if invoice.state == Invoice.State.ISSUED:
        yield _("Document: %(kind)s %(document)s of %(day)s, line %(position)s: %(net)s net.") % facts
    else:
        yield _("Document: %(kind)s %(document)s (%(state)s) for %(day)s, line %(position)s: %(net)s net.") % facts
