"""What undoes a charge is the row that says so: any other would let its days be charged twice."""

from django.db import migrations

FUNCTION = """
create function kontor_charge_reversed_by_its_own() returns trigger language plpgsql as $$
begin
    if exists (select from billing_charge c
                where c.id = new.id and c.reversed_by_id is not null
                  and not exists (select from billing_charge where id = c.reversed_by_id and reverses_id = c.id)) then
        raise exception 'charge % is not reversed by %', new.id, new.reversed_by_id
            using errcode = 'KO001', hint = 'A charge is undone by a row that reverses it.';
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0018_discounts_name_their_level")]

    operations = [
        migrations.RunSQL(FUNCTION, "drop function kontor_charge_reversed_by_its_own()"),
        migrations.RunSQL(
            "create constraint trigger charge_reversed_by_its_own after insert or update of reversed_by_id"
            " on billing_charge deferrable initially deferred for each row when (new.reversed_by_id is not null)"
            " execute function kontor_charge_reversed_by_its_own()",
            "drop trigger charge_reversed_by_its_own on billing_charge",
        ),
    ]
