"""Facts -> OASIS UBL 2.1, Invoice or CreditNote: XRechnung in this syntax."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from invoicing.einvoice import terms
from invoicing.einvoice.facts import (
    AllowanceFacts,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    VatShareFacts,
)
from invoicing.einvoice.tree import Tree

SCHEMA = "urn:oasis:names:specification:ubl:schema:xsd:"
COMPONENTS: Final[dict[str | None, str]] = {
    "cac": f"{SCHEMA}CommonAggregateComponents-2",
    "cbc": f"{SCHEMA}CommonBasicComponents-2",
}


def write_ubl(facts: DocumentFacts) -> bytes:
    """The document as UBL; a draft has a placeholder for its number. Equal facts give equal bytes."""
    root = "CreditNote" if facts.kind is Kind.CREDIT_NOTE else "Invoice"
    tree = Tree(root, {None: f"{SCHEMA}{root}-2", **COMPONENTS})
    tree.put("cbc:CustomizationID", terms.specification(facts))
    tree.put("cbc:ProfileID", terms.BUSINESS_PROCESS)
    tree.put("cbc:ID", facts.number or terms.PLACEHOLDER)
    tree.put("cbc:IssueDate", facts.issued_on.isoformat())
    if facts.kind is Kind.INVOICE and terms.payment_terms(facts) and facts.due_on:
        tree.put("cbc:DueDate", facts.due_on.isoformat())
    tree.put(f"cbc:{root}TypeCode", terms.TYPE_CODES[facts.kind])
    tree.put("cbc:Note", terms.note_of(facts))
    tree.put("cbc:DocumentCurrencyCode", facts.currency)
    tree.put("cbc:TaxCurrencyCode", facts.in_books.currency if facts.in_books else "")
    tree.put("cbc:BuyerReference", facts.buyer.leitweg_id)
    if found := terms.period_of(facts):
        period(tree, *found)
    with tree.within("cac:OrderReference"):
        tree.put("cbc:ID", facts.po_number)
    for original in terms.preceding(facts):
        write_original(tree, original)
    with tree.within("cac:ContractDocumentReference"):
        tree.put("cbc:ID", terms.contract_of(facts))
    write_project(tree, facts)
    with tree.within("cac:AccountingSupplierParty"), tree.within("cac:Party"):
        write_seller(tree, facts)
    with tree.within("cac:AccountingCustomerParty"), tree.within("cac:Party"):
        write_buyer(tree, facts)
    write_delivery(tree, facts)
    write_means(tree, facts)
    with tree.within("cac:PaymentTerms"):
        tree.put("cbc:Note", terms.payment_terms(facts))
    for allowance in facts.allowances:
        write_allowance(tree, facts, allowance)
    with tree.within("cac:TaxTotal"):
        money(tree, "cbc:TaxAmount", facts, facts.vat_total)
        for share in facts.vat:
            write_share(tree, facts, share)
    write_vat_in_books(tree, facts)
    write_totals(tree, facts)
    for section in facts.sections:
        for line in section.lines:
            write_line(tree, facts, section, line, root)
    return tree.serialized()


def money(tree: Tree, name: str, facts: DocumentFacts, value: Decimal) -> None:
    """An amount of the document, with the sign that its kind is stated with."""
    stated(tree, name, facts, terms.sign_of(facts) * value)


def stated(tree: Tree, name: str, facts: DocumentFacts, value: Decimal) -> None:
    tree.put(name, terms.amount(value, facts.places), currencyID=facts.currency)


def period(tree: Tree, first: date, last: date) -> None:
    with tree.within("cac:InvoicePeriod"):
        tree.put("cbc:StartDate", first.isoformat())
        tree.put("cbc:EndDate", last.isoformat())


def write_original(tree: Tree, original: OriginalFacts) -> None:
    with tree.within("cac:BillingReference"), tree.within("cac:InvoiceDocumentReference"):
        tree.put("cbc:ID", original.number)
        tree.put("cbc:IssueDate", original.issued_on.isoformat())


def write_project(tree: Tree, facts: DocumentFacts) -> None:
    """BT-11; a UBL credit note has no element of its own for it."""
    if facts.kind is not Kind.CREDIT_NOTE:
        with tree.within("cac:ProjectReference"):
            tree.put("cbc:ID", facts.project_code)
    elif facts.project_code:
        with tree.within("cac:AdditionalDocumentReference"):
            tree.put("cbc:ID", facts.project_code)
            tree.put("cbc:DocumentTypeCode", "50")


def write_seller(tree: Tree, facts: DocumentFacts) -> None:
    seller = facts.seller
    endpoint(tree, seller)
    with tree.within("cac:PartyIdentification"):
        tree.put("cbc:ID", seller.reference)
    with tree.within("cac:PartyIdentification"):
        tree.put("cbc:ID", terms.means_of(facts).creditor_id, schemeID="SEPA")
    address(tree, "cac:PostalAddress", seller)
    if terms.names_vat_ids(facts):
        registration(tree, "VAT", seller.vat_id)
    registration(tree, "FC", seller.tax_number)
    with tree.within("cac:PartyLegalEntity"):
        tree.put("cbc:RegistrationName", seller.name)
        tree.put("cbc:CompanyID", seller.register_entry)
        tree.put("cbc:CompanyLegalForm", terms.legal_information(facts))
    with tree.within("cac:Contact"):
        tree.put("cbc:Name", seller.contact)
        tree.put("cbc:Telephone", seller.phone)
        tree.put("cbc:ElectronicMail", seller.email)


def write_buyer(tree: Tree, facts: DocumentFacts) -> None:
    buyer = facts.buyer
    endpoint(tree, buyer)
    with tree.within("cac:PartyIdentification"):
        tree.put("cbc:ID", buyer.reference)
    address(tree, "cac:PostalAddress", buyer)
    if terms.names_vat_ids(facts):
        registration(tree, "VAT", buyer.vat_id)
    with tree.within("cac:PartyLegalEntity"):
        tree.put("cbc:RegistrationName", buyer.name)


def endpoint(tree: Tree, party: PartyFacts) -> None:
    if found := terms.electronic_address(party):
        tree.put("cbc:EndpointID", found[1], schemeID=found[0])


def address(tree: Tree, name: str, party: PartyFacts) -> None:
    with tree.within(name):
        tree.put("cbc:StreetName", party.street)
        tree.put("cbc:CityName", party.city)
        tree.put("cbc:PostalZone", party.postcode)
        with tree.within("cac:Country"):
            tree.put("cbc:IdentificationCode", party.country)


def registration(tree: Tree, scheme: str, number: str) -> None:
    if number:
        with tree.within("cac:PartyTaxScheme"):
            tree.put("cbc:CompanyID", number)
            with tree.within("cac:TaxScheme"):
                tree.put("cbc:ID", scheme)


def write_delivery(tree: Tree, facts: DocumentFacts) -> None:
    """Where goods went to another member state, that it did is to be seen (BR-IC-12)."""
    if any(share.category == "K" for share in facts.vat):
        with tree.within("cac:Delivery"), tree.within("cac:DeliveryLocation"):
            address(tree, "cac:Address", facts.buyer)


def write_means(tree: Tree, facts: DocumentFacts) -> None:
    means = terms.means_of(facts)
    with tree.within("cac:PaymentMeans"):
        tree.put("cbc:PaymentMeansCode", means.code, name=means.text)
        with tree.within("cac:PayeeFinancialAccount"):
            tree.put("cbc:ID", means.iban)
            tree.put("cbc:Name", facts.seller.name if means.iban else "")
            with tree.within("cac:FinancialInstitutionBranch"):
                tree.put("cbc:ID", means.bic)
        with tree.within("cac:PaymentMandate"):
            tree.put("cbc:ID", means.mandate)
            with tree.within("cac:PayerFinancialAccount"):
                tree.put("cbc:ID", means.debited_iban)


def category(tree: Tree, name: str, code: str, rate: Decimal) -> None:
    """VAT category and rate; what is outside the scope of VAT has no rate (BR-O-05, BR-O-06)."""
    with tree.within(name):
        tree.put("cbc:ID", code)
        if code != "O":
            tree.put("cbc:Percent", terms.number(rate))
        with tree.within("cac:TaxScheme"):
            tree.put("cbc:ID", "VAT")


def write_allowance(tree: Tree, facts: DocumentFacts, allowance: AllowanceFacts) -> None:
    with tree.within("cac:AllowanceCharge"):
        is_charge = terms.is_charge(facts, allowance)
        tree.put("cbc:ChargeIndicator", "true" if is_charge else "false")
        tree.put("cbc:AllowanceChargeReasonCode", "" if is_charge else terms.DISCOUNT)
        tree.put("cbc:AllowanceChargeReason", allowance.reason)
        found = terms.percentage_of(allowance)
        if found:
            tree.put("cbc:MultiplierFactorNumeric", terms.number(found[0]))
        stated(tree, "cbc:Amount", facts, abs(allowance.amount))
        if found:
            stated(tree, "cbc:BaseAmount", facts, found[1])
        category(tree, "cac:TaxCategory", allowance.vat_category, allowance.vat_rate)


def write_share(tree: Tree, facts: DocumentFacts, share: VatShareFacts) -> None:
    code, text = terms.exemption(share)
    with tree.within("cac:TaxSubtotal"):
        money(tree, "cbc:TaxableAmount", facts, share.base)
        money(tree, "cbc:TaxAmount", facts, share.vat)
        with tree.within("cac:TaxCategory"):
            tree.put("cbc:ID", share.category)
            tree.put("cbc:Percent", terms.number(share.rate))  # of any category, says BR-DE-14
            tree.put("cbc:TaxExemptionReasonCode", code)
            tree.put("cbc:TaxExemptionReason", text)
            with tree.within("cac:TaxScheme"):
                tree.put("cbc:ID", "VAT")


def write_vat_in_books(tree: Tree, facts: DocumentFacts) -> None:
    """BT-111: the VAT in the issuer's currency."""
    if books := facts.in_books:
        value = terms.amount(terms.sign_of(facts) * books.vat, books.places)
        with tree.within("cac:TaxTotal"):
            tree.put("cbc:TaxAmount", value, currencyID=books.currency)


