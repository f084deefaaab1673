"""The columns of a contract file."""

from datetime import timedelta
from decimal import Decimal

from billing.models.catalog import Interval
from tenants.cells import Choice, Day, Number, Text, Whole

COLUMNS = (
    Text(name="contract", required=True, max_length=60),
    Text(name="tenant", required=True, max_length=60),
    Text(name="product", required=True, max_length=60),
    Number(name="quantity", digits=15, places=4, above=Decimal(0)),
    Day(name="starts_on", required=True),
    Day(name="last_day"),
    Whole(name="billing_day", minimum=1, maximum=31),
    Whole(name="trial_days", maximum=3660),
    Whole(name="term_months", maximum=1200),
    Whole(name="renewal_months", maximum=1200),
    Whole(name="notice_days", maximum=3660),
    Number(name="discount_percent", digits=3, places=4, maximum=Decimal(100)),
    Number(name="discount_amount", digits=15, places=4),
    Whole(name="discount_periods", minimum=1, maximum=32767),
    Text(name="po_number", max_length=60),
    Text(name="invoice_to", max_length=60),
    Text(name="pay_by", max_length=60),
    Choice(name="interval", choices=tuple(Interval.values)),
    Day(name="billed_before"),
)

BY_NAME = {column.name: column for column in COLUMNS}

PRICED = (  # what decides an amount; once a contract is billed, only an amendment changes it
    "product",
    "quantity",
    "starts_on",
    "billing_day",
    "trial_days",
    "discount_percent",
    "discount_amount",
    "discount_periods",
    "interval",
    "billed_before",
)

RESPONSIBLE = ("invoice_to", "pay_by")

OWN_DISCOUNTS = "file:"  # discounts that this import makes and takes away; those given by hand stay

DISCOUNT_COLUMNS = {"discount_percent", "discount_amount", "discount_periods"}

ONE_DAY = timedelta(days=1)
