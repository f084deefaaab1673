"""The account tree: who is invoiced, who pays, on one invoice or many (requirements D-01 to D-11, D-17, c-12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from django.db.models import Sum
from django.utils import translation
from pypdf import PdfReader

from billing import contracts
from billing.models import Subscription
from config import books
from config.portal import pages
from config.restructuring import moving
from invoicing import (
    account_statement,
    bill_run,
    calendar,
    delivery,
    issuing,
    pdf,
    review,
    section_copies,
    sections,
    statements,
)
from invoicing.models import CollectiveStatement, Delivery, Invoice, OpenItem, Section, SectionCopy, StatementDelivery
from payments import bank_import, bank_lines, matching
from payments.models import MatchProposal
from tenants.copying import new_keys
from tenants.models import Contact, Issuer, Message, Tenant
from tenants.responsibility import effective, origins
from tenants.tree_numbers import number_trees
from tests.builders import make_issuer, make_price, make_tenant
from tests.config.portal.conftest import customer, signed_in
from tests.payments.bank_files import Entry, camt
from tests.payments.test_bank_matching import defer_constraints, iban_of, make_bank_account
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN", payment_days=14)


@pytest.fixture(autouse=True)
def kept_here(tmp_path, settings):
    settings.FILES_ROOT = tmp_path / "files"


def below(parent: Tenant, reference: str, **fields) -> Tenant:
    """An account that inherits all it can."""
    plain = {"currency": "", "language": "", "price_class": None, "collection": "", "email": ""}
    return make_tenant(reference=reference, name=reference, parent=parent, **{**plain, "kind": "department", **fields})


def sides() -> list[tuple[str, str, Decimal]]:
    """Recipient, payer and net of each document."""
    found = Invoice.objects.order_by("recipient__reference", "payer__reference", "net")
    return list(found.values_list("recipient__reference", "payer__reference", "net"))


def sound() -> bool:
    breaches = list(books.check(with_files=False))
    assert breaches == []
    return True


def totals(invoice: Invoice) -> tuple[Decimal, Decimal, Decimal]:
    return invoice.net.amount, invoice.vat.amount, invoice.gross.amount


def text_of(document: bytes) -> str:
    """The text of a PDF, blanks made one."""
    pages = (page.extract_text() for page in PdfReader(BytesIO(document)).pages)
    return " ".join(" ".join(pages).replace("\N{NO-BREAK SPACE}", " ").split())


def test_d01_six_levels_and_a_thousand_children(issuer):
    """The deepest account inherits from the root, and one invoice has the root's thousand children in tree order."""
    root = make_tenant(reference="ROOT", payment_days=30)
    deepest = root
    for level in range(1, 6):
        deepest = below(deepest, f"LEVEL{level}", invoice_to=root, pay_by=root)
    assert deepest.level == 5
    assert origins(deepest, issuer)["payment_days"].value == 30
    price = make_price()
    make_contract(issuer, deepest, price=price)
    keys = new_keys(tenants_tenant=1000)["tenants_tenant"]
    Tenant._base_manager.bulk_create(
        Tenant(
            pk=key,
            reference=f"C{n:04}",
            name=f"C{n:04}",
            kind="department",
            parent=root,
            invoice_to=root,
            pay_by=root,
            tree_id=0,
            lft=key,
            rght=key,
            level=0,
        )
        for n, key in enumerate(keys)
    )
    number_trees(keys)
    for child in Tenant.objects.filter(reference__in=["C0000", "C0500", "C0999"]):
        make_contract(issuer, child, price=price)
    bill(issuer, FEBRUARY)
    invoice = Invoice.objects.get()
    assert list(invoice.sections.values_list("tenant__reference", "net")) == [
        (reference, Decimal("100.00")) for reference in ("LEVEL5", "C0000", "C0500", "C0999")
    ]
    assert (invoice.net.amount, invoice.due_on) == (Decimal("400.00"), date(2026, 3, 3))
    assert sound()


def test_d02_a_term_set_on_the_parent_holds_for_a_grandchild_until_overridden(issuer):
    group = make_tenant(reference="GROUP", payment_days=30)
    site = below(group, "SITE")
    team = below(site, "TEAM")
    found = origins(team, issuer)["payment_days"]
    assert (found.value, found.origin) == (30, "GROUP")
    Tenant.objects.filter(pk=site.pk).update(payment_days=7)
    found = origins(team, issuer)["payment_days"]
    assert (found.value, found.origin) == (7, "SITE")
    assert effective([team], issuer)[team.pk].payment_days == 7
    make_contract(issuer, team)
    party = {"street": "Weg 1", "postcode": "10115", "city": "Berlin", "country": "DE"}
    Tenant.objects.filter(pk=team.pk).update(**party)
    bill(issuer, FEBRUARY)
    assert Invoice.objects.get().due_on == date(2026, 2, 8)


