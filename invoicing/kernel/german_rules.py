"""The tax rules an issuer in Germany starts with; staff may end them and add others. Sources stand with each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from invoicing.kernel.taxation import Customer, Place, Rule, Scheme, TaxedIn
from invoicing.kernel.vat import Case

STANDARD: Final = {"case": Case.STANDARD, "taxed_in": TaxedIn.ISSUER.value, "rate_kind": "standard"}
REDUCED: Final = {"case": Case.STANDARD, "taxed_in": TaxedIn.ISSUER.value, "rate_kind": "reduced"}
AT_THE_CUSTOMER: Final = {
    "case": Case.STANDARD,
    "taxed_in": TaxedIn.CUSTOMER.value,
    "scheme": Scheme.OSS.value,
    "place": Place.EU.value,
    "customer": Customer.CONSUMER.value,
    "ledger_role": "OSS",
}
SMALL_BUSINESS: Final = {
    "case": Case.EXEMPT,
    "scheme": Scheme.SMALL_BUSINESS.value,
    "notice_de": "Steuerbefreiung für Kleinunternehmer (§ 19 UStG)",
    "notice_en": "VAT exemption for small businesses (§ 19 UStG)",
    "law": "§ 19 (1) UStG",
    "ledger_role": "SMALL",
}
EXEMPT: Final = {
    "case": Case.EXEMPT,
    "tax_category": "exempt",
    "exemption_code": "VATEX-EU-132",
    "notice_de": "Steuerfrei nach § 4 UStG",
    "notice_en": "Exempt from VAT (§ 4 UStG)",
    "law": "§ 4 UStG",
}
WITHIN_EU: Final = {
    "case": Case.WITHIN_EU,
    "customer": Customer.BUSINESS_WITH_ID.value,
    "place": Place.EU.value,
    "exemption_code": "VATEX-EU-IC",
    "notice_de": "Steuerfreie innergemeinschaftliche Lieferung",
    "notice_en": "Intra-community supply, exempt from VAT",
    "law": "§ 4 no. 1 b, § 6a UStG",
}
EXPORT: Final = {
    "case": Case.EXPORT,
    "place": Place.THIRD.value,
    "exemption_code": "VATEX-EU-G",
    "notice_de": "Steuerfreie Ausfuhrlieferung",
    "notice_en": "Export outside the EU, exempt from VAT",
    "law": "§ 4 no. 1 a, § 6 UStG",
}


def _rule(name: str, *parts: Mapping[str, object], **more: object) -> Rule:
    fields: dict[str, object] = {"name": name}
    for part in (*parts, more):
        fields |= part
    return Rule(**fields)  # type: ignore[arg-type]


def _taxed_at_home(place: Place, word: str, law: str) -> list[Rule]:
    return [
        _rule(f"{word}: Regelsteuersatz", STANDARD, place=place.value, law=f"{law}, § 12 (1) UStG"),
        _rule(
            f"{word}: ermäßigter Satz", REDUCED, place=place.value, tax_category="reduced", law=f"{law}, § 12 (2) UStG"
        ),
        _rule(
            f"{word}: Ware, ermäßigter Satz",
            REDUCED,
            place=place.value,
            tax_category="reduced_goods",
            law=f"{law}, § 12 (2) UStG",
        ),
        _rule(f"{word}: steuerfrei", EXEMPT, place=place.value),
    ]


GERMAN_RULES: Final[tuple[Rule, ...]] = (
    *_taxed_at_home(Place.DOMESTIC, "Inland", "§ 1 (1) UStG"),
    *_taxed_at_home(Place.EU, "EU ohne gültige USt-IdNr.", "§ 3a (1), § 3 (6) UStG"),
    _rule(
        "EU-Unternehmen: Dienstleistung",
        case=Case.REVERSE_CHARGE,
        place=Place.EU.value,
        customer=Customer.BUSINESS_WITH_ID.value,
        exemption_code="VATEX-EU-AE",
        notice_de="Steuerschuldnerschaft des Leistungsempfängers",
        notice_en="Reverse charge",
        law="§ 3a (2) UStG, Art. 196 Directive 2006/112/EC",
    ),
    _rule("EU-Unternehmen: Ware", WITHIN_EU, tax_category="goods"),
    _rule("EU-Unternehmen: Ware, ermäßigter Satz", WITHIN_EU, tax_category="reduced_goods"),
    _rule(
        "Drittland: Dienstleistung",
        case=Case.OUTSIDE,
        place=Place.THIRD.value,
        exemption_code="VATEX-EU-O",
        notice_de="Nicht im Inland steuerbare Leistung",
        notice_en="Not subject to German VAT",
        law="§ 3a (2), (4), (5) UStG",
    ),
    _rule("Drittland: Ware", EXPORT, tax_category="goods"),
    _rule("Drittland: Ware, ermäßigter Satz", EXPORT, tax_category="reduced_goods"),
    _rule(
        "OSS: elektronische Dienstleistung",
        AT_THE_CUSTOMER,
        rate_kind="standard",
        tax_category="digital",
        law="§ 3a (5), § 18j UStG",
    ),
    _rule("OSS: Ware", AT_THE_CUSTOMER, rate_kind="standard", tax_category="goods", law="§ 3c, § 18j UStG"),
    _rule(
        "OSS: Ware, ermäßigter Satz",
        AT_THE_CUSTOMER,
        rate_kind="reduced",
        tax_category="reduced_goods",
        law="§ 3c, § 18j UStG",
    ),
    _rule("Kleinunternehmer: Inland", SMALL_BUSINESS, place=Place.DOMESTIC.value),
    *(
        _rule(f"Kleinunternehmer: EU, {word}", SMALL_BUSINESS, place=Place.EU.value, customer=customer.value)
        for customer, word in (
            (Customer.CONSUMER, "Verbraucher"),
            (Customer.BUSINESS_WITHOUT_ID, "Unternehmen ohne gültige USt-IdNr."),
            (Customer.PUBLIC, "öffentliche Stelle"),
        )
    ),
)
STARTING_RULES: Final[dict[str, tuple[Rule, ...]]] = {"DE": GERMAN_RULES}


def cited(law: str, language: str) -> str:
    """A source in law as readers of a language cite it: § 3a (2) UStG is § 3a Abs. 2 UStG in German."""
    if language != "de":
        return law
    law = re.sub(r"\((\d+[a-z]?)\)", r"Abs. \1", law)
    law = re.sub(r"Directive (\d+/\d+)/EC", r"Richtlinie \1/EG", law)
    return law.replace(" no. ", " Nr. ")
