"""A table that leaves no column out has no trigger arguments; its activity must still say what was before and after."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")

BEFORE = guards.FUNCTIONS[guards.FUNCTIONS.index("create function kontor_record_activity") :].replace(
    "create function", "create or replace function"
)
AFTER = BEFORE.replace("- tg_argv", "- coalesce(tg_argv, '{}')")


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_append_only_names_itself")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
