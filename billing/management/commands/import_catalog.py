from billing import catalog_import
from tenants.management.importing import ImportCommand


class Command(ImportCommand):
    help = "Take products and prices in from a CSV file (docs/contract-file.md)."
    recipe = catalog_import.RECIPE
