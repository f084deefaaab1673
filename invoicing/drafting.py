"""Charges -> draft documents, one per recipient, payer and what else keeps them apart (``invoicing.grouping``)."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging import Contract, Proposal, Proposed
from billing.kernel.money import places_of
from billing.kernel.term import term_on
from invoicing import grouping, parties
from invoicing.kernel import content, vat
from invoicing.kernel.totals import Totals, totals
from invoicing.models import Invoice, Line, Section, VatShare
from invoicing.parties import Account, Accounts
from tenants.copying import copy_rows, new_keys, table_of
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.responsibility import in_force

INVOICES, SECTIONS, LINES, VAT_SHARES = (table_of(model) for model in (Invoice, Section, Line, VatShare))
# What is neither Latin nor usual punctuation; of these the documents' font lacks some (all others it has).
UNUSUAL = re.compile("[^\x20-\x7e\xa0-\u017f\u2010-\u2015\u2018-\u201e\u2020-\u2022\u2026\u20ac\u2122]")


class BeyondBounds(OperatorError):
    """An amount or a number of periods that the issuer wants a person to look at first."""


class StandsOnADraft(OperatorError):
    """What is to be taken back was never issued: a correction could not name its document."""


class CreditedByHand(OperatorError):
    """What a contract gives back was given back by hand already, in whole or too large a part."""


@dataclass(slots=True)
class DraftLine:
    """A charge as it will be printed."""

    charge: Proposed
    section: int | None  # position of its section
    text: str
    unit: str
    rate: Decimal
    details: str  # canonical JSON


@dataclass(frozen=True, slots=True)
class DraftSection:
    tenant: int
    name: str
    net: Decimal
    project_code: str = ""


@dataclass(slots=True)
class Draft:
    """A document before it has a number; ``key`` is its own from the moment it is written."""

    issuer: int
    recipient: Account
    payer: Account
    kind: str
    issued_on: date
    due_on: date
    language: str
    currency: str
    collection: str
    po_number: str
    case: vat.Case
    totals: Totals
    parties: str  # canonical JSON
    sections: list[DraftSection]
    lines: list[DraftLine]
    content_hash: str = ""
    key: int = 0

    @property
    def is_nothing(self) -> bool:
        """Nothing to claim: it is closed without a number, and its charges count as dealt with."""
        return not self.totals.gross


@dataclass(slots=True)
class Facts(Accounts):
    """What the documents of a chunk need beyond their charges."""

    products: dict[int, tuple[str, str, str, str, str]] = field(default_factory=dict)
    discounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    originals: dict[int, dict[str, str]] = field(default_factory=dict)


def propose(issuer: Issuer, proposal: Proposal, *, issue_on: date) -> list[Draft]:
    """The documents that the charges of ``proposal`` make, dated ``issue_on``; writes nothing.

    Raises ``IncompleteParty`` or ``NoVatRule`` naming the account that cannot be invoiced, ``UnprintableText`` quoting
    what the documents' font cannot draw, ``BeyondBounds`` naming what is above the issuer's bounds, and
    ``StandsOnADraft`` naming the contract of which a draft is still to be decided, ``CreditedByHand`` that of which
    more was given back by hand.
    """
    if not proposal.charges:
        return []
    parties.check_issuer(issuer)
    facts = _facts_for(proposal.charges)
    seller = parties.seller_of(issuer)
    groups: dict[grouping.Key, list[Proposed]] = defaultdict(list)
    keys: dict[int, grouping.Key] = {}
    for charge in proposal.charges:
        contract = charge.position.contract
        key = keys.get(contract.key)
        if key is None:
            key = keys[contract.key] = grouping.key_of(contract, facts, issuer)
        groups[key].append(charge)
    drafts = [_draft(issuer, key, charges, facts, seller, issue_on) for key, charges in groups.items()]
    refuse_beyond_bounds(issuer, proposal, drafts)
    for draft in drafts:
        refuse_unprintable(draft)
    return drafts


def refuse_beyond_bounds(issuer: Issuer, proposal: Proposal, drafts: Sequence[Draft]) -> None:
    """Raises ``BeyondBounds`` for what is more likely a slip than a bill; raising the issuer's bound lets it pass."""
    for draft in drafts:
        if abs(draft.totals.gross) > issuer.largest_document:
            raise BeyondBounds(
                _(
                    "%(payer)s: a document of %(gross)s %(currency)s is above the largest that %(issuer)s allows"
                    " (%(bound)s)."
                )
                % {
                    "payer": draft.payer.reference,
                    "gross": f"{draft.totals.gross:f}",
                    "currency": draft.currency,
                    "issuer": issuer.reference,
                    "bound": f"{issuer.largest_document.normalize():f}",
                }
            )
    periods = Counter(charge.due.item for charge in proposal.charges)
    for charge in proposal.charges:
        if periods[charge.due.item] > issuer.most_periods:
            raise BeyondBounds(
                _(
                    "Contract %(contract)s: %(periods)d periods are due at once, more than the %(bound)d that"
                    " %(issuer)s allows. If another system billed them, say so in the contract."
                )
                % {
                    "contract": charge.position.contract.reference,
                    "periods": periods[charge.due.item],
                    "bound": issuer.most_periods,
                    "issuer": issuer.reference,
                }
            )


