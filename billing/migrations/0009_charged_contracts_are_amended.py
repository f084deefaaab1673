"""What charges rest on stays: of a charged position only the end is set, earlier than before; amendments are final.

Positions so far are numbered by their first day.
"""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")

FUNCTIONS = """
create function kontor_item_changes_once() returns trigger language plpgsql as $$
-- After the checks, so that these speak first. The number of the position is a name and no term.
begin
    if to_jsonb(old) - array['ends_before', 'line'] <> to_jsonb(new) - array['ends_before', 'line']
       or coalesce(new.ends_before, 'infinity') > coalesce(old.ends_before, 'infinity') then
        if exists (select from billing_charge where item_id = old.id) then
            raise exception 'position % was charged: only its end can be set, and only to an earlier day', old.id
                using errcode = 'KO001', hint = 'A contract that was charged changes by an amendment.';
        end if;
    end if;
    return null;
end $$;

create function kontor_subscription_is_amended() returns trigger language plpgsql as $$
declare
    old_start date := case old.billing_starts_with
        when 'activation' then old.activated_on when 'acceptance' then old.accepted_on else old.starts_on end;
    new_start date := case new.billing_starts_with
        when 'activation' then new.activated_on when 'acceptance' then new.accepted_on else new.starts_on end;
begin
    if (old.issuer_id, old.tenant_id, old.currency, old.price_class_id, old.starts_on)
       <> (new.issuer_id, new.tenant_id, new.currency, new.price_class_id, new.starts_on)
       or (old.trial_ends_before, old.billing_day, old.billed_before, old_start)
       is distinct from (new.trial_ends_before, new.billing_day, new.billed_before, new_start) then
        if exists (select from billing_item i join billing_charge c on c.item_id = i.id
                    where i.subscription_id = old.id) then
            raise exception 'contract % was charged: what its charges rest on cannot be changed', old.reference
                using errcode = 'KO001', hint = 'A contract that was charged changes by an amendment.';
        end if;
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_contracts_change_by_amendments"), ("billing", "0002_guards")]

    operations = [
        migrations.RunSQL(
            """
            update billing_item i set line = n.line
              from (select id, row_number() over (partition by subscription_id order by starts_on, id) as line
                      from billing_item) n
             where n.id = i.id and n.line <> i.line
            """,
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            FUNCTIONS, "drop function kontor_item_changes_once(); drop function kontor_subscription_is_amended()"
        ),
        migrations.RunSQL(
            "create trigger billing_item_changes_once after update on billing_item"
            " for each row execute function kontor_item_changes_once()",
            "drop trigger billing_item_changes_once on billing_item",
        ),
        migrations.RunSQL(
            "create trigger billing_subscription_is_amended after update on billing_subscription"
            " for each row execute function kontor_subscription_is_amended()",
            "drop trigger billing_subscription_is_amended on billing_subscription",
        ),
        *guards.append_only("billing_amendment"),
        guards.recorded("billing_pause"),
    ]
