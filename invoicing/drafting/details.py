"""What a line says beyond its own columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from billing.charging import Contract, Metered, Proposed
from billing.kernel.term import term_on
from invoicing.drafting.reading import Facts
from invoicing.kernel import content
from tenants.models import Issuer
from tenants.responsibility import in_force

ACCOUNT_PARTS: Final = ("name", "reference", "street", "postcode", "city", "country", "email")


class Details:
    """What the lines of a chunk say beyond their own columns, as it was on the invoice date."""

    def __init__(self, issuer: Issuer, facts: Facts, issue_on: date) -> None:
        self._issuer = issuer
        self._facts = facts
        self._issue_on = issue_on
        self._contracts: dict[int, dict[str, Any]] = {}
        self._known: dict[tuple[int, str], str] = {}

    def of(self, charge: Proposed, language: str) -> str:
        """In canonical JSON; equal for most charges of an item."""
        named = charge.due.trace.get("discounts")
        corrected = charge.due.corrects or charge.due.reverses
        if named or corrected:
            return self._told(charge, language, named or (), corrected)
        key = (charge.due.item, language)
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = self._told(charge, language)
        return text

    def _told(self, charge: Proposed, language: str, named: Iterable[Any] = (), corrected: int | None = None) -> str:
        contract = charge.position.contract
        common = self._contracts.get(contract.key)
        if common is None:
            common = self._contracts[contract.key] = contract_details(contract, self._issue_on)
        details = {
            **common,
            "product": self._facts.products[charge.position.product].reference,
            "interval": charge.position.interval,
        }
        if discounts := {step[3]: self._facts.discounts[step[3]][language != "de"] for step in named}:
            details["discounts"] = discounts
        if charge.position.meter is not None and charge.due.reverses is None:
            details["usage"] = self._metered(charge.position.meter, contract.tenant, language)
        if corrected:
            original = self._facts.originals[corrected]
            details["corrects"] = {"number": original.number, "issued_on": original.issued_on}
        return content.canonical_json(details)

    def _metered(self, meter: Metered, tenant: int, language: str) -> dict[str, Any]:
        """Whose usage was counted by which meter, as the usage statement says it."""
        account = self._facts.accounts[tenant]
        application, name = meter.names[language != "de"]
        return {
            "application": application,
            "meter": name,
            "way": meter.aggregation.value,
            "property": meter.counted,
            "zone": in_force("time_zone", self._facts.line_of(account), self._issuer),
            "account": {part: getattr(account, part) for part in ACCOUNT_PARTS},
        }


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
