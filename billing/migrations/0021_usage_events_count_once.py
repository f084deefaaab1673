"""Usage: meters, sources, events once each and by month, what they come to by day."""

from importlib import import_module

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

FUNCTIONS = """
create function kontor_usage_partitions(first date, last date) returns integer
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

create function kontor_usage_age_out(kept_from date) returns integer
    language plpgsql security definer set search_path = public, pg_temp as $$
-- Drop the months of events that lie wholly before ``kept_from``; returns how many were. Ten years are kept whatever is
-- asked for (§ 147 AO): documents rest on them. Keys and totals by day stay.
declare
    found record;
    dropped integer := 0;
begin
    if kept_from > (now() at time zone 'UTC')::date - interval '10 years' then
        raise exception 'usage is kept for ten years, so not aged out before %', kept_from using errcode = 'KO001';
    end if;
    perform pg_advisory_xact_lock(7010);
    for found in
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'billing_usageevent'::regclass
           and to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= kept_from
    loop
        execute format('drop table %I', found.name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

revoke execute on function kontor_usage_partitions(date, date), kontor_usage_age_out(date) from public;

create function kontor_meter_frozen() returns trigger language plpgsql as $$
begin
    if (to_jsonb(old) - '{name_de,name_en}'::text[]) is distinct from (to_jsonb(new) - '{name_de,name_en}'::text[])
       and exists (select from billing_usagetotal where meter_id = old.id) then
        raise exception 'meter % has counted events: how it counts cannot be changed', old.reference
            using errcode = 'KO001', hint = 'Make another meter.';
    end if;
    return new;
end $$;

create function kontor_usage_event_assigned_once() returns trigger language plpgsql as $$
begin
    if old.tenant_id is not null
       and (old.value, old.label, old.day, old.meter_id) is distinct from (new.value, new.label, new.day, new.meter_id) then
        raise exception 'usage event % was assigned: what it counts cannot be changed', old.id
            using errcode = 'KO001', hint = 'Take it back by an event that reverses it.';
    end if;
    return new;
end $$;

create function kontor_application_frozen() returns trigger language plpgsql as $$
begin
    if old.reference <> new.reference and exists (
           select from billing_usagetotal t join billing_meter m on m.id = t.meter_id where m.application_id = old.id) then
        raise exception 'application % has usage: its reference cannot be changed', old.reference
            using errcode = 'KO001', hint = 'The events name it so.';
    end if;
    return new;
end $$;
"""

