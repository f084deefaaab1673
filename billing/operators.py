"""An issuer that an account operates invoices the accounts below that one, and never the operator itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from billing.models import Subscription
from tenants import entities, responsibility
from tenants.errors import OperatorError
from tenants.models import Tenant


class AgainstOperator(OperatorError):
    """A contract of an issuer with an account that its operator does not stand above, or is."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A contract and why the issuer cannot invoice it, in words."""

    contract: Subscription
    reason: str


def violations(contracts: QuerySet[Subscription], *, on: date | None) -> list[Violation]:
    """Those of ``contracts`` that are not over on ``on`` (``None``: of all) and that their issuer cannot invoice.

    Three queries however many they are; one where no issuer is operated by an account.
    """
    found = list(
        contracts.filter(Q() if on is None else Q(ends_before=None) | Q(ends_before__gt=on))
        .filter(issuer__operated_by__isnull=False)
        .select_related("issuer__operated_by", "tenant__invoice_to", "invoice_to")
        .order_by("issuer__reference", "reference")
    )
    lines = responsibility.lines_of(account for one in found for account in (one.tenant, wanted_of(one)))
    return [Violation(one, reason) for one in found if (reason := reason_against(one, lines))]


def refuse(contract: Subscription) -> None:
    """Raises ``AgainstOperator`` naming the contract, where its issuer could not invoice it."""
    for violation in violations(Subscription.objects.filter(pk=contract.pk), on=None):
        raise AgainstOperator(told(violation))


def refuse_new(before: Iterable[Violation], after: Iterable[Violation]) -> None:
    """Raises ``AgainstOperator`` naming the first contract that was in order before."""
    known = {violation.contract.pk for violation in before}
    for violation in after:
        if violation.contract.pk not in known:
            raise AgainstOperator(told(violation))


def told(violation: Violation) -> str:
    return _("Contract %(contract)s: %(reason)s") % {
        "contract": violation.contract.reference,
        "reason": violation.reason,
    }


def wanted_of(contract: Subscription) -> Tenant:
    """Who is to be invoiced, whether that is the customer in law or not."""
    return contract.invoice_to or contract.tenant.invoice_to or contract.tenant


def reason_against(contract: Subscription, lines: dict[int, list[Tenant]]) -> str:
    """Why its issuer cannot invoice the contract; nothing where it can. ``lines``: of its account and who is wanted."""
    issuer, operator, account = contract.issuer, contract.issuer.operated_by, contract.tenant
    if operator is None:
        return ""
    facts = {"account": account.reference, "issuer": issuer.reference, "operator": operator.reference}
    line, wanted = lines[account.pk], lines[wanted_of(contract).pk]
    if operator.pk not in {one.pk for one in line}:
        return (
            _(
                "%(account)s does not stand below %(operator)s, which operates the issuer %(issuer)s and invoices those"
                " below it alone."
            )
            % facts
        )
    recipient = entities.recipient_of(line, wanted)
    above = line if recipient.pk in {one.pk for one in line} else wanted
    place = next(n for n, one in enumerate(above) if one.pk == recipient.pk)
    if operator.pk in (recipient.pk, entities.entity_of(above[place:]).pk):
        facts["account"] = recipient.reference
        return (
            _(
                "%(account)s would be invoiced, which is or belongs to %(operator)s: the issuer %(issuer)s is operated"
                " by that account and cannot invoice itself."
            )
            % facts
        )
    return ""
