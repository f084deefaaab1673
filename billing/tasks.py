"""Doors for workers: imports that are too long for a page to wait for."""

from __future__ import annotations

from celery import shared_task

from billing import catalog_import, contract_import
from tenants import staging

RECIPES = {recipe.kind: recipe for recipe in (catalog_import.RECIPE, contract_import.RECIPE)}


@shared_task(name="billing.look_import")
def look_import(*, batch_id: int, language: str, **_newer: object) -> None:
    staging.look_for(RECIPES, batch_id, language=language)


@shared_task(name="billing.apply_import")
def apply_import(*, batch_id: int, user_id: int, language: str, **_newer: object) -> None:
    staging.apply_for(RECIPES, batch_id, user_id, language=language)
