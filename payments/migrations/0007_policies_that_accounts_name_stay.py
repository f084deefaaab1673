"""Accounts name their dunning policy, whichever issuer bills them: what is named is there and stays."""

from django.db import migrations

NAMED = """
create function kontor_policy_is_there() returns trigger language plpgsql as $$
-- Holds the policy until the transaction ends: a name that is given and one that is taken away meet here.
begin
    if new.dunning_policy = '' or tg_op = 'UPDATE' and new.dunning_policy = old.dunning_policy then
        return new;
    end if;
    perform 1 from payments_dunningpolicy where name = new.dunning_policy for share;
    if not found then
        raise exception 'account % names a dunning policy that nobody has', new.reference using errcode = 'KO006';
    end if;
    return new;
end $$;

create function kontor_named_policy_stays() returns trigger language plpgsql as $$
begin
    if (tg_op = 'DELETE' or new.name <> old.name)
       and exists (select from tenants_tenant where dunning_policy = old.name)
       and not exists (select from payments_dunningpolicy where name = old.name and id <> old.id) then
        raise exception 'accounts name dunning policy %', old.name using errcode = 'KO006',
            hint = 'Let the accounts have another policy first.';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;
"""
TRIGGERS = {
    "create trigger tenants_tenant_policy_is_there before insert or update of dunning_policy on tenants_tenant"
    " for each row execute function kontor_policy_is_there()": "drop trigger tenants_tenant_policy_is_there"
    " on tenants_tenant",
    "create trigger payments_dunningpolicy_named_stays before update or delete on payments_dunningpolicy"
    " for each row execute function kontor_named_policy_stays()": "drop trigger payments_dunningpolicy_named_stays"
    " on payments_dunningpolicy",
}


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0006_issuers_have_several_policies"),
        ("tenants", "0018_accounts_name_their_dunning_policy"),
    ]

    operations = [
        migrations.RunSQL(NAMED, "drop function kontor_named_policy_stays(); drop function kontor_policy_is_there()"),
        *(migrations.RunSQL(create, drop) for create, drop in TRIGGERS.items()),
    ]
