"""What all letters of an issuer have in common: sender, address window, title, foot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from reportlab.lib.units import mm

from invoicing.einvoice.facts import (
    PartyFacts,
)
from invoicing.pdf import paper
from invoicing.pdf.style import Style
from invoicing.pdf.wording import Wording, grouped_iban

FOOT_WIDTHS = (22, 25, 28, 25)  # percent

INFO_WIDTH = 41 * mm


def sheet(style: Style, watermark: str = "") -> paper.Paper:
    """The paper of a letter, its pages numbered in the active language."""
    return paper.Paper(
        page_label=lambda page, pages: _("Page %(page)s of %(pages)s") % {"page": page, "pages": pages},
        watermark=watermark,
        logo=style.logo,
    )


def letter_context(seller: PartyFacts, to: PartyFacts, wording: Wording, style: Style) -> dict[str, Any]:
    """What every letter of a seller shows: the sender, the address window, the foot."""
    beside = paper.LOGO_WIDTH + 5 * mm if style.logo else 0
    name_size, (name,) = paper.fitted([([seller.name], paper.WIDTH - beside)], 12 * mm, largest=12, font=paper.BOLD)
    address_size, (lines,) = paper.fitted([(address(to, seller, wording), 79 * mm)], 27 * mm, largest=9.5)
    foot_size, columns = paper.fitted(foot(seller, wording, style), 21 * mm, largest=6.2)
    return {
        "language": wording.language,
        "colour": style.colour,
        "seller": seller,
        "name": name,
        "name_size": name_size,
        "sender_line": paper.one_line(
            " · ".join([seller.name, seller.street, f"{seller.postcode} {seller.city}"]), 84 * mm, size=6
        ),
        "address": lines,
        "address_size": address_size,
        "foot": list(zip(FOOT_WIDTHS, columns, strict=True)),
        "foot_size": foot_size,
    }


def heading_context(seller: PartyFacts, heading: str, running: str, info: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A letter's title, the line at the top of its later pages, the block beside the address without empty values."""
    told = [(label, value) for label, value in info if value]
    size, _lines = paper.fitted([([value for _, value in told], INFO_WIDTH)], 40 * mm, largest=8)
    return {
        "heading": heading,
        "running_title": paper.one_line(f"{seller.name} · {running}", paper.WIDTH - 2, size=7),
        "info": [(label, paper.plain(value, INFO_WIDTH, size=size).split("\n")) for label, value in told],
        "info_size": size,
    }


def address(party: PartyFacts, seen_from: PartyFacts, wording: Wording) -> list[str]:
    """Lines of the address; the country stands in it for mail abroad only."""
    lines = [party.name, party.street, f"{party.postcode} {party.city}".strip()]
    if party.country and party.country != seen_from.country:
        lines.append(wording.country(party.country).upper())
    return [line for line in lines if line]


def foot(seller: PartyFacts, wording: Wording, style: Style) -> list[tuple[list[str], float]]:
    """Four columns of company data, each with the width of its text; a column may be the issuer's own.

    Address and tax number stand on it in any case: the law wants them on an invoice (§ 14 (4) nos. 1 and 2 UStG).
    """
    bank = [_("IBAN") + " " + grouped_iban(seller.iban), _("BIC") + " " + seller.bic if seller.bic else ""]
    tax = [
        _("VAT ID") + " " + seller.vat_id if seller.vat_id else "",
        _("Tax number") + " " + seller.tax_number if seller.tax_number else "",
        seller.register_entry,
        seller.managing_directors,
    ]
    place = [seller.name, seller.street, f"{seller.postcode} {seller.city}", wording.country(seller.country)]
    reach = [seller.contact, seller.phone, seller.email]
    columns = [
        own.splitlines() if own.strip() else usual
        for own, usual in zip(style.foot, [place, reach, bank if seller.iban else [], tax], strict=True)
    ]
    said = squeezed("".join(line for column in columns for line in column))
    if any(squeezed(part) not in said for part in (seller.name, seller.street, seller.postcode, seller.city)):
        columns[0] = [*place[:3], *columns[0]]
    if not any(squeezed(number) in said for number in (seller.vat_id, seller.tax_number) if number):
        columns[3] = [*tax[:2], *columns[3]]
    widths = [paper.WIDTH * percent / 100 - 8 for percent in FOOT_WIDTHS]
    return [([line for line in column if line], width) for column, width in zip(columns, widths, strict=True)]


def bank_lines(seller: PartyFacts, purpose: str) -> list[str]:
    if not seller.iban:
        return []
    account = _("Account: %(name)s, IBAN %(iban)s") % {"name": seller.name, "iban": grouped_iban(seller.iban)}
    if seller.bic:
        account += _(", BIC %(bic)s") % {"bic": seller.bic}
    return [account, _("Reference: %(purpose)s") % {"purpose": purpose}] if purpose else [account]


def listed(references: Sequence[str]) -> str:
    """Three at most."""
    return ", ".join(references[:3]) + (", …" if len(references) > 3 else "")


def squeezed(text: str) -> str:
    return "".join(text.split())
