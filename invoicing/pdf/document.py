"""An invoice, credit note or cancellation as a letter: its facts in, the bytes of a PDF out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from reportlab.lib.units import mm
from reportlab.platypus import Flowable

from invoicing.einvoice.facts import (
    AllowanceFacts,
    Collection,
    DocumentFacts,
    Kind,
    LineFacts,
    PartyFacts,
    VatShareFacts,
)
from invoicing.kernel.printing import Part, Reckoning, Step, StepKind, decimals_of, reckoning, shown_price
from invoicing.pdf import paper
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording, grouped_iban

FOOT_WIDTHS = (22, 25, 28, 25)  # percent
INFO_WIDTH = 41 * mm


def render(facts: DocumentFacts, style: Style = PLAIN) -> bytes:
    """The document in its own language; equal facts and style give equal bytes. Without a number it is a draft."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/document.html", context_of(facts, wording, style))
        slots = {
            "lines": lines_table(facts, wording, style.colour),
            "contracts": contracts_table(facts, wording, style.colour),
        }
        return paper.draw(html, slots, sheet(style, "" if facts.number else _("DRAFT")))


def sheet(style: Style, watermark: str = "") -> paper.Paper:
    """The paper of a letter, its pages numbered in the active language."""
    return paper.Paper(
        page_label=lambda page, pages: _("Page %(page)s of %(pages)s") % {"page": page, "pages": pages},
        watermark=watermark,
        logo=style.logo,
    )


def cover_note(facts: DocumentFacts, style: Style = PLAIN) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the document, in its language."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        said = {
            "facts": facts,
            "title": title_of(facts.kind),
            "on": wording.day(facts.issued_on),
            "gross": wording.money(facts.gross),
            "payment": payment(facts, wording),
            "original": facts.original
            and {"number": facts.original.number, "on": wording.day(facts.original.issued_on)},
        }
        subject = render_to_string("invoicing/mail/document_subject.txt", said)
        body = render_to_string("invoicing/mail/document_body.txt", said)
        return style.said(facts.kind, facts.language).mail(values_of(facts, wording), subject, body)


def values_of(facts: DocumentFacts, wording: Wording) -> dict[str, str]:
    """What stands for the placeholders of the issuer's own texts (``kernel.letter_texts``)."""
    contracts = list(dict.fromkeys(line.contract for line in facts.lines if line.contract))
    return {
        "customer": facts.buyer.name,
        "issuer": facts.seller.name,
        "issued_on": wording.day(facts.issued_on),
        "number": facts.number or _("draft"),
        "due_on": wording.day(facts.due_on) if facts.due_on else "",
        "net": wording.money(facts.net),
        "gross": wording.money(facts.gross),
        "contract": listed(contracts),
        "original": facts.original.number if facts.original else "",
    }


def listed(references: Sequence[str]) -> str:
    """Three at most."""
    return ", ".join(references[:3]) + (", …" if len(references) > 3 else "")


def title_of(kind: Kind) -> str:
    """The document's title in the active language; never "Gutschrift", which in VAT law is self-billing."""
    match kind:
        case Kind.INVOICE:
            return _("Invoice")
        case Kind.CREDIT_NOTE:
            return _("Credit note")
        case Kind.CANCELLATION:
            return _("Cancellation invoice")


def context_of(facts: DocumentFacts, wording: Wording, style: Style) -> dict[str, Any]:
    title = title_of(facts.kind)
    heading, running = (f"{title} {facts.number}",) * 2 if facts.number else (title, f"{title} ({_('draft')})")
    return {
        **letter_context(facts.seller, facts.buyer, wording, style),
        **style.said(facts.kind, facts.language).paragraphs(values_of(facts, wording)),
        **heading_context(facts.seller, heading, running, info(facts, wording)),
        "facts": facts,
        "original": original(facts, wording),
        "totals": totals(facts, wording),
        "notices": [*notices(facts), *in_books(facts, wording)],
        "payment": payment(facts, wording),
        "payer": facts.payer and ", ".join(address(facts.payer, facts.seller, wording)),
    }


def original(facts: DocumentFacts, wording: Wording) -> dict[str, str] | None:
    if facts.original is None:
        return None
    return {"number": facts.original.number, "on": wording.day(facts.original.issued_on)}


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


def info(facts: DocumentFacts, wording: Wording) -> Iterator[tuple[str, str]]:
    """The block beside the address: label and value."""
    lines = list(facts.lines)
    yield (_("Number"), facts.number or _("draft"))
    yield (_("Date"), wording.day(facts.issued_on))
    if lines:
        first, last = min(line.starts_on for line in lines), max(line.last_day for line in lines)
        yield (_("Service period"), wording.days(first, last))
    if facts.kind is Kind.INVOICE and facts.due_on:
        yield (_("Due on"), wording.day(facts.due_on))
    yield (_("Customer no."), facts.buyer.reference)
    yield (_("Your VAT ID"), facts.buyer.vat_id)
    yield (_("Your order"), facts.po_number)
    yield (_("Your project"), facts.project_code)


# Amounts


