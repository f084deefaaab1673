"""Who stands on a document: issuer, recipient and payer as it keeps them, and what the law wants to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from django.db import connection
from django.utils.translation import gettext_lazy as _

from invoicing.kernel import content, vat
from tenants import entities
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.responsibility import in_force

RESTS_ON_THE_VAT_ID = frozenset({vat.Case.REVERSE_CHARGE, vat.Case.WITHIN_EU})
# Under which mandates payers are collected from: the one signed last of those that stand, with its approved account.
MANDATES: Final = """
    select distinct on (m.issuer_id, m.payer_id) m.issuer_id, m.payer_id, m.reference, c.identifier, a.id
      from tenants_mandate m
      join tenants_creditor c on c.issuer_id = m.issuer_id
      join lateral (select id from tenants_mandateaccount
                     where mandate_id = m.id and decision = 'approved' order by number desc limit 1) a on true
     where m.payer_id = any(%s) and m.revoked_on is null
     order by m.issuer_id, m.payer_id, m.signed_on desc, m.id desc
"""
# Where e-invoices reach an account (BT-49): its own address, or that of the first contact who receives its invoices.
ADDRESS: Final = """coalesce(nullif(a.email, ''), (
    select c.email from tenants_contact c where c.tenant_id = a.id and c.is_billing and c.email <> ''
     order by c.id limit 1), '')"""


class IncompleteParty(OperatorError):
    """Something the law wants on an invoice is missing (§ 14 (4) UStG)."""


class NoVatRule(OperatorError):
    """The VAT treatment of a document is not known."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant as drafting reads it; the fields are those of ``Tenant``."""

    id: int
    reference: str
    name: str
    kind: str
    parent_id: int | None
    contracting_party_id: int | None
    invoice_to_id: int | None
    pay_by_id: int | None
    street: str
    postcode: str
    city: str
    country: str
    vat_id: str
    vat_id_valid: bool
    buys_as: str
    email: str
    language: str
    currency: str
    price_class: int | None
    collection: str
    payment_days: int | None
    auto_mail: bool | None
    time_zone: str
    document_format: str
    leitweg_id: str
    project_code: str
    po_number: str
    consolidation: str
    tree_id: int
    lft: int


class VatEvidence(NamedTuple):
    """The latest check of a VAT id; ``on`` is an ISO date in UTC."""

    method: str
    on: str
    is_valid: bool
    consultation_number: str
    key: int


@dataclass(slots=True)
class Accounts:
    """Accounts that documents name, by key, with their ancestors; the latest VAT checks of those with a VAT id; and by
    issuer and payer (keys) the mandate to collect under, as documents keep it.
    """

    accounts: dict[int, Account]
    vat_checks: dict[int, VatEvidence]
    mandates: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _lines: dict[int, Sequence[Account]] = field(init=False, default_factory=dict)

    def line_of(self, account: Account) -> Sequence[Account]:
        """The account and its ancestors, nearest first."""
        line = self._lines.get(account.id)
        if line is None:
            above = () if account.parent_id is None else self.line_of(self.accounts[account.parent_id])
            line = self._lines[account.id] = (account, *above)
        return line


