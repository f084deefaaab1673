"""Collective statements of a payer, copies of sections, and links to calendars."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
import djmoney.models.fields
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")
own_guards = import_module("invoicing.migrations.0002_guards")

FUNCTIONS = """
create function kontor_statement_adds_up() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_collectivestatement s
                    where s.id = new.statement_id
                      and s.total = (select sum(amount) from invoicing_statemententry where statement_id = s.id)) then
        raise exception 'statement % does not add up', new.statement_id using errcode = 'KO002';
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0014_corrections_stay_within_what_they_correct'),
        ('tenants', '0008_more_settings_are_inherited'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CalendarFeed',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('nonce', models.CharField(max_length=43, unique=True, verbose_name='secret')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
            ],
            options={
                'verbose_name': 'link to a calendar',
                'verbose_name_plural': 'links to calendars',
            },
        ),
        migrations.CreateModel(
            name='CollectiveStatement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=40, verbose_name='payment reference')),
                ('issued_on', models.DateField(verbose_name='date')),
                ('due_on', models.DateField(verbose_name='due')),
                ('language', models.CharField(choices=[('de', 'German'), ('en', 'English')], max_length=2, verbose_name='language')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('collection', models.CharField(choices=[('invoice', 'bank transfer'), ('direct_debit', 'direct debit'), ('card', 'card')], max_length=20, verbose_name='collection')),
                ('total', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='total')),
                ('parties', models.JSONField(default=dict, help_text='Seller and payer as they were when the statement arose.', verbose_name='parties')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
            ],
            options={
                'verbose_name': 'collective statement',
                'verbose_name_plural': 'collective statements',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='SectionCopy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
            options={
                'verbose_name': 'copy of a section',
                'verbose_name_plural': 'copies of sections',
            },
        ),
        migrations.CreateModel(
            name='StatementDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('recipient', models.EmailField(max_length=254, verbose_name='recipient')),
            ],
            options={
                'verbose_name': 'delivery of a collective statement',
                'verbose_name_plural': 'deliveries of collective statements',
            },
        ),
        migrations.CreateModel(
            name='StatementEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(verbose_name='position')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
            ],
            options={
                'verbose_name': 'entry of a collective statement',
                'verbose_name_plural': 'entries of collective statements',
                'ordering': ['position'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='delivery',
            name='delivery_once_per_recipient',
        ),
        migrations.RemoveConstraint(
            model_name='delivery',
            name='delivery_by_mail_has_a_message',
        ),
        migrations.AddField(
            model_name='delivery',
            name='section',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='invoicing.section', verbose_name='section'),
        ),
        migrations.AddField(
            model_name='section',
            name='project_code',
            field=models.CharField(blank=True, db_default='', default='', max_length=60, verbose_name='project code'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('invoice', 'recipient', 'channel', 'section'), name='delivery_once_per_recipient', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('channel', 'email'), ('message__isnull', False), models.Q(('recipient', ''), _negated=True)), models.Q(('channel', 'none'), ('message', None), ('recipient', ''), ('section', None)), _connector='OR'), name='delivery_by_mail_has_a_message'),
        ),
        migrations.AddField(
            model_name='calendarfeed',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='calendar_feeds', to='tenants.tenant', verbose_name='account'),
        ),
        migrations.AddField(
            model_name='calendarfeed',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='collectivestatement',
            name='file',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='file'),
        ),
        migrations.AddField(
            model_name='collectivestatement',
            name='issuer',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='collective_statements', to='tenants.issuer', verbose_name='issuer'),
        ),
        migrations.AddField(
            model_name='collectivestatement',
            name='payer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='collective_statements', to='tenants.tenant', verbose_name='payer'),
        ),
        migrations.AddField(
            model_name='sectioncopy',
            name='file',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='file'),
        ),
        migrations.AddField(
            model_name='sectioncopy',
            name='section',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='copy', to='invoicing.section', verbose_name='section'),
        ),
        migrations.AddField(
            model_name='statementdelivery',
            name='message',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.message', verbose_name='message'),
        ),
        migrations.AddField(
            model_name='statementdelivery',
            name='statement',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='invoicing.collectivestatement', verbose_name='collective statement'),
        ),
        migrations.AddField(
            model_name='statemententry',
            name='invoice',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='statement_entry', to='invoicing.invoice', verbose_name='document'),
        ),
        migrations.AddField(
            model_name='statemententry',
            name='statement',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='invoicing.collectivestatement', verbose_name='collective statement'),
        ),
        migrations.AddConstraint(
            model_name='calendarfeed',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('user', 'tenant'), name='calendar_feed_one_open_per_user_and_account'),
        ),
        migrations.AddConstraint(
            model_name='collectivestatement',
            constraint=models.UniqueConstraint(fields=('issuer', 'reference'), name='statement_reference_once'),
        ),
        migrations.AddConstraint(
            model_name='collectivestatement',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('total'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='statement_total_fits'),
        ),
        migrations.AddConstraint(
            model_name='collectivestatement',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='statement_currency_is_a_code', violation_error_message='The currency is a code of three capital letters, such as EUR.'),
        ),
        migrations.AddConstraint(
            model_name='statementdelivery',
            constraint=models.UniqueConstraint(fields=('statement', 'recipient'), name='statement_delivery_once_per_recipient'),
        ),
        migrations.AddConstraint(
            model_name='statemententry',
            constraint=models.UniqueConstraint(fields=('statement', 'position'), name='statement_position_once'),
        ),
        migrations.AddConstraint(
            model_name='statemententry',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='statement_entry_fits'),
        ),
        migrations.RunSQL(FUNCTIONS, "drop function kontor_statement_adds_up()"),
        own_guards.deferred(
            "statement_adds_up", "invoicing_statemententry", "after insert", "kontor_statement_adds_up"
        ),
        *guards.append_only("invoicing_sectioncopy", "file_id"),
        *guards.append_only("invoicing_collectivestatement", "file_id"),
        *guards.append_only("invoicing_statemententry"),
        *guards.append_only("invoicing_statementdelivery"),
        guards.recorded("invoicing_calendarfeed", "nonce"),
    ]