def write_totals(tree: Tree, facts: DocumentFacts) -> None:
    with tree.within("cac:LegalMonetaryTotal"):
        money(tree, "cbc:LineExtensionAmount", facts, terms.line_total(facts))
        money(tree, "cbc:TaxExclusiveAmount", facts, facts.net)
        money(tree, "cbc:TaxInclusiveAmount", facts, facts.gross)
        if facts.allowances:
            stated(tree, "cbc:AllowanceTotalAmount", facts, terms.allowance_total(facts))
            stated(tree, "cbc:ChargeTotalAmount", facts, terms.charge_total(facts))
        money(tree, "cbc:PayableAmount", facts, facts.gross)


def write_line(tree: Tree, facts: DocumentFacts, section: SectionFacts, line: LineFacts, root: str) -> None:
    item = terms.item_of(line, terms.sign_of(facts), facts.places)
    quantity = "cbc:CreditedQuantity" if root == "CreditNote" else "cbc:InvoicedQuantity"
    with tree.within(f"cac:{root}Line"):
        tree.put("cbc:ID", str(line.position))
        tree.put("cbc:Note", terms.line_note(facts, section, line))
        tree.put(quantity, terms.number(item.quantity), unitCode=item.unit)
        money(tree, "cbc:LineExtensionAmount", facts, line.net)
        period(tree, line.starts_on, line.last_day)
        with tree.within("cac:Item"):
            tree.put("cbc:Description", line.contract)
            tree.put("cbc:Name", line.text)
            category(tree, "cac:ClassifiedTaxCategory", line.vat_category, line.vat_rate)
        with tree.within("cac:Price"):
            tree.put("cbc:PriceAmount", terms.number(item.price), currencyID=facts.currency)
            if item.base is not None:
                tree.put("cbc:BaseQuantity", terms.number(item.base), unitCode=item.unit)
