"""A number is given with its document, and parts of a document that is just being issued wait for it."""

from importlib import import_module

from django.db import migrations

guards = import_module("invoicing.migrations.0002_guards")
later = import_module("invoicing.migrations.0006_nothing_is_added_later")

AFTER = """
create or replace function kontor_part_frozen() returns trigger language plpgsql as $$
declare
    documents bigint[] := array[old.invoice_id];
begin
    if tg_op = 'UPDATE' then
        documents := documents || new.invoice_id;
    end if;
    -- whoever is just issuing it is waited for, and whoever wants to issue it waits for us
    perform from invoicing_invoice where id = any(documents) order by id for key share;
    if exists (select from invoicing_invoice where id = any(documents) and state = 'issued') then
        raise exception '%: its document is issued, % refused', tg_table_name, lower(tg_op)
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;

create or replace function kontor_no_part_added() returns trigger language plpgsql
    set enable_seqscan = off as $$
begin
    perform from invoicing_invoice where id in (select invoice_id from added) order by id for key share;
    if exists (select from (select distinct invoice_id from added) part
               where (select state from invoicing_invoice where id = part.invoice_id) = 'issued') then
        raise exception '%: its document is issued, insert refused', tg_table_name
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return null;
end $$;

create or replace function kontor_numbers_go_up() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'number ranges stay: delete refused' using errcode = 'KO001';
    end if;
    if new.next_number < old.next_number
       or old.next_number > 1 and (new.issuer_id, new.kind, new.year, new.prefix)
                                  is distinct from (old.issuer_id, old.kind, old.year, old.prefix) then
        raise exception 'number range % cannot go back or change its name', old.prefix using errcode = 'KO001';
    end if;
    if new.next_number - old.next_number
       <> (select count(*) from invoicing_invoice
            where range_id = old.id and sequence >= old.next_number and sequence < new.next_number) then
        raise exception 'number range % counts documents that are there, no others', old.prefix using errcode = 'KO001';
    end if;
    return new;
end $$;

create function kontor_number_is_given() returns trigger language plpgsql as $$
begin
    if new.sequence >= (select next_number from invoicing_numberrange where id = new.range_id) then
        raise exception 'number % is not the next of its range', new.number using errcode = 'KO003';
    end if;
    return null;
end $$;
"""
BEFORE = "\n".join(
    [
        "drop function kontor_number_is_given();",
        later.AFTER[: later.AFTER.index("create or replace function kontor_postings_balance")],
        later.function("kontor_no_part_added"),
        later.function("kontor_numbers_go_up"),
    ]
)


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0007_runs_of_one_payer")]

    operations = [
        migrations.RunSQL(AFTER, BEFORE),
        guards.deferred(
            "number_is_given",
            "invoicing_invoice",
            "after insert or update of state",
            "kontor_number_is_given",
            "when (new.state = 'issued')",
        ),
    ]
