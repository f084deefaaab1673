"""A product may be charged by use; of each account and meter at most one position at a time does so."""

import django.db.models.deletion
from django.db import migrations, models

# A contract that moves to another account moves its positions: they are looked at again, too.
FUNCTIONS = """
create function kontor_usage_charged_twice(contract bigint) returns text language sql stable as $$
    select format('usage of account %s by meter %s would be charged by the contracts %s and %s',
                  t.reference, a.reference || '/' || m.reference, s.reference, b.reference)
      from billing_subscription s
      join billing_item i on i.subscription_id = s.id
      join billing_product p on p.id = i.product_id and p.meter_id is not null
      join billing_meter m on m.id = p.meter_id
      join billing_application a on a.id = m.application_id
      join tenants_tenant t on t.id = s.tenant_id
      join billing_subscription b on b.tenant_id = s.tenant_id
      join billing_item o on o.subscription_id = b.id and o.id <> i.id
      join billing_product q on q.id = o.product_id and q.meter_id = p.meter_id
     where s.id = contract
       and daterange(i.starts_on, greatest(i.starts_on, least(coalesce(i.ends_before, 'infinity'), s.ends_before)))
        && daterange(o.starts_on, greatest(o.starts_on, least(coalesce(o.ends_before, 'infinity'), b.ends_before)))
     limit 1
$$;
create function kontor_usage_charged_once() returns trigger language plpgsql as $$
declare
    contract bigint;
    twice text;
begin
    if tg_table_name = 'billing_item' then
        contract := new.subscription_id;
        if not exists (select from billing_product where id = new.product_id and meter_id is not null) then
            return null;
        end if;
    else
        contract := new.id;
        if not exists (select from billing_item i join billing_product p on p.id = i.product_id
                        where i.subscription_id = contract and p.meter_id is not null) then
            return null;
        end if;
    end if;
    -- one at a time per account: who comes second sees what the first one wrote
    perform from tenants_tenant t join billing_subscription s on s.tenant_id = t.id
      where s.id = contract for no key update of t;
    twice := kontor_usage_charged_twice(contract);
    if twice is not null then
        raise exception '%', twice using errcode = '23P01', constraint = 'usage_charged_once',
            hint = 'End one of the two, or charge its usage by another meter.';
    end if;
    return null;
end $$;
create function kontor_product_keeps_its_meter() returns trigger language plpgsql as $$
begin
    if exists (select from billing_item where product_id = old.id) then
        raise exception 'product % is charged by contracts and keeps its meter', old.reference
            using errcode = 'KO001', hint = 'Make another product for another meter.';
    end if;
    return new;
end $$;
"""
DROPPED = """
drop function kontor_product_keeps_its_meter();
drop function kontor_usage_charged_once();
drop function kontor_usage_charged_twice(bigint);
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0021_usage_events_count_once")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="meter",
            field=models.ForeignKey(
                blank=True,
                help_text="Charged by what this meter counts, per calendar period and in arrears; empty: by a quantity.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="products",
                to="billing.meter",
                verbose_name="meter",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("meter", None), models.Q(("interval", "once"), _negated=True), _connector="OR"),
                name="product_metered_by_periods",
                violation_error_message="What is charged by use is charged by periods: choose an interval.",
            ),
        ),
        migrations.RunSQL(FUNCTIONS, DROPPED),
        migrations.RunSQL(
            "create constraint trigger usage_charged_once after insert or update of product_id, starts_on, ends_before"
            " on billing_item deferrable initially deferred for each row execute function kontor_usage_charged_once()",
            "drop trigger usage_charged_once on billing_item",
        ),
        migrations.RunSQL(
            "create constraint trigger usage_charged_once after update of tenant_id, ends_before"
            " on billing_subscription deferrable initially deferred for each row"
            " when (old.tenant_id <> new.tenant_id or old.ends_before is distinct from new.ends_before)"
            " execute function kontor_usage_charged_once()",
            "drop trigger usage_charged_once on billing_subscription",
        ),
        migrations.RunSQL(
            "create trigger product_keeps_its_meter before update of meter_id on billing_product for each row"
            " when (old.meter_id is distinct from new.meter_id) execute function kontor_product_keeps_its_meter()",
            "drop trigger product_keeps_its_meter on billing_product",
        ),
    ]
