"""Write the amendments of an announced campaign, some contracts at a time; then its letters.

A step is one transaction. What it rests on is read again under the locks of the payers: a contract that has changed
since the announcement is parked with the reason, and so is one that cannot be changed; neither stops another. What is
settled is in no later step, so that a campaign may be applied twice, beside itself, and after any crash.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import OperationalError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from billing import contracts
from billing.campaigns.announcing import CampaignRefused
from billing.campaigns.reckoning import Position, propose
from billing.kernel.pricing import PriceTerms
from billing.models import Price, PriceCampaign, PriceChange, PriceNotice, Subscription, Tier
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.responsibility import effective
from tenants.transactions import acting, lock_payers_of, wake

logger = logging.getLogger(__name__)

STEP: Final = 50  # contracts of one transaction
LETTERS: Final = 500  # accounts of one transaction
State = PriceChange.State


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is: positions by what became of them."""

    pending: int
    changed: int
    skipped: int
    parked: int
    withdrawn: int

    @property
    def total(self) -> int:
        return self.pending + self.changed + self.skipped + self.parked + self.withdrawn

    @property
    def percent(self) -> int:
        return 100 if not self.total else (self.total - self.pending) * 100 // self.total


def progress(campaign: PriceCampaign) -> Progress:
    counts = {state.value: Count("pk", filter=Q(state=state)) for state in State}
    return Progress(**campaign.changes.aggregate(**counts))


def unfinished() -> QuerySet[PriceCampaign]:
    """The in-tray: announced, and not applied to the end."""
    return PriceCampaign.objects.filter(state=PriceCampaign.State.ANNOUNCED)


def apply(campaign: PriceCampaign, *, on_step: Callable[[int], None] | None = None) -> PriceCampaign:
    """Write every amendment of an announced campaign that is not written yet, and its letters.

    Raises ``CampaignRefused`` for a campaign that was not announced, or was withdrawn.
    """
    if campaign.state in (PriceCampaign.State.DRAFT, PriceCampaign.State.WITHDRAWN):
        raise CampaignRefused(
            _("The campaign “%(campaign)s” is not announced (%(state)s).")
            % {"campaign": campaign, "state": campaign.get_state_display()}
        )
    while done := _step(campaign):
        if on_step:
            on_step(done)
    while _write_notices(campaign):
        pass
    campaign.refresh_from_db()
    return campaign


def apply_a_while(campaign: PriceCampaign, *, seconds: float) -> bool:
    """As ``apply``, for about so long; returns whether something is left."""
    until = time.monotonic() + seconds
    while _step(campaign):
        if time.monotonic() > until:
            return True
    while _write_notices(campaign):
        pass
    return False


def _step(campaign: PriceCampaign) -> int:
    """Settle some contracts; returns how many positions."""
    with under_way(campaign) as fresh:
        if fresh.state != PriceCampaign.State.ANNOUNCED:
            return 0
        pending = fresh.changes.filter(state=State.PENDING)
        contracts_of = list(pending.order_by("subscription").values_list("subscription", flat=True).distinct()[:STEP])
        rows: dict[int, list[PriceChange]] = defaultdict(list)
        for row in pending.filter(subscription__in=contracts_of).select_related("subscription__tenant"):
            rows[row.subscription_id].append(row)
        lock_payers_of(accounts_of(own[0].subscription for own in rows.values()))
        assert fresh.announced_on is not None
        found: dict[int, list[Position]] = defaultdict(list)
        for position in propose(fresh, list(rows), on=fresh.announced_on):
            if position.changes:
                found[position.subscription].append(position)
        for key, own in rows.items():
            _settle(fresh, own, found[key])
        return sum(map(len, rows.values()))


def accounts_of(subscriptions: Iterable[Subscription]) -> list[int]:
    """The accounts of some contracts and those that are named to pay for them, to be locked at once and in order."""
    keys = {key for one in subscriptions for key in (one.tenant_id, one.pay_by_id) if key is not None}
    return sorted(keys)


@contextmanager
def under_way(campaign: PriceCampaign) -> Iterator[PriceCampaign]:
    """One transaction with the campaign held, on record as its author's; reasons are kept in the issuer's language."""
    actor = campaign.author.get_username() if campaign.author else ""
    with (
        translation.override(campaign.issuer.language),
        acting(actor=actor, channel=campaign.channel, reason=campaign.reason),
    ):
        yield (
            PriceCampaign.objects.select_related("issuer", "author", "tenant", "new_price")
            .select_for_update(no_key=True, of=("self",))
            .get(pk=campaign.pk)
        )


