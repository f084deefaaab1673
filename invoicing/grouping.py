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
    as told by its sign: above zero an account, below zero a contract, zero neither. ``billed_with`` is the payer of the
    contracts where the document corrects one that somebody else pays, else zero.
    """

    recipient: int
    payer: int
    currency: str
    po_number: str
    collection: str
    apart: int
    billed_with: int = 0


class Original(NamedTuple):
    """A document that a charge stands on, as what corrects it needs it."""

    number: str
    issued_on: str
    recipient: int
    payer: int
    po_number: str


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


def key_of_correction(key: Key, original: Original, facts: Accounts, issuer: Issuer) -> Key:
    """On whose document it stands that a contract, whose charges are at ``key`` by now, gives something back.

    Whoever was invoiced gets the correction, and whoever owes the original has it set off. Where another pays for the
    contract by now it stands apart from all else, so that it does not matter who is billed together.
    """
    if (original.recipient, original.payer) == (key.recipient, key.payer):
        return key
    return Key(
        original.recipient,
        original.payer,
        key.currency,
        original.po_number,
        in_force("collection", facts.line_of(facts.accounts[original.payer]), issuer),
        key.apart,
        0 if original.payer == key.payer else key.payer,
    )


def read_originals(charges: Iterable[int]) -> tuple[dict[int, Original], list[int]]:
    """By charge: the document it stands on; and the charges whose document is still to be decided about. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select l.charge_id, coalesce(i.number, ''), i.issued_on::text, i.recipient_id, i.payer_id, i.po_number,
                   i.state in ('issued', 'closed')
              from invoicing_line l join invoicing_invoice i on i.id = l.invoice_id
             where l.charge_id = any(%s)
            """,
            [list(charges)],
        )
        found = cursor.fetchall()
    return (
        {charge: Original(*told) for charge, *told, _is_decided in found},
        [charge for charge, *_told, is_decided in found if not is_decided],
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
    """Drafts with lines of which another account is the recipient or the payer by now; one query and the accounts.

    What a line gives back belongs to the recipient and the payer of the document that it corrects, for good.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct l.invoice_id, s.tenant_id, s.invoice_to_id, s.pay_by_id
              from invoicing_line l
              join invoicing_invoice d on d.id = l.invoice_id
              join billing_charge c on c.id = l.charge_id
              join billing_item i on i.id = c.item_id
              join billing_subscription s on s.id = i.subscription_id
             where l.invoice_id = any(%s)
               and not exists (select from invoicing_line k join invoicing_invoice o on o.id = k.invoice_id
                                where k.charge_id = coalesce(c.corrects_id, c.reverses_id)
                                  and (o.recipient_id, o.payer_id) = (d.recipient_id, d.payer_id))
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
