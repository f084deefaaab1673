from billing import usage_import
from tenants.management.importing import ImportCommand


class Command(ImportCommand):
    help = "Take usage in from a CSV file (docs/usage.md)."
    recipe = usage_import.RECIPE
    needs_issuer = True
