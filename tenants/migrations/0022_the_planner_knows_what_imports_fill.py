"""ANALYZE passes over the tables of others: the application's role asks their owner for it, one table at a time."""

from django.db import migrations

ANALYSE = """
create function kontor_analyse(name text) returns void
    language plpgsql security definer set search_path = public, pg_temp as $$
-- Let the planner know what a table of ours holds by now. One that somebody is analysing already is left to them.
begin
    if not exists (select from pg_class where relnamespace = 'public'::regnamespace and relname = name
                      and relkind in ('r', 'p') and relowner = current_user::regrole) then
        raise exception '% is no table of this book', name using errcode = 'KO001';
    end if;
    execute format('analyze (skip_locked) public.%I', name);
end $$;
revoke execute on function kontor_analyse(text) from public;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0021_payers_give_mandates")]

    operations = [migrations.RunSQL(ANALYSE, "drop function kontor_analyse(text)")]
