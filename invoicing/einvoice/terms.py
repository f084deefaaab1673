"""A document's facts in the business terms of EN 16931 (BT, BG), the same for every syntax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from babel.dates import format_date
from django.utils import translation
from django.utils.translation import gettext as _

from billing.kernel.money import rounded
from invoicing.einvoice.facts import (
    AllowanceFacts,
    Collection,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    VatShareFacts,
)
from invoicing.kernel.printing import shown_price

EN_16931: Final = "urn:cen.eu:en16931:2017"  # BT-24; also that of ZUGFeRD and Factur-X in this profile
XRECHNUNG: Final = f"{EN_16931}#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0"
BUSINESS_PROCESS: Final = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"  # BT-23
PLACEHOLDER: Final = "ENTWURF"  # BT-1 of a draft, for judging it before it has a number

# UNTDID 1001. A credit note states what it gives back as positive; a corrected invoice negates what it takes back.
TYPE_CODES: Final = {Kind.INVOICE: "380", Kind.CREDIT_NOTE: "381", Kind.CANCELLATION: "384"}
# Why there is no VAT (VATEX); an exemption of § 4 UStG or a small business has no code of its own and states words.
EXEMPTION_CODES: Final = {"AE": "VATEX-EU-AE", "K": "VATEX-EU-IC", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}
EXEMPTION_TEXTS: Final = {
    "AE": "Steuerschuldnerschaft des Leistungsempfängers / Reverse charge",
    "O": "Nicht im Inland steuerbare Leistung / Not subject to German VAT",
    "K": "Steuerfreie innergemeinschaftliche Lieferung / Intra-community supply",
    "G": "Steuerfreie Ausfuhr / Export outside the EU",
}
DISCOUNT: Final = "95"  # UNTDID 5189
SLACK: Final = Fraction(2, 100)  # that PEPPOL-EN16931-R040 leaves between a percentage and its amount
BESIDE_ITS_RATE: Final = 1  # unit of the currency, that BR-CO-17 leaves between the VAT and base times rate
DAYS: Final = {"de": "dd.MM.yyyy", "en": "d MMM yyyy"}


@dataclass(frozen=True, slots=True)
class Item:
    """What a line multiplies: ``quantity`` (BT-129) times ``price`` (BT-146, never negative) per ``base`` (BT-149)."""

    quantity: Decimal
    unit: str
    price: Decimal
    base: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """How the money comes (BG-16): its code of UNTDID 4461, with the accounts that this code asks for."""

    code: str
    text: str
    iban: str = ""
    bic: str = ""
    mandate: str = ""
    creditor_id: str = ""
    debited_iban: str = ""


def is_xrechnung(facts: DocumentFacts) -> bool:
    return facts.format.startswith("xrechnung")


def specification(facts: DocumentFacts) -> str:
    """BT-24."""
    return XRECHNUNG if is_xrechnung(facts) else EN_16931


def sign_of(facts: DocumentFacts) -> int:
    """What each amount and quantity is multiplied with: a credit note states what it gives back as positive."""
    return -1 if facts.kind is Kind.CREDIT_NOTE else 1


def amount(value: Decimal, places: int) -> str:
    """With the decimals of the currency; zero has no sign."""
    return f"{value + 0:.{places}f}"


def number(value: Decimal) -> str:
    """With the decimals it needs, and no exponent."""
    return f"{value.normalize() + 0:f}"


def item_of(line: LineFacts, sign: int, places: int) -> Item:
    """Quantity and price of a line that multiply out to its net amount, whatever led to it.

    Where no price of up to ten decimals does, it is the price of the whole quantity (BT-149).
    """
    quantity, net = abs(line.quantity), abs(line.net)
    direction = sign * (-1 if line.net < 0 or (not line.net and line.quantity < 0) else 1)
    if not quantity:
        return Item(Decimal(direction if net else 0), line.unit, net)
    agreed = line.explanation.unit_price if not line.explanation.steps else None
    price = None if agreed is None or agreed < 0 else shown_price(agreed, quantity, net, places)
    if price is None:
        price = shown_price(Fraction(net) / Fraction(quantity), quantity, net, places)
    if price is None:
        return Item(direction * quantity, line.unit, net, quantity)
    return Item(direction * quantity, line.unit, price)


def period_of(facts: DocumentFacts) -> tuple[date, date] | None:
    """First and last day of all that is invoiced (BG-14)."""
    lines = list(facts.lines)
    return (min(line.starts_on for line in lines), max(line.last_day for line in lines)) if lines else None


def preceding(facts: DocumentFacts) -> list[OriginalFacts]:
    """The documents that this one corrects, each once (BG-3)."""
    named = [facts.original, *(line.corrects for line in facts.lines)]
    return list(dict.fromkeys(one for one in named if one))


def contract_of(facts: DocumentFacts) -> str:
    """The contract, where all lines are of one (BT-12)."""
    named = {line.contract for line in facts.lines}
    return named.pop() if len(named) == 1 else ""


def names_vat_ids(facts: DocumentFacts) -> bool:
    """Whether VAT ids of seller and buyer may be stated: not on what is outside the scope of VAT (BR-O-02)."""
    return all(share.category != "O" for share in facts.vat)


def legal_information(facts: DocumentFacts) -> str:
    """BT-33: the managing directors, and the VAT id where it may stand nowhere else."""
    seller = facts.seller
    unnamed = f"USt-IdNr. {seller.vat_id}" if seller.vat_id and not names_vat_ids(facts) else ""
    return "; ".join(text for text in (seller.managing_directors, unnamed) if text)


def electronic_address(party: PartyFacts) -> tuple[str, str] | None:
    """Where e-invoices reach the party: scheme (EAS) and address (BT-34, BT-49); ``None`` if nothing is known."""
    if party.email:
        return "EM", party.email
    if party.leitweg_id:
        return "0204", party.leitweg_id
    if party.vat_id.startswith("DE"):
        return "9930", party.vat_id
    return None


def exemption(share: VatShareFacts) -> tuple[str, str]:
    """Why there is no VAT: code and words (BT-121, BT-120); both empty where there is a rate, be it zero."""
    if share.category in ("S", "Z"):
        return "", ""
    code = share.exemption_code or EXEMPTION_CODES.get(share.category, "")
    return code, share.notice or EXEMPTION_TEXTS.get(share.category, "")


def means_of(facts: DocumentFacts) -> Means:
    """How it is paid. What we owe is set off; a collection without a mandate on the document names no account."""
    with translation.override(facts.language):
        if facts.kind is not Kind.INVOICE or not facts.gross:
            return Means("97", _("Set off against open invoices"))
        match facts.collection:
            case Collection.DIRECT_DEBIT if facts.mandate_reference:
                return Means(
                    "59",
                    _("SEPA direct debit"),
                    mandate=facts.mandate_reference,
                    creditor_id=facts.creditor_id,
                    debited_iban=facts.debited_iban,
                )
            case Collection.DIRECT_DEBIT:
                return Means("ZZZ", _("Direct debit"))  # 49 and 59 want a mandate
            case Collection.CARD:
                return Means("68", _("Charged to the card stored with us"))
            case Collection.INVOICE:
                return Means(
                    "58",
                    _("SEPA credit transfer"),
                    iban=facts.seller.iban,
                    bic=facts.seller.bic if facts.seller.iban else "",
                )


def payment_terms(facts: DocumentFacts) -> str:
    """BT-20, in the document's language; empty where nothing is to be paid."""
    if sign_of(facts) * facts.gross <= 0:
        return ""
    with translation.override(facts.language):
        if facts.kind is not Kind.INVOICE or not facts.due_on:
            return _("Set off against open invoices")
        on = facts.collect_on or facts.due_on
        day = format_date(on, DAYS[facts.language], locale=facts.language)
        if facts.collection is Collection.INVOICE:
            return _("Payable by %(day)s without deduction.") % {"day": day}
        return _("Collected on %(day)s.") % {"day": day}


