"""Columns that hold one of a few words hold one of them."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import connection
from django.db.models import CharField, Field
from django.utils.translation import gettext

from config.books.breach import Breach
from config.rights import OURS


def words_are_known() -> Iterator[Breach]:
    """Every column with choices holds one of them, or nothing where that is allowed; one query for each table."""
    for model in (model for label in OURS for model in apps.get_app_config(label).get_models()):
        fields = [
            field for field in model._meta.local_concrete_fields if isinstance(field, CharField) and field.choices
        ]
        if not fields or not model._meta.managed:
            continue
        conditions = " or ".join(f"not {field.column} = any(%s)" for field in fields)
        columns = ", ".join(f"{field.column}, {field.column} = any(%s)" for field in fields)
        allowed = [_allowed(field) for field in fields]
        with connection.cursor() as cursor:
            cursor.execute(
                f"select id, {columns} from {model._meta.db_table} where {conditions} order by id limit 1000",
                [*allowed, *allowed],
            )
            for key, *found in cursor.fetchall():
                for field, (value, is_known) in zip(fields, zip(found[::2], found[1::2], strict=True), strict=True):
                    if is_known is False:
                        yield Breach(
                            "known words",
                            f"{model._meta.verbose_name} {key}",
                            gettext('"%(value)s" is no %(column)s.') % {"value": value, "column": field.verbose_name},
                        )


def _allowed(field: Field) -> list[str]:
    return [str(value) for value, _label in field.flatchoices] + ([""] if field.blank else [])
