"""Doors for workers. A task may come twice, late, or not at all: what waits stands in the database."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from tenants import issuer_import, messages, sign_in, staging, tenant_import, vat_inquiries, webhooks

RECIPES = {recipe.kind: recipe for recipe in (issuer_import.RECIPE, tenant_import.RECIPE)}


@shared_task(name="tenants.send_message")
def send_message(*, message_id: int, **_newer: object) -> None:
    messages.send(message_id, now=timezone.now())


@shared_task(name="tenants.send_pending")
def send_pending(**_newer: object) -> None:
    while messages.send_pending(now=timezone.now()):
        pass


@shared_task(name="tenants.look_import")
def look_import(*, batch_id: int, language: str, **_newer: object) -> None:
    staging.look_for(RECIPES, batch_id, language=language)


@shared_task(name="tenants.apply_import")
def apply_import(*, batch_id: int, user_id: int, language: str, **_newer: object) -> None:
    staging.apply_for(RECIPES, batch_id, user_id, language=language)


@shared_task(name="tenants.send_sign_in_link")
def send_sign_in_link(*, user_id: int, page: str, language: str, **_newer: object) -> None:
    """Asked for by a page, for known and unknown addresses alike: nobody's (0) gets nothing."""
    sign_in.send_link(user_id, page=page, language=language, now=timezone.now())
    sign_in.forget_old(now=timezone.now())


@shared_task(name="tenants.send_webhooks")
def send_webhooks(**_newer: object) -> None:
    while webhooks.send_pending(clock=timezone.now):
        pass


@shared_task(name="tenants.ask_vies")
def ask_vies(**_newer: object) -> None:
    while vat_inquiries.answer_pending(clock=timezone.now) != vat_inquiries.Asked():
        pass
