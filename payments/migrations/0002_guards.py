"""Reminders sent are kept; changes of dunning policies and blocks are on record."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("tenants", "0002_guards")]

    operations = [
        *guards.append_only("payments_reminder"),
        *guards.append_only("payments_letter", "file_id", "message_id"),
        *guards.append_only("payments_dunningrun"),
        *(guards.recorded(f"payments_{table}") for table in ("dunningpolicy", "dunninglevel", "dunningblock")),
    ]