def test_d03_the_billing_contact_receives_the_mail_and_without_one_the_nearest_above(issuer):
    group = make_tenant(reference="GROUP", email="")
    Contact.objects.create(tenant=group, name="A", email="buchhaltung@example.com", is_billing=True)
    Contact.objects.create(tenant=group, name="B", email="technik@example.com", is_technical=True)
    make_contract(issuer, below(group, "TEAM"))
    bill(issuer, FEBRUARY)
    pdf.render_document(Invoice.objects.get().pk)
    assert not delivery.without_address()
    assert delivery.deliver_pending() == delivery.Decided(mails=1)
    assert Message.objects.get().recipient == "buchhaltung@example.com"


def test_d04_invoice_to_is_self_or_an_ancestor_and_a_contract_overrides_it(issuer):
    group = make_tenant(reference="GROUP")
    team = below(group, "TEAM", invoice_to=group)
    price = make_price()
    make_contract(issuer, team, price=price)
    make_contract(issuer, team, price=price, quantity=Decimal(2), invoice_to=team)
    make_contract(issuer, group, price=price, quantity=Decimal(4))
    bill(issuer, FEBRUARY)
    assert sides() == [
        ("GROUP", "GROUP", Decimal("400.00")),
        ("GROUP", "TEAM", Decimal("100.00")),
        ("TEAM", "TEAM", Decimal("200.00")),
    ]
    assert sound()


def test_d05_an_amendment_names_the_payer_of_one_contract(issuer):
    """Only what is issued afterwards goes elsewhere; a stranger is refused, and it can be taken back."""
    group, stranger = make_tenant(reference="GROUP"), make_tenant(reference="STRANGER")
    team = below(group, "TEAM")
    price = make_price()
    contract = make_contract(issuer, team, price=price, reference="V-1")
    make_contract(issuer, team, price=price, quantity=Decimal(2), reference="V-2")
    bill(issuer, FEBRUARY)
    said = {"on": date(2026, 2, 10), "reason": "Vereinbarung", "by": None, "channel": "command"}
    with pytest.raises(contracts.ChangeRefused, match="STRANGER"):
        contracts.assign(contract, pay_by=stranger, **said)
    amendment = contracts.assign(contract, pay_by=group, invoice_to=group, **said)
    assert (amendment.kind, amendment.data) == ("responsibility", {"invoice_to": "GROUP", "pay_by": "GROUP"})
    bill(issuer, MARCH)
    contracts.assign(contract, as_account=True, **said)
    bill(issuer, date(2026, 4, 1))
    assert list(Invoice.objects.order_by("issued_on", "net").values_list("issued_on", "payer__reference", "net")) == [
        (FEBRUARY, "TEAM", Decimal("300.00")),
        (MARCH, "GROUP", Decimal("100.00")),
        (MARCH, "TEAM", Decimal("200.00")),
        (date(2026, 4, 1), "TEAM", Decimal("300.00")),
    ]
    assert sound()


# Chargebee's combinations of a three-level tree: a contract of LEAF, who is invoiced and who pays.
COMBINATIONS = {
    "the leaf is invoiced and pays": ("LEAF", "LEAF"),
    "the middle is invoiced and pays": ("MIDDLE", "MIDDLE"),
    "the root is invoiced and pays": ("ROOT", "ROOT"),
    "the leaf is invoiced, the middle pays": ("LEAF", "MIDDLE"),
    "the leaf is invoiced, the root pays": ("LEAF", "ROOT"),
    "the middle is invoiced, the root pays": ("MIDDLE", "ROOT"),
    "the middle is invoiced, the leaf pays": ("MIDDLE", "LEAF"),
    "the root is invoiced, the middle pays": ("ROOT", "MIDDLE"),
    "the root is invoiced, the leaf pays": ("ROOT", "LEAF"),
}


@pytest.mark.parametrize("by_contract", [False, True], ids=["by the account", "by the contract"])
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_d05_three_levels(issuer, combination, by_contract):
    recipient, payer = COMBINATIONS[combination]
    root = make_tenant(reference="ROOT")
    middle = below(root, "MIDDLE")
    leaf = below(middle, "LEAF")
    known = {"ROOT": root, "MIDDLE": middle, "LEAF": leaf}
    named = {"invoice_to": known[recipient], "pay_by": known[payer]}
    if by_contract:
        make_contract(issuer, leaf, **named)
    else:
        Tenant.objects.filter(pk=leaf.pk).update(**named)
        make_contract(issuer, leaf)
    run = bill(issuer, FEBRUARY)
    assert sides() == [(recipient, payer, Decimal("100.00"))]
    assert list(run.outcomes.values_list("payer__reference", "state")) == [(payer, "issued")]
    assert bill(issuer, FEBRUARY).outcomes.get().state == "nothing_due"
    assert sound()


