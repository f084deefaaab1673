"""Contracts from a file: what each row would do, what it may not do, and that all of it or nothing is done."""

import io
import subprocess
import sys
import tracemalloc
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import translation

from billing import contract_import
from billing.models import Charge, Discount, Grant, Item, Subscription
from tenants import staging
from tenants.models import Activity, ImportBatch, ImportRow
from tests.builders import make_grant, make_issuer, make_item, make_price, make_price_class, make_product, make_tenant

ROOT = Path(__file__).parents[2]
HEADER = (
    "contract;tenant;product;quantity;starts_on;last_day;billing_day;trial_days;term_months;renewal_months;notice_days;"
    "discount_percent;discount_amount;discount_periods;po_number"
)


@pytest.fixture(autouse=True)
def kept_apart(settings, tmp_path):
    settings.FILES_ROOT = tmp_path
    with translation.override("en"):
        yield


@pytest.fixture
def issuer(db):
    """An issuer with one account (class 2, EUR) and the products SEAT and DISK; DISK has no price in USD."""
    make_tenant(reference="T1", price_class=2)
    for reference in ("SEAT", "DISK"):
        make_price(product=make_product(reference=reference), price_class=make_price_class(2))
    return make_issuer(reference="MAIN")


def offer(issuer, *rows, header=HEADER, skip_bad=False):
    text = "\r\n".join([header, *rows, ""])
    return staging.offer(
        contract_import.RECIPE,
        io.BytesIO(text.encode()),
        file_name="contracts.csv",
        issuer=issuer,
        skip_bad=skip_bad,
    )


def apply(batch):
    staging.apply(contract_import.RECIPE, batch, actor="clerk", channel="import")


def errors(batch):
    return [str(error) for row in batch.rows.filter(state="error") for error in staging.errors_of(row)]


def bill(reference):
    item = Item.objects.get(subscription__reference=reference)
    return Charge.objects.create(
        item=item,
        starts_on=item.starts_on,
        ends_before=date(2026, 2, 1),
        quantity=item.quantity,
        net=Decimal(10),
        currency="EUR",
    )


def test_a_row_becomes_a_contract_with_its_position_and_discounts(issuer):
    apply(offer(issuer, "V1;T1;SEAT;1,5;15.01.2026;28.02.2026;1;14;12;1;30;12,5;5,00;2;PO-1"))
    subscription = Subscription.objects.get()
    assert (subscription.issuer, subscription.tenant.reference, subscription.currency) == (issuer, "T1", "EUR")
    assert (subscription.price_class.number, subscription.po_number) == (2, "PO-1")
    assert (subscription.starts_on, subscription.ends_before) == (date(2026, 1, 15), date(2026, 3, 1))
    assert (subscription.trial_ends_before, subscription.billing_day) == (date(2026, 1, 29), 1)
    assert (subscription.term_months, subscription.renewal_months, subscription.notice_days) == (12, 1, 30)
    item = subscription.items.get()
    assert (item.product.reference, item.price.price_class.number, item.quantity) == ("SEAT", 2, Decimal("1.5"))
    assert (item.interval, item.starts_on, item.ends_before) == ("monthly", date(2026, 1, 15), date(2026, 3, 1))
    percent, fixed = (grant.discount for grant in subscription.grants.order_by("discount__sequence"))
    assert (percent.kind, percent.percent, percent.periods, percent.name_de) == (
        "percent",
        Decimal("12.5"),
        2,
        "Rabatt 12,5 %",
    )
    assert (fixed.kind, fixed.amount, fixed.currency, fixed.periods) == ("fixed", Decimal(5), "EUR", 2)


def test_equal_discounts_are_one_record(issuer):
    apply(offer(issuer, *(f"V{n};T1;SEAT;1;01.01.2026;;;;;;;10;;;" for n in range(3))))
    assert (Discount.objects.count(), Grant.objects.count()) == (1, 3)


