"""Facts -> UN/CEFACT Cross Industry Invoice (D16B): XRechnung in this syntax, and the XML of ZUGFeRD and Factur-X."""

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
    PartyFacts,
    SectionFacts,
    VatShareFacts,
)
from invoicing.einvoice.tree import Tree

STANDARD = "urn:un:unece:uncefact:data:standard:"
NAMESPACES: Final[dict[str | None, str]] = {
    "rsm": f"{STANDARD}CrossIndustryInvoice:100",
    "ram": f"{STANDARD}ReusableAggregateBusinessInformationEntity:100",
    "qdt": f"{STANDARD}QualifiedDataType:100",
    "udt": f"{STANDARD}UnqualifiedDataType:100",
}


def write_cii(facts: DocumentFacts) -> bytes:
    """The document as CII; a draft has a placeholder for its number. Equal facts give equal bytes."""
    tree = Tree("rsm:CrossIndustryInvoice", NAMESPACES)
    with tree.within("rsm:ExchangedDocumentContext"):
        with tree.within("ram:BusinessProcessSpecifiedDocumentContextParameter"):
            tree.put("ram:ID", terms.BUSINESS_PROCESS)
        with tree.within("ram:GuidelineSpecifiedDocumentContextParameter"):
            tree.put("ram:ID", terms.specification(facts))
    with tree.within("rsm:ExchangedDocument"):
        tree.put("ram:ID", facts.number or terms.PLACEHOLDER)
        tree.put("ram:TypeCode", terms.TYPE_CODES[facts.kind])
        with tree.within("ram:IssueDateTime"):
            day(tree, "udt:DateTimeString", facts.issued_on)
        with tree.within("ram:IncludedNote"):
            tree.put("ram:Content", terms.note_of(facts))
    with tree.within("rsm:SupplyChainTradeTransaction"):
        for section in facts.sections:
            for line in section.lines:
                write_line(tree, facts, section, line)
        write_agreement(tree, facts)
        with tree.within("ram:ApplicableHeaderTradeDelivery", keep=True):
            write_delivery(tree, facts)
        with tree.within("ram:ApplicableHeaderTradeSettlement"):
            write_settlement(tree, facts)
    return tree.serialized()


def day(tree: Tree, name: str, on: date) -> None:
    tree.put(name, f"{on:%Y%m%d}", format="102")


def period(tree: Tree, first: date, last: date) -> None:
    with tree.within("ram:BillingSpecifiedPeriod"):
        with tree.within("ram:StartDateTime"):
            day(tree, "udt:DateTimeString", first)
        with tree.within("ram:EndDateTime"):
            day(tree, "udt:DateTimeString", last)


def write_line(tree: Tree, facts: DocumentFacts, section: SectionFacts, line: LineFacts) -> None:
    sign = terms.sign_of(facts)
    item = terms.item_of(line, sign, facts.places)
    with tree.within("ram:IncludedSupplyChainTradeLineItem"):
        with tree.within("ram:AssociatedDocumentLineDocument"):
            tree.put("ram:LineID", str(line.position))
            with tree.within("ram:IncludedNote"):
                tree.put("ram:Content", terms.line_note(facts, section, line))
        with tree.within("ram:SpecifiedTradeProduct"):
            tree.put("ram:Name", line.text)
            tree.put("ram:Description", line.contract)
        with tree.within("ram:SpecifiedLineTradeAgreement"), tree.within("ram:NetPriceProductTradePrice"):
            tree.put("ram:ChargeAmount", terms.number(item.price))
            if item.base is not None:
                tree.put("ram:BasisQuantity", terms.number(item.base), unitCode=item.unit)
        with tree.within("ram:SpecifiedLineTradeDelivery"):
            tree.put("ram:BilledQuantity", terms.number(item.quantity), unitCode=item.unit)
        with tree.within("ram:SpecifiedLineTradeSettlement"):
            with tree.within("ram:ApplicableTradeTax"):
                category(tree, line.vat_category, line.vat_rate)
            period(tree, line.starts_on, line.last_day)
            with tree.within("ram:SpecifiedTradeSettlementLineMonetarySummation"):
                tree.put("ram:LineTotalAmount", terms.amount(sign * line.net, facts.places))