def totals(facts: DocumentFacts, wording: Wording) -> dict[str, Any]:
    taxed = [share for share in facts.vat if share.vat or share.category == "S"]
    return {
        "lines": wording.money(facts.net + sum((one.amount for one in facts.allowances), Decimal(0))),
        "allowances": [(allowance_label(one, facts, wording), wording.money(-one.amount)) for one in facts.allowances],
        "net": wording.money(facts.net),
        "shares": [(share_label(share, wording), wording.money(share.vat)) for share in taxed],
        "untaxed": [
            (_("Not taxed (see note)"), wording.money(share.base))
            for share in facts.vat
            if share not in taxed and len(facts.vat) > 1
        ],
        "no_vat": not taxed,
        "gross": wording.money(facts.gross),
        "label": _("Invoice total") if facts.kind is Kind.INVOICE else _("Total amount"),
        "in_your_favour": wording.money(-facts.gross) if facts.gross < 0 else "",
    }


def allowance_label(allowance: AllowanceFacts, facts: DocumentFacts, wording: Wording) -> str:
    """Name and percentage; where the document has several rates, also the one whose lines it lowers."""
    label = allowance.reason
    if allowance.percent is not None and (shown := wording.percent(allowance.percent)) not in label:
        label += f" ({shown})"
    if len(facts.vat) > 1:
        label += " · " + _("VAT") + " " + wording.percent(allowance.vat_rate)
    return label


def share_label(share: VatShareFacts, wording: Wording) -> str:
    values = {"rate": wording.percent(share.rate), "base": wording.money(share.base)}
    return _("VAT %(rate)s on %(base)s") % values


def notices(facts: DocumentFacts) -> Iterator[str]:
    """Why no VAT is shown: both languages where the law wants the German words (§ 14a (5) UStG)."""
    for share in facts.vat:
        if share.category == "S":
            continue
        if share.category == "AE":
            yield share.notice or "Steuerschuldnerschaft des Leistungsempfängers / Reverse charge"
            yield _("VAT ID of the supplier: %(seller)s. VAT ID of the recipient: %(buyer)s.") % {
                "seller": facts.seller.vat_id,
                "buyer": facts.buyer.vat_id,
            }
        elif share.category == "O":
            yield share.notice or "Nicht im Inland steuerbare Leistung / Not subject to German VAT"
        else:
            yield share.notice


def in_books(facts: DocumentFacts, wording: Wording) -> Iterator[str]:
    """The VAT of a document in another currency in the issuer's own, and the rate it follows from (§ 16 (6) UStG)."""
    if (kept := facts.in_books) is not None and kept.vat:
        yield _("VAT in %(base)s: %(vat)s (%(rate)s %(currency)s for 1 %(base)s, %(source)s, %(day)s).") % {
            "base": kept.currency,
            "vat": wording.figure(kept.vat, kept.places),
            "rate": wording.number(kept.rate),
            "currency": facts.currency,
            "source": kept.source,
            "day": wording.day(kept.rate_on),
        }


def payment(facts: DocumentFacts, wording: Wording) -> list[str]:
    """What the payer has to do, or need not do."""
    values = {
        "amount": wording.money(facts.gross),
        "day": wording.day(facts.due_on) if facts.due_on else "",
        "days": facts.payment_days,
    }
    if facts.kind is not Kind.INVOICE:
        return [_("We set this amount off against your open invoices. You need not do anything.")]
    if facts.gross == 0:
        return [_("Nothing is to be paid.")]
    match facts.collection:
        case Collection.DIRECT_DEBIT:
            said = [_("We will collect %(amount)s on %(day)s by SEPA direct debit from your account.") % values]
            if facts.mandate_reference:
                mandate = {"creditor": facts.creditor_id, "mandate": facts.mandate_reference}
                said.append(_("Creditor identifier %(creditor)s, mandate %(mandate)s.") % mandate)
            return said
        case Collection.CARD:
            return [_("We will charge %(amount)s on %(day)s to the card you have stored with us.") % values]
        case Collection.INVOICE:
            if facts.payment_days:
                term = _("Please pay %(amount)s by %(day)s (%(days)s days net) without deduction.")
            else:
                term = _("Please pay %(amount)s by %(day)s without deduction.")
            return [term % values, *bank_lines(facts.seller, facts.number or "")]


def bank_lines(seller: PartyFacts, purpose: str) -> list[str]:
    if not seller.iban:
        return []
    account = _("Account: %(name)s, IBAN %(iban)s") % {"name": seller.name, "iban": grouped_iban(seller.iban)}
    if seller.bic:
        account += _(", BIC %(bic)s") % {"bic": seller.bic}
    return [account, _("Reference: %(purpose)s") % {"purpose": purpose}] if purpose else [account]


# Lines


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
    for shown in way.steps:
        if shown.step.kind in (StepKind.MINIMUM, StepKind.CAP) and not shown.change:
            continue  # it did not bite
        sets = shown.step.kind in (StepKind.MINIMUM, StepKind.CAP, StepKind.SHARE)
        figure = shown.remains if sets else shown.change
        yield f"{step_label(shown.step, wording)}: {wording.figure(figure, way.decimals)}"


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


def squeezed(text: str) -> str:
    return "".join(text.split())


# Contracts


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