def test_d06_three_accounts_give_one_invoice_with_a_section_and_subtotal_each(issuer):
    group = make_tenant(reference="GROUP")
    price = make_price()
    for reference, quantity in [("A", 1), ("B", 2), ("C", 3)]:
        team = below(group, reference, invoice_to=group, pay_by=group, project_code=f"P-{reference}")
        make_contract(issuer, team, price=price, quantity=Decimal(quantity))
    bill(issuer, FEBRUARY)
    invoice = Invoice.objects.get()
    assert list(invoice.sections.values_list("name", "project_code", "net")) == [
        ("A", "P-A", Decimal("100.00")),
        ("B", "P-B", Decimal("200.00")),
        ("C", "P-C", Decimal("300.00")),
    ]
    assert totals(invoice) == (Decimal("600.00"), Decimal("114.00"), Decimal("714.00"))
    text = text_of(pdf.preview(invoice.pk))
    for reference, amount in [("A", "100,00"), ("B", "200,00"), ("C", "300,00")]:
        assert f"{reference} ({reference}) · Projekt P-{reference}" in text
        assert f"Summe {reference} {amount}" in text
    assert sound()


def test_d07_switching_the_flag_changes_only_what_is_issued_afterwards(issuer):
    group = make_tenant(reference="GROUP")
    team = below(group, "TEAM", invoice_to=group, pay_by=group)
    make_contract(issuer, team)
    bill(issuer, FEBRUARY)
    Tenant.objects.filter(pk=team.pk).update(invoice_to=None, pay_by=None)
    assert sound()
    bill(issuer, MARCH)
    assert sides() == [("GROUP", "GROUP", Decimal("100.00")), ("TEAM", "TEAM", Decimal("100.00"))]
    assert list(Invoice.objects.order_by("issued_on").values_list("recipient__reference", flat=True)) == [
        "GROUP",
        "TEAM",
    ]


def ended(contract: Subscription, day: date) -> None:
    Subscription.objects.filter(pk=contract.pk).update(ends_before=day)


def corrections() -> list[tuple[str, str, str, Decimal]]:
    """Number, recipient, payer and net of each document that gives something back."""
    found = Invoice.objects.filter(kind="credit_note").order_by("number")
    return list(found.values_list("number", "recipient__reference", "payer__reference", "net"))


def test_d18_what_is_given_back_goes_to_whom_it_was_invoiced(issuer):
    """A branch leaves its group: what the group was invoiced is corrected with the group, the rest is the branch's."""
    old, new = make_tenant(reference="OLD", po_number="PO-ALT"), make_tenant(reference="NEW", po_number="PO-NEU")
    team = below(old, "TEAM", invoice_to=old, pay_by=old)
    price = make_price()
    leaving = make_contract(issuer, team, price=price, quantity=Decimal(2), reference="V-LEAVING")
    make_contract(issuer, team, price=price, reference="V-STAYING")
    bill(issuer, FEBRUARY)
    original = Invoice.objects.get()
    moving.move(team, new, follows=True, takes_over=False, on=date(2026, 2, 10))
    ended(leaving, date(2026, 2, 15))

    run = bill(issuer, MARCH)
    assert corrections() == [("RK-2026-00001", "OLD", "OLD", Decimal("-100.00"))]
    correction, invoice = Invoice.objects.get(kind="credit_note"), Invoice.objects.get(number="RE-2026-00002")
    assert totals(correction) == (Decimal("-100.00"), Decimal("-19.00"), Decimal("-119.00"))
    assert (correction.billed_with, correction.po_number) == (new, "PO-ALT")
    assert correction.lines.get().details["corrects"] == {"number": original.number, "issued_on": "2026-02-01"}
    assert list(correction.sections.values_list("tenant__reference", "net")) == [("TEAM", Decimal("-100.00"))]
    assert (invoice.recipient, invoice.payer, invoice.billed_with, invoice.po_number) == (new, new, None, "PO-NEU")
    assert totals(invoice) == (Decimal("100.00"), Decimal("19.00"), Decimal("119.00"))
    assert list(run.outcomes.values_list("payer__reference", "state", "documents", "lines")) == [
        ("NEW", "issued", 2, 2)
    ]
    assert owed("OLD") == Decimal("238.00")  # 300.00 and VAT, less 100.00 and VAT
    assert owed("NEW") == Decimal("119.00")
    assert bill(issuer, MARCH).outcomes.get().state == "nothing_due"
    assert sound()


