"""What a change of the account tree does: the same account of it for the preview, the record and the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.models import Subscription
from invoicing import posting
from invoicing.models import OpenItem
from payments.models import DunningBlock
from tenants import responsibility
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_payers

NAMED = 50  # accounts whose changes are told one by one; of more, how many there are


class RestructuringRefused(OperatorError):
    """An account cannot be moved, merged, split or closed in the way asked for."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of an account or a contract, before and after; accounts by reference."""

    record: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An open item, or what of it stays: the document, who pays before and after, and how much."""

    document: str
    before: str
    after: str
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ContractChange:
    """A contract that goes on at another account, or ends."""

    contract: str
    account: str
    successor: str
    day: date


@dataclass(frozen=True, slots=True)
class RightCopied:
    """What a user or the contacts of a role have at another account, too: ``what`` are fields of the record's model."""

    kind: str  # "access", "scope", "notification"
    who: str
    what: tuple[str, ...]


@dataclass(slots=True)
class Effect:
    """All that a change does. ``accounts`` counts those that stand elsewhere afterwards, with all below them."""

    accounts: int = 0
    fields: list[FieldChange] = field(default_factory=list)
    settings: list[FieldChange] = field(default_factory=list)
    settings_left: int = 0  # accounts whose settings change, too, beyond those named
    taken_over: list[ItemChange] = field(default_factory=list)
    staying: list[ItemChange] = field(default_factory=list)
    contracts: list[ContractChange] = field(default_factory=list)
    contacts: list[str] = field(default_factory=list)
    rights: list[RightCopied] = field(default_factory=list)
    drafts: int = 0  # set aside
    waits_for: str = ""  # why it is not finished yet

    def facts(self) -> dict[str, Any]:
        """As the record keeps it: plain values."""
        return {
            "accounts": self.accounts,
            "fields": [[one.record, one.field, one.before, one.after] for one in self.fields],
            "taken_over": [
                [one.document, one.before, one.after, one.currency, str(one.amount)] for one in self.taken_over
            ],
            "contracts": [[one.contract, one.account, one.successor, one.day.isoformat()] for one in self.contracts],
            "contacts": self.contacts,
            "rights": [[one.kind, one.who, *one.what] for one in self.rights],
            "drafts": self.drafts,
        }


def references(keys: Iterable[int | None]) -> dict[int | None, str]:
    found: dict[int | None, str] = dict(Tenant.objects.filter(pk__in=list(keys)).values_list("pk", "reference"))
    found[None] = ""
    return found


def hold(*groups: Iterable[int]) -> None:
    """Lock these accounts and all who pay for them or for their contracts; the caller holds the tree."""
    keys = {key for group in groups for key in group}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select pay_by_id from tenants_tenant where id = any(%(keys)s) and pay_by_id is not null
            union select pay_by_id from billing_subscription where tenant_id = any(%(keys)s) and pay_by_id is not null
            """,
            {"keys": list(keys)},
        )
        lock_payers(sorted(keys | {row[0] for row in cursor.fetchall()}))


InForce = dict[str, dict[str, dict[str, Any]]]  # by account and issuer: the settings


def settings_of(tenants: Iterable[int]) -> InForce:
    """Per account what is in force with each issuer that it has contracts with; what no account says is the issuer's.

    Of an account without contracts it is told what would be in force with the first issuer.
    """
    found = list(Tenant.objects.filter(pk__in=list(tenants)).order_by("tree_id", "lft"))
    first = Issuer.objects.order_by("pk").first()
    if first is None:
        return {}
    dealing: dict[int, set[int]] = defaultdict(set)
    contracts = Subscription.objects.filter(tenant__in=found).order_by()
    for tenant, issuer in contracts.values_list("tenant_id", "issuer_id").distinct():
        dealing[tenant].add(issuer)
    told: InForce = {tenant.reference: {} for tenant in found}
    issuers = Issuer.objects.filter(pk__in={first.pk}.union(*dealing.values())).order_by("pk")
    for one in issuers:
        own = [tenant for tenant in found if one.pk in dealing.get(tenant.pk, {first.pk})]
        names = {tenant.pk: tenant.reference for tenant in own}
        for key, settings in responsibility.effective(own, one).items():
            told[names[key]][one.reference] = asdict(settings)
    return told


def compare_settings(effect: Effect, before: InForce, after: InForce) -> None:
    """Note what is in force from now on where it was something else; with the issuer where it differs by issuer."""
    changed = {reference: found for reference, now in after.items() if (found := _changes(before[reference], now))}
    for reference, by_issuer in list(changed.items())[:NAMED]:
        told = list(by_issuer.values())
        if len(after[reference]) == len(told) and all(one == told[0] for one in told):
            effect.settings += [FieldChange(reference, *change) for change in told[0]]
        else:
            for issuer, changes in by_issuer.items():
                effect.settings += [FieldChange(f"{reference} ({issuer})", *change) for change in changes]
    effect.settings_left = max(0, len(changed) - NAMED)


def _changes(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> dict[str, list[tuple[str, str, str]]]:
    """By issuer: setting, value before and value after, where they differ."""
    found = {}
    for issuer, now in after.items():
        then = before.get(issuer, now)
        if differing := [(name, _plain(then[name]), _plain(now[name])) for name in now if then[name] != now[name]]:
            found[issuer] = differing
    return found


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


OF_ACCOUNTS = """
    -- items of documents all of whose lines concern these accounts, and the one who pays for all of these now
    select o.id, min(coalesce(s.pay_by_id, t.pay_by_id, t.id))
      from invoicing_openitem o
      join invoicing_line l on l.invoice_id = o.invoice_id
      left join invoicing_line corrected on corrected.id = l.corrects_id
      join billing_charge c on c.id = coalesce(l.charge_id, corrected.charge_id)
      join billing_item p on p.id = c.item_id
      join billing_subscription s on s.id = p.subscription_id
      join tenants_tenant t on t.id = s.tenant_id
     where o.payer_id = any(%(payers)s)
       and not exists (select from invoicing_openitem later where later.moved_from_id = o.id)
     group by o.id
    having bool_and(s.tenant_id = any(%(accounts)s))
       and count(distinct coalesce(s.pay_by_id, t.pay_by_id, t.id)) = 1
