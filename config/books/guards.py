"""The database's own guards: every constraint of the models and every trigger of the migrations is there and on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL
from django.utils.translation import gettext

from config.books.breach import Breach
from config.books.rules import rows_of

APPS: Final = ("tenants", "billing", "invoicing", "payments", "config")
TRIGGER: Final = re.compile(r"\b(create|drop)\s+(?:constraint\s+)?trigger\s+(\w+)\b.*?\bon\s+(\w+)", re.DOTALL)

PRESENT: Final = """
    select c.relname as table, t.tgname as guard, t.tgenabled <> 'D' as sound
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and c.relnamespace = current_schema()::regnamespace
    union all
    select c.relname, k.conname, k.convalidated from pg_constraint k join pg_class c on c.oid = k.conrelid
     where c.relnamespace = current_schema()::regnamespace
    union all
    select c.relname, x.relname, i.indisvalid
      from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
     where i.indisunique and c.relnamespace = current_schema()::regnamespace
"""


def guards_hold() -> Iterator[Breach]:
    present = {(row["table"], row["guard"]): row["sound"] for row in rows_of(PRESENT)}
    for table, guard in sorted({*_constraints(), *_triggers()}):
        if (table, guard) not in present:
            yield Breach("guards", guard, gettext("This guard of table %(table)s is missing.") % {"table": table})
    for (table, guard), sound in present.items():
        if not sound:
            yield Breach(
                "guards",
                guard,
                gettext("This guard of table %(table)s is switched off or not proved.") % {"table": table},
            )


def _constraints() -> Iterator[tuple[str, str]]:
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            for constraint in model._meta.constraints:
                yield model._meta.db_table, constraint.name


def _triggers() -> set[tuple[str, str]]:
    """Those that the migrations leave behind."""
    loader = MigrationLoader(connection)
    triggers: set[tuple[str, str]] = set()
    for key in loader.graph.leaf_nodes():
        for app, name in loader.graph.forwards_plan(key):
            if app in APPS:
                for operation in loader.disk_migrations[app, name].operations:
                    if isinstance(operation, RunSQL) and isinstance(operation.sql, str):
                        for verb, guard, table in TRIGGER.findall(operation.sql.lower()):
                            (triggers.add if verb == "create" else triggers.discard)((table, guard))
    return triggers