def test_a_second_import_changes_nothing(issuer):
    rows = (
        "V1;T1;SEAT;1,50;15.01.2026;28.02.2026;1;14;12;1;30;12,5;5,00;2;PO-1",
        "V2;T1;DISK;3;01.01.2026;;;0;;;;0;0,00;;",
    )
    apply(offer(issuer, *rows))
    bill("V1")
    again = offer(issuer, *rows)
    assert again.counts == {"rows": 2, "warnings": 0, "new": 0, "changed": 0, "unchanged": 2, "error": 0}


def test_a_contract_that_is_not_billed_may_still_change_in_everything(issuer):
    apply(offer(issuer, "V1;T1;SEAT;1;01.01.2026;;;;;;;10;;;", "V2;T1;SEAT;1;01.01.2026;;;;;;;10;;;"))
    by_hand = make_grant(subscription=Subscription.objects.get(reference="V1"), percent=Decimal(3))
    batch = offer(issuer, "V1;T1;DISK;2;02.01.2026;31.01.2026;5;3;12;;;;7,50;4;PO")
    assert batch.rows.get().difference == {
        "product": ["SEAT", "DISK"],
        "quantity": ["1", "2"],
        "starts_on": ["2026-01-01", "2026-01-02"],
        "last_day": ["", "2026-01-31"],
        "billing_day": ["", "5"],
        "trial_days": ["", "3"],
        "term_months": ["", "12"],
        "discount_percent": ["10", ""],
        "discount_amount": ["", "7.5"],
        "discount_periods": ["", "4"],
        "po_number": ["", "PO"],
    }
    apply(batch)
    subscription = Subscription.objects.get(reference="V1")
    item = subscription.items.get()
    assert (item.product.reference, item.price.product.reference, item.quantity) == ("DISK", "DISK", 2)
    assert (item.starts_on, item.ends_before, subscription.po_number) == (date(2026, 1, 2), date(2026, 2, 1), "PO")
    assert subscription.trial_ends_before == date(2026, 1, 5)
    assert {grant.discount.reference for grant in subscription.grants.all()} == {
        "file:7.5EUR/4",
        by_hand.discount.reference,
    }
    assert Subscription.objects.get(reference="V2").grants.get().discount.percent == 10


def test_once_billed_only_an_amendment_changes_what_it_costs(issuer):
    apply(offer(issuer, "V1;T1;SEAT;1;01.01.2026;;;;;;;;;;"))
    bill("V1")
    batch = offer(issuer, "V1;T1;SEAT;2,5;01.01.2026;;;;12;;;;;;PO-2")
    assert errors(batch) == [
        "Row 2, column quantity: the contract is billed or amended already; changing “1” to “2.5” takes an amendment"
    ]
    apply(offer(issuer, "V1;T1;SEAT;1;01.01.2026;31.03.2026;;;12;;;;;;PO-2"))
    subscription = Subscription.objects.get()
    assert (subscription.ends_before, subscription.term_months, subscription.po_number) == (
        date(2026, 4, 1),
        12,
        "PO-2",
    )
    assert subscription.items.get().ends_before == date(2026, 4, 1)


def test_a_contract_amended_since_is_still_the_one_of_the_file(issuer):
    row = "V1;T1;SEAT;1;01.01.2026;;;;;;;;;;"
    apply(offer(issuer, row))
    first = Item.objects.get()
    first.ends_before = date(2026, 3, 1)
    first.save()
    make_item(subscription=first.subscription, price=first.price, quantity=Decimal(4), starts_on=date(2026, 3, 1))
    assert offer(issuer, row).counts["unchanged"] == 1
    assert errors(offer(issuer, "V1;T1;SEAT;1;01.01.2026;15.02.2026;;;;;;;;;")) == [
        "Row 2, column last_day: lies before the latest amendment of the contract (1 Mar 2026)"
    ]
    apply(offer(issuer, "V1;T1;SEAT;1;01.01.2026;31.12.2026;;;;;;;;;"))
    assert list(Item.objects.order_by("starts_on").values_list("ends_before", flat=True)) == [
        date(2026, 3, 1),
        date(2027, 1, 1),
    ]


