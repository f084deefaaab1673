"""What a discarded draft had reversed stands again: the mark goes with the row that it names, and only with it."""

from django.db import migrations

AFTER = """
create function kontor_charge_kept() returns trigger language plpgsql as $$
declare
    may_change boolean := old.reversed_by_id is null
                          or new.reversed_by_id is null
                             and not exists (select from billing_charge where id = old.reversed_by_id);
begin
    if may_change then
        old.reversed_by_id := new.reversed_by_id;
    end if;
    if to_jsonb(old) = to_jsonb(new) then
        return new;
    end if;
    raise exception 'billing_charge is append-only: update refused'
        using errcode = 'KO001', hint = 'Issued and booked rows are reversed by new rows, never changed.';
end $$;
drop trigger billing_charge_append_only on billing_charge;
create trigger billing_charge_append_only before update on billing_charge
    for each row execute function kontor_charge_kept();
"""
BEFORE = """
drop trigger billing_charge_append_only on billing_charge;
create trigger billing_charge_append_only before update on billing_charge
    for each row execute function kontor_append_only('reversed_by_id');
drop function kontor_charge_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0008_numbers_are_given_once"), ("billing", "0002_guards")]

    operations = [migrations.RunSQL(AFTER, BEFORE)]
