"""Lay down what a campaign means: from here on the day of its announcement and its figures are fixed."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import User
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from billing.campaigns.reckoning import CHUNK, Position, figures_of, preview, seal
from billing.models import PriceCampaign, PriceChange
from tenants.errors import OperatorError
from tenants.transactions import acting


class CampaignRefused(OperatorError):
    """A campaign cannot be announced, applied or withdrawn."""


def announce(
    campaign: PriceCampaign, *, on: date, by: User | None, channel: str, seen: str | None = None
) -> PriceCampaign:
    """Announce a campaign on ``on``: a row for each position it selects, with its day and figures or why it stays.

    Nothing is changed yet. ``seen`` is the seal of the preview that is confirmed: what differs from it is refused.
    """
    with acting(actor=by.get_username() if by else "", channel=channel, reason=campaign.reason):
        fresh = (
            PriceCampaign.objects.select_related("issuer", "tenant", "new_price")
            .select_for_update(no_key=True, of=("self",))
            .get(pk=campaign.pk)
        )
        if fresh.state != PriceCampaign.State.DRAFT:
            raise CampaignRefused(_("The campaign “%(campaign)s” was announced already.") % {"campaign": fresh})
        with translation.override(fresh.issuer.language):  # reasons are kept in it
            found = preview(fresh, on=on)
        if seen is not None and seal(found.positions) != seen:
            raise CampaignRefused(
                _("Contracts have changed since the preview. Nothing was announced; look at the campaign again.")
            )
        if not found.changing:
            raise CampaignRefused(_("The campaign “%(campaign)s” changes no contract.") % {"campaign": fresh})
        PriceChange.objects.bulk_create([_row(fresh, position) for position in found.positions], batch_size=CHUNK)
        fresh.state, fresh.announced_on, fresh.author, fresh.channel = PriceCampaign.State.ANNOUNCED, on, by, channel
        fresh.save(update_fields=["state", "announced_on", "author", "channel"])
    return fresh


def _row(campaign: PriceCampaign, position: Position) -> PriceChange:
    return PriceChange(
        campaign=campaign,
        subscription_id=position.subscription,
        line=position.line,
        state=PriceChange.State.PENDING if position.changes else PriceChange.State.SKIPPED,
        effective_on=position.effective_on,
        days=[[step.rule, step.day.isoformat()] for step in position.steps],
        quantity=position.quantity,
        price_before_id=position.price_before,
        price_after_id=position.price_after,
        tiers_before=figures_of(position.terms_before),
        tiers_after=figures_of(position.terms_after),
        currency=position.currency,
        mrr_before=position.mrr_before,
        mrr_after=position.mrr_after,
        reason=position.reason[:500],
    )
