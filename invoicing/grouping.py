"""Which charges share a document: those of one recipient, payer, currency, PO number and way of collection (e6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import connection

from billing.charging import Contract
from invoicing import parties
from invoicing.models import Invoice
from invoicing.parties import Account, Accounts
from tenants.models import Issuer, Tenant
from tenants.responsibility import in_force


class Key(NamedTuple):
    """Charges of equal keys stand on one document. ``apart`` is the key of an account or a contract that stands alone,
    as told by its sign: above zero an account, below zero a contract, zero neither.
    """

    recipient: int
    payer: int
    currency: str
    po_number: str
    collection: str
    apart: int


def key_of(contract: Contract, facts: Accounts, issuer: Issuer) -> Key:
    """On whose document the charges of ``contract`` stand, who pays it, and with what else they share it."""
    account = facts.accounts[contract.tenant]
    line = facts.line_of(account)
    payer = payer_of(contract, account)
    apart = 0
    if contract.is_invoiced_alone:
        apart = -contract.key
    else:
        match in_force("consolidation", line, issuer):
            case Tenant.Consolidation.BY_ACCOUNT.value:
                apart = account.id
            case Tenant.Consolidation.BY_CONTRACT.value:
                apart = -contract.key
    return Key(
        recipient_of(contract, account, facts),
        payer,
        contract.currency,
        contract.po_number or in_force("po_number", line, issuer) or "",
        in_force("collection", facts.line_of(facts.accounts[payer]), issuer),
        apart,
    )


def recipient_of(contract: Contract, account: Account, facts: Accounts) -> int:
    """The contract's own recipient, else its account's, else the account; or the customer in law of these."""
    wanted = contract.invoice_to or account.invoice_to_id
    return account.id if wanted is None else parties.recipient_of(account, facts.accounts[wanted], facts).id


def payer_of(contract: Contract, account: Account) -> int:
    return contract.pay_by or account.pay_by_id or account.id


def accounts_of(contracts: Iterable[Contract]) -> set[int]:
    """The accounts that contracts name; the accounts' own recipients and payers are read with them."""
    return {key for contract in contracts for key in _named(contract)}


def _named(contract: Contract) -> Iterator[int]:
    yield contract.tenant
    if contract.invoice_to is not None:
        yield contract.invoice_to
    if contract.pay_by is not None:
        yield contract.pay_by


def misplaced(invoices: Sequence[Invoice]) -> list[Invoice]:
    """Drafts with lines of which another account is the recipient or the payer by now; one query and the accounts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct l.invoice_id, s.tenant_id, s.invoice_to_id, s.pay_by_id
              from invoicing_line l
              join billing_charge c on c.id = l.charge_id
              join billing_item i on i.id = c.item_id
              join billing_subscription s on s.id = i.subscription_id
             where l.invoice_id = any(%s)
            """,
            [[invoice.pk for invoice in invoices]],
        )
        rows = cursor.fetchall()
    facts = parties.read_accounts({key for row in rows for key in row[1:] if key is not None})
    by_key = {invoice.pk: invoice for invoice in invoices}
    found: dict[int, Invoice] = {}
    for key, tenant, invoice_to, pay_by in rows:
        account, invoice = facts.accounts[tenant], by_key[key]
        wanted = invoice_to or account.invoice_to_id or account.id
        recipient = parties.recipient_of(account, facts.accounts[wanted], facts).id
        if (recipient, pay_by or account.pay_by_id or account.id) != (invoice.recipient_id, invoice.payer_id):
            found[key] = invoice
    return list(found.values())