def owed(reference: str) -> Decimal:
    rows = OpenItem.objects.filter(payer__reference=reference).annotate(left=Sum("postings__amount"))
    return sum((row.left for row in rows), Decimal(0))


@pytest.mark.parametrize("chunk", [1, 500])
def test_d18_sections_of_a_consolidated_original_are_corrected_on_one_document(issuer, chunk):
    """Two of three accounts leave, each to a payer of its own; each one's correction is the group's, by itself.

    That the group is billed in the same chunk, or another one, changes nothing.
    """
    group = make_tenant(reference="GROUP")
    price = make_price()
    leaving = []
    for reference, quantity in [("A", 1), ("B", 2), ("C", 3)]:
        team = below(group, reference, invoice_to=group, pay_by=group, street="Weg 1", postcode="10115")
        Tenant.objects.filter(pk=team.pk).update(city="Berlin", country="DE")
        leaving.append(make_contract(issuer, team, price=price, quantity=Decimal(quantity), reference=f"V-{reference}"))
        make_contract(issuer, team, price=price, quantity=Decimal(4), reference=f"W-{reference}")
    bill(issuer, FEBRUARY)
    assert totals(Invoice.objects.get()) == (Decimal("1800.00"), Decimal("342.00"), Decimal("2142.00"))
    Tenant.objects.filter(reference__in=["A", "B"]).update(invoice_to=None, pay_by=None)
    for contract in leaving:
        ended(contract, date(2026, 2, 15))
    bill(issuer, MARCH, chunk=chunk)
    assert sides() == [
        ("A", "A", Decimal("400.00")),
        ("B", "B", Decimal("400.00")),
        ("GROUP", "GROUP", Decimal("-100.00")),
        ("GROUP", "GROUP", Decimal("-50.00")),
        ("GROUP", "GROUP", Decimal("250.00")),
        ("GROUP", "GROUP", Decimal("1800.00")),
    ]
    assert list(
        Section.objects.filter(invoice__issued_on=MARCH)
        .order_by("tenant__reference")
        .values_list("invoice__net", "tenant__reference", "net")
    ) == [
        (Decimal("-50.00"), "A", Decimal("-50.00")),
        (Decimal("-100.00"), "B", Decimal("-100.00")),
        (Decimal("250.00"), "C", Decimal("250.00")),
    ]
    assert owed("GROUP") == Decimal("2261.00")  # 2142.00 - 59.50 - 119.00 + 297.50
    assert sound()


def test_d18_only_the_recipient_changed(issuer):
    """The payer stays: the correction is its, made out to the old recipient, and its turn is its own."""
    group = make_tenant(reference="GROUP")
    team = below(group, "TEAM", pay_by=group, street="Weg 1", postcode="10115", city="Berlin", country="DE")
    contract = make_contract(issuer, team)
    bill(issuer, FEBRUARY)
    Tenant.objects.filter(pk=team.pk).update(invoice_to=group)
    ended(contract, date(2026, 2, 15))
    run = bill(issuer, MARCH)
    assert corrections() == [("RK-2026-00001", "TEAM", "GROUP", Decimal("-50.00"))]
    assert Invoice.objects.get(kind="credit_note").billed_with is None
    assert run.outcomes.get().state == "issued"
    assert sound()


def test_d18_drafts_of_corrections_are_discarded_and_released_with_whom_they_are_billed(issuer):
    group = make_tenant(reference="GROUP")
    team = below(
        group, "TEAM", invoice_to=group, pay_by=group, street="Weg 1", postcode="10115", city="Berlin", country="DE"
    )
    contract = make_contract(issuer, team)
    bill(issuer, FEBRUARY)
    Tenant.objects.filter(pk=team.pk).update(invoice_to=None, pay_by=None)
    ended(contract, date(2026, 2, 15))
    run = bill(issuer, MARCH, issues=False)
    assert list(run.outcomes.values_list("payer__reference", "state", "documents")) == [("TEAM", "proposed", 1)]
    assert review.discard(run.invoices.all()) == 1
    assert list(run.outcomes.values_list("payer__reference", "state", "documents")) == [("TEAM", "pending", 0)]
    run.refresh_from_db()
    bill_run.bill(run)
    assert review.release(run.invoices.all()) == 1
    assert issuing.issue_released(run) == 1
    assert run.outcomes.get().state == "issued"
    assert corrections() == [("RK-2026-00001", "GROUP", "GROUP", Decimal("-50.00"))]
    assert sound()


