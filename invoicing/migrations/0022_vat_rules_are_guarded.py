"""What decides about VAT is on record; what a document says of it is frozen with the document."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")
frozen = import_module("invoicing.migrations.0002_guards")


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0021_rates_of_the_member_states")]

    operations = [
        *(guards.recorded(f"invoicing_{table}") for table in ("taxrate", "taxrule", "exchangerate")),
        frozen.trigger("invoicing_bookvat_frozen", "invoicing_bookvat", "before update or delete", "kontor_part_frozen"),
        frozen.added("invoicing_bookvat_not_added", "invoicing_bookvat", "kontor_no_part_added"),
        guards.no_truncate("invoicing_bookvat"),
    ]
