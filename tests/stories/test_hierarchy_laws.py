"""Random trees with random responsibilities: each charge reaches one recipient and one payer, and nothing gets lost.

Neither is anything where accounts move, merge and get other payers between runs.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Charge, Item, Subscription
from config import books, restructuring
from invoicing import sections, statements
from invoicing.models import CollectiveStatement, Invoice, Line
from tenants.errors import OperatorError
from tenants.models import Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
VAT_IDS = ("", "DE136695976", "DE812415868")


@dataclass(frozen=True)
class Node:
    """An account; where others are meant, by how many levels above it they stand (``None``: not said)."""

    parent: int
    kind: str
    vat_id: str
    invoice_to: int | None
    pay_by: int | None
    contracting_party: int | None
    contracts: tuple[tuple[int, int | None, int | None], ...]  # quantity, recipient, payer


levels = st.one_of(st.none(), st.integers(0, 4))
nodes = st.builds(
    Node,
    parent=st.integers(0, 7),
    kind=st.sampled_from(["company", "branch", "department", "end_customer"]),
    vat_id=st.sampled_from(VAT_IDS),
    invoice_to=levels,
    pay_by=levels,
    contracting_party=st.one_of(st.none(), st.integers(1, 3)),
    contracts=st.lists(st.tuples(st.integers(1, 99), levels, levels), max_size=2).map(tuple),
)


@given(tree=st.lists(nodes, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_charge_reaches_one_recipient_and_one_payer(tree):
    issuer, price = make_issuer(), make_price((None, "0.37", "0"))
    accounts: list[Tenant] = []
    expected: dict[str, tuple[Tenant, Tenant, int]] = {}  # by contract: wanted recipient, payer, quantity
    for n, node in enumerate(tree):
        parent = accounts[node.parent % n] if n else None
        account = make_tenant(parent=parent, kind=node.kind, vat_id=node.vat_id, vat_id_valid=bool(node.vat_id))
        line = list(account.get_ancestors(ascending=True, include_self=True))
        above = line[1:]

        def named(level: int | None, line: list[Tenant] = line) -> Tenant | None:
            return None if level is None else line[min(level, len(line) - 1)]

        account.invoice_to, account.pay_by = named(node.invoice_to), named(node.pay_by)
        if node.contracting_party is not None and above:
            account.contracting_party = above[min(node.contracting_party, len(above)) - 1]
        account.save()
        accounts.append(account)
        for quantity, recipient, payer in node.contracts:
            contract = make_contract(
                issuer,
                account,
                price=price,
                quantity=Decimal(quantity),
                invoice_to=named(recipient),
                pay_by=named(payer),
            )
            wanted = contract.invoice_to or account.invoice_to or account
            expected[contract.reference] = (wanted, contract.pay_by or account.pay_by or account, quantity)
    run = bill(issuer, FEBRUARY)

    assert {outcome.state for outcome in run.outcomes.all()} <= {"issued"}
    assert {outcome.payer_id for outcome in run.outcomes.all()} == {payer.pk for _, payer, _ in expected.values()}
    charges = Charge.objects.filter(item__subscription__issuer=issuer)
    assert Counter(charges.values_list("item__subscription__reference", flat=True)) == Counter(list(expected))
    lines = list(
        Line.objects.filter(invoice__issuer=issuer).select_related(
            "invoice__recipient", "charge__item__subscription__tenant"
        )
    )
    assert len(lines) == len(expected)
    for line in lines:
        contract, invoice = line.charge.item.subscription, line.invoice
        wanted, payer, quantity = expected[contract.reference]
        assert (invoice.payer, line.quantity) == (payer, quantity)
        own = contract.tenant.get_ancestors(include_self=True)
        assert invoice.recipient == wanted or invoice.recipient in own

    issued = Invoice.objects.filter(issuer=issuer)
    parts = sections.amounts_of([invoice.pk for invoice in issued])
    for invoice in issued:
        mine = [line for line in lines if line.invoice_id == invoice.pk]
        assert sum(line.net.amount for line in mine) == invoice.net.amount
        if invoice.sections.exists():
            assert sum(section.net.amount for section in invoice.sections.all()) == invoice.net.amount
            assert sum(part.gross for part in parts[invoice.pk].values()) == invoice.gross.amount
        _assert_one_entity(invoice, {line.charge.item.subscription.tenant for line in mine})

    statements.collect_pending()
    collected = CollectiveStatement.objects.filter(issuer=issuer)
    for statement in collected:
        assert statement.total.amount == sum(entry.amount.amount for entry in statement.entries.all())
    for invoice in issued:
        entry = getattr(invoice, "statement_entry", None)
        others = issued.filter(payer=invoice.payer).exclude(recipient=invoice.payer)
        assert (entry is not None) == others.exists()


# Between two runs the tree changes: what somebody does to an account, and to which other one.
moves = st.tuples(
    st.sampled_from(["move", "merge", "invoice_to", "pay_by", "end"]),
    st.integers(0, 7),
    st.integers(0, 7),
    st.booleans(),
    st.booleans(),
)
NIGHTS = (date(2026, 2, 15), date(2026, 3, 1), date(2026, 4, 1))


@given(tree=st.lists(nodes, min_size=2, max_size=6), changes=st.lists(moves, min_size=1, max_size=5))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_or_doubled_where_accounts_move_and_merge_between_runs(tree, changes):
    """What is new goes to whom the tree names by then; what is given back to whom it was invoiced; by day and cent."""
    issuer, price = make_issuer(), make_price((None, "0.37", "0"))
    accounts: list[Tenant] = []
    for n, node in enumerate(tree):
        account = make_tenant(parent=accounts[node.parent % n] if n else None, kind=node.kind)
        line = list(account.get_ancestors(ascending=True, include_self=True))
        for name, level in (("invoice_to", node.invoice_to), ("pay_by", node.pay_by)):
            if level is not None:
                setattr(account, name, line[min(level, len(line) - 1)])
        account.save()
        accounts.append(account)
        for quantity, _recipient, payer in node.contracts:
            named = None if payer is None else line[min(payer, len(line) - 1)]
            make_contract(issuer, account, price=price, quantity=Decimal(quantity), pay_by=named)
    bill(issuer, FEBRUARY)
    for kind, here, there, follows, takes_over in changes:
        _change(kind, accounts[here % len(accounts)], accounts[there % len(accounts)], follows, takes_over)

    known = set(Line.objects.filter(invoice__issuer=issuer).values_list("pk", flat=True))
    for night in NIGHTS:
        run = bill(issuer, night)
        assert {outcome.state for outcome in run.outcomes.all()} <= {"issued", "nothing_due", "skipped"}
        fresh = Line.objects.filter(invoice__issuer=issuer).exclude(pk__in=known)
        for line in fresh.select_related("invoice", "charge__item__subscription__tenant"):
            _assert_reaches_its_own(line)
            known.add(line.pk)
        restructuring.carry_out_due(on=night)

    charges = Charge.objects.filter(item__subscription__issuer=issuer)
    assert sorted(charges.values_list("pk", flat=True)) == sorted(
        Line.objects.filter(invoice__issuer=issuer).values_list("charge", flat=True)
    )
    for invoice in Invoice.objects.filter(issuer=issuer):
        assert sum(line.net.amount for line in invoice.lines.all()) == invoice.net.amount
        if invoice.sections.exists():
            assert sum(section.net.amount for section in invoice.sections.all()) == invoice.net.amount
    for item in Item.objects.filter(subscription__issuer=issuer):  # each day once, whoever was billed for it
        days = [0] * 90
        for charge in item.charges.all():
            for day in range((charge.starts_on - FEBRUARY).days, (charge.ends_before - FEBRUARY).days):
                days[day] += 1 if charge.kind == "fee" else -1
        last = item.ends_before or item.subscription.ends_before or date(2026, 5, 1)
        first = (item.starts_on - FEBRUARY).days
        assert days[: (date(2026, 5, 1) - FEBRUARY).days] == [
            int(first <= day < (last - FEBRUARY).days) for day in range((date(2026, 5, 1) - FEBRUARY).days)
        ]
    assert list(books.check(with_files=False)) == []


def _change(kind: str, here: Tenant, there: Tenant, follows: bool, takes_over: bool) -> None:
    """One change, if it can be made."""
    here.refresh_from_db()
    there.refresh_from_db()
    if kind == "end":
        Subscription.objects.filter(tenant=here, ends_before=None).update(ends_before=date(2026, 2, 20))
    elif kind in ("invoice_to", "pay_by"):
        if there.is_ancestor_of(here, include_self=True) and there.status == Tenant.Status.ACTIVE:
            Tenant.objects.filter(pk=here.pk).update(**{kind: there})
    else:
        options = {"takes_over": takes_over} | ({"follows": follows} if kind == "move" else {})
        told = {"reason": "", "by": None, "channel": "command"}
        with suppress(OperatorError), transaction.atomic():
            plan = restructuring.plan(kind, here, there, options, on=date(2026, 2, 10), **told)
            restructuring.carry_out(plan, by=None, channel="command")


def _assert_reaches_its_own(line: Line) -> None:
    contract, invoice, charge = line.charge.item.subscription, line.invoice, line.charge
    account = contract.tenant
    corrected = charge.corrects_id or charge.reverses_id
    if corrected:
        original = Line.objects.select_related("invoice").get(charge=corrected).invoice
        assert (invoice.recipient_id, invoice.payer_id) == (original.recipient_id, original.payer_id)
    else:
        assert invoice.payer_id == (contract.pay_by_id or account.pay_by_id or account.pk)
        above = account.get_ancestors(include_self=True).values_list("pk", flat=True)
        assert invoice.recipient_id in above


def _assert_one_entity(invoice: Invoice, concerned: set[Tenant]) -> None:
    """Whoever has another VAT id than the recipient is on its invoice only where that, or its entity, resells to it."""
    for account in concerned:
        line = list(account.get_ancestors(ascending=True, include_self=True))
        if invoice.recipient == account or not (account.vat_id and invoice.recipient.vat_id):
            continue
        if account.vat_id != invoice.recipient.vat_id:
            resellers = {one.contracting_party_id for one in line} - {None}
            assert resellers & {one.pk for one in invoice.recipient.get_ancestors(include_self=True)}
