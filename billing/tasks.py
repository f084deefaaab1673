"""Doors for workers: imports and price campaigns that are too long for a page to wait for."""

from __future__ import annotations

from celery import current_app, shared_task

from billing import campaigns, catalog_import, contract_import, usage_import
from billing.models import PriceCampaign
from tenants import staging

TURN = 60  # seconds of a campaign, after which it lets go of its worker
RECIPES = {recipe.kind: recipe for recipe in (catalog_import.RECIPE, contract_import.RECIPE, usage_import.RECIPE)}


@shared_task(name="billing.look_import")
def look_import(*, batch_id: int, language: str, **_newer: object) -> None:
    staging.look_for(RECIPES, batch_id, language=language)


@shared_task(name="billing.apply_import")
def apply_import(*, batch_id: int, user_id: int, language: str, **_newer: object) -> None:
    staging.apply_for(RECIPES, batch_id, user_id, language=language)


@shared_task(name="billing.apply_campaign")
def apply_campaign(*, campaign_id: int, **_newer: object) -> None:
    """A turn of a campaign; what is left goes to the end of the queue, so that others have their turn, too."""
    campaign = PriceCampaign.objects.select_related("issuer", "author").get(pk=campaign_id)
    if campaigns.apply_a_while(campaign, seconds=TURN):
        current_app.send_task("billing.apply_campaign", kwargs={"campaign_id": campaign_id})
