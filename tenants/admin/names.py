"""Records as people know them: by their reference or number, or by what they belong to. Many of them in one query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Cast, JSONArray
from django.http import HttpRequest
from django.urls import reverse

from tenants.admin import figures
from tenants.models import Tenant

OWN_NAMES = ("reference", "number", "code", "prefix", "file_name", "username", "subject", "name")
NAMED_TOO = ("reference", "number", "code")  # whose records have a name beside

Key = tuple[str, int]  # table and primary key


@cache
def models_by_table() -> dict[str, type[models.Model]]:
    return {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}


@dataclass(frozen=True, slots=True)
class Named:
    """A record's name, and the record that it is a part of where it has no page of its own."""

    name: str
    owner: Key | None = None


def owners(model: type[models.Model]) -> list[Any]:
    """The foreign keys to what a record cannot be without."""
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.ForeignKey) and not field.null and field.related_model is not model
    ]


@cache
def naming(model: type[models.Model]) -> tuple[str, ...]:
    """The lookups whose values name a record of ``model``."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    own = [name for name in OWN_NAMES if name in fields]
    if own:
        return (own[0], "name") if own[0] in NAMED_TOO and "name" in fields else (own[0],)
    lookups = [
        f"{owner.name}__{lookup}"
        for owner in owners(model)[:2]
        for lookup in naming(owner.related_model)
        if not (is_day(owner.related_model, lookup) or (lookup == "name" and naming(owner.related_model)[0] != "name"))
    ]
    days = [name for name in fields if is_day(model, name) and not fields[name].null]
    return (*lookups, *days[:1])


def is_day(model: type[models.Model], lookup: str) -> bool:
    return "__" not in lookup and isinstance(model._meta.get_field(lookup), models.DateField)


def names_of(keys: Iterable[Key]) -> dict[Key, Named]:
    """The names of those of the records that still exist; one query, whatever tables they are in."""
    wanted: dict[str, set[int]] = {}
    for table, key in keys:
        if table in models_by_table():
            wanted.setdefault(table, set()).add(key)
    parts = [named_rows(models_by_table()[table], found) for table, found in sorted(wanted.items())]
    if not parts:
        return {}
    rows = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    names = {}
    for table, key, said, owner in rows:
        model = models_by_table()[table]
        first = owners(model)[:1]
        names[table, key] = Named(
            " ".join(text for text in map(readable, said) if text) or f"#{key}",
            (first[0].related_model._meta.db_table, owner) if owner else None,
        )
    return names


def named_rows(model: type[models.Model], keys: Iterable[int]) -> Any:
    has_page = model in admin.site._registry
    owner = next((field.attname for field in owners(model)), None)
    big = models.BigIntegerField()
    return (
        model._base_manager.filter(pk__in=keys)
        .order_by()
        .annotate(
            of_table=Value(model._meta.db_table, output_field=models.CharField()),
            of_row=Cast("pk", big),
            said=JSONArray(*naming(model)),
            owned_by=Cast(Value(None) if has_page or owner is None else F(owner), big),
        )
        .values_list("of_table", "of_row", "said", "owned_by")
    )


def readable(value: Any) -> str:
    """A value of JSON as text; a day as the reader writes it."""
    if value in (None, ""):
        return ""
    if isinstance(value, str) and len(value) == 10 and value[4:5] == "-":
        try:
            return figures.day(date.fromisoformat(value))
        except ValueError:
            return value
    return str(value)


def page_of(key: Key, names: Mapping[Key, Named], request: HttpRequest) -> str:
    """The address of a record's page or of its owner's; empty if the record is gone or not the user's to see."""
    named = names.get(key)
    if named is None:
        return ""
    table, row = named.owner or key
    model = models_by_table().get(table)
    screen = admin.site._registry.get(model) if model else None
    if model is None or screen is None or not screen.has_view_permission(request):
        return ""
    if model is Tenant:
        return reverse("account", args=[row])
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row])
