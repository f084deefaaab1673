"""A sound book, then one thing broken behind the database's back: the proof must name it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import translation

from config import books
from tenants.models import Issuer, Tenant
from tests.guards import copy_of
from tests.small_book import committed_small_book
from tests.usage_rows import store_little_usage


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """A small book, committed; from then on the connection is the owner's."""
    files = tmp_path_factory.mktemp("files")
    with django_db_blocker.unblock(), committed_small_book(template_database, files):
        alone = Tenant.objects.get(reference="ALONE")
        store_little_usage(Issuer.objects.order_by("pk").first(), alone)
        with connection.cursor() as cursor:  # what changed just before a run would explain a gap
            cursor.execute("update invoicing_billrun set started_at = started_at + interval '2 hours'")
        connection.close()
        with pytest.MonkeyPatch.context() as patch:
            for key in ("USER", "PASSWORD"):
                patch.setitem(connection.settings_dict, key, connections["owner"].settings_dict[key])
            yield
            connection.close()


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def tamper(statements: str) -> None:
    """Run statements with all guards of the tables they write to switched off meanwhile."""
    tables = sorted(set(re.findall(r"(?:update|into|from) ((?:tenants|billing|invoicing|payments)_\w+)", statements)))
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        for table in tables:
            cursor.execute(f"alter table {table} disable trigger user")
        cursor.execute(statements)
        for table in tables:
            cursor.execute(f"alter table {table} enable trigger user")


def found(**options) -> set[tuple[str, str]]:
    return {(breach.invariant, breach.record) for breach in books.check(**options)}


DOCUMENT = "(select id from invoicing_invoice where number = 'RE-2026-0000%s')"
FIRST, CONSOLIDATED, REVERSE, CORRECTED = (DOCUMENT % n for n in (1, 2, 3, 4))
CREDIT_NOTE = "(select id from invoicing_invoice where number = 'RK-2026-00001')"
CLOSED = "(select id from invoicing_invoice where state = 'closed' and issued_on = '2026-02-01')"
DRAFT = "(select min(id) from invoicing_invoice where state = 'draft')"
ALONE, GIVEN = (f"(select id from tenants_tenant where reference = '{name}')" for name in ("ALONE", "GIVEN"))
DRAFT_OF_ALONE = f"(select max(id) from invoicing_invoice where payer_id = {ALONE})"
DRAFT_OF_AUSTRIA = (
    "(select max(i.id) from invoicing_invoice i join tenants_tenant t on t.id = i.payer_id"
    " where t.reference = 'AUSTRIA')"
)
CHARGE = "(select charge_id from invoicing_line where invoice_id = {})"
ENTRY = "(select id from invoicing_journalentry where invoice_id = {})"
ITEM = "(select id from invoicing_openitem where invoice_id = {})"


WITHOUT_LINE = "id from billing_charge where id not in (select charge_id from invoicing_line)"


def named(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"select {query}")
        return str(cursor.fetchone()[0])


def without(table: str, *constraints: str) -> str:
    return "".join(
        f"alter table {table} drop constraint if exists {name}; drop index if exists {name};" for name in constraints
    )


def test_a_sound_book_has_no_breach(book):
    assert found() == set()
    call_command("check_books")
    with connection.cursor() as cursor:
        cursor.execute("select state, count(*) from invoicing_invoice group by state order by state")
        assert cursor.fetchall() == [("closed", 2), ("draft", 3), ("issued", 5)]


def charge(document: str) -> str:
    key = named(CHARGE.format(document))
    contract = named(
        "s.reference from billing_charge c join billing_item p on p.id = c.item_id"
        f" join billing_subscription s on s.id = p.subscription_id where c.id = {key}"
    )
    return f"charge {key} of contract {contract}"


def document(key: str) -> str:
    return "document " + named(f"coalesce(number, '#' || id) from invoicing_invoice where id = {key}")