def category(tree: Tree, code: str, rate: Decimal) -> None:
    """VAT category and rate; what is outside the scope of VAT has no rate (BR-O-05, BR-O-06)."""
    tree.put("ram:TypeCode", "VAT")
    tree.put("ram:CategoryCode", code)
    if code != "O":
        tree.put("ram:RateApplicablePercent", terms.number(rate))


def write_agreement(tree: Tree, facts: DocumentFacts) -> None:
    with tree.within("ram:ApplicableHeaderTradeAgreement"):
        tree.put("ram:BuyerReference", facts.buyer.leitweg_id)
        with tree.within("ram:SellerTradeParty"):
            write_seller(tree, facts)
        with tree.within("ram:BuyerTradeParty"):
            write_buyer(tree, facts)
        with tree.within("ram:BuyerOrderReferencedDocument"):
            tree.put("ram:IssuerAssignedID", facts.po_number)
        with tree.within("ram:ContractReferencedDocument"):
            tree.put("ram:IssuerAssignedID", terms.contract_of(facts))
        if facts.project_code:
            with tree.within("ram:SpecifiedProcuringProject"):
                tree.put("ram:ID", facts.project_code)
                tree.put("ram:Name", "Project reference")


def write_seller(tree: Tree, facts: DocumentFacts) -> None:
    seller = facts.seller
    tree.put("ram:ID", seller.reference)
    tree.put("ram:Name", seller.name)
    tree.put("ram:Description", terms.legal_information(facts))
    with tree.within("ram:SpecifiedLegalOrganization"):
        tree.put("ram:ID", seller.register_entry)
    with tree.within("ram:DefinedTradeContact"):
        tree.put("ram:PersonName", seller.contact)
        with tree.within("ram:TelephoneUniversalCommunication"):
            tree.put("ram:CompleteNumber", seller.phone)
        with tree.within("ram:EmailURIUniversalCommunication"):
            tree.put("ram:URIID", seller.email)
    address(tree, seller)
    endpoint(tree, seller)
    if terms.names_vat_ids(facts):
        registration(tree, "VA", seller.vat_id)
    registration(tree, "FC", seller.tax_number)


def write_buyer(tree: Tree, facts: DocumentFacts) -> None:
    buyer = facts.buyer
    tree.put("ram:ID", buyer.reference)
    tree.put("ram:Name", buyer.name)
    address(tree, buyer)
    endpoint(tree, buyer)
    if terms.names_vat_ids(facts):
        registration(tree, "VA", buyer.vat_id)


def address(tree: Tree, party: PartyFacts) -> None:
    with tree.within("ram:PostalTradeAddress"):
        tree.put("ram:PostcodeCode", party.postcode)
        tree.put("ram:LineOne", party.street)
        tree.put("ram:CityName", party.city)
        tree.put("ram:CountryID", party.country)


def endpoint(tree: Tree, party: PartyFacts) -> None:
    if found := terms.electronic_address(party):
        with tree.within("ram:URIUniversalCommunication"):
            tree.put("ram:URIID", found[1], schemeID=found[0])


def registration(tree: Tree, scheme: str, number: str) -> None:
    with tree.within("ram:SpecifiedTaxRegistration"):
        tree.put("ram:ID", number, schemeID=scheme)


def write_delivery(tree: Tree, facts: DocumentFacts) -> None:
    """Where goods went to another member state, that it did is to be seen (BR-IC-12)."""
    if any(share.category == "K" for share in facts.vat):
        with tree.within("ram:ShipToTradeParty"):
            address(tree, facts.buyer)