def test_a_one_off_charge_and_a_contract_taken_over(issuer):
    header = HEADER + ";interval;billed_before"
    rows = ("V1;T1;SEAT;1;01.01.2026;;;;;;;;;;;once;", "V2;T1;SEAT;1;01.01.2025;;;;;;;;;;;;01.02.2026")
    apply(offer(issuer, *rows, header=header))
    assert Item.objects.get(subscription__reference="V1").interval == "once"
    assert Item.objects.get(subscription__reference="V2").interval == "monthly"
    assert Subscription.objects.get(reference="V2").billed_before == date(2026, 2, 1)
    assert offer(issuer, *rows, header=header).counts["unchanged"] == 2
    assert offer(issuer, "V1;T1;SEAT;1;01.01.2026;;;;;;;;;;").counts["unchanged"] == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("V9;T9;SEAT;1;01.01.2026;;;;;;;;;;", "column tenant: there is no account “T9”"),
        ("V9;T1;SOFA;1;01.01.2026;;;;;;;;;;", "column product: there is no product “SOFA”"),
        ("V9;T2;SEAT;1;01.01.2026;;;;;;;;;;", "column tenant: the account T2 is closed"),
        ("V9;T3;SEAT;1;01.01.2026;;;;;;;;;;", "column tenant: the account has no price class or no currency"),
        (
            "V9;T4;SEAT;1;01.01.2026;;;;;;;;;;",
            "column product: the product SEAT has no price in class 2 and USD on the first day",
        ),
        ("V9;T1;SEAT;0;01.01.2026;;;;;;;;;;", "column quantity: “0” must be more than 0"),
        ("V9;T1;SEAT;;01.01.2026;;;;;;;;;;", "column quantity: must not be empty"),
        ("V9;T1;SEAT;1;;;;;;;;;;;", "column starts_on: must not be empty"),
        ("V9;T1;SEAT;1;01.01.2026;31.12.2025;;;;;;;;;", "column last_day: lies before the first day"),
        ("V9;T1;SEAT;1;01.01.2026;;32;;;;;;;;", "column billing_day: “32” must be at most 31"),
        ("V9;T1;SEAT;1;01.01.2026;;;-1;;;;;;;", "column trial_days: “-1” must be at least 0"),
        ("V9;T1;SEAT;1;01.01.2026;;;;;;;100,01;;;", "column discount_percent: “100,01” must be at most 100"),
        ("V9;T1;SEAT;1;01.01.2026;;;;;;;;-5,00;;", "column discount_amount: “-5,00” must be at least 0"),
        (
            "V9;T1;SEAT;1;01.01.2026;;;;;;;;;3;",
            "column discount_periods: there is no discount that could last so long",
        ),
        ("V1;T5;SEAT;1;01.01.2026;;;;;;;;;;", "column tenant: the contract belongs to the account T1"),
        ("V2;T1;SEAT;1;01.01.2026;;;;;;;;;;", "column contract: is a contract of another issuer"),
        (
            "V3;T4;SEAT;1;01.01.2026;;;;;;;;;;",
            "column tenant: the contract runs in EUR, the account now in USD; that takes a new contract",
        ),
    ],
)
def test_a_bad_row_names_row_column_and_reason_and_nothing_is_taken(issuer, row, sentence):
    make_tenant(reference="T2", price_class=2, status="closed")
    make_tenant(reference="T3", price_class=None)
    t4 = make_tenant(reference="T4", price_class=2, currency="USD")
    make_tenant(reference="T5", price_class=2)
    apply(offer(issuer, "V1;T1;SEAT;1;01.01.2026;;;;;;;;;;", "V3;T1;SEAT;1;01.01.2026;;;;;;;;;;"))
    Subscription.objects.filter(reference="V3").update(tenant=t4)
    apply(offer(make_issuer(), "V2;T1;SEAT;1;01.01.2026;;;;;;;;;;"))
    batch = offer(issuer, "V8;T1;SEAT;1;01.01.2026;;;;;;;;;0,00;;".replace(";0,00;;", ";;;"), row)
    assert errors(batch) == [f"Row 3, {sentence}"]
    with pytest.raises(staging.RowsRefused, match=r"^1 row cannot be taken, so nothing of the file was\."):
        apply(batch)
    assert sorted(Subscription.objects.values_list("reference", flat=True)) == ["V1", "V2", "V3"]
    good = offer(issuer, "V8;T1;SEAT;1;01.01.2026;;;;;;;;;;", row, skip_bad=True)
    apply(good)
    assert sorted(Subscription.objects.values_list("reference", flat=True)) == ["V1", "V2", "V3", "V8"]


