"""Keys and rows by the thousand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction

from tenants.copying import PORTION, copy_rows, new_keys, table_of
from tenants.models import Issuer, Tenant

pytestmark = pytest.mark.django_db
TENANTS, ISSUERS = table_of(Tenant), table_of(Issuer)


def described() -> list[tuple[int, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute("select place, said from described order by place")
        return cursor.fetchall()


@pytest.fixture
def described_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("create temporary table described (place int primary key, said text) on commit drop")


def test_keys_rise_and_are_drawn_once():
    first = new_keys(**{TENANTS: 3, ISSUERS: 2})
    second = new_keys(**{TENANTS: 2, ISSUERS: 0})
    drawn = first[TENANTS] + second[TENANTS]
    assert drawn == sorted(set(drawn))
    assert (len(drawn), len(first[ISSUERS]), second[ISSUERS]) == (5, 2, [])


@pytest.mark.parametrize("said", ["a\tb", "a\nb", "a\r\nb", "a\\b", "\\N", "\\.", "", "ä €", None])
def test_every_text_arrives_as_it_is(described_table, said):
    copy_rows("described", ("place", "said"), [(1, said), (2, "after")])
    assert described() == [(1, said), (2, "after")]


def test_rows_of_many_portions_arrive_in_full(described_table):
    rows = [(n, "x" * (PORTION // 3)) for n in range(10)]
    copy_rows("described", ("place", "said"), iter(rows))
    assert described() == rows


def test_no_rows_ask_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        copy_rows("no_such_table", ("place",), [])


def test_an_error_in_making_a_row_stays_itself_and_nothing_arrives(described_table):
    def rows() -> Iterator[tuple[Any, ...]]:
        yield 1, "first"
        raise KeyError("of the second row")

    with pytest.raises(KeyError, match="of the second row"), transaction.atomic():
        copy_rows("described", ("place", "said"), rows())
    assert described() == []


def test_what_the_database_refuses_is_its_own_error(described_table):
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_rows("described", ("place", "said"), [(1, "a"), (1, "b")])
    assert described() == []


@pytest.mark.parametrize(
    "name", ["pg_class", "tenants_tenant_pkey", "tenants_tenant; drop table tenants_tenant", "none"]
)
def test_the_owner_analyses_tables_of_the_book_alone(name):
    with pytest.raises(Error, match="is no table of this book"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select kontor_analyse(%s)", [name])
