"""Append-only tables and the activity record. Plain plpgsql, without a bypass for the application's role."""

from django.db import migrations

FUNCTIONS = """
create function kontor_append_only() returns trigger language plpgsql as $$
-- Arguments: columns that may be written once, from null to a value.
declare
    old_row jsonb;
    new_row jsonb;
    name text;
begin
    if tg_op = 'UPDATE' then
        old_row := to_jsonb(old);
        new_row := to_jsonb(new);
        foreach name in array tg_argv loop
            if old_row -> name = 'null'::jsonb then
                old_row := old_row - name;
                new_row := new_row - name;
            end if;
        end loop;
        if old_row = new_row then
            return new;
        end if;
    end if;
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op)
        using errcode = 'KO001', hint = 'Issued and booked rows are reversed by new rows, never changed.';
end $$;

create function kontor_record_activity() returns trigger language plpgsql as $$
-- Arguments: columns that are nobody's decision (tree numbers, password hashes) and are left out.
declare
    old_row jsonb;
    new_row jsonb;
begin
    if tg_op <> 'INSERT' then
        old_row := to_jsonb(old) - tg_argv;
    end if;
    if tg_op <> 'DELETE' then
        new_row := to_jsonb(new) - tg_argv;
    end if;
    if tg_op = 'UPDATE' then
        if old_row = new_row then
            return null;
        end if;
        select jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, n.value)
            into old_row, new_row
            from jsonb_each(old_row) o join jsonb_each(new_row) n using (key)
            where o.value is distinct from n.value;
    end if;
    insert into tenants_activity (at, actor, channel, reason, "table", row, action, before, after)
    values (clock_timestamp(), coalesce(current_setting('kontor.actor', true), ''),
            coalesce(current_setting('kontor.channel', true), ''), coalesce(current_setting('kontor.reason', true), ''),
            tg_table_name, case when tg_op = 'DELETE' then old.id else new.id end, lower(tg_op), old_row, new_row);
    return null;
end $$;
"""


def append_only(table: str, *write_once: str) -> list:
    """Operations that let rows of ``table`` be added and nothing else, but for ``write_once`` columns."""
    arguments = ", ".join(f"'{column}'" for column in write_once)
    return [
        migrations.RunSQL(
            f"create trigger {table}_append_only before update or delete on {table}"
            f" for each row execute function kontor_append_only({arguments})",
            f"drop trigger {table}_append_only on {table}",
        ),
        no_truncate(table),
    ]


def no_truncate(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"create trigger {table}_no_truncate before truncate on {table}"
        " for each statement execute function kontor_append_only()",
        f"drop trigger {table}_no_truncate on {table}",
    )


def recorded(table: str, *left_out: str) -> migrations.RunSQL:
    """Keep every change of ``table`` in the activity record."""
    arguments = ", ".join(f"'{column}'" for column in left_out)
    return migrations.RunSQL(
        f"create trigger {table}_recorded after insert or update or delete on {table}"
        f" for each row execute function kontor_record_activity({arguments})",
        f"drop trigger {table}_recorded on {table}",
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.RunSQL(
            FUNCTIONS, "drop function kontor_record_activity(); drop function kontor_append_only()"
        ),
        *append_only("tenants_activity"),
        *append_only("tenants_vatcheck"),
        *append_only("tenants_file"),
        recorded("tenants_issuer"),
        recorded("tenants_tenant", "lft", "rght", "tree_id", "level", "sort_name"),
        recorded("tenants_contact"),
    ]
