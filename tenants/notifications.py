"""Who is written to about what: the one function that decides recipients, by preference, role and place in the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tenants import messages
from tenants.models import Contact, NotificationPreference, Tenant
from tenants.responsibility import lines_of

Event = NotificationPreference.Event
Role = NotificationPreference.Role

DEFAULTS: Final[dict[str, frozenset[str]]] = {
    Event.INVOICE_ISSUED: frozenset({Role.BILLING}),
    Event.REMINDER: frozenset({Role.DUNNING}),
    Event.PAYMENT_FAILED: frozenset({Role.BILLING, Role.DUNNING}),
    Event.CONTRACT_CHANGED: frozenset({Role.APPROVER}),
    Event.PRICE_CHANGED: frozenset({Role.BILLING, Role.APPROVER}),
    Event.REQUEST_DECIDED: frozenset({Role.APPROVER}),
}
FLAGS: Final = {
    Role.BILLING: "is_billing",
    Role.DUNNING: "is_dunning",
    Role.TECHNICAL: "is_technical",
    Role.APPROVER: "is_approver",
}


def recipients(event: str, tenants: Iterable[Tenant]) -> dict[int, list[str]]:
    """Addresses to write to about ``event`` at each of ``tenants``, by key; three queries however many they are.

    Those of the account's contacts whose role is wanted there, else its own; where it has neither, those of the
    nearest account above that has. Empty where none has.
    """
    lines = lines_of(tenants)
    above = {account.pk for line in lines.values() for account in line}
    stated = _stated(event, above)
    contacts: dict[int, list[Contact]] = defaultdict(list)
    for contact in Contact.objects.filter(tenant__in=above).exclude(email="").order_by("pk"):
        contacts[contact.tenant_id].append(contact)
    return {key: _reached(line, roles_wanted(event, line, stated), contacts) for key, line in lines.items()}


def roles_wanted(event: str, line: Sequence[Any], stated: dict[tuple[int, str], bool]) -> set[str]:
    """The roles in force for the first account in ``line``: each its own statement, the nearest above, the default."""
    wanted = set()
    for role in Role.values:
        said = (stated[account.pk, role] for account in line if (account.pk, role) in stated)
        if next(said, role in DEFAULTS[event]):
            wanted.add(role)
    return wanted


def in_force(event: str, tenant: Tenant) -> set[str]:
    """The roles that are written to about ``event`` at one account."""
    line = lines_of([tenant])[tenant.pk]
    return roles_wanted(event, line, _stated(event, {account.pk for account in line}))


def _stated(event: str, accounts: set[int]) -> dict[tuple[int, str], bool]:
    rows = NotificationPreference.objects.filter(tenant__in=accounts, event=event)
    return {(tenant, role): is_wanted for tenant, role, is_wanted in rows.values_list("tenant", "role", "is_wanted")}


def _reached(line: Sequence[Any], roles: set[str], contacts: dict[int, list[Contact]]) -> list[str]:
    for account in line:
        chosen = [
            contact.email for contact in contacts[account.pk] if any(getattr(contact, FLAGS[Role(r)]) for r in roles)
        ]
        addresses = messages.addresses(chosen, otherwise=account.email)
        if addresses:
            return addresses
    return []
