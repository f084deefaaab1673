from tenants import issuer_import
from tenants.management.importing import ImportCommand


class Command(ImportCommand):
    help = "Take our own legal entities in from a CSV file (docs/contract-file.md)."
    recipe = issuer_import.RECIPE
