"""When something was recorded, and in which order, is the database's to say."""

from django.db import migrations

OF_NOW = """
create function kontor_activity_is_of_now() returns trigger language plpgsql as $$
-- Both clocks are good: triggers record by the statement's, stations by the transaction's.
begin
    if new.at < transaction_timestamp() or new.at > clock_timestamp() then
        raise exception 'activities are recorded when they happen: % refused', new.at
            using errcode = 'KO001', hint = 'Leave the time to the database.';
    end if;
    if new.id is distinct from currval(pg_get_serial_sequence('tenants_activity', 'id')) then
        raise exception 'activities are recorded in their order: key % refused', new.id
            using errcode = 'KO001', hint = 'Leave the key to the database.';
    end if;
    return new;
end $$;
create trigger tenants_activity_of_now before insert on tenants_activity
    for each row execute function kontor_activity_is_of_now();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0019_issuers_are_operated_by_accounts")]

    operations = [
        migrations.RunSQL(
            OF_NOW,
            "drop trigger tenants_activity_of_now on tenants_activity; drop function kontor_activity_is_of_now()",
        )
    ]
