"""The table of the contracts that a document charges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from invoicing.einvoice.facts import (
    DocumentFacts,
)
from invoicing.pdf import paper
from invoicing.pdf.wording import Wording


def contracts_table(facts: DocumentFacts, wording: Wording, colour: str) -> list[Flowable]:
    if not facts.contracts:
        return []
    head = [
        _("Contract"),
        _("Service"),
        _("Contract start"),
        _("Contract term"),
        _("Next renewal"),
        _("Notice by"),
        _("Licences"),
    ]
    widths = [23 * mm, 43 * mm, 21 * mm, 19 * mm, 22 * mm, 21 * mm, 16 * mm]
    grid = paper.Grid(head, widths, right_from=6, colour=colour)
    for contract in facts.contracts:
        about = [contract.tenant_name] if facts.is_consolidated else []
        if contract.activated_on:
            about.append(_("Activated on %(day)s") % {"day": wording.day(contract.activated_on)})
        if contract.accepted_on:
            about.append(_("Accepted on %(day)s") % {"day": wording.day(contract.accepted_on)})
        grid.add(
            [
                paper.plain(contract.reference, 21 * mm),
                paper.rich(contract.text, about),
                wording.day(contract.starts_on),
                term(contract.term_months, contract.last_day, wording),
                wording.day(contract.next_renewal_on) if contract.next_renewal_on else "–",
                wording.day(contract.notice_by) if contract.notice_by else "–",
                wording.quantity(contract.licences, contract.unit) if contract.licences else "–",
            ]
        )
    licensed = [contract for contract in facts.contracts if contract.licences]
    if len({contract.unit for contract in licensed}) == 1 and len(licensed) > 1:
        total = wording.quantity(sum((c.licences for c in licensed), Decimal(0)), licensed[0].unit)
        grid.add([_("Total number of licences"), "", "", "", "", "", total], bold=True)
        grid.stay_with_previous()
    return paper.headed(_("Your contracts"), grid.table(), colour)


def term(months: int | None, last_day: Any, wording: Wording) -> str:
    if last_day:
        return _("until") + "\n" + wording.day(last_day)
    if months:
        return ngettext("%(months)s month", "%(months)s months", months) % {"months": months}
    return _("open-ended")