def test_d07_a_draft_from_before_the_switch_is_computed_again(issuer):
    group = make_tenant(reference="GROUP")
    team = below(group, "TEAM", invoice_to=group, pay_by=group)
    make_contract(issuer, team)
    run = bill(issuer, FEBRUARY, issues=False)
    assert review.release(run.invoices.all()) == 1
    Tenant.objects.filter(pk=team.pk).update(invoice_to=None, pay_by=None)
    with pytest.raises(issuing.Outdated, match="GROUP"):
        issuing.issue_released(run)
    assert Invoice.objects.get().state == Invoice.State.RELEASED


def test_d08_a_head_of_department_gets_a_copy_of_its_section_alone(issuer):
    group = make_tenant(reference="GROUP")
    heads = {}
    for reference in ("ALPHA", "BETA"):
        team = below(group, reference, invoice_to=group, pay_by=group, project_code=f"P-{reference}")
        make_contract(issuer, team)
        heads[reference] = team
    Contact.objects.create(tenant=heads["ALPHA"], name="Kopf", email="alpha@example.com", receives_sections=True)
    bill(issuer, FEBRUARY)
    invoice = Invoice.objects.get()
    pdf.render_document(invoice.pk)
    delivery.deliver_pending()
    assert section_copies.print_pending() == 1
    assert section_copies.print_pending() == 0

    copy = SectionCopy.objects.get()
    assert copy.section.tenant == heads["ALPHA"]
    sent = Delivery.objects.get(section__isnull=False)
    assert (sent.section, sent.recipient, sent.message.file) == (copy.section, "alpha@example.com", copy.file)
    assert Delivery.objects.filter(section=None).count() == 1  # the whole goes to the group
    text = text_of(section_copies.render(copy.section))
    assert "ALPHA" in text and "BETA" not in text
    assert "Abschnittssumme netto 100,00" in text
    assert "119,00" not in text and "19,00" not in text
    assert "Diese Kopie ist keine Rechnung" in text
    assert sound()


def test_d09_the_payer_gets_one_amount_for_all_it_pays(issuer):
    """Two daughters with VAT ids of their own never share an invoice; the mother still pays one amount (c-12)."""
    mother = make_tenant(reference="MOTHER", email="kasse@example.com")
    for reference, vat_id, quantity in [("ONE", "DE136695976", 1), ("TWO", "DE812415868", 2)]:
        daughter = below(
            mother, reference, kind="company", vat_id=vat_id, vat_id_valid=True, invoice_to=mother, pay_by=mother
        )
        make_contract(issuer, daughter, quantity=Decimal(quantity))
    make_contract(issuer, mother, quantity=Decimal(3))
    bill(issuer, FEBRUARY)
    assert sides() == [
        ("MOTHER", "MOTHER", Decimal("300.00")),
        ("ONE", "MOTHER", Decimal("100.00")),
        ("TWO", "MOTHER", Decimal("200.00")),
    ]
    assert statements.collect_pending() == 1
    assert statements.collect_pending() == 0
    statement = CollectiveStatement.objects.get()
    assert statement.reference == f"SA-2026-{statement.pk:05}"
    assert (statement.payer, statement.total.amount) == (mother, Decimal("714.00"))
    assert list(statement.entries.values_list("position", "invoice__recipient__reference", "amount")) == [
        (1, "MOTHER", Decimal("357.00")),
        (2, "ONE", Decimal("119.00")),
        (3, "TWO", Decimal("238.00")),
    ]
    assert statements.print_pending() == 1
    sent = StatementDelivery.objects.get()
    assert (sent.recipient, sent.message.file) == ("kasse@example.com", CollectiveStatement.objects.get().file)
    assert sent.message.subject == f"Sammelaufstellung {statement.reference} von Beispiel Telefonie GmbH"
    assert f"Verwendungszweck: {statement.reference}" in sent.message.body
    assert sound()


def test_c12_the_contracting_party_receives_for_those_it_resells_to(issuer):
    reseller = make_tenant(reference="RESELLER")
    for reference, vat_id in [("ONE", "DE136695976"), ("TWO", "DE812415868")]:
        customer = below(
            reseller,
            reference,
            kind="end_customer",
            vat_id=vat_id,
            invoice_to=reseller,
            pay_by=reseller,
            contracting_party=reseller,
        )
        make_contract(issuer, customer)
    bill(issuer, FEBRUARY)
    assert sides() == [("RESELLER", "RESELLER", Decimal("200.00"))]
    assert statements.collect_pending() == 0  # one document says it all
    assert sound()


