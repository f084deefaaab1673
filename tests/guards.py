"""Break the database's guards by raw SQL, as the application's role unless said otherwise."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from django.apps import apps
from django.db import DatabaseError, connection

from config.books.guards import PRESENT
from config.books.rules import rows_of

# raised by our triggers
FROZEN, UNBALANCED, UNPOSTED, OVERCREDITED, UNJUDGED, UNNAMED = "KO001", "KO002", "KO003", "KO004", "KO005", "KO006"
NO_RIGHT = "42501"


class Attempt(NamedTuple):
    """A statement that ``guard`` must refuse; ``code`` is PostgreSQL's for it, or ours if it is a trigger."""

    guard: str
    statement: str
    code: str = ""


def attempts(*tries: Attempt | tuple[str, ...]) -> pytest.MarkDecorator:
    """Parametrize a test by ``attempt``, each named for its guard."""
    return pytest.mark.parametrize("attempt", [pytest.param(Attempt(*one), id=one[0]) for one in tries])


def guards_of(app: str) -> set[str]:
    """Constraints of an app's models and triggers of its tables, but for those that keep the record or make a seal."""
    tables = {model._meta.db_table for model in apps.get_app_config(app).get_models()}
    constraints = {
        constraint.name for model in apps.get_app_config(app).get_models() for constraint in model._meta.constraints
    }
    triggers = {
        row["guard"]
        for row in rows_of(PRESENT.partition("union all")[0])
        if row["table"] in tables and not row["guard"].endswith(("_recorded", "_sealed"))
    }
    return constraints | triggers


def assert_refused(attempt: Attempt) -> None:
    """Refused by that guard, and no row of any table of ours is another one than before."""
    before = fingerprint()
    with pytest.raises(DatabaseError) as refusal, connection.cursor() as cursor:
        cursor.execute(attempt.statement)
    cause = refusal.value.__cause__
    assert (cause.pgcode if attempt.code else cause.diag.constraint_name) == (attempt.code or attempt.guard)
    assert fingerprint() == before


def fingerprint() -> dict[str, str]:
    """A hash of the rows of each table."""
    tables = [
        model._meta.db_table
        for app in ("tenants", "billing", "invoicing", "payments")
        for model in apps.get_app_config(app).get_models()
    ]
    query = " union all ".join(
        f"select '{table}' as table, md5(coalesce(string_agg(t::text, '|' order by id), '')) as hash from {table} t"
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def copy_of(table: str, where: str, **changed: str) -> str:
    """A statement that adds a copy of some rows, with other values (SQL expressions) in some columns."""
    values = "".join(f", '{column}', {value}" for column, value in changed.items())
    return (
        f"insert into {table} select (jsonb_populate_record(t, jsonb_build_object("
        f"'id', nextval(pg_get_serial_sequence('{table}', 'id')){values}))).* from {table} t where {where};"
    )