"""


def items_of(accounts: Iterable[int], payers: Iterable[int]) -> dict[int, int]:
    """Items of ``payers`` whose documents concern ``accounts`` alone, and who would pay them if they came today."""
    with connection.cursor() as cursor:
        cursor.execute(OF_ACCOUNTS, {"accounts": list(accounts), "payers": list(payers)})
        return dict(cursor.fetchall())


def take_over(effect: Effect, items: dict[int, int], *, on: date) -> None:
    """Book it, let blocks of dunning follow the item, and note it."""
    taken = posting.take_over(items, on=on)
    names = references({key for one in taken for key in (one.old_payer, one.new_payer)})
    opened_here = OpenItem.objects.filter(pk__in=[one.opened for one in taken]).select_related("invoice")
    documents = {item.pk: str(item) for item in opened_here}
    opened = {one.item: one.opened for one in taken}
    payers: dict[int, list[int]] = {one.old_payer: [] for one in taken}
    for one in taken:
        payers[one.old_payer].append(one.opened)
    blocks = []
    for block in DunningBlock.objects.filter(open_item__in=list(opened)).order_by("pk"):
        blocks.append((block, [opened[block.open_item_id]]))  # type: ignore[index]
    for block in DunningBlock.objects.filter(tenant__in=list(payers)).order_by("pk"):
        blocks.append((block, payers[block.tenant_id]))  # type: ignore[index]
    DunningBlock.objects.bulk_create(
        DunningBlock(open_item_id=item, reason=block.reason, starts_on=block.starts_on, ends_before=block.ends_before)
        for block, items_here in blocks
        for item in items_here
        if block.ends_before is None or block.ends_before > on
    )
    effect.taken_over += [
        ItemChange(documents[one.opened], names[one.old_payer], names[one.new_payer], one.currency, one.amount)
        for one in taken
    ]


def note_staying(effect: Effect, items: Iterable[int]) -> None:
    """Note what stays with those who had to pay it."""
    found = OpenItem.objects.filter(pk__in=list(items)).with_open_amount().exclude(open_amount=0)
    effect.staying += [
        ItemChange(str(item), str(item.payer.reference), "", item.currency, item.open_amount)
        for item in found.select_related("invoice", "payer").order_by("pk")
    ]


def refused(reason: Any, **facts: Any) -> RestructuringRefused:
    return RestructuringRefused(reason % facts if facts else str(reason))


def check_open(tenant: Tenant) -> None:
    """Raises ``RestructuringRefused`` for an account that is closed."""
    if tenant.status == Tenant.Status.CLOSED:
        raise refused(_("The account %(account)s is closed."), account=tenant.reference)
