"""Charges -> drafts: which stand together, in what order, with what VAT, sections, discounts and totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing.charging import Proposal, Proposed
from billing.kernel.money import places_of
from invoicing import allowances, book_vat, former_vat, grouping, parties, taxation
from invoicing.drafting.details import details_of
from invoicing.drafting.draft import Draft, DraftLine, DraftSection, Taxed
from invoicing.drafting.hashing import content_hash_of
from invoicing.drafting.reading import Facts, facts_for
from invoicing.drafting.refusing import refuse_beyond_bounds, refuse_itself, refuse_unprintable
from invoicing.kernel import vat
from invoicing.kernel.taxation import Regime
from invoicing.kernel.totals import totals
from invoicing.models import Invoice
from invoicing.parties import Account
from tenants.models import Issuer
from tenants.responsibility import in_force


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
    facts = facts_for(proposal.charges)
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
                details_of(charge, facts, contracts, known, language, issue_on),
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
    draft.content_hash = content_hash_of(draft)
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
