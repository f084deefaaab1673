"""Charges -> draft documents, one per recipient, payer and what else keeps them apart (``invoicing.grouping``)."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging import Contract, Proposal, Proposed
from billing.kernel.money import places_of
from billing.kernel.term import term_on
from invoicing import allowances, book_vat, former_vat, grouping, parties, taxation
from invoicing.kernel import content, vat
from invoicing.kernel.taxation import Regime, Treatment
from invoicing.kernel.totals import Share, Totals, totals
from invoicing.models import Invoice, Line, Section, VatShare
from invoicing.parties import Account, Accounts
from tenants.copying import copy_rows, new_keys, table_of
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.responsibility import in_force

INVOICES, SECTIONS, LINES, VAT_SHARES = (table_of(model) for model in (Invoice, Section, Line, VatShare))
# What is neither Latin nor usual punctuation; of these the documents' font lacks some (all others it has).
UNUSUAL = re.compile("[^\x20-\x7e\xa0-\u017f\u2010-\u2015\u2018-\u201e\u2020-\u2022\u2026\u20ac\u2122]")


TAXED_BY = ("rule_id", "country", "exemption_code", "notice", "ledger_role", "vat_check_id")
VAT_CHECK_PENDING = _("VAT check pending: VIES has not confirmed the VAT id yet. The document goes on by itself.")
Taxed = tuple[Proposed, Treatment]


class BeyondBounds(OperatorError):
    """An amount or a number of periods that the issuer wants a person to look at first."""


class InvoicesItself(OperatorError):
    """An issuer would invoice the account that operates it, or a part of that."""


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
    format: str
    sections: list[DraftSection]
    lines: list[DraftLine]
    lowered: Sequence[allowances.DraftAllowance] = ()
    treatments: dict[Decimal, Treatment] = field(default_factory=dict)  # by rate
    in_books: book_vat.InBooks | None = None
    vat_check: int | None = None  # that the document relies on
    waits_for: str = ""
    content_hash: str = ""
    key: int = 0
    billed_with: int | None = None  # the payer in whose turn it arose, where that is not its own

    @property
    def billed_payer(self) -> int:
        """The payer whose outcome in the run tells of it."""
        return self.billed_with or self.payer.id

    @property
    def booked_shares(self) -> tuple[Share, ...]:
        """The VAT shares with the role of their ledger accounts."""
        return tuple(
            replace(share, ledger_role=self.treatments[share.rate].rule.ledger_role) for share in self.totals.shares
        )

    @property
    def waits_for_verdict(self) -> bool:
        """An e-invoice, which a worker judges before it is released (``invoicing.judging``)."""
        return self.format != Tenant.DocumentFormat.PDF and not self.is_nothing

    @property
    def waits(self) -> bool:
        """For something outside, so that no run issues it by itself now."""
        return self.waits_for_verdict or bool(self.waits_for and not self.is_nothing)

    @property
    def is_nothing(self) -> bool:
        """Nothing to claim: it is closed without a number, and its charges count as dealt with."""
        return not self.totals.gross


@dataclass(slots=True)
class Facts(Accounts):
    """What the documents of a chunk need beyond their charges."""

    products: dict[int, tuple[str, str, str, str, str]] = field(default_factory=dict)
    discounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    originals: dict[int, grouping.Original] = field(default_factory=dict)  # by the charge that is given back
    exchange_rates: dict[str, book_vat.Rate] = field(default_factory=dict)
    document_discounts: allowances.Discounts = field(default_factory=allowances.Discounts)


def propose(issuer: Issuer, proposal: Proposal, *, issue_on: date) -> list[Draft]:
    """The documents that the charges of ``proposal`` make, dated ``issue_on``; writes nothing.

    Charges of which some days are taxed otherwise than others are parted in ``proposal``: write it afterwards.

    Raises ``IncompleteParty`` or ``NoVatRule`` naming the account that cannot be invoiced, ``UnprintableText`` quoting
    what the documents' font cannot draw, ``BeyondBounds`` naming what is above the issuer's bounds, and
    ``StandsOnADraft`` naming the contract of which a draft is still to be decided, ``CreditedByHand`` that of which
    more was given back by hand.
    """
    if not proposal.charges:
        return []
    parties.check_issuer(issuer)
    facts = _facts_for(proposal.charges)
    facts.exchange_rates = book_vat.rates_of(
        issuer, {charge.position.contract.currency for charge in proposal.charges}, on=issue_on
    )
    taxes = taxation.Taxes.of(issuer, on=issue_on)
    seller = parties.seller_of(issuer)
    former = former_vat.read(facts.originals)
    groups: dict[tuple[grouping.Key, Regime, former_vat.Proof | None], list[Taxed]] = defaultdict(list)
    keys: dict[int, grouping.Key] = {}
    charges: list[Proposed] = []
    for whole in proposal.charges:
        contract = whole.position.contract
        key = keys.get(contract.key)
        if key is None:
            key = keys[contract.key] = grouping.key_of(contract, facts, issuer)
        corrected = whole.due.corrects or whole.due.reverses
        if corrected:
            key = grouping.key_of_correction(key, facts.originals[corrected], facts, issuer)
        recipient, tax_category = facts.accounts[key.recipient], facts.products[whole.position.product][3]
        then = former.get(corrected or 0)
        if then is not None and not taxes.are_still(then, recipient, facts, tax_category, whole.due.period.last_day):
            charges.append(whole)
            groups[key, then.treatment.regime, then.proof].append((whole, then.treatment))
            continue
        for charge in taxes.parts(recipient, facts, tax_category, whole):
            charges.append(charge)
            treatment = taxes.treatment(recipient, facts, tax_category, charge.due.period.last_day)
            groups[key, treatment.regime, None].append((charge, treatment))
    proposal.charges = charges
    drafts = [
        _draft(issuer, key, group, facts, taxes, seller, issue_on, proof)
        for (key, _regime, proof), group in groups.items()
    ]
    refuse_itself(issuer, drafts, facts)
    refuse_beyond_bounds(issuer, proposal, drafts)
    for draft in drafts:
        refuse_unprintable(draft)
    return drafts


def payers_of_corrected(proposal: Proposal) -> set[int]:
    """Who pays the documents of which ``proposal`` gives something back; a query only where it does."""
    corrected = [key for charge in proposal.charges if (key := charge.due.corrects or charge.due.reverses)]
    if not corrected:
        return set()
    originals, _undecided = grouping.read_originals(corrected)
    return {original.payer for original in originals.values()}


def refuse_itself(issuer: Issuer, drafts: Sequence[Draft], facts: Accounts) -> None:
    """Raises ``InvoicesItself``: nobody owes VAT, or anything else, to itself."""
    for draft in drafts if issuer.operated_by_id else ():
        if issuer.operated_by_id in (draft.recipient.id, parties.entity_of(draft.recipient, facts).id):
            raise InvoicesItself(
                _("%(account)s belongs to who operates the issuer %(issuer)s, which cannot invoice itself.")
                % {"account": draft.recipient.reference, "issuer": issuer.reference}
            )


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
    texts = [draft.po_number, *names, *(line.text for line in draft.lines), *(one.text for one in draft.lowered)]
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
    """Store drafts whose charges are written, in the caller's transaction.

    One of nothing is closed; an e-invoice is not released by anybody before it is judged.
    """
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
                draft.billed_with,
                draft.kind,
                _state_of(draft, state),
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
                str(VAT_CHECK_PENDING) if draft.waits_for and not draft.is_nothing else "",
                "" if draft.is_nothing else draft.waits_for,
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
        shares += [
            (key, share.case.value, share.rate, currency, share.base, share.vat, *_taxed_by(draft, share))
            for share in total.shares
        ]
    copy_rows(
        INVOICES,
        (
            "id",
            "run_id",
            "issuer_id",
            "recipient_id",
            "payer_id",
            "billed_with_id",
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
            "waits_for",
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
    copy_rows(VAT_SHARES, ("invoice_id", "vat_case", "vat_rate", "currency", "base", "vat", *TAXED_BY), shares)
    book_vat.write((draft.key, draft.in_books) for draft in drafts if draft.in_books)
    allowances.write([(draft.key, draft.currency, draft.lowered) for draft in drafts])


def _taxed_by(draft: Draft, share: Share) -> tuple[Any, ...]:
    """The columns ``TAXED_BY`` of a VAT share."""
    treatment = draft.treatments[share.rate]
    rule = treatment.rule
    notice = rule.notice(draft.language)
    return rule.key, treatment.country, rule.exemption_code, notice, rule.ledger_role, draft.vat_check


def _state_of(draft: Draft, wanted: str) -> str:
    if draft.is_nothing:
        return Invoice.State.CLOSED.value
    if draft.waits_for:
        return Invoice.State.HELD.value
    return Invoice.State.DRAFT.value if draft.waits_for_verdict else wanted


def _draft(
    issuer: Issuer,
    key: grouping.Key,
    group: list[Taxed],
    facts: Facts,
    taxes: taxation.Taxes,
    seller: dict[str, str],
    issue_on: date,
    proof: former_vat.Proof | None,
) -> Draft:
    """``proof`` is of a document whose VAT is that of what it corrects, though that would be taxed otherwise today."""
    recipient, payer = facts.accounts[key.recipient], facts.accounts[key.payer]
    currency, po_number, collection = key.currency, key.po_number, key.collection
    case = group[0][1].rule.case
    language = in_force("language", facts.line_of(recipient), issuer)
    printed = _printed_order(facts)
    group.sort(key=lambda taxed: printed(taxed[0]))
    charges = [charge for charge, _treatment in group]
    sections = _sections(charges, recipient, facts)
    place = {section.tenant: position for position, section in enumerate(sections, 1)}
    contracts: dict[int, dict[str, Any]] = {}
    known: dict[int, str] = {}
    lines = []
    treatments = taxation.by_rate(treatment for _charge, treatment in group)
    taxed = taxation.evidence(treatments, is_former=proof is not None)
    buyer, check = recipient, facts.vat_checks.get(recipient.id)
    if proof is not None and case in parties.RESTS_ON_THE_VAT_ID:
        buyer, check = replace(recipient, vat_id=proof.vat_id), proof.check
    for charge, treatment in group:
        name_de, name_en, unit, _tax_category, _reference = facts.products[charge.position.product]
        lines.append(
            DraftLine(
                charge,
                place.get(charge.position.contract.tenant),
                name_de if language == "de" else name_en,
                unit,
                treatment.rate,
                _details(charge, facts, contracts, known, language, issue_on),
            )
        )
    lowered = facts.document_discounts.of_draft(
        [_covered(line, case) for line in lines],
        payer=payer.id,
        issue_on=issue_on,
        currency=currency,
        language=language,
        places=places_of(currency),
    )
    total = totals(
        [
            *((case, line.rate, line.charge.due.net) for line in lines),
            *((one.case, one.rate, -one.amount) for one in lowered),
        ],
        places_of(currency),
    )
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
        format=parties.format_of(issuer, recipient, facts),
        parties=parties.parties_of(issuer, seller, buyer, payer, facts, case, taxed, check),
        sections=sections,
        lines=lines,
        lowered=lowered,
        treatments=treatments,
        in_books=book_vat.in_books(issuer, currency, total, facts.exchange_rates, on=issue_on),
        billed_with=key.billed_with or None,
    )
    if case in parties.RESTS_ON_THE_VAT_ID and check is not None:
        draft.vat_check = check.key or None
    if proof is None and taxes.waits(recipient, facts, treatments.values()):
        draft.waits_for = Invoice.WaitsFor.VAT_CHECK.value
    draft.content_hash = _content_hash(draft)
    return draft


def _covered(line: DraftLine, case: vat.Case) -> allowances.Covered:
    due = line.charge.due
    contract = line.charge.position.contract.key
    return allowances.Covered(contract, case, line.rate, due.net, due.corrects or due.reverses)


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
        original = facts.originals[corrected]
        details["corrects"] = {"number": original.number, "issued_on": original.issued_on}
    text = content.canonical_json(details)
    if not (named or corrected):
        known[item] = text
    return text


def contract_details(contract: Contract, on: date) -> dict[str, Any]:
    """The particulars of a contract that an invoice of day ``on`` tells (A-14)."""
    details: dict[str, Any] = {"contract": contract.reference, "starts_on": contract.starts_on.isoformat()}
    for name, day in (("activated_on", contract.activated_on), ("accepted_on", contract.accepted_on)):
        if day is not None:
            details[name] = day.isoformat()
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


def _share_text(draft: Draft, share: Share) -> str:
    _rule, country, code, notice, _role, _check = _taxed_by(draft, share)
    return content.share_text(share.case.value, share.rate, share.base, share.vat, country, code, notice)


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
        [
            *(_share_text(draft, share) for share in total.shares),
            *([draft.in_books.text] if draft.in_books is not None else []),
        ],
        [
            content.allowance_text(n, one.text, one.percent, one.case.value, one.rate, one.base, one.amount)
            for n, one in enumerate(draft.lowered, 1)
        ],
    )


def _facts_for(charges: Sequence[Proposed]) -> Facts:
    corrected = {key: charge for charge in charges if (key := charge.due.corrects or charge.due.reverses)}
    originals, undecided = grouping.read_originals(corrected) if corrected else ({}, [])
    named = grouping.accounts_of(charge.position.contract for charge in charges)
    named |= {key for original in originals.values() for key in (original.recipient, original.payer)}
    known = parties.read_accounts(named)
    facts = Facts(known.accounts, known.vat_checks, originals=originals)
    facts.products = _read_products({charge.position.product for charge in charges})
    discounts = {step[3] for charge in charges for step in charge.due.trace.get("discounts", ())}
    if discounts:
        facts.discounts = _read_discounts(discounts)
    for key in undecided:
        raise StandsOnADraft(
            _("Contract %(contract)s: what is to be taken back stands on a draft of %(day)s; issue or discard it.")
            % {"contract": corrected[key].position.contract.reference, "day": originals[key].issued_on}
        )
    if corrected:
        _refuse_credited_by_hand(charges, list(corrected))
    contracts = {charge.position.contract.key: charge.position.contract for charge in charges}
    payers = {grouping.payer_of(one, facts.accounts[one.tenant]) for one in contracts.values()}
    facts.document_discounts = allowances.read(contracts, payers, corrected)
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
