"""What a line says beyond its own columns."""

from __future__ import annotations

from datetime import date
from typing import Any

from billing.charging import Contract, Proposed
from billing.kernel.term import term_on
from invoicing.drafting.reading import Facts
from invoicing.kernel import content


def details_of(
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
