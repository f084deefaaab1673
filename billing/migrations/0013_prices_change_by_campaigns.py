"""Campaigns that give running contracts new prices; once announced, what one says is frozen."""

import django.db.models.deletion
import django.db.models.functions.datetime
import djmoney.models.fields
from decimal import Decimal
from importlib import import_module

from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

FROZEN = """
create function kontor_price_campaign_is_announced() returns trigger language plpgsql as $$
begin
    if old.state <> 'draft'
       and to_jsonb(old) - array['state'] <> to_jsonb(new) - array['state'] then
        raise exception 'price campaign % was announced: what it says cannot be changed', old.name
            using errcode = 'KO001', hint = 'Withdraw the campaign and make another.';
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0012_contracts_name_recipient_and_payer'),
        ('tenants', '0011_who_sees_what'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PriceCampaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('state', models.CharField(choices=[('draft', 'draft'), ('announced', 'announced'), ('applied', 'applied'), ('withdrawn', 'withdrawn')], default='draft', max_length=10, verbose_name='state')),
                ('wanted_on', models.DateField(help_text='No contract changes earlier.', verbose_name='wanted from')),
                ('announced_on', models.DateField(blank=True, null=True, verbose_name='announced on')),
                ('notice_days', models.PositiveSmallIntegerField(default=42, help_text="So many whole days lie between the announcement and the new price; the contract's own notice counts if longer.", verbose_name='days of announcement')),
                ('within_term', models.BooleanField(default=False, help_text="If off, a contract's term fixes its price until the term ends.", verbose_name='also within a term')),
                ('may_terminate', models.BooleanField(default=False, help_text='The letter grants the right to terminate the contract at the day of the change.', verbose_name='customers may terminate')),
                ('rule', models.CharField(choices=[('percent', 'by so many percent'), ('amount', 'by a fixed amount'), ('list', 'to the price of the list')], default='percent', max_length=10, verbose_name='new price')),
                ('percent', models.DecimalField(blank=True, decimal_places=4, help_text='3 raises, -3 lowers.', max_digits=7, null=True, verbose_name='percent')),
                ('amount', models.DecimalField(blank=True, decimal_places=4, help_text='Per unit, or per period where the price is a flat amount; in the currency below.', max_digits=19, null=True, verbose_name='amount')),
                ('currency', models.CharField(blank=True, max_length=3, verbose_name='currency')),
                ('starts_from', models.DateField(blank=True, help_text='First day of the contract.', null=True, verbose_name='contracts from')),
                ('starts_before', models.DateField(blank=True, null=True, verbose_name='contracts before')),
                ('reason', models.CharField(help_text='Stands in the letters and the amendments.', max_length=400, verbose_name='reason')),
                ('channel', models.CharField(choices=[('admin', 'admin'), ('csv', 'file'), ('api', 'API'), ('command', 'command'), ('schedule', 'by schedule'), ('portal', 'portal')], default='command', max_length=10, verbose_name='channel')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='price_campaigns', to='tenants.issuer', verbose_name='issuer')),
                ('new_price', models.ForeignKey(blank=True, help_text="Empty: the one that is valid in the contract's cell on the day of the change.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.price', verbose_name='this price of the list')),
                ('price', models.ForeignKey(blank=True, help_text='Only positions that have this price now.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.price', verbose_name='price')),
                ('price_class', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='billing.priceclass', verbose_name='price class')),
                ('product', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='billing.product', verbose_name='product')),
                ('tenant', models.ForeignKey(blank=True, help_text='And all accounts below it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='account')),
            ],
            options={
                'verbose_name': 'price campaign',
                'verbose_name_plural': 'price campaigns',
                'ordering': ['-id'],
                'permissions': [('apply_pricecampaign', 'Can announce, apply and withdraw price campaigns')],
            },
        ),
        migrations.CreateModel(
            name='PriceNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('written_on', models.DateField(verbose_name='date')),
                ('language', models.CharField(choices=[('de', 'German'), ('en', 'English')], max_length=2, verbose_name='language')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='billing.pricecampaign', verbose_name='price campaign')),
                ('file', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='file')),
                ('messages', models.ManyToManyField(blank=True, related_name='+', to='tenants.message', verbose_name='messages')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='price_notices', to='tenants.tenant', verbose_name='account')),
            ],
            options={
                'verbose_name': 'letter about a new price',
                'verbose_name_plural': 'letters about new prices',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PriceChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.PositiveIntegerField(verbose_name='position')),
                ('state', models.CharField(choices=[('pending', 'waits'), ('changed', 'changed'), ('skipped', 'left as it is'), ('parked', 'could not be changed'), ('withdrawn', 'withdrawn')], default='pending', max_length=10, verbose_name='state')),
                ('effective_on', models.DateField(blank=True, null=True, verbose_name='effective from')),
                ('days', models.JSONField(default=list, verbose_name='how the day was found')),
                ('quantity', models.DecimalField(decimal_places=4, default=Decimal('1'), max_digits=19, verbose_name='quantity')),
                ('tiers_before', models.JSONField(default=list, verbose_name='figures before')),
                ('tiers_after', models.JSONField(default=list, verbose_name='new figures')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('mrr_before', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='per month before')),
                ('mrr_after', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='per month afterwards')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('amendment', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='price_change', to='billing.amendment', verbose_name='amendment')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.pricecampaign', verbose_name='price campaign')),
                ('price_after', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.price', verbose_name='new price')),
                ('price_before', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.price', verbose_name='price before')),
                ('subscription', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='price_changes', to='billing.subscription', verbose_name='contract')),
                ('notice', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.pricenotice', verbose_name='letter')),
            ],
            options={
                'verbose_name': 'price change of a contract',
                'verbose_name_plural': 'price changes of contracts',
                'ordering': ['campaign', 'subscription', 'line'],
            },
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.UniqueConstraint(fields=('issuer', 'name'), name='price_campaign_name_once', violation_error_message='The issuer has another campaign with this name.'),
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount', None), ('new_price', None), ('percent__isnull', False), ('rule', 'percent')), models.Q(('amount__isnull', False), ('new_price', None), ('percent', None), ('rule', 'amount'), models.Q(('currency', ''), _negated=True)), models.Q(('amount', None), ('percent', None), ('rule', 'list')), _connector='OR'), name='price_campaign_says_how', violation_error_message='Say how many percent, or which amount in which currency, or take the price of the list; not two of these.'),
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.CheckConstraint(condition=models.Q(('percent', None), models.Q(('percent__gte', -100), ('percent__lte', 100)), _connector='OR'), name='price_campaign_percent_in_bounds', violation_error_message='The percentage lies between -100 and 100.'),
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.CheckConstraint(condition=models.Q(('amount__lt', 1000000000000000)), name='price_campaign_amount_is_a_number', violation_error_message='The figures are numbers below 1,000,000,000,000,000.'),
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('announced_on', None), ('state', 'draft')), models.Q(('announced_on__isnull', False), ('state__in', ['announced', 'applied'])), ('state', 'withdrawn'), _connector='OR'), name='price_campaign_announced_has_its_day', violation_error_message='A campaign has the day of its announcement exactly when it is announced.'),
        ),
        migrations.AddConstraint(
            model_name='pricecampaign',
            constraint=models.CheckConstraint(condition=models.Q(('starts_from', None), ('starts_before', None), ('starts_from__lt', models.F('starts_before')), _connector='OR'), name='price_campaign_starts_in_order', violation_error_message='The first day of the contracts: “from” lies before “before”.'),
        ),
        migrations.AddConstraint(
            model_name='pricenotice',
            constraint=models.UniqueConstraint(fields=('campaign', 'tenant'), name='price_notice_once_per_account'),
        ),
        migrations.AddConstraint(
            model_name='pricechange',
            constraint=models.UniqueConstraint(fields=('campaign', 'subscription', 'line'), name='price_change_once_per_position'),
        ),
        migrations.AddConstraint(
            model_name='pricechange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amendment__isnull', False), ('state__in', ['changed', 'withdrawn'])), models.Q(models.Q(('state', 'changed'), _negated=True), ('amendment', None)), _connector='OR'), name='price_change_has_its_amendment', violation_error_message='A position is changed exactly when it has an amendment.'),
        ),
        migrations.AddConstraint(
            model_name='pricechange',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'skipped'), ('state', 'parked'), ('effective_on__isnull', False), _connector='OR'), name='price_change_has_its_day', violation_error_message='A position that changes has the day of its change.'),
        ),
        migrations.AddConstraint(
            model_name='pricechange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['skipped', 'parked']), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='price_change_says_why_not', violation_error_message='A position that is left as it is says why.'),
        ),
        migrations.RunSQL(FROZEN, "drop function kontor_price_campaign_is_announced()"),
        migrations.RunSQL(
            "create trigger billing_pricecampaign_is_announced after update on billing_pricecampaign"
            " for each row execute function kontor_price_campaign_is_announced()",
            "drop trigger billing_pricecampaign_is_announced on billing_pricecampaign",
        ),
        *guards.append_only("billing_pricenotice", "file_id"),
        guards.recorded("billing_pricecampaign"),
        guards.recorded("billing_pricechange"),
    ]
