"""Charges are reversed, never edited; changes of catalog and contracts are on record."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial"), ("tenants", "0002_guards")]

    operations = [
        # Deleting is open here: a charge is final once its line is on an issued document, which invoicing knows.
        migrations.RunSQL(
            "create trigger billing_charge_append_only before update on billing_charge"
            " for each row execute function kontor_append_only('reversed_by_id')",
            "drop trigger billing_charge_append_only on billing_charge",
        ),
        guards.no_truncate("billing_charge"),
        *(
            guards.recorded(f"billing_{table}")
            for table in ("priceclass", "product", "price", "tier", "discount", "grant", "subscription", "item")
        ),
    ]