def note_of(facts: DocumentFacts) -> str:
    """BT-22: who pays where it is not the buyer. One note at most (PEPPOL-EN16931-R002)."""
    if facts.payer is None:
        return ""
    with translation.override(facts.language):
        return _("Paid by %(payer)s") % {"payer": f"{facts.payer.name} ({facts.payer.reference})"}


def line_note(facts: DocumentFacts, section: SectionFacts, line: LineFacts) -> str:
    """BT-127: for which account a line of a consolidated document is, and which of several documents it corrects."""
    told = [f"{section.tenant_name} ({section.tenant_reference})"] if facts.is_consolidated else []
    if line.corrects and line.corrects != facts.original:
        with translation.override(facts.language):
            day = format_date(line.corrects.issued_on, DAYS[facts.language], locale=facts.language)
            told.append(_("Corrects invoice %(number)s of %(day)s") % {"number": line.corrects.number, "day": day})
    return "; ".join(told)


def line_total(facts: DocumentFacts) -> Decimal:
    """BT-106."""
    return sum((line.net for line in facts.lines), Decimal(0))


def is_charge(facts: DocumentFacts, allowance: AllowanceFacts) -> bool:
    """Whether a share of a discount is taken back: what an allowance would state as negative is a charge (BG-21)."""
    return sign_of(facts) * allowance.amount < 0