def refuse_unprintable(draft: Draft) -> None:
    """Raises ``UnprintableText``: what is issued cannot be changed, so that it can be drawn must be known before."""
    names = [text for section in draft.sections for text in (section.name, section.project_code)]
    texts = [draft.po_number, *names, *(line.text for line in draft.lines)]
    records = [draft.parties, *(line.details for line in draft.lines)]
    if UNUSUAL.search("".join([*texts, *records])):
        from invoicing.pdf import paper  # here: the PDF makers take long to load, and are seldom asked

        for text in [*texts, *(leaf for record in records for leaf in _leaves(json.loads(record)))]:
            paper.refuse_unprintable(text)


def _leaves(value: Any) -> Iterator[str]:
    """The texts in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


def write(drafts: Sequence[Draft], *, run: int | None, state: str) -> None:
    """Store drafts whose charges are written, in the caller's transaction; one of nothing is closed."""
    keys = new_keys(**{INVOICES: len(drafts), SECTIONS: sum(len(draft.sections) for draft in drafts)})
    section_keys = iter(keys[SECTIONS])
    invoices, sections, lines, shares = [], [], [], []
    for draft, key in zip(drafts, keys[INVOICES], strict=True):
        draft.key = key
        total = draft.totals
        currency, case = draft.currency, draft.case.value
        invoices.append(
            (
                key,
                run,
                draft.issuer,
                draft.recipient.id,
                draft.payer.id,
                draft.kind,
                Invoice.State.CLOSED.value if draft.is_nothing else state,
                draft.issued_on,
                draft.due_on,
                draft.language,
                currency,
                draft.collection,
                draft.po_number,
                case,
                total.net,
                total.vat,
                total.gross,
                draft.parties,
                draft.content_hash,
                "",
                "",
            )
        )
        places: list[int] = []
        for position, section in enumerate(draft.sections, 1):
            places.append(next(section_keys))
            code = section.project_code
            sections.append((places[-1], key, section.tenant, position, section.name, code, currency, section.net))
        for position, line in enumerate(draft.lines, 1):
            due = line.charge.due
            lines.append(
                (
                    key,
                    None if line.section is None else places[line.section - 1],
                    line.charge.key,
                    position,
                    line.text,
                    due.quantity,
                    line.unit,
                    due.period.start,
                    due.period.end,
                    case,
                    line.rate,
                    currency,
                    due.net,
                    line.details,
                )
            )
        shares += [(key, share.case.value, share.rate, currency, share.base, share.vat) for share in total.shares]
    copy_rows(
        INVOICES,
        (
            "id",
            "run_id",
            "issuer_id",
            "recipient_id",
            "payer_id",
            "kind",
            "state",
            "issued_on",
            "due_on",
            "language",
            "currency",
            "collection",
            "po_number",
            "vat_case",
            "net",
            "vat",
            "gross",
            "parties",
            "content_hash",
            "chain_hash",
            "reason",
        ),
        invoices,
    )
    copy_rows(
        SECTIONS,
        ("id", "invoice_id", "tenant_id", "position", "name", "project_code", "currency", "net"),
        sections,
    )
    copy_rows(
        LINES,
        (
            "invoice_id",
            "section_id",
            "charge_id",
            "position",
            "text",
            "quantity",
            "unit",
            "starts_on",
            "ends_before",
            "vat_case",
            "vat_rate",
            "currency",
            "net",
            "details",
        ),
        lines,
    )
    copy_rows(VAT_SHARES, ("invoice_id", "vat_case", "vat_rate", "currency", "base", "vat"), shares)


