"""How what is given back was taxed: it keeps the VAT of the line it corrects, whatever holds by now (§ 17 UStG)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from invoicing.kernel.taxation import Rule, Treatment
from invoicing.kernel.vat import Case
from invoicing.parties import RESTS_ON_THE_VAT_ID, VatEvidence

# By this word a document tells beside its tax rules that they are those of what it corrects.
MARK: Final = "as_corrected"

ORIGINALS: Final = """
    select l.charge_id, l.vat_case, l.vat_rate, coalesce(s.country, ''), coalesce(s.exemption_code, ''),
           coalesce(r.notice_de, s.notice, ''), coalesce(r.notice_en, s.notice, ''), coalesce(s.ledger_role, ''), r.id,
           i.parties -> 'vat', coalesce(i.parties -> 'buyer' ->> 'vat_id', ''), i.parties -> 'vat_check', s.vat_check_id
      from invoicing_line l
      join invoicing_invoice i on i.id = l.invoice_id
      left join invoicing_vatshare s
        on s.invoice_id = l.invoice_id and s.vat_case = l.vat_case and s.vat_rate = l.vat_rate
      left join invoicing_taxrule r on r.id = s.rule_id
     where l.charge_id = any(%s)
"""


class Proof(NamedTuple):
    """What the originals of one document have in common beside their regime: rule, and VAT id with its check where
    the VAT rests on it.
    """

    rule: int | None
    vat_id: str = ""
    check: VatEvidence | None = None


@dataclass(frozen=True, slots=True)
class Former:
    """The VAT of an original line."""

    treatment: Treatment
    proof: Proof

    def is_still(self, today: Treatment) -> bool:
        """Whether it would be taxed by the same rule today; of a line without a rule what it came to is compared."""
        then = self.treatment
        if (then.rate, then.country) != (today.rate, today.country):
            return False
        if then.rule.key is None:
            return then.rule.case is today.rule.case
        return then.rule.key == today.rule.key


def read(charges: Iterable[int]) -> dict[int, Former]:
    """By charge that is given back: the VAT of its line; one query, none for no charges."""
    wanted = list(charges)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(ORIGINALS, [wanted])
        return {charge: _former(*told) for charge, *told in cursor.fetchall()}


def _former(
    case: str,
    rate: Decimal,
    country: str,
    exemption_code: str,
    notice_de: str,
    notice_en: str,
    ledger_role: str,
    key: int | None,
    named: Any,
    vat_id: str,
    check: Any,
    check_key: int | None,
) -> Former:
    told = _json(named).get(f"{rate.normalize():f}", {})
    rule = Rule(
        name=told.get("rule", ""),
        case=Case(case),
        exemption_code=exemption_code,
        notice_de=notice_de,
        notice_en=notice_en,
        law=told.get("law", ""),
        ledger_role=ledger_role,
        key=key,
    )
    proof = Proof(key)
    if rule.case in RESTS_ON_THE_VAT_ID:
        proof = Proof(key, vat_id, evidence_of(_json(check), check_key))
    return Former(Treatment(rule, rate, country), proof)


def evidence_of(kept: dict[str, Any], key: int | None) -> VatEvidence | None:
    """A VAT check as a document keeps it."""
    if not kept:
        return None
    return VatEvidence(kept["method"], kept["on"], kept["valid"], kept.get("consultation_number", ""), key or 0)


def marked(parties: dict[str, Any]) -> bool:
    """Whether the VAT of a document is that of what it corrects, by the parties it keeps."""
    return any(MARK in told for told in parties.get("vat", {}).values())


def _json(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value)
    return value or {}
