"""Documents -> their facts: what was frozen when they arose, read for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from billing.kernel.money import places_of, rounded
from billing.kernel.pricing import Model
from billing.models import Charge
from invoicing.einvoice.facts import (
    UNEXPLAINED,
    AllowanceFacts,
    BookFacts,
    Collection,
    ContractFacts,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    UsageFacts,
    VatShareFacts,
)
from invoicing.kernel.bank_days import bank_day_from
from invoicing.kernel.printing import Explanation, explained
from invoicing.models import Allowance, BookVat, Invoice, Line, Section, VatShare
from tenants import mandates
from tenants.models import MandateAccount

ONE_DAY = timedelta(days=1)
PARTY = {field.name for field in fields(PartyFacts)}


def facts_of(invoices: Iterable[int]) -> list[DocumentFacts]:
    """The facts of these documents (keys), issued or draft, in the given order; five queries however many they are,
    one more where some are collected under a mandate."""
    wanted = list(invoices)
    found = Invoice.objects.select_related("book_vat").in_bulk(wanted)
    sections, lines, shares = defaultdict(list), defaultdict(list), defaultdict(list)
    for section in Section.objects.filter(invoice__in=wanted).select_related("tenant").order_by("position"):
        sections[section.invoice_id].append(section)
    for line in Line.objects.filter(invoice__in=wanted).select_related("charge__reverses").order_by("position"):
        lines[line.invoice_id].append(line)
    for share in VatShare.objects.filter(invoice__in=wanted).order_by("-vat_rate", "vat_case"):
        shares[share.invoice_id].append(share)
    allowances = defaultdict(list)
    for allowance in Allowance.objects.filter(invoice__in=wanted).order_by("position"):
        allowances[allowance.invoice_id].append(allowance)
    debited = [one.parties["debit"]["account"] for one in found.values() if "debit" in one.parties]
    accounts = MandateAccount.objects.in_bulk(debited) if debited else {}
    return [_document(found[key], sections[key], lines[key], shares[key], allowances[key], accounts) for key in wanted]


def _document(
    invoice: Invoice,
    sections: Sequence[Section],
    lines: Sequence[Line],
    shares: Sequence[VatShare],
    allowances: Sequence[Allowance],
    accounts: Mapping[int, MandateAccount],
) -> DocumentFacts:
    places = places_of(invoice.currency)
    parties = invoice.parties
    buyer = party_facts(parties["buyer"])
    drawn = [(line, _line(line, places)) for line in lines]
    return DocumentFacts(
        kind=Kind(invoice.kind),
        number=invoice.number,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        payment_days=(invoice.due_on - invoice.issued_on).days,
        currency=invoice.currency,
        places=places,
        language=invoice.language,
        seller=party_facts(parties["seller"]),
        buyer=buyer,
        payer=party_facts(parties["payer"]) if "payer" in parties else None,
        collection=Collection(invoice.collection),
        po_number=invoice.po_number,
        project_code=parties["buyer"].get("project_code", ""),
        sections=_sections(invoice, sections, drawn, buyer, places),
        contracts=_contracts(drawn, sections) if invoice.kind == Kind.INVOICE else (),
        vat=tuple(
            VatShareFacts(
                share.vat_case,
                share.vat_rate,
                rounded(share.base.amount, places),
                rounded(share.vat.amount, places),
                share.notice,
                share.exemption_code,
            )
            for share in shares
        ),
        allowances=tuple(_allowance(one, places) for one in allowances),
        net=rounded(invoice.net.amount, places),
        vat_total=rounded(invoice.vat.amount, places),
        gross=rounded(invoice.gross.amount, places),
        original=_original([line for _, line in drawn]) if invoice.kind != Kind.INVOICE else None,
        reason=next((row.details.get("reason", "") for row, _ in drawn), ""),
        vat_evidence=_evidence(parties.get("vat_check")),
        in_books=_in_books(getattr(invoice, "book_vat", None)),
        format=invoice.format,
        **_debit(parties.get("debit"), accounts, invoice.due_on),
    )


def _debit(kept: Mapping[str, Any] | None, accounts: Mapping[int, MandateAccount], due_on: date) -> dict[str, Any]:
    """Under which mandate the document is collected, from which account, and on which day."""
    if kept is None:
        return {}
    return {
        "mandate_reference": kept["mandate"],
        "creditor_id": kept["creditor"],
        "debited_iban": mandates.bank_of(accounts[kept["account"]]).iban,
        "collect_on": bank_day_from(due_on),
    }


def _allowance(allowance: Allowance, places: int) -> AllowanceFacts:
    """A percentage that was added to others, or of which a share goes back, is told by its amount alone."""
    of_base = allowance.percent is not None and allowance.corrects_id is None and "stacked" not in allowance.trace
    return AllowanceFacts(
        allowance.text,
        rounded(allowance.amount.amount, places),
        allowance.vat_case,
        allowance.vat_rate,
        allowance.percent if of_base else None,
        rounded(allowance.base.amount, places) if of_base else None,
    )


def party_facts(stored: Mapping[str, str]) -> PartyFacts:
    """A party as documents keep it."""
    return PartyFacts(**{name: value for name, value in stored.items() if name in PARTY})


def _in_books(kept: BookVat | None) -> BookFacts | None:
    if kept is None:
        return None
    places = places_of(kept.currency)
    return BookFacts(kept.currency, places, rounded(kept.vat.amount, places), kept.rate, kept.rate_on, kept.source)


def _evidence(check: Mapping[str, Any] | None) -> str:
    return f"{check['method']} {check['on']} {'valid' if check['valid'] else 'invalid'}" if check else ""


def _sections(
    invoice: Invoice,
    sections: Sequence[Section],
    drawn: Sequence[tuple[Line, LineFacts]],
    buyer: PartyFacts,
    places: int,
) -> tuple[SectionFacts, ...]:
    if not sections:
        lines = tuple(line for _, line in drawn)
        net = sum((line.net for line in lines), Decimal(0))
        return (SectionFacts(buyer.name, buyer.reference, lines, rounded(net, places)),)
    inside: dict[int | None, list[LineFacts]] = defaultdict(list)
    for row, line in drawn:
        inside[row.section_id].append(line)
    return tuple(
        SectionFacts(
            section.name,
            section.tenant.reference,
            tuple(inside[section.pk]),
            rounded(section.net.amount, places),
            section.project_code,
        )
        for section in sections
    )


def _line(line: Line, places: int) -> LineFacts:
    net = rounded(line.net.amount, places)
    details = line.details
    return LineFacts(
        position=line.position,
        text=line.text,
        quantity=-line.quantity if net < 0 and _takes_back(line) else line.quantity,
        unit=line.unit,
        net=net,
        starts_on=line.starts_on,
        last_day=line.ends_before - ONE_DAY,
        explanation=_explanation(line.charge, details.get("discounts", {})),
        contract=details.get("contract", ""),
        corrects=_named(details.get("corrects")),
        vat_category=line.vat_case,
        vat_rate=line.vat_rate,
        usage=_usage(line),
    )


def _usage(line: Line) -> UsageFacts | None:
    kept, charge = line.details.get("usage"), line.charge
    if kept is None or charge is None:
        return None
    trace = charge.trace
    return UsageFacts(
        account=party_facts(kept["account"]),
        application=kept["application"],
        meter=kept["meter"],
        way=kept["way"],
        property=kept["property"],
        events=int(trace["events"]),
        quantity=Decimal(trace["quantity"]),
        counted_at=charge.created_at.astimezone(ZoneInfo(kept["zone"])),
        before=Decimal(trace["before"]) if "before" in trace else None,
        quota=Decimal(trace["price"].get("free_quota", 0)),
    )


def _takes_back(line: Line) -> bool:
    """Whether it takes back what stood on a document, at the price of then."""
    return line.charge is None or line.charge.reverses_id is not None


def _explanation(charge: Charge | None, discounts: Mapping[str, str]) -> Explanation:
    if charge is None:
        return UNEXPLAINED
    if charge.reverses is None:
        return explained(charge.trace, discounts)
    undone = explained(charge.reverses.trace)
    return Explanation(undone.full, undone.unit_price) if undone.unit_price and not undone.steps else UNEXPLAINED


def _named(stored: Mapping[str, str] | None) -> OriginalFacts | None:
    return OriginalFacts(stored["number"], date.fromisoformat(stored["issued_on"])) if stored else None


def _original(lines: Sequence[LineFacts]) -> OriginalFacts | None:
    """The one document that all lines correct, if it is one."""
    named = {line.corrects for line in lines}
    return named.pop() if len(named) == 1 else None


def _contracts(drawn: Sequence[tuple[Line, LineFacts]], sections: Sequence[Section]) -> tuple[ContractFacts, ...]:
    """Each contract's products with what was true on the invoice date; licences are those of the latest days billed.

    What has one price whatever its quantity, such as a base fee, has no licences.
    """
    latest: dict[tuple[str, str], date] = {}
    licences: dict[tuple[str, str, date], dict[int, Decimal]] = defaultdict(dict)
    first: dict[tuple[str, str], Line] = {}
    for row, line in drawn:
        details = row.details
        if (
            row.charge is None
            or details.get("interval") == "once"
            or row.charge.kind != Charge.Kind.FEE
            or row.charge.reverses_id
            or "commitment" in row.charge.trace
        ):
            continue
        key = (line.contract, details["product"])
        first.setdefault(key, row)
        latest[key] = max(latest.get(key, line.last_day), line.last_day)
        is_flat = row.charge.trace["price"]["model"] == Model.FLAT
        has_licences = not is_flat and line.usage is None
        licences[*key, line.last_day][row.charge.item_id] = line.quantity if has_licences else Decimal(0)
    names = {section.pk: section.name for section in sections}
    return tuple(
        ContractFacts(
            reference=contract,
            text=row.text,
            tenant_name=names[row.section_id] if row.section_id else "",
            starts_on=date.fromisoformat(row.details["starts_on"]),
            licences=sum(licences[contract, product, latest[contract, product]].values(), Decimal(0)),
            unit=row.unit,
            last_day=_day(row.details, "ends_before", -1),
            term_months=row.details.get("term_months"),
            renewal_months=row.details.get("renewal_months"),
            next_renewal_on=_day(row.details, "renews_on"),
            notice_by=_day(row.details, "notice_by"),
            activated_on=_day(row.details, "activated_on"),
            accepted_on=_day(row.details, "accepted_on"),
        )
        for (contract, product), row in first.items()
    )


def _day(details: Mapping[str, Any], name: str, shift: int = 0) -> date | None:
    return date.fromisoformat(details[name]) + shift * ONE_DAY if name in details else None
