"""Prices and grids as the kernel wants them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging.proposal import Unbillable
from billing.kernel.pricing import Model, PriceTerms, Tier
from billing.kernel.schedule import Grid, Interval, Unit


@lru_cache(maxsize=4096)
def grid_of(
    interval: str,
    billing_day: int | None,
    paid_from: date,
    anchor_on: date | None = None,
    anchor_day: int | None = None,
) -> Grid:
    """Where the item's periods begin: at its own anchor, on the contract's billing day, or by its anniversary."""
    parsed = Interval.parse(interval)
    if anchor_on is not None and anchor_day is not None:
        return Grid(parsed, anchor_on, anchor_day)
    if billing_day is None or parsed.unit is Unit.ONCE:
        return Grid.anniversary(parsed, paid_from)
    return Grid.on_billing_day(parsed, billing_day, paid_from)


@lru_cache(maxsize=4096)
def calendar_of(interval: str, paid_from: date) -> Grid:
    """Calendar months, quarters or years, weeks from Monday: the periods in which usage is counted."""
    return Grid.calendar(Interval.parse(interval), paid_from)


def price_terms(keys: set[int]) -> dict[int, PriceTerms]:
    """Prices as the kernel wants them, by key. Raises ``Unbillable`` naming one that cannot be reckoned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select p.id, d.reference || '/' || c.number || '/' || p.currency, p.model, p.package_size, p.minimum, p.cap,
                   p.free_quantity, p.package_per_tier, p.quota_prorated, p.flat_when_zero,
                   array_agg(array[t.up_to, t.unit_price, t.flat_amount, t.package_size] order by t.up_to nulls last)
              from billing_price p
              join billing_product d on d.id = p.product_id
              join billing_priceclass c on c.id = p.price_class_id
              left join billing_tier t on t.price_id = p.id
             where p.id = any(%s)
             group by p.id, d.reference, c.number
            """,
            [list(keys)],
        )
        return {key: _price(*figures, tuple(map(tuple, tiers))) for key, *figures, tiers in cursor.fetchall()}


@lru_cache(maxsize=1024)  # equal rows give the same object, which the kernel's own caches are keyed by
def _price(
    name: str,
    model: str,
    size: Decimal | None,
    minimum: Decimal | None,
    cap: Decimal | None,
    free: Decimal,
    package_per_tier: bool,
    quota_prorated: bool,
    flat_when_zero: bool,
    tiers: tuple[tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None], ...],
) -> PriceTerms:
    """A price as the kernel wants it: tiers by their floors. Raises ``Unbillable`` naming the price."""
    if tiers[-1][0] is not None:
        raise Unbillable(_("Price %(price)s: its last tier must be open-ended.") % {"price": name})
    floors = [Decimal(0), *(up_to for up_to, *_figures in tiers[:-1] if up_to is not None)]
    try:
        return PriceTerms(
            model=Model(model),
            tiers=tuple(
                Tier(floor, unit_price or Decimal(0), flat_amount or Decimal(0), package_size)
                for floor, (_up_to, unit_price, flat_amount, package_size) in zip(floors, tiers, strict=True)
            ),
            package_size=size or Decimal(1),
            package_per_tier=package_per_tier,
            flat_when_zero=flat_when_zero,
            quota_prorated=quota_prorated,
            free_quota=free,
            minimum=minimum,
            cap=cap,
            key=name,
        )
    except ValueError as error:
        raise Unbillable(_("Price %(price)s: %(reason)s") % {"price": name, "reason": error}) from error
