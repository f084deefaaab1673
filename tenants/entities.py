"""Who is a customer in law: the legal entity that an account is or belongs to, and to whom an invoice is made out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

from tenants.models import Tenant

PART_OF_THE_PARENT: Final = frozenset({Tenant.Kind.BRANCH.value, Tenant.Kind.DEPARTMENT.value})


class Node(Protocol):
    """An account as far as the law goes: ``Tenant``, or what a run reads of it."""

    @property
    def id(self) -> Any: ...
    @property
    def kind(self) -> Any: ...
    @property
    def vat_id(self) -> Any: ...
    @property
    def contracting_party_id(self) -> Any: ...


Account = TypeVar("Account", bound=Node)


def recipient_of(line: Sequence[Account], wanted: Sequence[Account]) -> Account:
    """To whom an invoice about an account is made out: to the one ``wanted``, where that is its customer in law.

    Both are lines: an account and those above it, nearest first. Only parts of one legal entity are invoiced together,
    and a reseller for those it resells to. Whoever is a customer in its own right gets an invoice of its own; who pays
    is another question (``invoicing.statements``).
    """
    if wanted[0].id == line[0].id:
        return wanted[0]
    entity, resellers = line[0], {line[0].contracting_party_id}
    for n, entity in enumerate(line):
        resellers.add(entity.contracting_party_id)
        if not is_part_of_parent(line[n:]):
            break
    if resellers & {wanted[0].id, entity_of(wanted).id}:
        return wanted[0]
    return wanted[0] if entity_of(wanted).id == entity.id else entity


def entity_of(line: Sequence[Account]) -> Account:
    """The legal entity that the first account is or belongs to: it, or the nearest one above that is one."""
    return next((account for n, account in enumerate(line) if not is_part_of_parent(line[n:])), line[0])


def is_part_of_parent(line: Sequence[Account]) -> bool:
    """Whether the first is a branch or department, and has no VAT id that differs from that of all it belongs to."""
    account, *above = line
    if account.kind not in PART_OF_THE_PARENT or not above:
        return False
    if not account.vat_id:
        return True
    last = len(above) - 1
    told = next(one for n, one in enumerate(above) if one.vat_id or one.kind not in PART_OF_THE_PARENT or n == last)
    return told.vat_id in ("", account.vat_id)
