from billing.models.amendment import Amendment, Pause
from billing.models.campaign import PriceCampaign, PriceChange, PriceNotice
from billing.models.catalog import Price, PriceClass, Product, Tier
from billing.models.charge import Charge
from billing.models.discount import Discount, Grant
from billing.models.request import ChangeRequest
from billing.models.subscription import Item, Subscription
from billing.models.usage import (
    Application,
    Meter,
    UsageBatch,
    UsageConflict,
    UsageEvent,
    UsageKey,
    UsageSource,
    UsageToken,
    UsageTotal,
)

__all__ = [
    "Amendment",
    "Application",
    "ChangeRequest",
    "Charge",
    "Discount",
    "Grant",
    "Item",
    "Meter",
    "Pause",
    "Price",
    "PriceCampaign",
    "PriceChange",
    "PriceClass",
    "PriceNotice",
    "Product",
    "Subscription",
    "Tier",
    "UsageBatch",
    "UsageConflict",
    "UsageEvent",
    "UsageKey",
    "UsageSource",
    "UsageToken",
    "UsageTotal",
]
