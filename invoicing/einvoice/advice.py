"""A broken rule -> in plain words, what to put right and where: rules of our own and of EN 16931 and XRechnung."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from invoicing.einvoice import terms
from invoicing.einvoice.facts import DocumentFacts
from invoicing.einvoice.judge import Finding


class Subject(StrEnum):
    """Where the trouble can be put right."""

    ACCOUNT = "account"
    ISSUER = "issuer"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, and where it is put right."""

    subject: Subject
    text: Any  # translated when it is shown; may name account and issuer


def _account(text: Any) -> Advice:
    return Advice(Subject.ACCOUNT, text)


def _issuer(text: Any) -> Advice:
    return Advice(Subject.ISSUER, text)


def _document(text: Any) -> Advice:
    return Advice(Subject.DOCUMENT, text)


_SELLER_TAX_ID = _issuer(gettext_lazy("VAT id (BT-31) or tax number (BT-32) is missing at issuer %(issuer)s."))
_BUYER_VAT_ID = _account(gettext_lazy("VAT id (BT-48) is missing at account %(account)s, or BT-31 at the issuer."))
_NO_REASON = _document(gettext_lazy("The VAT rule gives no reason for not charging VAT (BT-120)."))
_NO_MIX = _document(gettext_lazy("What is outside the scope of VAT cannot share a document with what is taxed."))
_NOT_ADDED_UP = _document(gettext_lazy("The sums of the document do not add up: compute the draft again."))
_RATE = _document(gettext_lazy("VAT category (BT-151) and rate (BT-152) do not go together: check the VAT rule."))

ADVICE: Final[dict[str, Advice]] = {
    "BR-DE-15": _account(gettext_lazy("Leitweg-ID (BT-10) is missing at account %(account)s.")),
    "PEPPOL-EN16931-R010": _account(
        gettext_lazy("E-mail for invoices (electronic address, BT-49) is missing at account %(account)s.")
    ),
    "PEPPOL-EN16931-R020": _issuer(gettext_lazy("E-mail (electronic address, BT-34) is missing at issuer %(issuer)s.")),
    "BR-DE-2": _issuer(gettext_lazy("Contact, phone and e-mail (BG-6) are missing at issuer %(issuer)s.")),
    "BR-DE-3": _issuer(gettext_lazy("City (BT-37) is missing at issuer %(issuer)s.")),
    "BR-DE-4": _issuer(gettext_lazy("Postcode (BT-38) is missing at issuer %(issuer)s.")),
    "BR-DE-5": _issuer(gettext_lazy("Contact (BT-41) is missing at issuer %(issuer)s.")),
    "BR-DE-6": _issuer(gettext_lazy("Phone (BT-42) is missing at issuer %(issuer)s.")),
    "BR-DE-7": _issuer(gettext_lazy("E-mail (BT-43) is missing at issuer %(issuer)s.")),
    "BR-DE-8": _account(gettext_lazy("City (BT-52) is missing at account %(account)s.")),
    "BR-DE-9": _account(gettext_lazy("Postcode (BT-53) is missing at account %(account)s.")),
    "BR-DE-16": _SELLER_TAX_ID,
    "BR-S-02": _SELLER_TAX_ID,
    "BR-Z-02": _SELLER_TAX_ID,
    "BR-E-02": _SELLER_TAX_ID,
    "BR-AE-02": _BUYER_VAT_ID,
    "BR-IC-02": _BUYER_VAT_ID,
    "BR-G-02": _SELLER_TAX_ID,
    "BR-CO-09": _account(
        gettext_lazy("VAT id of account %(account)s or issuer %(issuer)s does not start with a country code.")
    ),
    "BR-CO-26": _issuer(
        gettext_lazy("VAT id (BT-31) or entry in the commercial register (BT-30) is missing at issuer %(issuer)s.")
    ),
    "BR-50": _issuer(gettext_lazy("IBAN (BT-84) is missing at issuer %(issuer)s.")),
    "BR-61": _issuer(gettext_lazy("IBAN (BT-84) is missing at issuer %(issuer)s.")),
    "CII-SR-470": _issuer(gettext_lazy("IBAN (BT-84) is missing at issuer %(issuer)s.")),
    "BR-DE-23-a": _issuer(gettext_lazy("IBAN (BT-84) is missing at issuer %(issuer)s.")),
    "BR-DE-30": _issuer(gettext_lazy("Creditor identifier (BT-90) is missing at issuer %(issuer)s.")),
    "BR-DE-31": _account(gettext_lazy("The mandate of account %(account)s names no IBAN (BT-91).")),
    "BR-CL-03": _document(gettext_lazy("The currency (BT-5) is no code of ISO 4217.")),
    "BR-CL-04": _document(gettext_lazy("The currency (BT-5) is no code of ISO 4217.")),
    "BR-CL-14": _account(gettext_lazy("The country of account %(account)s or issuer %(issuer)s is no ISO code.")),
    "BR-CL-23": _document(gettext_lazy("The unit of a product (BT-130) is no code of UN/ECE Recommendation 20.")),
    **dict.fromkeys(("BR-CO-10", "BR-CO-11", "BR-CO-13", "BR-CO-14", "BR-CO-15", "BR-CO-16"), _NOT_ADDED_UP),
    **dict.fromkeys(("BR-CO-17", "BR-CO-18"), _NOT_ADDED_UP),
    **dict.fromkeys(("BR-AE-10", "BR-IC-10", "BR-G-10", "BR-E-10", "BR-O-10"), _NO_REASON),
    **dict.fromkeys(("BR-O-11", "BR-O-12", "BR-O-13", "BR-O-14"), _NO_MIX),
    **{f"BR-{group}-{rule:02}": _RATE for group in ("S", "Z", "E", "AE", "IC", "G", "O") for rule in (1, 5, 6, 8, 9)},
}
THREE_DECIMALS: Final = _document(gettext_lazy("An e-invoice has at most two decimals; the currency has three."))


def own_findings(facts: DocumentFacts) -> list[Finding]:
    """What is seen without the rule files: sums that do not add up, and addresses that XRechnung asks for."""
    found = [Finding(rule, "", "") for rule in terms.broken_sums(facts)]
    if terms.is_xrechnung(facts):
        missing = {"PEPPOL-EN16931-R010": facts.buyer, "PEPPOL-EN16931-R020": facts.seller}
        found += [Finding(rule, "", "") for rule, party in missing.items() if not terms.electronic_address(party)]
    return found


def advice_on(finding: Finding) -> Advice:
    """The advice on a finding; what nobody foresaw is told in the words of the rule."""
    if finding.rule.startswith("BR-DEC-"):
        return THREE_DECIMALS
    if finding.rule in ADVICE:
        return ADVICE[finding.rule]
    return _document(re.sub(r"^\[[^]]*\]\s*-?\s*", "", finding.text).replace("%", "%%"))


def told(finding: Finding, *, account: str, issuer: str) -> str:
    """One sentence on a finding in the active language, with the name of the rule."""
    text = str(advice_on(finding).text) % {"account": account, "issuer": issuer}
    return _("%(text)s (rule %(rule)s)") % {"text": text, "rule": finding.rule}
