"""Take a campaign back: what is not in force yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from billing import contracts
from billing.campaigns.announcing import CampaignRefused
from billing.campaigns.applying import accounts_of
from billing.models import PriceCampaign, PriceChange
from tenants.errors import OperatorError
from tenants.transactions import acting, lock_payers_of

STEP: Final = 50  # changes of one transaction


def withdraw(campaign: PriceCampaign, *, on: date, reason: str, by: User | None, channel: str) -> list[str]:
    """Withdraw a campaign on ``on``: what waits stays as it is, amendments that hold from a later day are withdrawn.

    A price that is in force on ``on`` stays. Returns why an amendment could not be withdrawn, one sentence each; called
    again, it tries those anew. Customers who were written to are not written to again.
    """
    if not reason.strip():
        raise CampaignRefused(_("To withdraw a campaign takes a reason."))
    actor = by.get_username() if by else ""
    with translation.override(campaign.issuer.language), acting(actor=actor, channel=channel, reason=reason):
        fresh = PriceCampaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        fresh.state = PriceCampaign.State.WITHDRAWN
        fresh.save(update_fields=["state"])
        fresh.changes.filter(state=PriceChange.State.PENDING).update(
            state=PriceChange.State.SKIPPED, reason=_("The campaign was withdrawn.")
        )
    refused: list[str] = []
    written = campaign.changes.filter(state=PriceChange.State.CHANGED, effective_on__gt=on).order_by("pk")
    keys = list(written.values_list("pk", flat=True))
    for at in range(0, len(keys), STEP):
        with acting(actor=actor, channel=channel, reason=reason):
            refused += _withdraw_some(keys[at : at + STEP], reason=reason, by=by, channel=channel)
    return refused


def _withdraw_some(keys: Sequence[int], *, reason: str, by: User | None, channel: str) -> list[str]:
    rows = PriceChange.objects.filter(pk__in=keys, state=PriceChange.State.CHANGED).order_by("pk")
    lock_payers_of(accounts_of(row.subscription for row in rows.select_related("subscription")))
    refused = []
    for row in rows.select_related("subscription", "amendment"):  # read again, under the locks
        assert row.amendment is not None
        try:
            with transaction.atomic():
                contracts.withdraw(
                    row.subscription, sequence=row.amendment.sequence, reason=reason, by=by, channel=channel
                )
                row.state = PriceChange.State.WITHDRAWN
                row.save(update_fields=["state"])
        except OperatorError as refusal:
            refused.append(str(refusal))
    return refused
