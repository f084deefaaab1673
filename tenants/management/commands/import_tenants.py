from tenants import tenant_import
from tenants.management.importing import ImportCommand


class Command(ImportCommand):
    help = "Take the account tree in from a CSV file (docs/contract-file.md)."
    recipe = tenant_import.RECIPE
