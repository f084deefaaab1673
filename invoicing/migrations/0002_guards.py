"""Issued means frozen and posted; entries balance; a charge on an issued document is final."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")

# The checks over all rows of a statement look each document up by its key, whatever the planner believes about the size of
# a table that grew since it was last analysed: a join, or a plan that reads the whole table, would cost the square.
FUNCTIONS = """
create function kontor_invoice_frozen() returns trigger language plpgsql as $$
begin
    if old.state = 'issued' then
        raise exception 'document % is issued: % refused', old.number, lower(tg_op)
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;

create function kontor_part_frozen() returns trigger language plpgsql as $$
begin
    if exists (select from invoicing_invoice where id = old.invoice_id and state = 'issued') then
        raise exception '%: its document is issued, % refused', tg_table_name, lower(tg_op)
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;

create function kontor_no_part_added() returns trigger language plpgsql
    set enable_seqscan = off as $$
begin
    if exists (select from (select distinct invoice_id from added) part
               where (select state from invoicing_invoice where id = part.invoice_id) = 'issued') then
        raise exception '%: its document is issued, insert refused', tg_table_name
            using errcode = 'KO001', hint = 'Issued documents are corrected by other documents, never changed.';
    end if;
    return null;
end $$;

create function kontor_charge_final() returns trigger language plpgsql as $$
begin
    if exists (select from invoicing_line l join invoicing_invoice i on i.id = l.invoice_id
               where l.charge_id = old.id and i.state = 'issued') then
        raise exception 'charge % is on an issued document: delete refused', old.id
            using errcode = 'KO001', hint = 'Charges are reversed, never edited.';
    end if;
    return old;
end $$;

create function kontor_entry_balances() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_posting where entry_id = new.id)
       or exists (select from invoicing_posting where entry_id = new.id group by currency having sum(amount) <> 0) then
        raise exception 'journal entry % does not balance', new.id using errcode = 'KO002';
    end if;
    return null;
end $$;

create function kontor_postings_balance() returns trigger language plpgsql
    set enable_seqscan = off as $$
-- All postings of an entry come in one statement; none can be added to an entry later.
begin
    if exists (select from (select distinct entry_id from added) part
               where exists (select from invoicing_posting where entry_id = part.entry_id
                             group by currency having sum(amount) <> 0)) then
        raise exception 'postings do not balance' using errcode = 'KO002';
    end if;
    return null;
end $$;

create function kontor_issued_is_posted() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_journalentry where invoice_id = new.id and kind = 'issue')
       or not exists (select from invoicing_openitem where invoice_id = new.id) then
        raise exception 'document % is issued without entry or open item', new.id using errcode = 'KO003';
    end if;
    return null;
end $$;

create function kontor_numbers_go_up() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'number ranges stay: delete refused' using errcode = 'KO001';
    end if;
    if new.next_number < old.next_number
       or old.next_number > 1 and (new.issuer_id, new.kind, new.year, new.prefix)
                                  is distinct from (old.issuer_id, old.kind, old.year, old.prefix) then
        raise exception 'number range % cannot go back or change its name', old.prefix using errcode = 'KO001';
    end if;
    return new;
end $$;
"""
DROP = """
drop function kontor_numbers_go_up();
drop function kontor_issued_is_posted();
drop function kontor_postings_balance();
drop function kontor_entry_balances();
drop function kontor_charge_final();
drop function kontor_no_part_added();
drop function kontor_part_frozen();
drop function kontor_invoice_frozen();
"""


def trigger(name: str, table: str, when: str, function: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"create trigger {name} {when} on {table} for each row execute function {function}()",
        f"drop trigger {name} on {table}",
    )


def added(name: str, table: str, function: str) -> migrations.RunSQL:
    """Checked once per statement over all rows it adds: COPY brings them in thousands."""
    return migrations.RunSQL(
        f"create trigger {name} after insert on {table} referencing new table as added"
        f" for each statement execute function {function}()",
        f"drop trigger {name} on {table}",
    )


def deferred(name: str, table: str, when: str, function: str, condition: str = "") -> migrations.RunSQL:
    return migrations.RunSQL(
        f"create constraint trigger {name} {when} on {table} deferrable initially deferred"
        f" for each row {condition} execute function {function}()",
        f"drop trigger {name} on {table}",
    )


PARTS = ("invoicing_line", "invoicing_section", "invoicing_vatshare")


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0001_initial"), ("billing", "0002_guards")]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP),
        trigger("invoice_frozen", "invoicing_invoice", "before update or delete", "kontor_invoice_frozen"),
        guards.no_truncate("invoicing_invoice"),
        *(trigger(f"{table}_frozen", table, "before update or delete", "kontor_part_frozen") for table in PARTS),
        *(added(f"{table}_not_added", table, "kontor_no_part_added") for table in PARTS),
        *(guards.no_truncate(table) for table in PARTS),
        trigger("charge_final", "billing_charge", "before delete", "kontor_charge_final"),
        *(
            operation
            for table in ("journalentry", "posting", "openitem", "documentfile", "delivery")
            for operation in guards.append_only(f"invoicing_{table}")
        ),
        deferred("entry_balances", "invoicing_journalentry", "after insert", "kontor_entry_balances"),
        added("postings_balance", "invoicing_posting", "kontor_postings_balance"),
        deferred(
            "issued_is_posted",
            "invoicing_invoice",
            "after insert or update of state",
            "kontor_issued_is_posted",
            "when (new.state = 'issued')",
        ),
        trigger("numbers_go_up", "invoicing_numberrange", "before update or delete", "kontor_numbers_go_up"),
        guards.no_truncate("invoicing_numberrange"),
        guards.recorded("invoicing_ledgeraccount"),
    ]