def test_c12_a_branch_with_a_vat_id_of_its_own_is_invoiced_by_itself(issuer):
    group = make_tenant(reference="GROUP", vat_id="DE136695976", vat_id_valid=True)
    same = below(group, "SAME", vat_id="DE136695976", invoice_to=group, pay_by=group)
    other = below(group, "OTHER", kind="branch", vat_id="DE812415868", invoice_to=group, pay_by=group)
    make_contract(issuer, same)
    make_contract(issuer, other)
    bill(issuer, FEBRUARY)
    assert sides() == [("GROUP", "GROUP", Decimal("100.00")), ("OTHER", "GROUP", Decimal("100.00"))]


def test_accounts_and_contracts_that_want_documents_of_their_own(issuer):
    group = make_tenant(reference="GROUP", consolidation="by_account")
    price = make_price()
    one = below(group, "ONE", invoice_to=group, pay_by=group)
    two = below(group, "TWO", invoice_to=group, pay_by=group, consolidation="by_contract")
    three = below(group, "THREE", invoice_to=group, pay_by=group, consolidation="together")
    for quantity, account in enumerate([one, one, two, two, three], 1):
        make_contract(issuer, account, price=price, quantity=Decimal(quantity))
    make_contract(issuer, three, price=price, quantity=Decimal(6), is_invoiced_alone=True)
    make_contract(issuer, group, price=price, quantity=Decimal(7))
    bill(issuer, FEBRUARY)
    nets = sorted(Invoice.objects.values_list("net", flat=True))
    assert nets == [Decimal(n) for n in ("300", "300", "400", "500", "600", "700")]
    assert sound()


def test_a_po_number_is_inherited_unless_the_contract_names_one(issuer):
    group = make_tenant(reference="GROUP", po_number="PO-1")
    team = below(group, "TEAM", invoice_to=group, pay_by=group)
    make_contract(issuer, team)
    make_contract(issuer, team, po_number="PO-2")
    bill(issuer, FEBRUARY)
    assert sorted(Invoice.objects.values_list("po_number", flat=True)) == ["PO-1", "PO-2"]


def fifty(issuer: Issuer) -> Invoice:
    """One product, fifty end customers of a provider who pays for them all: one invoice with fifty sections."""
    provider = make_tenant(reference="MSP", name="Systemhaus Nord GmbH")
    price = make_price((None, "0.37", "0"))
    for n in range(50):
        customer = below(
            provider,
            f"END{n:02}",
            kind="end_customer",
            invoice_to=provider,
            pay_by=provider,
            contracting_party=provider,
        )
        make_contract(issuer, customer, price=price, quantity=Decimal(n + 1))
    bill(issuer, FEBRUARY)
    defer_constraints()
    return Invoice.objects.get()


def test_d17_fifty_end_customers_on_one_invoice(issuer):
    """Fifty sections; their gross parts add up to what is to be paid, to the cent."""
    invoice = fifty(issuer)
    assert invoice.sections.count() == 50
    assert totals(invoice) == (Decimal("471.75"), Decimal("89.63"), Decimal("561.38"))
    assert sum(section.net.amount for section in invoice.sections.all()) == Decimal("471.75")
    parts = sections.amounts_of([invoice.pk])[invoice.pk]
    assert sum(part.net for part in parts.values()) == Decimal("471.75")
    assert sum(part.gross for part in parts.values()) == Decimal("561.38")
    first = Section.objects.get(tenant__reference="END00")
    assert (parts[first.pk].net, parts[first.pk].vat) == (Decimal("0.37"), Decimal("0.07"))
    assert sound()
    assert sections.open_of([invoice.pk]) == {invoice.pk: {section: part.gross for section, part in parts.items()}}


def test_d17_one_transfer_settles_the_section_of_each_of_the_fifty(issuer):
    """The bank's file is taken in, booked without a person, and each end customer sees that its part is paid."""
    invoice = fifty(issuer)
    account = make_bank_account(issuer)
    transfer = Entry("561.38", f"Rechnung {invoice.number}", "SYSTEMHAUS NORD GMBH", iban_of(1), reference="B1")
    bank_import.take_in(camt(transfer, day="2026-02-10"), "februar.xml")
    assert matching.match(account) == matching.Result(looked_at=1, booked=1, proposed=0, unclear=0)
    left = sections.open_of([invoice.pk])[invoice.pk]
    assert len(left) == 50 and set(left.values()) == {Decimal("0.00")}
    with translation.override("de"):
        told = {row["state"] for row in pages.section_rows(invoice.sections.select_related("invoice__payer"))}
    assert told == {"bezahlt von Systemhaus Nord GmbH am 02.03.2026"}
    child = signed_in(customer(Tenant.objects.get(reference="END07"), "sees_invoices"))
    part = Section.objects.get(tenant__reference="END07")
    for page in ("documents/", f"sections/{part.pk}/"):
        shown = child.get(f"/portal/{page}").content.decode()
        assert "bezahlt von Systemhaus Nord GmbH am 02.03.2026" in shown and "END08" not in shown
    (statement,) = account_statement.statements(
        invoice.payer, with_descendants=True, after=None, through=MARCH.replace(day=31)
    )
    assert statement.closing == 0
    assert sound()