def _draft(
    issuer: Issuer,
    key: grouping.Key,
    charges: list[Proposed],
    facts: Facts,
    seller: dict[str, str],
    issue_on: date,
) -> Draft:
    recipient, payer = facts.accounts[key.recipient], facts.accounts[key.payer]
    currency, po_number, collection = key.currency, key.po_number, key.collection
    case = parties.case_of(issuer, recipient)
    language = in_force("language", facts.line_of(recipient), issuer)
    charges.sort(key=_printed_order(facts))
    sections = _sections(charges, recipient, facts)
    place = {section.tenant: position for position, section in enumerate(sections, 1)}
    contracts: dict[int, dict[str, Any]] = {}
    known: dict[int, str] = {}
    lines = []
    for charge in charges:
        name_de, name_en, unit, tax_category, _reference = facts.products[charge.position.product]
        try:
            rate = vat.rate_of(case, tax_category, charge.due.period.end - timedelta(days=1))
        except ValueError as error:
            raise parties.NoVatRule(str(error)) from error
        lines.append(
            DraftLine(
                charge,
                place.get(charge.position.contract.tenant),
                name_de if language == "de" else name_en,
                unit,
                rate,
                _details(charge, facts, contracts, known, language, issue_on),
            )
        )
    total = totals([(case, line.rate, line.charge.due.net) for line in lines], places_of(currency))
    draft = Draft(
        issuer=issuer.pk,
        recipient=recipient,
        payer=payer,
        kind=Invoice.Kind.INVOICE.value if total.gross >= 0 else Invoice.Kind.CREDIT_NOTE.value,
        issued_on=issue_on,
        due_on=issue_on + timedelta(days=in_force("payment_days", facts.line_of(payer), issuer)),
        language=language,
        currency=currency,
        collection=collection,
        po_number=po_number,
        case=case,
        totals=total,
        parties=parties.parties_of(seller, recipient, payer, facts, case),
        sections=sections,
        lines=lines,
    )
    draft.content_hash = _content_hash(draft)
    return draft


def _printed_order(facts: Facts) -> Callable[[Proposed], tuple[Any, ...]]:
    def order(charge: Proposed) -> tuple[Any, ...]:
        account = facts.accounts[charge.position.contract.tenant]
        due = charge.due
        return (account.tree_id, account.lft, charge.position.contract.reference, due.period.start, due.item)

    return order


def _sections(charges: Iterable[Proposed], recipient: Account, facts: Facts) -> list[DraftSection]:
    """One section per account, in tree order; none where the recipient's own account is the only one."""
    nets: dict[int, Decimal] = {}
    for charge in charges:
        tenant = charge.position.contract.tenant
        nets[tenant] = nets.get(tenant, Decimal(0)) + charge.due.net
    if len(nets) == 1 and recipient.id in nets:
        return []
    return [
        DraftSection(tenant, facts.accounts[tenant].name, net, facts.accounts[tenant].project_code)
        for tenant, net in nets.items()
    ]


def _details(
    charge: Proposed,
    facts: Facts,
    contracts: dict[int, dict[str, Any]],
    known: dict[int, str],
    language: str,
    issue_on: date,
) -> str:
    """What a line says beyond its own columns, as it was on the invoice date; equal for most charges of an item."""
    contract, item = charge.position.contract, charge.position.terms.key
    named = charge.due.trace.get("discounts")
    corrected = charge.due.corrects or charge.due.reverses
    if not (named or corrected) and item in known:
        return known[item]
    common = contracts.get(contract.key)
    if common is None:
        common = contracts[contract.key] = contract_details(contract, issue_on)
    details = {
        **common,
        "product": facts.products[charge.position.product][4],
        "interval": charge.position.interval,
    }
    if named:
        details["discounts"] = {step[3]: facts.discounts[step[3]][language != "de"] for step in named}
    if corrected:
        details["corrects"] = facts.originals[corrected]
    text = content.canonical_json(details)
    if not (named or corrected):
        known[item] = text
    return text


def contract_details(contract: Contract, on: date) -> dict[str, Any]:
    """The particulars of a contract that an invoice of day ``on`` tells (A-14)."""
    details: dict[str, Any] = {"contract": contract.reference, "starts_on": contract.starts_on.isoformat()}
    if contract.ends_before is not None:
        details["ends_before"] = contract.ends_before.isoformat()
    if contract.term_months:
        details["term_months"] = contract.term_months
        if contract.renewal_months:
            details["renewal_months"] = contract.renewal_months
        if contract.notice_days is not None:
            details["notice_days"] = contract.notice_days
        term = term_on(
            on,
            contract.term_from,
            contract.term_months,
            contract.renewal_months,
            contract.notice_days,
            contract.extended_days,
        )
        if term is not None and (contract.ends_before is None or term.renews_on < contract.ends_before):
            details["renews_on"] = term.renews_on.isoformat()
            details["notice_by"] = term.notice_by.isoformat()
    return details