def read_accounts(tenants: Iterable[int]) -> Accounts:
    """The accounts, their recipients and payers, their ancestors, the latest VAT checks and mandates; three queries."""
    columns = ", ".join({"email": ADDRESS}.get(name, f"a.{name}") for name in Account.__dataclass_fields__)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with wanted as (
                select unnest(array[id, invoice_to_id, pay_by_id]) as id from tenants_tenant where id = any(%s)
            )
            select distinct {columns}
              from tenants_tenant w
              join tenants_tenant a on a.tree_id = w.tree_id and a.lft <= w.lft and a.rght >= w.rght
             where w.id in (select id from wanted)
            """,
            [list(tenants)],
        )
        accounts = {row[0]: Account(*row) for row in cursor.fetchall()}
        cursor.execute(
            """
            select distinct on (c.tenant_id) c.tenant_id, c.method, (c.checked_at at time zone 'UTC')::date::text,
                   c.is_valid, c.consultation_number, c.id
              from tenants_vatcheck c join tenants_tenant t on t.id = c.tenant_id and t.vat_id = c.vat_id
             where c.tenant_id = any(%s) order by c.tenant_id, c.id desc
            """,
            [[account.id for account in accounts.values() if account.vat_id]],
        )
        checks = {row[0]: VatEvidence(*row[1:]) for row in cursor.fetchall()}
        cursor.execute(MANDATES, [list(accounts)])
        mandates = {
            (issuer, payer): {"mandate": reference, "creditor": creditor, "account": account}
            for issuer, payer, reference, creditor, account in cursor.fetchall()
        }
    return Accounts(accounts, checks, mandates)


def recipient_of(account: Account, wanted: Account, facts: Accounts) -> Account:
    """To whom an invoice about ``account`` is made out: to ``wanted``, where that is its customer in law."""
    return entities.recipient_of(facts.line_of(account), facts.line_of(wanted))


def entity_of(account: Account, facts: Accounts) -> Account:
    """The legal entity that an account is or belongs to: itself, or the nearest one above that is one."""
    return entities.entity_of(facts.line_of(account))


def check_issuer(issuer: Issuer) -> None:
    missing = [
        str(issuer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        for name in ("name", "street", "postcode", "city", "country")
        if not getattr(issuer, name)
    ]
    if missing:
        raise IncompleteParty(
            _("Issuer %(issuer)s: %(fields)s missing; an invoice needs it (§ 14 (4) UStG).")
            % {"issuer": issuer.reference, "fields": ", ".join(missing)}
        )


def seller_of(issuer: Issuer) -> dict[str, str]:
    """The issuer as documents keep it."""
    return {
        name: getattr(issuer, name)
        for name in (
            "reference",
            "name",
            "street",
            "postcode",
            "city",
            "country",
            "vat_id",
            "tax_number",
            "register_entry",
            "managing_directors",
            "email",
            "phone",
            "contact",
            "iban",
            "bic",
        )
        if getattr(issuer, name)
    }


def party_of(account: Account) -> dict[str, str]:
    """An account as documents keep it. Raises ``IncompleteParty`` naming what an invoice needs and it lacks."""
    missing = [name for name in ("name", "street", "postcode", "city", "country") if not getattr(account, name)]
    if missing:
        raise IncompleteParty(
            _("%(account)s: %(fields)s missing; an invoice needs it (§ 14 (4) UStG).")
            % {
                "account": account.reference,
                "fields": ", ".join(str(Tenant._meta.get_field(name).verbose_name) for name in missing),
            }
        )
    party = {
        "reference": account.reference,
        "name": account.name,
        "street": account.street,
        "postcode": account.postcode,
        "city": account.city,
        "country": account.country,
    }
    if account.vat_id:
        party["vat_id"] = account.vat_id
    if account.project_code:
        party["project_code"] = account.project_code
    return party


def format_of(issuer: Issuer, recipient: Account, facts: Accounts) -> str:
    """As what documents go out to the account: on paper alone, or in a form of e-invoice (``DocumentFormat``)."""
    return str(in_force("document_format", facts.line_of(recipient), issuer))


def parties_of(
    issuer: Issuer,
    seller: dict[str, str],
    recipient: Account,
    payer: Account,
    facts: Accounts,
    case: vat.Case,
    taxed: dict[str, Any],
    check: VatEvidence | None,
) -> str:
    """Seller, buyer, payer where it differs, the tax rules that hit, and the VAT check relied on, in canonical JSON.

    Where the payer pays by direct debit, the mandate and our creditor identifier (never the IBAN, only the key of its
    row). An e-invoice says its format, and what only its buyer is asked for: Leitweg-ID and electronic address.
    """
    if case in RESTS_ON_THE_VAT_ID and not (recipient.vat_id and seller.get("vat_id")):
        raise IncompleteParty(
            _("%(account)s: without VAT both VAT ids must stand on the document; one is missing (§ 14a UStG).")
            % {"account": recipient.reference}
        )
    parties: dict[str, Any] = {"seller": seller, "buyer": party_of(recipient)}
    if payer.id != recipient.id:
        parties["payer"] = party_of(payer)
    if taxed:
        parties["vat"] = taxed
    if check is not None and (case in RESTS_ON_THE_VAT_ID or (recipient.vat_id and not recipient.vat_id_valid)):
        parties["vat_check"] = {"method": check.method, "on": check.on, "valid": check.is_valid}
        if check.consultation_number:
            parties["vat_check"]["consultation_number"] = check.consultation_number
    if in_force("collection", facts.line_of(payer), issuer) == Tenant.Collection.DIRECT_DEBIT:
        mandate = facts.mandates.get((issuer.pk, payer.id))
        if mandate is not None:
            parties["debit"] = mandate
    form = format_of(issuer, recipient, facts)
    if form != Tenant.DocumentFormat.PDF:
        parties["format"] = form
        asked = {"leitweg_id": in_force("leitweg_id", facts.line_of(recipient), issuer), "email": recipient.email}
        parties["buyer"] |= {name: value for name, value in asked.items() if value}
    return content.canonical_json(parties)
