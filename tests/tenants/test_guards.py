"""What accounts cannot be, what stays on record, and that every change of master data is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, connections, transaction

from billing.kernel import money
from config.books.guards import PRESENT
from config.books.rules import rows_of
from tenants.models import Contact, ImportBatch, ImportRow, Tenant, VatCheck
from tenants.transactions import acting
from tests.guards import FROZEN, NO_RIGHT, Attempt, assert_refused, attempts, copy_of, guards_of
from tests.small_book import committed_small_book


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")) as name:
        tenant = Tenant.objects.get(reference="AUSTRIA")
        VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
        Contact.objects.create(tenant=tenant, name="Änne")
        batch = ImportBatch.objects.create(kind="tenants", file_name="tenants.csv")
        ImportRow.objects.create(batch=batch, number=2)
        yield name


ALONE = "reference = 'ALONE'"

TRIES = [
    *(
        (f"tenants_{table}_append_only", f"update tenants_{table} set {change}", FROZEN)
        for table, change in [("activity", "reason = 'x'"), ("vatcheck", "is_valid = false"), ("file", "size = 1")]
    ),
    *(
        (f"tenants_{table}_append_only", f"delete from tenants_{table}", FROZEN)
        for table in ("activity", "vatcheck", "file")
    ),
    *(
        (f"tenants_{table}_no_truncate", f"truncate tenants_{table} cascade", NO_RIGHT)
        for table in ("activity", "vatcheck", "file")
    ),
    ("issuer_currency_is_a_code", "update tenants_issuer set currency = 'eur'"),
    ("issuer_country_is_a_code", "update tenants_issuer set country = 'de'"),
    ("issuer_bounds_above_zero", "update tenants_issuer set largest_document = 0"),
    ("issuer_has_a_tax_identity", "update tenants_issuer set vat_id = '', tax_number = ''"),
    ("tenant_currency_is_a_code", f"update tenants_tenant set currency = 'eur' where {ALONE}"),
    ("tenant_country_is_a_code", f"update tenants_tenant set country = 'D' where {ALONE}"),
    ("tenant_is_not_its_own_parent", f"update tenants_tenant set parent_id = id where {ALONE}"),
    ("tenant_left_once", "update tenants_tenant set lft = 1 where reference = 'BRANCH'"),
    ("tenant_right_once", "update tenants_tenant set rght = 4 where reference = 'BRANCH'"),
    ("import_row_once", copy_of("tenants_importrow", "true")),
]


@attempts(*TRIES)
def test_a_guard_refuses_and_nothing_changes(book, attempt: Attempt):
    assert_refused(attempt)


def test_each_guard_is_tried(book):
    assert {guard for guard, *_ in TRIES} == guards_of("tenants")


def test_not_even_the_owner_truncates(book):
    for table in ("activity", "vatcheck", "file"):
        with pytest.raises(DatabaseError) as refusal, connections["owner"].cursor() as cursor:
            cursor.execute(f"truncate tenants_{table} cascade")
        assert refusal.value.__cause__.pgcode == FROZEN


RECORDED = {
    "billing_discount": ("name_de", "x"),
    "billing_grant": ("reason", "x"),
    "billing_item": ("line", 7),
    "billing_pause": ("policy", "no_credit"),
    "billing_price": ("model", "volume"),
    "billing_priceclass": ("name", "x"),
    "billing_product": ("name_de", "x"),
    "billing_subscription": ("notes", "x"),
    "billing_tier": ("flat_amount", 7),
    "invoicing_ledgeraccount": ("name", "x"),
    "tenants_contact": ("phone", "7"),
    "tenants_issuer": ("phone", "7"),
    "tenants_tenant": ("notes", "x"),
}


def test_every_change_of_master_data_is_recorded(book):
    tables = {row["table"] for row in rows_of(PRESENT.partition("union all")[0]) if row["guard"].endswith("_recorded")}
    assert {table for table in tables if table.startswith(("tenants_", "billing_", "invoicing_"))} == set(RECORDED)
    with acting(actor="anna", channel="test", reason="weil"), connection.cursor() as cursor:
        for table, (column, value) in RECORDED.items():
            cursor.execute(f"update {table} set {column} = %s where id = (select min(id) from {table})", [value])
            cursor.execute(
                'select actor, channel, reason, "table", action, before - %s, after from tenants_activity order by id'
                " desc limit 1",
                [column],
            )
            *who, before, after = cursor.fetchone()
            assert who == ["anna", "test", "weil", table, "update"]
            assert (json.loads(before), json.loads(after)) == ({}, {column: value})
        transaction.set_rollback(True)


def test_the_database_knows_the_same_minor_units_as_the_kernel(book):
    """The check constraints on amounts against the table that rounding goes by."""
    with connection.cursor() as cursor:
        for code, places in money._PLACES.items():
            finest = money.UNIT[places]
            cursor.execute("select kontor_fits(%s, %s), kontor_fits(%s, %s)", [finest, code, finest / 10, code])
            assert cursor.fetchone() == (True, False), code
