"""The guard of bookings no longer waits for those who only name a line: two matches at once met in a deadlock."""

from importlib import import_module

from django.db import migrations

guards = import_module("payments.migrations.0011_bank_statements_are_read")
BEFORE = guards.WITHIN.partition("create trigger")[0].replace("create function", "create or replace function")
WITHIN = BEFORE.replace("for update;", "for no key update;")


class Migration(migrations.Migration):
    dependencies = [("payments", "0014_providers_are_compared_day_by_day")]

    operations = [migrations.RunSQL(WITHIN, BEFORE)]
