from billing.models.catalog import Price, PriceClass, Product, Tier
from billing.models.charge import Charge
from billing.models.discount import Discount, Grant
from billing.models.subscription import Item, Subscription

__all__ = ["Charge", "Discount", "Grant", "Item", "Price", "PriceClass", "Product", "Subscription", "Tier"]