def test_d17_half_of_it_settles_half_of_each_section_and_the_rest_the_rest(issuer):
    invoice = fifty(issuer)
    account = make_bank_account(issuer)
    gross = {section: part.gross for section, part in sections.amounts_of([invoice.pk])[invoice.pk].items()}
    half = Entry("280.69", f"1. Rate {invoice.number}", "Systemhaus Nord GmbH", iban_of(1), reference="B1")
    bank_import.take_in(camt(half), "half.xml")
    assert matching.match(account) == matching.Result(looked_at=1, booked=0, proposed=1, unclear=0)
    (proposal,) = MatchProposal.objects.all()
    bank_lines.book(proposal.line, proposal.payer, matching.shares_of(proposal))
    left = sections.open_of([invoice.pk])[invoice.pk]
    assert sum(left.values()) == Decimal("280.69")
    assert all(abs(part - gross[section] / 2) < Decimal("0.01") for section, part in left.items())
    rest = replace(half, purpose=f"2. Rate {invoice.number}", day="2026-03-05", reference="B2")
    bank_import.take_in(camt(rest, day="2026-03-05", opening="1280.69"), "rest.xml")
    assert matching.match(account).booked == 1  # what is left of it is named and exact
    assert set(sections.open_of([invoice.pk])[invoice.pk].values()) == {Decimal("0.00")}
    assert sound()


def test_e11_a_reseller_operated_as_an_issuer_invoices_those_below_it(issuer):
    """We invoice the reseller for what its customer uses; the reseller, an issuer of its own, invoices the customer."""
    reseller = make_tenant(reference="RESELLER", vat_id="DE136695976", vat_id_valid=True)
    customer = below(
        reseller,
        "CUSTOMER",
        kind="end_customer",
        contracting_party=reseller,
        invoice_to=reseller,
        pay_by=reseller,
    )
    own = make_issuer(reference="RESELLER", name="Wiederverkauf GmbH", vat_id="DE136695976", operated_by=reseller)
    make_contract(issuer, customer, price=make_price((None, "60.00", "0")))
    make_contract(own, customer, price=make_price((None, "100.00", "0")), invoice_to=customer, pay_by=customer)
    bill(issuer, FEBRUARY)
    bill(own, FEBRUARY)
    found = Invoice.objects.order_by("net")
    assert list(
        found.values_list("issuer__reference", "number", "recipient__reference", "payer__reference", "net")
    ) == [
        ("MAIN", "RE-2026-00001", "RESELLER", "RESELLER", Decimal("60.00")),
        ("RESELLER", "RE-2026-00001", "CUSTOMER", "CUSTOMER", Decimal("100.00")),
    ]
    assert found[1].parties["seller"]["name"] == "Wiederverkauf GmbH"
    assert sound()


def test_e11_no_issuer_invoices_whoever_operates_it(issuer):
    """Neither the account itself nor a branch of it; its customers are billed, and so is it by others."""
    reseller = make_tenant(reference="RESELLER")
    branch = below(reseller, "BRANCH", kind="branch", invoice_to=reseller)
    customer = make_tenant(reference="CUSTOMER", parent=reseller)
    own = make_issuer(reference="OWN", operated_by=reseller)
    price = make_price()
    for account in (reseller, branch, customer):
        make_contract(own, account, price=price)
    make_contract(issuer, reseller, price=price)
    run = bill(own, FEBRUARY)
    assert {one.payer.reference: (one.state, one.reason) for one in run.outcomes.all()} == {
        "RESELLER": ("parked", f"RESELLER {OF_ITSELF}"),
        "BRANCH": ("parked", f"RESELLER {OF_ITSELF}"),
        "CUSTOMER": ("issued", ""),
    }
    bill(issuer, FEBRUARY)
    assert sides() == [("CUSTOMER", "CUSTOMER", Decimal("100.00")), ("RESELLER", "RESELLER", Decimal("100.00"))]
    assert {breach.invariant for breach in books.check(with_files=False)} == {"operated"}


OF_ITSELF = "gehört zum Betreiber des Rechnungsstellers OWN, der sich nicht selbst Rechnungen stellen kann."