def test_class_and_currency_may_come_from_above(issuer):
    make_tenant(reference="T1a", parent=make_tenant(price_class=2), price_class=None, currency="")
    apply(offer(issuer, "V1;T1a;SEAT;1;01.01.2026;;;;;;;;;;"))
    subscription = Subscription.objects.get()
    assert (subscription.price_class.number, subscription.currency) == (2, "EUR")


def test_the_price_is_the_one_of_the_first_day(issuer):
    product = make_product(reference="NEW")
    old = make_price(product=product, price_class=make_price_class(2), ends_before=date(2026, 2, 1))
    new = make_price(product=product, price_class=make_price_class(2), starts_on=date(2026, 2, 1))
    apply(offer(issuer, "V1;T1;NEW;1;31.01.2026;;;;;;;;;;", "V2;T1;NEW;1;01.02.2026;;;;;;;;;;"))
    assert dict(Item.objects.values_list("subscription__reference", "price")) == {"V1": old.pk, "V2": new.pk}


def test_what_is_wrong_in_one_chunk_undoes_the_chunks_before(issuer, monkeypatch):
    batch = offer(issuer, *(f"V{n};T1;SEAT;1;01.01.2026;;;;;;;;;;" for n in range(5)))
    monkeypatch.setattr("tenants.import_rows.CHUNK", 2)
    written = []

    def write(batch, rows):
        contract_import.write(batch, rows)
        written.append(len(rows))
        if len(written) == 2:
            raise staging.Outdated("stop")

    with pytest.raises(staging.Outdated):
        staging.apply(
            contract_import.Recipe(
                kind=ImportBatch.Kind.CONTRACTS,
                columns=contract_import.COLUMNS,
                key="contract",
                judge=contract_import.judge,
                write=write,
            ),
            batch,
            actor="clerk",
            channel="import",
        )
    assert written == [2, 2]
    assert (Subscription.objects.count(), Item.objects.count()) == (0, 0)


def test_after_an_import_the_planner_knows_how_much_is_there(own_database):
    """Otherwise a run reads a book of thousands of contracts as if it were empty, until autovacuum has been there."""
    make_tenant(reference="T1", price_class=2)
    make_price(product=make_product(reference="SEAT"), price_class=make_price_class(2))
    batch = offer(make_issuer(reference="MAIN"), *(f"V{n};T1;SEAT;1;01.01.2026;;;;;;;;;;" for n in range(40)))
    filled = ("billing_subscription", "billing_item", "tenants_importrow")
    assert known_rows(filled) == dict.fromkeys(filled, -1)
    apply(batch)
    assert known_rows(filled) == dict.fromkeys(filled, 40)
    assert known_rows(["tenants_activity"]) == {"tenants_activity": Activity.objects.count()}


def known_rows(tables):
    """By table: how many rows the planner reckons with; -1 where it was never told."""
    with connection.cursor() as cursor:
        cursor.execute("select relname, reltuples::int from pg_class where relname = any(%s)", [list(tables)])
        return dict(cursor.fetchall())


def test_memory_does_not_grow_with_the_file(issuer, monkeypatch):
    for module in ("tenants.staging", "tenants.import_rows"):
        monkeypatch.setattr(f"{module}.CHUNK", 250)

    def peak(rows):
        lines = (f"W{rows}-{n};T1;SEAT;{n + 1};01.01.2026;;;;;;;;;;" for n in range(rows))
        file = io.BytesIO("\r\n".join([HEADER, *lines]).encode())
        tracemalloc.start()
        batch = staging.offer(contract_import.RECIPE, file, file_name="c.csv", issuer=issuer)
        apply(batch)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert Subscription.objects.filter(reference__startswith=f"W{rows}-").count() == rows
        return most

    peak(10)  # what is loaded once
    assert peak(3_000) - peak(750) < 400 * 2**10  # 2,250 rows more: less than 180 bytes each


