"""Two sessions that need the same month make it once."""

from django.db import migrations

FUNCTION = """
create or replace function kontor_usage_partitions(first date, last date) returns integer
    language plpgsql security definer set search_path = public, pg_temp as $$
-- Make the months (UTC) from ``first`` to ``last`` that are missing; returns how many were. Attached, not created as
-- part of the table: so nobody who writes events meanwhile has to wait. Asks the catalog itself whether a month is
-- there: to_regclass remembers that it was not, and whoever waited for another session would make it again.
declare
    month date := date_trunc('month', first)::date;
    name text;
    made integer := 0;
begin
    if first < '2000-01-01' or last >= '2200-01-01' or last - first > 20000 then
        raise exception 'no usage is kept from % to %', first, last using errcode = 'KO001';
    end if;
    while month <= last loop
        name := 'billing_usageevent_' || to_char(month, 'YYYY_MM');
        if not exists (select from pg_class where relname = name and relnamespace = 'public'::regnamespace) then
            perform pg_advisory_xact_lock(7010);
            if not exists (select from pg_class where relname = name and relnamespace = 'public'::regnamespace) then
                execute format('create table %I (like billing_usageevent including defaults including constraints)', name);
                execute format(
                    'alter table billing_usageevent attach partition %I for values from (%L) to (%L)',
                    name, month::text || ' 00:00:00+00', (month + interval '1 month')::date::text || ' 00:00:00+00');
                execute format(
                    'create trigger %I before truncate on %I for each statement execute function kontor_append_only()',
                    name || '_no_truncate', name);
                made := made + 1;
            end if;
        end if;
        month := (month + interval '1 month')::date;
    end loop;
    return made;
end $$;
"""

BEFORE = """
create or replace function kontor_usage_partitions(first date, last date) returns integer
    language plpgsql security definer set search_path = public, pg_temp as $$
-- Make the months (UTC) from ``first`` to ``last`` that are missing; returns how many were. Attached, not created as
-- part of the table: so nobody who writes events meanwhile has to wait.
declare
    month date := date_trunc('month', first)::date;
    name text;
    made integer := 0;
begin
    if first < '2000-01-01' or last >= '2200-01-01' or last - first > 20000 then
        raise exception 'no usage is kept from % to %', first, last using errcode = 'KO001';
    end if;
    while month <= last loop
        name := 'billing_usageevent_' || to_char(month, 'YYYY_MM');
        if to_regclass(name) is null then
            perform pg_advisory_xact_lock(7010);
            if to_regclass(name) is null then
                execute format('create table %I (like billing_usageevent including defaults including constraints)', name);
                execute format(
                    'alter table billing_usageevent attach partition %I for values from (%L) to (%L)',
                    name, month::text || ' 00:00:00+00', (month + interval '1 month')::date::text || ' 00:00:00+00');
                execute format(
                    'create trigger %I before truncate on %I for each statement execute function kontor_append_only()',
                    name || '_no_truncate', name);
                made := made + 1;
            end if;
        end if;
        month := (month + interval '1 month')::date;
    end loop;
    return made;
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0022_products_are_charged_by_use")]

    operations = [migrations.RunSQL(FUNCTION, BEFORE)]