def _settle(campaign: PriceCampaign, rows: Sequence[PriceChange], found: Sequence[Position]) -> None:
    """One contract: all of its positions, or none with the reason."""
    try:
        if sorted(map(_said, rows)) != sorted(position.said() for position in found):
            raise CampaignRefused(_("It has changed since the announcement; change it by hand or in another campaign."))
        by_line = {position.line: position for position in found}
        with transaction.atomic():
            _change_all(campaign, rows, by_line)
    except OperationalError:  # a lock that was not to be had: the whole step is tried again
        raise
    except Exception as error:
        reason = str(error)
        if not isinstance(error, OperatorError):
            logger.exception("A price cannot be changed", extra={"contract": rows[0].subscription_id})
            reason = _("An error in the program; see the log.")
        PriceChange.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.PARKED, reason=reason[:500])


def _said(row: PriceChange) -> tuple[Any, ...]:
    """As ``Position.said``."""
    return (
        row.line,
        row.price_before_id,
        row.price_after_id,
        row.tiers_after,
        row.quantity,
        row.effective_on,
        row.mrr_before.amount,
        row.mrr_after.amount,
    )


def _change_all(campaign: PriceCampaign, rows: Sequence[PriceChange], by_line: Mapping[int, Position]) -> None:
    """Write the amendments of one contract, and see that it is worth exactly what the announcement said."""
    contract = rows[0].subscription
    day = max(row.effective_on for row in rows if row.effective_on)
    before = contracts.monthly(contract, day)
    for row in rows:
        _change(campaign, row, by_line[row.line])
    said = sum((position.value_after - position.value_before for position in by_line.values()), Fraction(0))
    if contracts.monthly(contract, day) - before != said:
        raise CampaignRefused(_("Changed, it would not be worth what was announced; change it by hand."))


def _change(campaign: PriceCampaign, row: PriceChange, position: Position) -> None:
    assert row.effective_on is not None
    price = row.price_after or _made(row, position)
    row.amendment = contracts.take_price(
        row.subscription,
        line=row.line,
        price=price,
        effective=row.effective_on,
        reason=f"{campaign.name}: {campaign.reason}",
        by=campaign.author,
        channel=campaign.channel,
    )
    row.price_after, row.state = price, State.CHANGED
    row.save(update_fields=["amendment", "price_after", "state"])


def _made(row: PriceChange, position: Position) -> Price:
    """The price that the campaign makes of the one the position has, agreed for this contract."""
    before, terms = row.price_before, position.terms_after
    assert terms is not None
    price = Price.objects.create(
        product=before.product,
        price_class=before.price_class,
        currency=before.currency,
        model=before.model,
        package_size=before.package_size,
        minimum=_bound(terms.minimum),
        cap=_bound(terms.cap),
        package_per_tier=before.package_per_tier,
        free_quantity=before.free_quantity,
        quota_prorated=before.quota_prorated,
        flat_when_zero=before.flat_when_zero,
        agreed_for=row.subscription,
    )
    Tier.objects.bulk_create(_tiers(price, terms))
    return price


def _bound(figure: Decimal | Fraction | None) -> Decimal | None:
    """Of a whole period: a price that is not prorated has no fractions."""
    assert not isinstance(figure, Fraction)
    return figure


def _tiers(price: Price, terms: PriceTerms) -> list[Tier]:
    bounds = [*(tier.floor for tier in terms.tiers[1:]), None]
    return [
        Tier(
            price=price,
            up_to=bound,
            unit_price=tier.unit_price,
            flat_amount=tier.flat_amount,
            package_size=tier.package_size,
        )
        for bound, tier in zip(bounds, terms.tiers, strict=True)
    ]


def _write_notices(campaign: PriceCampaign) -> int:
    """A letter for each account with changed contracts, once nothing waits; returns how many, and 0 at the end."""
    with under_way(campaign) as fresh:
        if fresh.state != PriceCampaign.State.ANNOUNCED or fresh.changes.filter(state=State.PENDING).exists():
            return 0
        assert fresh.announced_on is not None
        told = fresh.changes.filter(state=State.CHANGED, notice=None)
        accounts = Tenant.objects.filter(pk__in=told.values("subscription__tenant")).order_by("pk")[:LETTERS]
        settings = effective(accounts, fresh.issuer)
        notices = PriceNotice.objects.bulk_create(
            [
                PriceNotice(
                    campaign=fresh,
                    tenant=account,
                    written_on=fresh.announced_on,
                    language=settings[account.pk].language,
                )
                for account in accounts
            ]
        )
        for notice in notices:
            told.filter(subscription__tenant=notice.tenant_id).update(notice=notice)
        if len(notices) < LETTERS:
            fresh.state = PriceCampaign.State.APPLIED
            fresh.save(update_fields=["state"])
        wake("invoicing.write_price_notices")
        return len(notices)