def write_settlement(tree: Tree, facts: DocumentFacts) -> None:
    means = terms.means_of(facts)
    tree.put("ram:CreditorReferenceID", means.creditor_id)
    tree.put("ram:TaxCurrencyCode", facts.in_books.currency if facts.in_books else "")
    tree.put("ram:InvoiceCurrencyCode", facts.currency)
    with tree.within("ram:SpecifiedTradeSettlementPaymentMeans"):
        tree.put("ram:TypeCode", means.code)
        tree.put("ram:Information", means.text)
        with tree.within("ram:PayerPartyDebtorFinancialAccount"):
            tree.put("ram:IBANID", means.debited_iban)
        with tree.within("ram:PayeePartyCreditorFinancialAccount"):
            tree.put("ram:IBANID", means.iban)
            tree.put("ram:AccountName", facts.seller.name if means.iban else "")
        with tree.within("ram:PayeeSpecifiedCreditorFinancialInstitution"):
            tree.put("ram:BICID", means.bic)
    for share in facts.vat:
        write_share(tree, facts, share)
    if found := terms.period_of(facts):
        period(tree, *found)
    for allowance in facts.allowances:
        write_allowance(tree, facts, allowance)
    with tree.within("ram:SpecifiedTradePaymentTerms"):
        tree.put("ram:Description", terms.payment_terms(facts))
        if facts.kind is Kind.INVOICE and terms.payment_terms(facts) and facts.due_on:
            with tree.within("ram:DueDateDateTime"):
                day(tree, "udt:DateTimeString", facts.due_on)
        tree.put("ram:DirectDebitMandateID", means.mandate)
    write_totals(tree, facts)
    for original in terms.preceding(facts)[:1]:  # D16B has room for one; of several, each line names its own
        with tree.within("ram:InvoiceReferencedDocument"):
            tree.put("ram:IssuerAssignedID", original.number)
            with tree.within("ram:FormattedIssueDateTime"):
                day(tree, "qdt:DateTimeString", original.issued_on)


def write_share(tree: Tree, facts: DocumentFacts, share: VatShareFacts) -> None:
    code, text = terms.exemption(share)
    sign = terms.sign_of(facts)
    with tree.within("ram:ApplicableTradeTax"):
        tree.put("ram:CalculatedAmount", terms.amount(sign * share.vat, facts.places))
        tree.put("ram:TypeCode", "VAT")
        tree.put("ram:ExemptionReason", text)
        tree.put("ram:BasisAmount", terms.amount(sign * share.base, facts.places))
        tree.put("ram:CategoryCode", share.category)
        tree.put("ram:ExemptionReasonCode", code)
        tree.put("ram:RateApplicablePercent", terms.number(share.rate))  # of any category, says BR-DE-14


def write_allowance(tree: Tree, facts: DocumentFacts, allowance: AllowanceFacts) -> None:
    is_charge = terms.is_charge(facts, allowance)
    with tree.within("ram:SpecifiedTradeAllowanceCharge"):
        with tree.within("ram:ChargeIndicator"):
            tree.put("udt:Indicator", "true" if is_charge else "false")
        if found := terms.percentage_of(allowance):
            tree.put("ram:CalculationPercent", terms.number(found[0]))
            tree.put("ram:BasisAmount", terms.amount(found[1], facts.places))
        tree.put("ram:ActualAmount", terms.amount(abs(allowance.amount), facts.places))
        tree.put("ram:ReasonCode", "" if is_charge else terms.DISCOUNT)
        tree.put("ram:Reason", allowance.reason)
        with tree.within("ram:CategoryTradeTax"):
            category(tree, allowance.vat_category, allowance.vat_rate)


def write_totals(tree: Tree, facts: DocumentFacts) -> None:
    sign, places = terms.sign_of(facts), facts.places
    with tree.within("ram:SpecifiedTradeSettlementHeaderMonetarySummation"):
        tree.put("ram:LineTotalAmount", terms.amount(sign * terms.line_total(facts), places))
        if facts.allowances:
            tree.put("ram:ChargeTotalAmount", terms.amount(terms.charge_total(facts), places))
            tree.put("ram:AllowanceTotalAmount", terms.amount(terms.allowance_total(facts), places))
        tree.put("ram:TaxBasisTotalAmount", terms.amount(sign * facts.net, places))
        tree.put("ram:TaxTotalAmount", terms.amount(sign * facts.vat_total, places), currencyID=facts.currency)
        if books := facts.in_books:  # BT-111
            tree.put("ram:TaxTotalAmount", terms.amount(sign * books.vat, books.places), currencyID=books.currency)
        tree.put("ram:GrandTotalAmount", terms.amount(sign * facts.gross, places))
        tree.put("ram:DuePayableAmount", terms.amount(sign * facts.gross, places))