EVENTS = """
create table billing_usageevent (
    id bigint not null,
    occurred_at timestamptz not null,
    tenant_reference varchar(60) not null,
    application_reference varchar(60) not null,
    meter_reference varchar(60) not null,
    user_name varchar(200) not null,
    quantity numeric(25, 10) not null,
    properties jsonb not null,
    reverses_key varchar(100) not null,
    tenant_id bigint,
    meter_id bigint,
    day date,
    value numeric(25, 10),
    label varchar(500),
    reversed_by_id bigint,
    primary key (id, occurred_at),
    constraint usage_event_assigned_whole check (
        tenant_id is null and meter_id is null and day is null and value is null and label is null
        or tenant_id is not null and meter_id is not null and day is not null),
    constraint usage_event_figures_are_numbers check (
        quantity < 1000000000000000 and (value is null or value < 1000000000000000)),
    constraint usage_event_reversal_counts_nothing check (
        reverses_key = '' or tenant_id is null and reversed_by_id is null),
    constraint usage_event_key_is_known foreign key (id) references billing_usagekey (id),
    constraint usage_event_tenant_is_known foreign key (tenant_id) references tenants_tenant (id),
    constraint usage_event_meter_is_known foreign key (meter_id) references billing_meter (id)
) partition by range (occurred_at);
create index usage_event_series on billing_usageevent (tenant_id, meter_id, day);
create index usage_event_unassigned on billing_usageevent (id)
    where tenant_id is null and reverses_key = '' and reversed_by_id is null;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0020_usage_that_comes_late_is_added'),
        ('tenants', '0019_issuers_are_operated_by_accounts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Application',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name_de', models.CharField(blank=True, max_length=200, verbose_name='name (German)')),
                ('name_en', models.CharField(blank=True, max_length=200, verbose_name='name (English)')),
                ('reference', models.CharField(max_length=60, unique=True, verbose_name='reference')),
            ],
            options={
                'verbose_name': 'application',
                'verbose_name_plural': 'applications',
                'ordering': ['reference'],
            },
        ),
        migrations.CreateModel(
            name='UsageKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=100, verbose_name='event')),
                ('occurred_at', models.DateTimeField(verbose_name='happened at')),
            ],
            options={
                'verbose_name': 'usage key',
                'verbose_name_plural': 'usage keys',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Meter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name_de', models.CharField(blank=True, max_length=200, verbose_name='name (German)')),
                ('name_en', models.CharField(blank=True, max_length=200, verbose_name='name (English)')),
                ('reference', models.CharField(max_length=60, verbose_name='reference')),
                ('aggregation', models.CharField(choices=[('count', 'number of events'), ('sum', 'sum'), ('max', 'highest value'), ('last', 'last value'), ('unique', 'number of different values')], max_length=10, verbose_name='aggregation')),
                ('property', models.CharField(blank=True, help_text='Name of the property of an event that is counted; empty: its quantity.', max_length=60, verbose_name='property')),
                ('application', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='meters', to='billing.application', verbose_name='application')),
            ],
            options={
                'verbose_name': 'meter',
                'verbose_name_plural': 'meters',
                'ordering': ['application', 'reference'],
            },
        ),
        migrations.CreateModel(
            name='UsageBatch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('file', 'file'), ('api', 'API')], max_length=10, verbose_name='channel')),
                ('accepted', models.PositiveIntegerField(blank=True, null=True, verbose_name='accepted')),
                ('replayed', models.PositiveIntegerField(blank=True, null=True, verbose_name='known already')),
                ('conflicting', models.PositiveIntegerField(blank=True, null=True, verbose_name='in conflict')),
                ('refused', models.PositiveIntegerField(blank=True, null=True, verbose_name='refused')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='taken in at')),
                ('import_batch', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='usage', to='tenants.importbatch', verbose_name='import')),
            ],
            options={
                'verbose_name': 'usage batch',
                'verbose_name_plural': 'usage batches',
                'ordering': ['-id'],
            },
        ),
        migrations.AddField(
            model_name='usagekey',
            name='batch',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='billing.usagebatch', verbose_name='usage batch'),
        ),
        migrations.AddField(
            model_name='usagekey',
            name='reverses',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversal', to='billing.usagekey', verbose_name='takes back'),
        ),
        migrations.CreateModel(
            name='UsageConflict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content', models.JSONField(verbose_name='what came')),
                ('digest', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conflicts', to='billing.usagebatch', verbose_name='usage batch')),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conflicts', to='billing.usagekey', verbose_name='event')),
            ],
            options={
                'verbose_name': 'usage conflict',
                'verbose_name_plural': 'usage conflicts',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='UsageSource',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=60, unique=True, verbose_name='reference')),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='name')),
                ('application', models.ForeignKey(blank=True, help_text='Events of another application are refused; empty: each event names its own.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='sources', to='billing.application', verbose_name='application')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='usage_sources', to='tenants.issuer', verbose_name='issuer')),
            ],
            options={
                'verbose_name': 'usage source',
                'verbose_name_plural': 'usage sources',
                'ordering': ['reference'],
            },
        ),
        migrations.AddField(
            model_name='usagekey',
            name='source',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='keys', to='billing.usagesource', verbose_name='usage source'),
        ),
        migrations.AddField(
            model_name='usagebatch',
            name='source',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='batches', to='billing.usagesource', verbose_name='usage source'),
        ),
        migrations.CreateModel(
            name='UsageToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True, verbose_name='SHA-256')),
                ('hint', models.CharField(max_length=12, verbose_name='begins with')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='issued at')),
                ('used_at', models.DateTimeField(blank=True, null=True, verbose_name='last used at')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='billing.usagesource', verbose_name='usage source')),
            ],
            options={
                'verbose_name': 'usage token',
                'verbose_name_plural': 'usage tokens',
                'ordering': ['-id'],
                'permissions': [('issue_usagetoken', 'Can issue and revoke usage tokens')],
            },
        ),
        migrations.CreateModel(
            name='UsageTotal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('count', models.BigIntegerField(verbose_name='events')),
                ('total', models.DecimalField(decimal_places=10, max_digits=30, verbose_name='sum')),
                ('maximum', models.DecimalField(decimal_places=10, max_digits=25, null=True, verbose_name='highest value')),
                ('last_at', models.DateTimeField(null=True, verbose_name='last value at')),
                ('last_key', models.CharField(blank=True, max_length=100, verbose_name='event of the last value')),
                ('last_value', models.DecimalField(decimal_places=10, max_digits=25, null=True, verbose_name='last value')),
                ('meter', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='totals', to='billing.meter', verbose_name='meter')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='usage_totals', to='tenants.tenant', verbose_name='account')),
            ],
            options={
                'verbose_name': 'usage of a day',
                'verbose_name_plural': 'usage by day',
                'ordering': ['tenant', 'meter', 'day'],
            },
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.UniqueConstraint(fields=('application', 'reference'), name='meter_reference_once', violation_error_message='The application has a meter with this reference already.'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('aggregation', 'unique'), _negated=True), models.Q(('property', ''), _negated=True), _connector='OR'), name='meter_unique_of_a_property', violation_error_message='Different values are those of a property: name it.'),
        ),
        migrations.AddConstraint(
            model_name='meter',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('aggregation', 'count'), _negated=True), ('property', ''), _connector='OR'), name='meter_count_without_property', violation_error_message='The number of events depends on no property: leave it empty.'),
        ),
        migrations.AddConstraint(
            model_name='usageconflict',
            constraint=models.UniqueConstraint(fields=('key', 'digest'), name='usage_conflict_once'),
        ),
        migrations.AddIndex(
            model_name='usagekey',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['batch'], name='usage_key_batch'),
        ),
        migrations.AddConstraint(
            model_name='usagekey',
            constraint=models.UniqueConstraint(fields=('source', 'key'), name='usage_key_once'),
        ),
        migrations.AddIndex(
            model_name='usagetotal',
            index=models.Index(fields=['meter', 'day'], name='usage_total_by_meter'),
        ),
        migrations.AddConstraint(
            model_name='usagetotal',
            constraint=models.UniqueConstraint(fields=('tenant', 'meter', 'day'), name='usage_total_once'),
        ),
        migrations.AddConstraint(
            model_name='usagetotal',
            constraint=models.CheckConstraint(condition=models.Q(('count__gte', 0), ('maximum__lt', 1000000000000000), ('last_value__lt', 1000000000000000), ('total__lt', 100000000000000000000)), name='usage_total_figures_are_numbers'),
        ),
        migrations.AddConstraint(
            model_name='usagetotal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('last_at', None), ('last_key', ''), ('last_value', None)), models.Q(('last_at__isnull', False), ('last_value__isnull', False), models.Q(('last_key', ''), _negated=True)), _connector='OR'), name='usage_total_last_is_whole'),
        ),
        migrations.RunSQL(EVENTS, "drop table billing_usageevent"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='UsageEvent',
                    fields=[
                        ('key', models.OneToOneField(db_column='id', on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='event', serialize=False, to='billing.usagekey', verbose_name='event')),
                        ('occurred_at', models.DateTimeField(verbose_name='happened at')),
                        ('tenant_reference', models.CharField(max_length=60, verbose_name='account named')),
                        ('application_reference', models.CharField(max_length=60, verbose_name='application named')),
                        ('meter_reference', models.CharField(max_length=60, verbose_name='meter named')),
                        ('user_name', models.CharField(blank=True, max_length=200, verbose_name='user')),
                        ('quantity', models.DecimalField(decimal_places=10, default=1, max_digits=25, verbose_name='quantity')),
                        ('properties', models.JSONField(default=dict, verbose_name='properties')),
                        ('reverses_key', models.CharField(blank=True, max_length=100, verbose_name='takes back')),
                        ('day', models.DateField(null=True, verbose_name='day')),
                        ('value', models.DecimalField(decimal_places=10, max_digits=25, null=True, verbose_name='value')),
                        ('label', models.CharField(max_length=500, null=True, verbose_name='value counted once')),
                    ],
                    options={
                        'verbose_name': 'usage event',
                        'verbose_name_plural': 'usage events',
                        'ordering': ['-key_id'],
                        'permissions': [('import_usageevent', 'Can import usage'), ('export_usageevent', 'Can export usage')],
                    },
                ),
                migrations.AddField(
                    model_name='usageevent',
                    name='meter',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='billing.meter', verbose_name='meter'),
                ),
                migrations.AddField(
                    model_name='usageevent',
                    name='reversed_by',
                    field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.usagekey', verbose_name='taken back by'),
                ),
                migrations.AddField(
                    model_name='usageevent',
                    name='tenant',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='usage_events', to='tenants.tenant', verbose_name='account'),
                ),
                migrations.AddIndex(
                    model_name='usageevent',
                    index=models.Index(fields=['tenant', 'meter', 'day'], name='usage_event_series'),
                ),
                migrations.AddIndex(
                    model_name='usageevent',
                    index=models.Index(condition=models.Q(('reversed_by', None), ('reverses_key', ''), ('tenant', None)), fields=['key'], name='usage_event_unassigned'),
                ),
                migrations.AddConstraint(
                    model_name='usageevent',
                    constraint=models.CheckConstraint(condition=models.Q(models.Q(('day', None), ('label', None), ('meter', None), ('tenant', None), ('value', None)), models.Q(('day__isnull', False), ('meter__isnull', False), ('tenant__isnull', False)), _connector='OR'), name='usage_event_assigned_whole'),
                ),
                migrations.AddConstraint(
                    model_name='usageevent',
                    constraint=models.CheckConstraint(condition=models.Q(('quantity__lt', 1000000000000000), ('value__lt', 1000000000000000)), name='usage_event_figures_are_numbers'),
                ),
                migrations.AddConstraint(
                    model_name='usageevent',
                    constraint=models.CheckConstraint(condition=models.Q(('reverses_key', ''), models.Q(('reversed_by', None), ('tenant', None)), _connector='OR'), name='usage_event_reversal_counts_nothing'),
                ),
            ]
        ),
        migrations.RunSQL(
            FUNCTIONS,
            "drop function kontor_application_frozen(); drop function kontor_usage_event_assigned_once(); drop function kontor_meter_frozen();"
            " drop function kontor_usage_age_out(date); drop function kontor_usage_partitions(date, date)",
        ),
        *guards.append_only("billing_usagekey"),
        *guards.append_only("billing_usageevent", "tenant_id", "meter_id", "day", "value", "label", "reversed_by_id"),
        migrations.RunSQL(
            "create trigger billing_usageevent_assigned_once before update on billing_usageevent"
            " for each row execute function kontor_usage_event_assigned_once()",
            "drop trigger billing_usageevent_assigned_once on billing_usageevent",
        ),
        *guards.append_only("billing_usagebatch", "accepted", "replayed", "conflicting", "refused"),
        *guards.append_only("billing_usageconflict"),
        migrations.RunSQL(
            "create trigger billing_meter_frozen before update on billing_meter"
            " for each row execute function kontor_meter_frozen()",
            "drop trigger billing_meter_frozen on billing_meter",
        ),
        migrations.RunSQL(
            "create trigger billing_application_frozen before update on billing_application"
            " for each row execute function kontor_application_frozen()",
            "drop trigger billing_application_frozen on billing_application",
        ),
        guards.recorded("billing_application"),
        guards.recorded("billing_meter"),
        guards.recorded("billing_usagesource"),
        guards.recorded("billing_usagetoken", "digest", "used_at"),
    ]
