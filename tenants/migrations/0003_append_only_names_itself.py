"""A table without write-once columns has no trigger arguments; the refusal must still say what it refuses."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")

BEFORE = guards.FUNCTIONS[: guards.FUNCTIONS.index("create function kontor_record_activity")].replace(
    "create function", "create or replace function"
)
AFTER = BEFORE.replace("in array tg_argv loop", "in array coalesce(tg_argv, '{}') loop")


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_guards")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