def allowance_total(facts: DocumentFacts) -> Decimal:
    """BT-107, as stated."""
    return sum((abs(one.amount) for one in facts.allowances if not is_charge(facts, one)), Decimal(0))


def charge_total(facts: DocumentFacts) -> Decimal:
    """BT-108, as stated."""
    return sum((abs(one.amount) for one in facts.allowances if is_charge(facts, one)), Decimal(0))


def percentage_of(allowance: AllowanceFacts) -> tuple[Decimal, Decimal] | None:
    """Percent and base (BT-94, BT-93), where they lead to the amount, but for the cents of sharing it out."""
    if allowance.percent is None or allowance.base is None:
        return None
    exact = Fraction(allowance.percent) * Fraction(allowance.base) / 100
    return (allowance.percent, abs(allowance.base)) if abs(exact - Fraction(allowance.amount)) <= SLACK else None


def broken_sums(facts: DocumentFacts) -> Sequence[str]:
    """The rules on sums that the facts break, by the names EN 16931 gives them; none on what is right.

    The last credit note on an invoice takes the rest of its VAT: as far as the rule lets it be beside its rate.
    """
    lines = list(facts.lines)
    allowed = sum((one.amount for one in facts.allowances), Decimal(0))
    broken = []
    if facts.net != line_total(facts) - allowed:
        broken.append("BR-CO-13")
    if facts.vat_total != sum((share.vat for share in facts.vat), Decimal(0)):
        broken.append("BR-CO-14")
    if facts.gross != facts.net + facts.vat_total:
        broken.append("BR-CO-15")
    exact = (rounded(Fraction(share.base) * Fraction(share.rate) / 100, facts.places) for share in facts.vat)
    off = [abs(share.vat - vat) for share, vat in zip(facts.vat, exact, strict=True)]
    if any(off) and (facts.kind is Kind.INVOICE or max(off) >= BESIDE_ITS_RATE):
        broken.append("BR-CO-17")
    bases: dict[tuple[str, Decimal], Decimal] = {}
    for part, value in [
        *(((line.vat_category, line.vat_rate), line.net) for line in lines),
        *(((one.vat_category, one.vat_rate), -one.amount) for one in facts.allowances),
    ]:
        bases[part] = bases.get(part, Decimal(0)) + value
    if bases != {(share.category, share.rate): share.base for share in facts.vat}:
        broken.append("BR-CO-18")
    return broken
