"""Take contracts in from a file: one position per row, all of the file or nothing, a second time nothing."""

from billing.contract_import.columns import COLUMNS, OWN_DISCOUNTS
from billing.contract_import.judging import judge
from billing.contract_import.stored import as_cells
from billing.contract_import.writing import begin, write
from billing.models import Grant, Item, Subscription
from tenants.import_rows import Recipe
from tenants.models import ImportBatch

RECIPE = Recipe(
    kind=ImportBatch.Kind.CONTRACTS,
    columns=COLUMNS,
    key="contract",
    judge=judge,
    write=write,
    begin=begin,
    fills=(Subscription, Item, Grant),
)

__all__ = ["COLUMNS", "OWN_DISCOUNTS", "RECIPE", "Recipe", "as_cells", "begin", "judge", "write"]
