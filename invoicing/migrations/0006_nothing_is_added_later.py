"""A part cannot be moved to an issued document, a posting not be added to an entry, a range not begin in the middle."""

from importlib import import_module

from django.db import migrations

guards = import_module("invoicing.migrations.0002_guards")


def function(name: str) -> str:
    """How it was made before."""
    text = guards.FUNCTIONS[guards.FUNCTIONS.index(f"create function {name}(") :]
    return text[: text.index("end $$;") + len("end $$;")].replace("create function", "create or replace function")


AFTER = """
create or replace function kontor_part_frozen() returns trigger language plpgsql as $$
declare
    documents bigint[] := array[old.invoice_id];
begin
    if tg_op = 'UPDATE' then
        documents := documents || new.invoice_id;
    end if;
    if exists (select from invoicing_invoice where id = any(documents) and state = 'issued') then
        raise exception '%: its document is issued, % refused', tg_table_name, lower(tg_op)
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;

create or replace function kontor_postings_balance() returns trigger language plpgsql
    set enable_seqscan = off as $$
-- All postings of an entry come in one statement; none can be added to an entry later.
begin
    if exists (select from added group by entry_id, currency having sum(amount) <> 0) then
        raise exception 'postings do not balance' using errcode = 'KO002';
    end if;
    if exists (select from (select entry_id, count(*) from added group by entry_id) part
               where (select count(*) from invoicing_posting where entry_id = part.entry_id) <> part.count) then
        raise exception 'journal entry has its postings already: insert refused'
            using errcode = 'KO001', hint = 'What was booked is reversed by another entry, never changed.';
    end if;
    return null;
end $$;

create function kontor_numbers_begin() returns trigger language plpgsql as $$
begin
    if new.next_number <> 1 or new.chain_head <> '' then
        raise exception 'number range % must begin with 1', new.prefix using errcode = 'KO001';
    end if;
    return new;
end $$;
"""
BEFORE = "\n".join(
    ["drop function kontor_numbers_begin();", function("kontor_part_frozen"), function("kontor_postings_balance")]
)


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0005_figures_fit")]

    operations = [
        migrations.RunSQL(AFTER, BEFORE),
        guards.trigger("numbers_begin", "invoicing_numberrange", "before insert", "kontor_numbers_begin"),
    ]