def test_d10_three_contracts_align_to_the_first_with_one_stub_each(issuer):
    """Afterwards one consolidated invoice appears per month (e2: 1,000.00 a month from the 17th to the 1st)."""
    group = make_tenant(reference="GROUP")
    found = []
    for reference, day in [("A", 5), ("B", 17), ("C", 20)]:
        team = below(group, reference, invoice_to=group, pay_by=group)
        fields = {"starts_on": date(2026, 1, day), "billing_day": day, "reference": f"V-{reference}"}
        found.append(make_contract(issuer, team, price=make_price((None, "310.00", "0")), **fields))
    bill(issuer, date(2026, 1, 31))
    aligned = contracts.align_all(
        found, billing_day=1, on=date(2026, 1, 31), reason="ein Termin", by=None, channel="command"
    )
    assert [one.effective_on for one in aligned] == [date(2026, 2, 5), date(2026, 2, 17), date(2026, 2, 20)]
    for day in (date(2026, 2, 28), MARCH, date(2026, 4, 1), date(2026, 5, 1)):
        bill(issuer, day)
    stubs = Invoice.objects.get(issued_on=date(2026, 2, 28))
    assert list(stubs.lines.order_by("position").values_list("starts_on", "ends_before", "net")) == [
        (date(2026, 2, 5), MARCH, Decimal("265.71")),
        (date(2026, 2, 17), MARCH, Decimal("132.86")),
        (date(2026, 2, 20), MARCH, Decimal("99.64")),
    ]
    monthly = Invoice.objects.filter(issued_on__gte=MARCH).order_by("issued_on")
    assert list(monthly.values_list("issued_on", "net")) == [
        (day, Decimal("930.00")) for day in (MARCH, date(2026, 4, 1), date(2026, 5, 1))
    ]
    assert all(invoice.sections.count() == 3 for invoice in monthly)
    assert sound()


def test_d10_coterming_renews_all_on_one_day(issuer):
    group = make_tenant(reference="GROUP")
    found = []
    for reference, months in [("A", 12), ("B", 24)]:
        team = below(group, reference, invoice_to=group, pay_by=group)
        found.append(
            make_contract(issuer, team, term_months=months, renewal_months=12, notice_days=30, starts_on=FEBRUARY)
        )
    contracts.coterm(found, renews_on=date(2026, 12, 1), reason="ein Termin", by=None, channel="command")
    for contract in Subscription.objects.all():
        term = contracts.term_of(contract, date(2026, 6, 1))
        assert (term.renews_on, term.notice_by) == (date(2026, 12, 1), date(2026, 10, 31))
        assert contracts.term_of(contract, date(2026, 12, 1)).renews_on == date(2027, 12, 1)
    assert sound()


def test_d11_one_calendar_for_the_whole_customer(issuer):
    group = make_tenant(reference="GROUP")
    price = make_price()
    team = below(group, "TEAM", invoice_to=group, pay_by=group)
    own = below(group, "OWN")
    make_contract(issuer, group, price=price, reference="V-GROUP")
    make_contract(issuer, team, price=price, reference="V-TEAM", quantity=Decimal(2))
    make_contract(
        issuer,
        own,
        price=price,
        reference="V-OWN",
        billing_day=15,
        starts_on=date(2026, 2, 15),
        term_months=2,
        renewal_months=2,
        notice_days=10,
    )
    make_contract(issuer, make_tenant(reference="SIBLING"), price=price)
    entries = calendar.coming(group, on=FEBRUARY, through=date(2026, 4, 15))
    told = [(f"{e.day:%d.%m.}", e.kind.value, e.recipient, " ".join(e.contracts), e.net) for e in entries]
    assert told == [
        ("01.02.", "invoice", "GROUP", "V-GROUP V-TEAM", Decimal("300.00")),
        ("15.02.", "invoice", "OWN", "V-OWN", Decimal("100.00")),
        ("01.03.", "invoice", "GROUP", "V-GROUP V-TEAM", Decimal("300.00")),
        ("15.03.", "invoice", "OWN", "V-OWN", Decimal("100.00")),
        ("01.04.", "invoice", "GROUP", "V-GROUP V-TEAM", Decimal("300.00")),
        ("04.04.", "notice", "OWN", "V-OWN", None),
        ("15.04.", "invoice", "OWN", "V-OWN", Decimal("100.00")),
        ("15.04.", "renewal", "OWN", "V-OWN", None),
    ]
    bill(issuer, FEBRUARY)
    assert calendar.coming(group, on=date(2026, 2, 2), through=date(2026, 2, 14)) == []
