"""Charges -> drafts: which stand together, in what order, with what VAT, sections, discounts and totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing.charging import Proposal, Proposed
from billing.kernel.money import places_of
from invoicing import allowances, book_vat, former_vat, grouping, parties, taxation
from invoicing.drafting.details import Details
from invoicing.drafting.draft import Draft, DraftLine, DraftSection
from invoicing.drafting.reading import Facts, facts_for
from invoicing.drafting.refusing import refuse_beyond_bounds, refuse_itself, refuse_not_over, refuse_unprintable
from invoicing.kernel import vat
from invoicing.kernel.taxation import Regime
from invoicing.kernel.totals import Totals, totals
from invoicing.models import Invoice
from invoicing.parties import Account
from invoicing.taxation import Taxed
from tenants.models import Issuer
from tenants.responsibility import in_force


class Together(NamedTuple):
    """What the charges of one document have in common. ``proof`` and ``rate`` are of what it corrects: of a document
    that would be taxed otherwise today, and of one in a foreign currency that would be converted otherwise.
    """

    key: grouping.Key
    regime: Regime
    proof: former_vat.Proof | None = None
    rate: book_vat.Rate | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the documents of a chunk share."""

    issuer: Issuer
    issue_on: date
    facts: Facts
    taxes: taxation.Taxes
    seller: dict[str, str]
    details: Details


def propose(issuer: Issuer, proposal: Proposal, *, issue_on: date) -> list[Draft]:
    """The documents that the charges of ``proposal`` make, dated ``issue_on``; writes nothing.

    Charges of which some days are taxed otherwise than others are parted in ``proposal``: write it afterwards.

    Raises ``IncompleteParty`` or ``NoVatRule`` naming the account that cannot be invoiced, ``UnprintableText`` quoting
    what the documents' font cannot draw, ``BeyondBounds`` naming what is above the issuer's bounds, and
    ``StandsOnADraft`` naming the contract of which a draft is still to be decided, ``CreditedByHand`` that of which
    more was given back by hand, ``NotOverYet`` that of which usage would be invoiced too early.
    """
    if not proposal.charges:
        return []
    parties.check_issuer(issuer)
    refuse_not_over(proposal.charges, issue_on=issue_on)
    facts = facts_for(issuer, proposal.charges, issue_on=issue_on)
    chunk = Chunk(
        issuer,
        issue_on,
        facts,
        taxation.Taxes.of(issuer, on=issue_on),
        parties.seller_of(issuer),
        Details(issuer, facts, issue_on),
    )
    drafts = [_draft(chunk, together, group) for together, group in _grouped(chunk, proposal).items()]
    refuse_itself(issuer, drafts, facts)
    refuse_beyond_bounds(issuer, proposal, drafts)
    for draft in drafts:
        refuse_unprintable(draft)
    return drafts


def _grouped(chunk: Chunk, proposal: Proposal) -> dict[Together, list[Taxed]]:
    """The charges with their treatment, by document; parts of charges replace them in ``proposal``."""
    facts, taxes = chunk.facts, chunk.taxes
    groups: dict[Together, list[Taxed]] = defaultdict(list)
    keys: dict[int, grouping.Key] = {}
    charges: list[Proposed] = []
    for whole in proposal.charges:
        contract, corrected = whole.position.contract, whole.due.corrects or whole.due.reverses
        key, rate = keys.get(contract.key), None
        if key is None:
            key = keys[contract.key] = grouping.key_of(contract, facts, chunk.issuer)
        if corrected:
            key = grouping.key_of_correction(key, facts.originals[corrected], facts, chunk.issuer)
            rate = facts.former_rates.get(corrected)
        recipient, tax_category = facts.accounts[key.recipient], facts.products[whole.position.product].tax_category
        then = facts.former_vat.get(corrected or 0)
        if then is not None and not taxes.are_still(then, recipient, facts, tax_category, whole.due.period.last_day):
            charges.append(whole)
            groups[Together(key, then.treatment.regime, then.proof, rate)].append((whole, then.treatment))
            continue
        for charge, treatment in taxes.taxed(recipient, facts, tax_category, whole):
            charges.append(charge)
            groups[Together(key, treatment.regime, None, rate)].append((charge, treatment))
    proposal.charges = charges
    return groups


