from billing import contract_import
from tenants.management.importing import ImportCommand


class Command(ImportCommand):
    help = "Take contracts in from a CSV file (docs/contract-file.md)."
    recipe = contract_import.RECIPE
    needs_issuer = True