def import_book(book, name, **options):
    call_command(f"import_{name}", book / f"{name}.csv", language="en", **options)


def test_the_sample_book(db, sample_book, capsys):
    for name in ("issuer", "catalog", "tenants", "contracts"):
        import_book(sample_book, name)
    output = capsys.readouterr().out.splitlines()
    assert "contracts.csv: read as encoding UTF-8 (BOM), delimiter “;”, decimal sign “,”, dates dd.mm.yyyy" in output
    assert output[-2:] == ["1200 new, 0 changed, 0 unchanged, 0 in error", "1200 rows were taken in."]
    counts = (Subscription, Item, Grant, Discount, ImportRow)
    assert [model.objects.count() for model in counts] == [1200, 1200, 424, 34, 2155]
    subscription = Subscription.objects.get(reference="V01-00012")
    assert (subscription.tenant.reference, subscription.starts_on, subscription.ends_before) == (
        "T0100013",
        date(2026, 1, 1),
        date(2026, 3, 16),
    )
    assert [
        (grant.discount.percent, grant.discount.amount) for grant in subscription.grants.order_by("discount_id")
    ] == [
        (Decimal(10), None),
        (None, Decimal("2.5")),
    ]
    for name in ("issuer", "catalog", "tenants", "contracts"):
        import_book(sample_book, name, dry_run=True)
    output = capsys.readouterr().out.splitlines()
    assert [line for line in output if " new, " in line] == [
        "0 new, 0 changed, 1 unchanged, 0 in error",
        "0 new, 0 changed, 150 unchanged, 0 in error",
        "0 new, 0 changed, 804 unchanged, 0 in error",
        "0 new, 0 changed, 1200 unchanged, 0 in error",
    ]
    assert [line for line in output if line.startswith("Row ")] == []


def test_which_issuer(issuer, tmp_path, capsys):
    file = tmp_path / "c.csv"
    file.write_text(f"{HEADER}\nV1;T1;SEAT;1;01.01.2026;;;;;;;;;;\n")
    second = make_issuer(reference="SECOND")
    with pytest.raises(CommandError, match=r"^Name the issuer with --issuer: one of MAIN, SECOND\.$"):
        call_command("import_contracts", file, language="en")
    with pytest.raises(CommandError, match=r"^Name the issuer with --issuer: one of MAIN, SECOND\.$"):
        call_command("import_contracts", file, language="en", issuer="THIRD")
    call_command("import_contracts", file, language="en", issuer="SECOND")
    assert Subscription.objects.get().issuer == second


def test_two_imports_at_once_give_the_same_rows_as_one(own_database, tmp_path):
    make_tenant(reference="T1", price_class=2)
    make_price(product=make_product(reference="SEAT"), price_class=make_price_class(2))
    make_issuer(reference="MAIN")
    file = tmp_path / "c.csv"
    file.write_text("\n".join([HEADER, *(f"V{n};T1;SEAT;1;01.01.2026;;;;;;;10;;;" for n in range(500))]))
    command = [sys.executable, "manage.py", "import_contracts", str(file), "--language", "en", "--show", "0"]
    environment = own_database.environment | {"KONTOR_HOME": str(tmp_path / "home")}
    running = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = sorted(process.communicate()[0].splitlines()[-1] for process in running)
    assert outputs == ["0 rows were taken in.", "0 rows were taken in.", "500 rows were taken in."]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert (Subscription.objects.count(), Item.objects.count(), Grant.objects.count()) == (500, 500, 500)


def test_an_import_waits_for_no_other_but_says_so(own_database):
    make_tenant(reference="T1", price_class=2)
    make_price(product=make_product(reference="SEAT"), price_class=make_price_class(2))
    batch = offer(make_issuer(), "V1;T1;SEAT;1;01.01.2026;;;;;;;;;;")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", [staging.IMPORT_LOCK])
        with pytest.raises(staging.Busy):
            apply(batch)
    finally:
        other.close()
    batch.refresh_from_db()
    assert (batch.state, Subscription.objects.count()) == ("read", 0)
    apply(batch)
    assert Subscription.objects.count() == 1