def _draft(chunk: Chunk, together: Together, group: list[Taxed]) -> Draft:
    issuer, issue_on, facts = chunk.issuer, chunk.issue_on, chunk.facts
    key, proof = together.key, together.proof
    recipient, payer = facts.accounts[key.recipient], facts.accounts[key.payer]
    case = group[0][1].rule.case
    language = in_force("language", facts.line_of(recipient), issuer)
    group.sort(key=lambda taxed: _place_in_print(taxed[0], facts))
    sections = _sections([charge for charge, _treatment in group], recipient, facts)
    lines = _lines(chunk, group, sections, language)
    treatments = taxation.by_rate(treatment for _charge, treatment in group)
    buyer, check = recipient, facts.vat_checks.get(recipient.id)
    if proof is not None and case in parties.RESTS_ON_THE_VAT_ID:
        buyer, check = replace(recipient, vat_id=proof.vat_id), proof.check
    lowered = _lowered(chunk, lines, case, payer, key.currency, language)
    total = _total(case, lines, lowered, key.currency)
    draft = Draft(
        issuer=issuer.pk,
        recipient=recipient,
        payer=payer,
        kind=Invoice.Kind.INVOICE.value if total.gross >= 0 else Invoice.Kind.CREDIT_NOTE.value,
        issued_on=issue_on,
        due_on=issue_on + timedelta(days=in_force("payment_days", facts.line_of(payer), issuer)),
        language=language,
        currency=key.currency,
        collection=key.collection,
        po_number=key.po_number,
        case=case,
        totals=total,
        format=parties.format_of(issuer, recipient, facts),
        parties=parties.parties_of(
            issuer,
            chunk.seller,
            buyer,
            payer,
            facts,
            case,
            taxation.evidence(treatments, is_former=proof is not None),
            check,
        ),
        sections=sections,
        lines=lines,
        lowered=lowered,
        treatments=treatments,
        in_books=book_vat.in_books(
            issuer, key.currency, total, together.rate or facts.exchange_rates.get(key.currency), on=issue_on
        ),
        billed_with=key.billed_with or None,
    )
    if case in parties.RESTS_ON_THE_VAT_ID and check is not None:
        draft.vat_check = check.key or None
    if proof is None and chunk.taxes.waits(recipient, facts, treatments.values()):
        draft.waits_for = Invoice.WaitsFor.VAT_CHECK.value
    return draft


def _place_in_print(charge: Proposed, facts: Facts) -> tuple[int | None, int, str, date, int]:
    contract, due = charge.position.contract, charge.due
    account = facts.accounts[contract.tenant]
    return account.tree_id, account.lft, contract.reference, due.period.start, due.item


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


def _lines(chunk: Chunk, group: Iterable[Taxed], sections: Sequence[DraftSection], language: str) -> list[DraftLine]:
    place = {section.tenant: position for position, section in enumerate(sections, 1)}
    lines = []
    for charge, treatment in group:
        product = chunk.facts.products[charge.position.product]
        lines.append(
            DraftLine(
                charge,
                place.get(charge.position.contract.tenant),
                product.name_de if language == "de" else product.name_en,
                product.unit,
                treatment.rate,
                chunk.details.of(charge, language),
            )
        )
    return lines


def _lowered(
    chunk: Chunk, lines: Iterable[DraftLine], case: vat.Case, payer: Account, currency: str, language: str
) -> Sequence[allowances.DraftAllowance]:
    """What discounts take off the document."""
    discounts = chunk.facts.document_discounts
    if discounts.are_none:
        return ()
    return discounts.of_draft(
        [_covered(line, case) for line in lines],
        payer=payer.id,
        issue_on=chunk.issue_on,
        currency=currency,
        language=language,
        places=places_of(currency),
    )


def _covered(line: DraftLine, case: vat.Case) -> allowances.Covered:
    due = line.charge.due
    contract = line.charge.position.contract.key
    return allowances.Covered(contract, case, line.rate, due.net, due.corrects or due.reverses)


def _total(
    case: vat.Case, lines: Iterable[DraftLine], lowered: Iterable[allowances.DraftAllowance], currency: str
) -> Totals:
    return totals(
        [
            *((case, line.rate, line.charge.due.net) for line in lines),
            *((one.case, one.rate, -one.amount) for one in lowered),
        ],
        places_of(currency),
    )
