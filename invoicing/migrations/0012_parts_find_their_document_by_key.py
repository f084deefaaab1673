"""The lock on the documents of added parts goes by their keys: a join would read all documents once per statement."""

from importlib import import_module

from django.db import migrations

given_once = import_module("invoicing.migrations.0008_numbers_are_given_once")

START = "create or replace function kontor_no_part_added()"
BEFORE = START + given_once.AFTER.partition(START)[2].partition("end $$;")[0] + "end $$;"
AFTER = BEFORE.replace(
    "where id in (select invoice_id from added)", "where id = any(array(select distinct invoice_id from added))"
)


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0011_what_cannot_be_printed_rests")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