def _content_hash(draft: Draft) -> str:
    total, case = draft.totals, draft.case.value
    return content.content_hash(
        content.head_text(
            draft.kind,
            draft.issued_on,
            draft.due_on,
            draft.language,
            draft.currency,
            draft.collection,
            draft.po_number,
            case,
            total.net,
            total.vat,
            total.gross,
            draft.parties,
        ),
        [content.section_text(n, s.name, s.net, s.project_code) for n, s in enumerate(draft.sections, 1)],
        [
            content.line_text(
                n,
                line.section,
                line.text,
                line.charge.due.quantity,
                line.unit,
                line.charge.due.period.start,
                line.charge.due.period.end,
                case,
                line.rate,
                line.charge.due.net,
                line.details,
            )
            for n, line in enumerate(draft.lines, 1)
        ],
        [content.share_text(s.case.value, s.rate, s.base, s.vat) for s in total.shares],
    )


def _facts_for(charges: Sequence[Proposed]) -> Facts:
    known = parties.read_accounts(grouping.accounts_of(charge.position.contract for charge in charges))
    facts = Facts(known.accounts, known.vat_checks)
    facts.products = _read_products({charge.position.product for charge in charges})
    named = {step[3] for charge in charges for step in charge.due.trace.get("discounts", ())}
    if named:
        facts.discounts = _read_discounts(named)
    corrected = {key: charge for charge in charges if (key := charge.due.corrects or charge.due.reverses)}
    if corrected:
        facts.originals, undecided = _read_originals(list(corrected))
        for key in undecided:
            raise StandsOnADraft(
                _("Contract %(contract)s: what is to be taken back stands on a draft of %(day)s; issue or discard it.")
                % {
                    "contract": corrected[key].position.contract.reference,
                    "day": facts.originals[key]["issued_on"],
                }
            )
        _refuse_credited_by_hand(charges, list(corrected))
    return facts


def _refuse_credited_by_hand(charges: Sequence[Proposed], corrected: Sequence[int]) -> None:
    """Raises ``CreditedByHand`` naming the credit notes that left less of a line than its contract gives back."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select l.charge_id, l.net + kontor_credited(l.id), string_agg(distinct d.number, ', ')
              from {LINES} l join {LINES} c on c.corrects_id = l.id join {INVOICES} d on d.id = c.invoice_id
             where l.charge_id = any(%s) and not kontor_is_cancelled(d.id)
             group by l.id having kontor_credited_by_hand(l.id) <> 0
            """,
            [list(corrected)],
        )
        left = {charge: (net, numbers) for charge, net, numbers in cursor.fetchall()}
    for charge in charges if left else ():
        due = charge.due
        net, numbers = left.get(due.corrects or due.reverses or 0, (None, ""))
        if net is None:
            continue
        if due.reverses is not None or net + due.net < 0:
            raise CreditedByHand(
                _(
                    "Contract %(contract)s: what is to be taken back was credited by hand, by %(numbers)s. Cancel that"
                    " credit note first."
                )
                % {"contract": charge.position.contract.reference, "numbers": numbers}
            )
        left[due.corrects or 0] = (net + due.net, numbers)


def _read_products(keys: set[int]) -> dict[int, tuple[str, str, str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select id, name_de, name_en, unit, tax_category, reference from billing_product where id = any(%s)",
            [list(keys)],
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _read_discounts(references: set[str]) -> dict[str, tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select reference, name_de, name_en from billing_discount where reference = any(%s)", [list(references)]
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def _read_originals(charges: list[int]) -> tuple[dict[int, dict[str, str]], list[int]]:
    """By charge: number and date of the document it stands on; and the charges whose document is still a draft."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select l.charge_id, i.number, i.issued_on::text, i.state
              from {LINES} l join {INVOICES} i on i.id = l.invoice_id
             where l.charge_id = any(%s)
            """,
            [charges],
        )
        found = cursor.fetchall()
    decided = (Invoice.State.ISSUED.value, Invoice.State.CLOSED.value)
    return (
        {charge: {"number": number or "", "issued_on": issued_on} for charge, number, issued_on, _state in found},
        [charge for charge, _number, _issued_on, state in found if state not in decided],
    )
