"""Charges and documents told from end to end in the active language: contract, position, days, reckoning, VAT, sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing.explanation import Words, explain
from billing.kernel.charges import Proration
from billing.kernel.discounts import DiscountKind
from billing.models import Charge
from invoicing.kernel.german_rules import cited
from invoicing.models import Allowance, Invoice, Line, VatShare
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


def document_of(reference: str) -> Invoice | None:
    """The issued document with that number, if it is one."""
    return Invoice.objects.issued().filter(number=reference).first()


def told_of(invoice: Invoice) -> list[str]:
    """What a document says beyond its charges: lines given back by hand, discounts of the document, VAT and sums."""
    words = Words(invoice.currency)
    lines = invoice.lines.filter(charge=None).select_related("corrects__invoice")
    return [
        *(by_hand(line, words) for line in lines),
        *(sentence for one in invoice.allowances.select_related("corrects__invoice") for sentence in discount(one)),
        *(vat(share, invoice.parties) for share in invoice.vat_shares.order_by("-vat_rate", "vat_case")),
        _("Together: %(net)s net, %(vat)s VAT, %(gross)s gross.")
        % {
            "net": words.money(str(invoice.net.amount)),
            "vat": words.money(str(invoice.vat.amount)),
            "gross": words.money(str(invoice.gross.amount)),
        },
    ]


def by_hand(line: Line, words: Words) -> str:
    """A line that gives part of another document's line back because somebody decided so."""
    corrected = line.corrects
    assert corrected is not None
    return _("Line %(position)s gives %(net)s of line %(corrected)s of %(document)s back, by hand.") % {
        "position": line.position,
        "net": words.money(str(-line.net.amount)),
        "corrected": corrected.position,
        "document": corrected.invoice,
    }


def discount(one: Allowance) -> list[str]:
    """How a discount of the document, or a share of one that is given back, came about."""
    words, trace = Words(one.currency), one.trace
    facts = {
        "name": one.text,
        "amount": words.money(str(-one.amount.amount)),
        "base": words.money(str(one.base.amount)),
        "rate": words.figure(str(one.vat_rate)),
    }
    if one.corrects is not None:
        sentence = _("Of the discount %(name)s of %(document)s a share goes back with the lines: %(amount)s.")
        return [sentence % (facts | {"document": one.corrects.invoice})]
    told = [
        _("Discount of the document, %(name)s: on %(base)s of the lines with %(rate)s percent VAT %(amount)s.") % facts
    ]
    if "discount" in trace:
        kind, value, reference, _key = trace["discount"]
        facts |= {"reference": reference, "of": words.money(trace["of"]), "document": trace["document"]}
        if kind == DiscountKind.PERCENT:
            sentence = _(
                "%(reference)s takes %(percent)s percent, %(of)s in all, shared out over the VAT rates by largest"
                " remainder; it is document %(document)s of this discount."
            )
            told.append(sentence % (facts | {"percent": words.figure(value)}))
        else:
            sentence = _(
                "%(reference)s takes up to %(value)s, %(of)s in all, shared out over the VAT rates by largest"
                " remainder; it is document %(document)s of this discount."
            )
            told.append(sentence % (facts | {"value": words.money(value)}))
    return told


def vat(share: VatShare, parties: dict[str, Any]) -> str:
    """By which rule, of which law, a part of the document is taxed."""
    words = Words(share.currency)
    rule = parties.get("vat", {}).get(f"{share.vat_rate.normalize():f}", {})
    facts = {
        "case": share.get_vat_case_display(),
        "rate": words.figure(str(share.vat_rate)),
        "base": words.money(str(share.base.amount)),
        "vat": words.money(str(share.vat.amount)),
        "rule": rule.get("rule", ""),
        "law": cited(rule.get("law", ""), get_language() or "en"),
    }
    told = _("VAT of %(rate)s percent (%(case)s) on %(base)s, rounded once: %(vat)s.") % facts
    if rule:
        told += " " + (_("Tax rule: %(rule)s (%(law)s).") if facts["law"] else _("Tax rule: %(rule)s.")) % facts
    return told