# What is done to the book, and which breaches the proof must name: (invariant, record) with the record's query.
CASES = {
    "a fee charges days of another one": (
        lambda: (
            without("billing_charge", "charge_standing_fees_do_not_overlap")
            + f"update billing_charge set ends_before = '2026-03-02' where id = {CHARGE.format(FIRST)}"
            + f";update invoicing_line set ends_before = '2026-03-02' where invoice_id = {FIRST}"
        ),
        lambda: {
            (
                "days charged once",
                charge(DRAFT_OF_ALONE),
            ),
            ("content", "document RE-2026-00001"),
            ("guards", "charge_standing_fees_do_not_overlap"),
        },
    ),
    "a credit is booked twice": (
        lambda: (
            without("billing_charge", "charge_standing_credits_do_not_overlap", "charge_once")
            + copy_of("billing_charge", f"id = {CHARGE.format(CREDIT_NOTE)}")
        ),
        lambda: {
            ("days credited once", f"charge {named('max(id) from billing_charge')} of contract V-LEAVING"),
            ("charged and on a document", f"charge {named('max(id) from billing_charge')} of contract V-LEAVING"),
            ("guards", "charge_once"),
            ("guards", "charge_standing_credits_do_not_overlap"),
        },
    ),
    "two positions of a contract at one price": (
        lambda: (
            without("billing_item", "item_once_per_price_and_day")
            + copy_of(
                "billing_item", "subscription_id = (select id from billing_subscription where reference = 'V-ALONE')"
            )
        ),
        lambda: {
            ("positions once", "contract V-ALONE"),
            ("coverage", "contract V-ALONE"),
            ("guards", "item_once_per_price_and_day"),
        },
    ),
    "days are forgotten": (
        lambda: (
            f"delete from invoicing_line where invoice_id = {DRAFT_OF_AUSTRIA}; delete from billing_charge where id ="
            f" {named(CHARGE.format(DRAFT_OF_AUSTRIA))}"
        ),
        lambda: {
            ("coverage", "contract V-AUSTRIA"),
            *((invariant, document(DRAFT_OF_AUSTRIA)) for invariant in ("totals", "vat", "content")),
        },
    ),
    "a fee is negative": (
        lambda: (
            without("billing_charge", "charge_sign_follows_kind")
            + f"update billing_charge set net = -net where id = {CHARGE.format(FIRST)}"
        ),
        lambda: {
            ("charge", charge(FIRST)),
            ("trace", charge(FIRST)),
            ("lines", "document RE-2026-00001"),
            ("corrections", "document RE-2026-00001"),
            ("guards", "charge_sign_follows_kind"),
        },
    ),
    "a charge is in another currency than its contract": (
        lambda: f"update billing_charge set currency = 'USD' where id = {CHARGE.format(FIRST)}",
        lambda: {("charge", charge(FIRST)), ("lines", "document RE-2026-00001")},
    ),
    "a charge and its document are changed alike": (
        lambda: (
            f"update billing_charge set net = 90 where id = {CHARGE.format(FIRST)};"
            f"update invoicing_line set net = 90 where invoice_id = {FIRST};"
            f"update invoicing_vatshare set base = 90, vat = 17.10 where invoice_id = {FIRST};"
            f"update invoicing_invoice set net = 90, vat = 17.10, gross = 107.10 where id = {FIRST};"
            f"update invoicing_openitem set amount = 107.10 where invoice_id = {FIRST};"
            f"update invoicing_posting set amount = case sign(amount) when 1 then 107.10 else"
            f" case amount when -100 then -90 else -17.10 end end where entry_id = {ENTRY.format(FIRST)}"
        ),
        lambda: {
            ("trace", charge(FIRST)),
            ("content", "document RE-2026-00001"),
            ("collected once", "collective statement SA-2026-00001"),
        },
    ),
    "a charge lost its line": (
        lambda: f"delete from invoicing_line where invoice_id = {CLOSED}",
        lambda: {
            (
                "charged and on a document",
                "charge "
                + named("min(id) from billing_charge where net = 0 and starts_on = '2026-02-01'")
                + " of contract V-GIVEN",
            ),
            ("totals", document(CLOSED)),
            ("vat", document(CLOSED)),
            ("content", document(CLOSED)),
        },
    ),
    "a credit names a fee of another contract": (
        lambda: (
            f"update billing_charge set corrects_id = {CHARGE.format(FIRST)} where id = {CHARGE.format(CREDIT_NOTE)}"
        ),
        lambda: {("credits", charge(CREDIT_NOTE)), ("corrections", "document RK-2026-00001")},
    ),
    "a credit reaches beyond its fee": (
        lambda: (
            f"update billing_charge set ends_before = '2026-03-02' where id = {CHARGE.format(CREDIT_NOTE)};"
            f"update invoicing_line set ends_before = '2026-03-02' where invoice_id = {CREDIT_NOTE}"
        ),
        lambda: {("credits", charge(CREDIT_NOTE)), ("content", "document RK-2026-00001")},
    ),
    "more is given back than was charged": (
        lambda: f"update billing_charge set net = -100.01 where id = {CHARGE.format(CREDIT_NOTE)}",
        lambda: {
            ("credits", charge(CORRECTED)),
            ("trace", charge(CREDIT_NOTE)),
            ("lines", "document RK-2026-00001"),
        },
    ),
    "a charge is reversed by one that does not reverse it": (
        lambda: (
            f"update billing_charge set reversed_by_id = {CHARGE.format(FIRST)} where id = {CHARGE.format(REVERSE)}"
        ),
        lambda: {("reversals", charge(REVERSE)), ("coverage", "contract V-AUSTRIA")},
    ),
    "a reversal does not cancel out": (
        lambda: (
            copy_of(
                "billing_charge",
                f"id = {CHARGE.format(FIRST)}",
                kind="'credit'",
                net="-99",
                reverses_id="id",
                trace="""'{"net": "-99"}'::jsonb""",
            )
            + "update billing_charge set reversed_by_id = (select max(id) from billing_charge)"
            f" where id = {CHARGE.format(FIRST)}"
        ),
        lambda: {
            ("reversals", charge(FIRST)),
            ("coverage", "contract V-ALONE"),
            ("charged and on a document", f"charge {named('max(id) from billing_charge')} of contract V-ALONE"),
        },
    ),
    "an amount is finer than its currency": (
        lambda: (
            without("billing_charge", "charge_figures_fit")
            + without("invoicing_line", "line_figures_fit")
            + "update billing_charge set net = 99.999, trace = jsonb_set(trace, '{net}', '\"99.999\"')"
            f" where id = {CHARGE.format(FIRST)}; update invoicing_line set net = 99.999 where invoice_id = {FIRST}"
        ),
        lambda: {
            ("amounts", f"billing_charge {named(CHARGE.format(FIRST))}"),
            ("amounts", f"invoicing_line {named(f'id from invoicing_line where invoice_id = {FIRST}')}"),
            ("totals", "document RE-2026-00001"),
            ("vat", "document RE-2026-00001"),
            ("content", "document RE-2026-00001"),
            ("guards", "charge_figures_fit"),
            ("guards", "line_figures_fit"),
        },
    ),
    "a figure is not a number": (
        lambda: (
            without("invoicing_openitem", "open_item_amount_fits")
            + f"update invoicing_openitem set amount = 'NaN' where invoice_id = {FIRST}"
        ),
        lambda: {
            ("amounts", f"invoicing_openitem {named(ITEM.format(FIRST))}"),
            ("issued and posted", "document RE-2026-00001"),
            ("receivables", "document RE-2026-00001"),
            ("guards", "open_item_amount_fits"),
        },
    ),
    "a currency is none": (
        lambda: f"update invoicing_posting set currency = 'XYZ' where entry_id = {ENTRY.format(FIRST)}",
        lambda: {("amounts", "XYZ"), ("receivables", f"journal entry {named(ENTRY.format(FIRST))}")},
    ),
    "a line is on the document of another payer": (
        lambda: f"update invoicing_line set invoice_id = {FIRST}, position = 2 where invoice_id = {REVERSE}",
        lambda: {
            ("lines", "document RE-2026-00001"),
            *(
                (invariant, document)
                for invariant in ("totals", "vat", "content")
                for document in ("document RE-2026-00001", "document RE-2026-00003")
            ),
        },
    ),
    "an account on a document is paid by somebody else": (
        lambda: "update tenants_tenant set pay_by_id = null where reference = 'BRANCH'",
        lambda: {
            ("lines", "document RE-2026-00002"),
            ("lines", document("(select max(l.invoice_id) from invoicing_line l where l.section_id is not null)")),
        },
    ),
    "a correction names another document": (
        lambda: (
            f"update invoicing_line set details = jsonb_set(details, '{{corrects,number}}', '\"RE-2026-00001\"')"
            f" where invoice_id = {CREDIT_NOTE}"
        ),
        lambda: {("corrections", "document RK-2026-00001"), ("content", "document RK-2026-00001")},
    ),
    "a correction goes to another than its document": (
        lambda: f"update invoicing_invoice set recipient_id = {GIVEN} where id = {CREDIT_NOTE}",
        lambda: {(name, "document RK-2026-00001") for name in ("corrections", "lines", "parties")},
    ),
    "the buyer has no street, and reverse charge no VAT id": (
        lambda: (
            "update invoicing_invoice set parties = parties #- '{buyer,street}' #- '{buyer,vat_id}'"
            f" where id = {REVERSE}"
        ),
        lambda: {("parties", "document RE-2026-00003"), ("content", "document RE-2026-00003")},
    ),
    "a VAT case does not fit the country": (
        lambda: (
            "update invoicing_invoice set parties = jsonb_set(parties, '{buyer,country}', '\"DE\"')"
            f" where id = {REVERSE}"
        ),
        lambda: {("vat", "document RE-2026-00003"), ("content", "document RE-2026-00003")},
    ),
    "net and VAT do not add up": (
        lambda: (
            without("invoicing_invoice", "invoice_adds_up")
            + f"update invoicing_invoice set gross = gross + 1 where id = {FIRST}"
        ),
        lambda: {
            ("totals", "document RE-2026-00001"),
            ("content", "document RE-2026-00001"),
            ("issued and posted", "document RE-2026-00001"),
            ("collected once", "collective statement SA-2026-00001"),
            ("guards", "invoice_adds_up"),
        },
    ),
    "VAT is a cent off": (
        lambda: f"update invoicing_vatshare set vat = vat + 0.01 where invoice_id = {FIRST}",
        lambda: {(invariant, "document RE-2026-00001") for invariant in ("vat", "entries", "content")},
    ),
    "sections are not the sums of their lines": (
        lambda: f"update invoicing_section set net = net + 1 where invoice_id = {CONSOLIDATED} and position = 1",
        lambda: {("totals", "document RE-2026-00002"), ("content", "document RE-2026-00002")},
    ),
    "a word on a line is changed": (
        lambda: f"update invoicing_line set text = text || '.' where invoice_id = {FIRST}",
        lambda: {("content", "document RE-2026-00001")},
    ),
    "the hash is forged, too": (
        lambda: f"update invoicing_invoice set content_hash = repeat('0', 64) where id = {FIRST}",
        lambda: {("content", "document RE-2026-00001"), ("chain", "RE-2026-00001")},
    ),
    "the chain is forged": (
        lambda: f"update invoicing_invoice set chain_hash = repeat('0', 64) where id = {CORRECTED}",
        lambda: {("chain", "RE-2026-00004"), ("chain", "RE-2026-")},
    ),
    "a draft has a number": (
        lambda: (
            without("invoicing_invoice", "invoice_numbered_exactly_when_issued")
            + f"update invoicing_invoice set number = 'X' where id = {DRAFT}"
        ),
        lambda: {
            ("numbered exactly when issued", "document X"),
            ("guards", "invoice_numbered_exactly_when_issued"),
        },
    ),
    "a number is not that of its place": (
        lambda: f"update invoicing_invoice set number = 'RE-2026-00009' where id = {FIRST}",
        lambda: {
            ("numbers", "document RE-2026-00009"),
            ("chain", "RE-2026-00009"),
        },
    ),
    "a document is gone": (
        lambda: "".join(
            f"delete from {table} where {column} = {key};"
            for table, column, key in [
                ("payments_reminder", "open_item_id", ITEM.format(REVERSE)),
                ("invoicing_posting", "entry_id", ENTRY.format(REVERSE)),
                ("invoicing_journalentry", "invoice_id", REVERSE),
                ("invoicing_openitem", "invoice_id", REVERSE),
                ("invoicing_vatshare", "invoice_id", REVERSE),
                ("invoicing_line", "invoice_id", REVERSE),
                ("invoicing_invoice", "id", REVERSE),
            ]
        ),
        lambda: {
            (
                "charged and on a document",
                f"charge {named(WITHOUT_LINE)} of contract V-AUSTRIA",
            ),
            ("numbers without gap", "number range RE-2026-"),
            ("chain", "RE-2026-00004"),
            ("outcomes", "bill run 1, payer AUSTRIA"),
        },
    ),
    "a range skips numbers": (
        lambda: "update invoicing_numberrange set next_number = 9 where kind = 'invoice'",
        lambda: {("numbers without gap", "number range RE-2026-")},
    ),
    "an issued document is not posted": (
        lambda: (
            f"delete from invoicing_posting where entry_id = {ENTRY.format(FIRST)};"
            f"delete from invoicing_journalentry where invoice_id = {FIRST}"
        ),
        lambda: {
            ("issued and posted", "document RE-2026-00001"),
            ("receivables", "document RE-2026-00001"),
            ("entries", "document RE-2026-00001"),
        },
    ),
    "a draft is posted": (
        lambda: (
            f"update invoicing_journalentry set invoice_id = {DRAFT} where invoice_id = {FIRST};"
            f"update invoicing_openitem set invoice_id = {DRAFT} where invoice_id = {FIRST}"
        ),
        lambda: {
            ("issued and posted", "document RE-2026-00001"),
            ("issued and posted", document(DRAFT)),
            ("entries", "document RE-2026-00001"),
        },
    ),
    "an open item is another payer's": (
        lambda: f"update invoicing_openitem set payer_id = {GIVEN} where invoice_id = {FIRST}",
        lambda: {("issued and posted", "document RE-2026-00001"), ("reminded once", "document RE-2026-00001")},
    ),
    "an open item is taken over without an entry": (
        lambda: (
            "insert into invoicing_openitem (issuer_id, invoice_id, moved_from_id, payer_id, due_on, currency, amount)"
            f" select issuer_id, invoice_id, id, {GIVEN}, due_on, currency, amount from invoicing_openitem"
            f" where invoice_id = {FIRST}"
        ),
        lambda: {("taken over", "document RE-2026-00001")},
    ),
    "an entry does not balance": (
        lambda: f"update invoicing_posting set amount = -101 where entry_id = {ENTRY.format(FIRST)} and amount = -100",
        lambda: {
            ("entries balance", f"journal entry {named(ENTRY.format(FIRST))}"),
            ("entries", "document RE-2026-00001"),
        },
    ),
    "an entry has no postings": (
        lambda: f"delete from invoicing_posting where entry_id = {ENTRY.format(FIRST)}",
        lambda: {
            ("entries balance", f"journal entry {named(ENTRY.format(FIRST))}"),
            ("receivables", "document RE-2026-00001"),
            ("entries", "document RE-2026-00001"),
        },
    ),
    "an entry has balanced postings more": (
        lambda: copy_of("invoicing_posting", f"entry_id = {ENTRY.format(FIRST)}"),
        lambda: {("receivables", "document RE-2026-00001"), ("entries", "document RE-2026-00001")},
    ),
    "a receivable names no open item": (
        lambda: f"update invoicing_posting set open_item_id = null where open_item_id = {ITEM.format(FIRST)}",
        lambda: {
            ("receivables", f"journal entry {named(ENTRY.format(FIRST))}"),
            ("receivables", "document RE-2026-00001"),
        },
    ),
    "an outcome counts what is not there": (
        lambda: f"update invoicing_outcome set documents = 2 where payer_id = {ALONE} and run_id = 1",
        lambda: {("outcomes", "bill run 1, payer ALONE")},
    ),
    "a payer waits in a finished run": (
        lambda: f"update invoicing_outcome set state = 'pending' where run_id = 2 and payer_id = {ALONE}",
        lambda: {("outcomes", "bill run 2, payer ALONE")},
    ),
    "a document has two files": (
        lambda: (
            without("invoicing_documentfile", "document_file_once")
            + copy_of("tenants_file", "path like 'documents/%'", path="path || '2'")
            + copy_of("invoicing_documentfile", "true", file_id="(select max(id) from tenants_file)")
        ),
        lambda: {
            ("file", "document RE-2026-00001"),
            ("seal", "document RE-2026-00001"),
            ("guards", "document_file_once"),
        },
    ),
    "a document goes twice to the same address": (
        lambda: (
            copy_of(
                "tenants_message", "key = 'invoice'", key="'again'", message_id="'again'", recipient="'A@example.com'"
            )
            + copy_of(
                "invoicing_delivery",
                "true",
                recipient="'A@example.com'",
                message_id="(select max(id) from tenants_message)",
            )
        ),
        lambda: {("delivered once", "document RE-2026-00001")},
    ),
    "a mail goes to somebody else": (
        lambda: "update tenants_message set recipient = 'b@example.com' where key = 'invoice'",
        lambda: {("delivered once", "document RE-2026-00001")},
    ),
    "a letter goes twice to the same address": (
        lambda: (
            copy_of("tenants_message", "key = 'letter'", key="'again'", message_id="'again'")
            + copy_of(
                "payments_letterdelivery",
                "true",
                recipient="'A@example.com'",
                message_id="(select max(id) from tenants_message)",
            )
        ),
        lambda: {("reminded once", "reminder letter " + named("letter_id from payments_letterdelivery limit 1"))},
    ),
    "an item was reminded of twice on one level": (
        lambda: (
            without("payments_reminder", "reminder_once_per_item_and_level")
            + copy_of("payments_reminder", f"open_item_id = {ITEM.format(FIRST)}")
        ),
        lambda: {("reminded once", "document RE-2026-00001"), ("guards", "reminder_once_per_item_and_level")},
    ),
    "an account names a dunning policy that is gone": (
        lambda: (
            "alter table tenants_tenant disable trigger tenants_tenant_policy_is_there;"
            "update tenants_tenant set dunning_policy = 'Milde' where reference = 'ALONE';"
            "alter table tenants_tenant enable trigger tenants_tenant_policy_is_there;"
        ),
        lambda: {("named policies", "account ALONE")},
    ),
    "the tree is numbered wrongly": (
        lambda: "update tenants_tenant set level = 5 where reference = 'BRANCH'",
        lambda: {("tree", "BRANCH")},
    ),
    "a guard is gone": (
        lambda: "drop trigger invoice_frozen on invoicing_invoice",
        lambda: {("guards", "invoice_frozen")},
    ),
    "an event that is gone": (
        lambda: "delete from billing_usageevent where meter_reference = 'nothing'",
        lambda: {("usage once", "usage event e-nameless of source pbx")},
    ),
    "a total that was changed": (
        lambda: "update billing_usagetotal set total = 61",
        lambda: {("usage totals", "usage of account ALONE, meter PBX/minutes, on 2026-03-10")},
    ),
    "a total that is gone": (
        lambda: "delete from billing_usagetotal",
        lambda: {("usage totals", "usage of account ALONE, meter PBX/minutes, on 2026-03-10")},
    ),
    "a last value that no event has": (
        lambda: (
            "update billing_meter set aggregation = 'last' where reference = 'minutes';"
            " update billing_usagetotal set last_at = now(), last_key = 'x', last_value = 60"
        ),
        lambda: {("usage totals", "usage of account ALONE, meter PBX/minutes, on 2026-03-10")},
    ),
    "an event taken back by nobody": (
        lambda: "update billing_usagekey set reverses_id = null where key = 'e-back'",
        lambda: {
            ("usage taken back", "usage event e-taken of source pbx"),
            ("usage taken back", "usage event e-back of source pbx"),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_is_named(book, case):
    statements, expected = CASES[case]
    with undone():
        tamper(statements())
        assert found(with_files=False) == expected()


def test_an_account_may_change_its_payer_after_its_documents_arose(book):
    with undone():
        Tenant.objects.filter(reference="BRANCH").update(pay_by=None)
        assert found(with_files=False) == set()


def test_a_guard_switched_off_is_named(book):
    with undone():
        with connection.cursor() as cursor:
            cursor.execute("alter table invoicing_posting disable trigger postings_balance")
        assert found(with_files=False) == {("guards", "postings_balance")}


@pytest.mark.parametrize("content", [b"%PDX", b"%PDF and more", None])
def test_a_file_that_is_not_what_was_stored_is_named(book, content):
    (path,) = Path(settings.FILES_ROOT).glob("documents/*.pdf")
    try:
        path.write_bytes(content) if content is not None else path.unlink()
        assert found() == {("file", f"documents/{path.name}")}
        assert found(with_files=False) == set()
    finally:
        path.write_bytes(b"%PDF")


def test_the_command_names_each_breach_and_fails(book, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with undone():
        tamper(f"update invoicing_line set text = text || '.' where invoice_id = {FIRST}")
        with pytest.raises(CommandError):
            call_command("check_books", "--without-files")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_no_rule_floods_the_report(book):
    with undone():
        tamper("update invoicing_line set text = text || '.'")
        assert len(list(books.check(limit=2, with_files=False))) == 2
