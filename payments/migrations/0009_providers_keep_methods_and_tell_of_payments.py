"""Accounts at payment providers, the methods payers saved there, their webhooks, payouts, and differences."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
import djmoney.models.fields
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0031_payments_leave_open_items'),
        ('payments', '0008_money_comes_in_and_is_applied'),
        ('tenants', '0021_payers_give_mandates'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(choices=[('stripe', 'Stripe')], default='stripe', max_length=10, verbose_name='provider')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('is_live', models.BooleanField(default=False, help_text='Follows from the key: one for tests moves no money.', verbose_name='real money')),
                ('publishable_key', models.CharField(blank=True, max_length=200, verbose_name='publishable key')),
                ('secret_key', models.CharField(editable=False, max_length=600, verbose_name='encrypted secret key')),
                ('webhook_secret', models.CharField(blank=True, editable=False, max_length=600, verbose_name='encrypted secret of webhooks')),
                ('old_webhook_secret', models.CharField(blank=True, editable=False, max_length=600, verbose_name='encrypted secret of webhooks before')),
                ('old_webhook_secret_until', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='secret before counts until')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='provider_accounts', to='tenants.issuer', verbose_name='issuer')),
            ],
            options={
                'verbose_name': 'account at a payment provider',
                'verbose_name_plural': 'accounts at payment providers',
                'ordering': ['name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='ProviderCustomer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(max_length=100, verbose_name='id at the provider')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='customers', to='payments.provideraccount', verbose_name='account at the provider')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='provider_customers', to='tenants.tenant', verbose_name='account')),
            ],
            options={
                'verbose_name': 'customer at the provider',
                'verbose_name_plural': 'customers at the provider',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentMethod',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(max_length=100, verbose_name='id at the provider')),
                ('kind', models.CharField(choices=[('card', 'card'), ('sepa_debit', 'SEPA direct debit'), ('other', 'other method')], max_length=15, verbose_name='kind')),
                ('brand', models.CharField(blank=True, max_length=30, verbose_name='brand')),
                ('last4', models.CharField(blank=True, max_length=4, verbose_name='last four digits')),
                ('expires_month', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='expires in month')),
                ('expires_year', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='expires in year')),
                ('is_default', models.BooleanField(default=False, verbose_name='standard')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='methods', to='payments.providercustomer', verbose_name='customer at the provider')),
            ],
            options={
                'verbose_name': 'payment method',
                'verbose_name_plural': 'payment methods',
                'ordering': ['-is_default', '-id'],
                'permissions': [('retire_paymentmethod', 'Can take payment methods out of use')],
            },
        ),
        migrations.CreateModel(
            name='ProviderEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.CharField(max_length=100, verbose_name='id of the event')),
                ('kind', models.CharField(max_length=100, verbose_name='event')),
                ('about', models.CharField(blank=True, max_length=100, verbose_name='about')),
                ('is_live', models.BooleanField(verbose_name='real money')),
                ('happened_at', models.DateTimeField(verbose_name='happened at')),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='received at')),
                ('payload', models.TextField(verbose_name='payload')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='payments.provideraccount', verbose_name='account at the provider')),
            ],
            options={
                'verbose_name': 'event of the provider',
                'verbose_name_plural': 'events of the provider',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='EventHandling',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('working', 'in progress'), ('done', 'done'), ('unknown', 'outcome unknown'), ('parked', 'failed'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next attempt')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('token', models.UUIDField(editable=False, null=True)),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('said', models.CharField(blank=True, max_length=200, verbose_name='what it changed')),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='handling', to='payments.providerevent', verbose_name='event of the provider')),
            ],
            options={
                'verbose_name': 'handling of an event',
                'verbose_name_plural': 'handling of events',
                'ordering': ['-id'],
                'permissions': [('release_eventhandling', 'Can have parked events of the provider worked off again')],
            },
        ),
        migrations.CreateModel(
            name='ProviderFinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('kind', models.CharField(choices=[('missing_payment', 'paid there, not booked here'), ('other_amount', 'booked with another amount'), ('unknown_payment', 'booked here, not paid there'), ('missing_refund', 'paid back there, not booked here'), ('unknown_refund', 'paid back here, not there'), ('missing_return', 'charged back there, not booked here'), ('missing_payout', 'paid out there, not noted here'), ('payout_differs', 'the payout has other lines than our books')], max_length=20, verbose_name='difference')),
                ('external_id', models.CharField(max_length=100, verbose_name='id at the provider')),
                ('ours', models.CharField(blank=True, max_length=100, verbose_name='in our books')),
                ('theirs', models.CharField(blank=True, max_length=100, verbose_name='at the provider')),
                ('found_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='found at')),
                ('explained_at', models.DateTimeField(blank=True, null=True, verbose_name='explained at')),
                ('explanation', models.CharField(blank=True, max_length=300, verbose_name='explanation')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='payments.provideraccount', verbose_name='account at the provider')),
                ('explained_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='explained by')),
            ],
            options={
                'verbose_name': 'difference to the provider',
                'verbose_name_plural': 'differences to the provider',
                'ordering': ['-day', '-id'],
                'permissions': [('explain_providerfinding', 'Can explain differences to the provider')],
            },
        ),
        migrations.CreateModel(
            name='ProviderOrder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.CharField(max_length=200, verbose_name='text')),
                ('language', models.CharField(max_length=5, verbose_name='language')),
                ('page_id', models.CharField(blank=True, max_length=100, verbose_name='page of the provider')),
                ('page_url', models.TextField(blank=True, verbose_name='address of the page')),
                ('page_until', models.DateTimeField(blank=True, null=True, verbose_name='page is open until')),
                ('charge_id', models.CharField(blank=True, max_length=100, verbose_name='charge at the provider')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('collection', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='order', to='payments.collection', verbose_name='collection')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='payments.providercustomer', verbose_name='customer at the provider')),
                ('payment_method', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='payments.paymentmethod', verbose_name='payment method')),
            ],
            options={
                'verbose_name': 'order at the provider',
                'verbose_name_plural': 'orders at the provider',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ProviderPayout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external_id', models.CharField(max_length=100, verbose_name='id at the provider')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('charges', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, help_text='What the provider kept.', max_digits=19, verbose_name='charges')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('arrives_on', models.DateField(verbose_name='arrives on')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='payments.provideraccount', verbose_name='account at the provider')),
                ('arrival', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payout', to='invoicing.journalentry', verbose_name='entry of the arrival')),
                ('charges_entry', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='invoicing.journalentry', verbose_name='entry of the charges')),
            ],
            options={
                'verbose_name': 'payout',
                'verbose_name_plural': 'payouts',
                'ordering': ['-arrives_on', '-id'],
                'permissions': [('confirm_providerpayout', 'Can confirm that payouts have arrived')],
            },
        ),
        migrations.AddConstraint(
            model_name='provideraccount',
            constraint=models.UniqueConstraint(condition=models.Q(('is_active', True)), fields=('issuer', 'provider'), name='provider_account_one_in_use', violation_error_message='The issuer has an active account at this provider already.'),
        ),
        migrations.AddConstraint(
            model_name='provideraccount',
            constraint=models.CheckConstraint(condition=models.Q(('secret_key', ''), _negated=True), name='provider_account_has_its_key', violation_error_message='An account at a provider needs its secret key.'),
        ),
        migrations.AddConstraint(
            model_name='providercustomer',
            constraint=models.UniqueConstraint(fields=('account', 'tenant'), name='provider_customer_once'),
        ),
        migrations.AddConstraint(
            model_name='providercustomer',
            constraint=models.UniqueConstraint(fields=('account', 'external_id'), name='provider_customer_once_there'),
        ),
        migrations.AddConstraint(
            model_name='paymentmethod',
            constraint=models.UniqueConstraint(fields=('customer', 'external_id'), name='payment_method_once'),
        ),
        migrations.AddConstraint(
            model_name='paymentmethod',
            constraint=models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('customer',), name='payment_method_one_standard'),
        ),
        migrations.AddConstraint(
            model_name='paymentmethod',
            constraint=models.CheckConstraint(condition=models.Q(('is_active', True), ('is_default', False), _connector='OR'), name='payment_method_standard_is_active'),
        ),
        migrations.AddConstraint(
            model_name='paymentmethod',
            constraint=models.CheckConstraint(condition=models.Q(('last4__regex', '^([0-9A-Z]{1,4})?$')), name='payment_method_last_digits'),
        ),
        migrations.AddConstraint(
            model_name='paymentmethod',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('expires_month', None), ('expires_year', None)), models.Q(('expires_month__gte', 1), ('expires_month__lte', 12), ('expires_year__gte', 2000)), _connector='OR'), name='payment_method_expires_in_a_month'),
        ),
        migrations.AddConstraint(
            model_name='providerevent',
            constraint=models.UniqueConstraint(fields=('account', 'event_id'), name='provider_event_once'),
        ),
        migrations.AddIndex(
            model_name='eventhandling',
            index=models.Index(models.F('next_at'), condition=models.Q(('state__in', ['waiting', 'working'])), name='event_handling_in_tray'),
        ),
        migrations.AddConstraint(
            model_name='providerfinding',
            constraint=models.UniqueConstraint(fields=('account', 'kind', 'external_id'), name='provider_finding_once'),
        ),
        migrations.AddConstraint(
            model_name='providerfinding',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('explained_at', None), ('explanation', '')), models.Q(('explained_at__isnull', False), models.Q(('explanation', ''), _negated=True)), _connector='OR'), name='provider_finding_explained_with_reason', violation_error_message='A difference is explained with a reason.'),
        ),
        migrations.AddConstraint(
            model_name='providerorder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('page_until', None), ('payment_method__isnull', False)), models.Q(('page_until__isnull', False), ('payment_method', None)), _connector='OR'), name='provider_order_by_method_or_page'),
        ),
        migrations.AddConstraint(
            model_name='providerorder',
            constraint=models.UniqueConstraint(condition=models.Q(('page_id', ''), _negated=True), fields=('page_id',), name='provider_order_one_page'),
        ),
        migrations.AddConstraint(
            model_name='providerpayout',
            constraint=models.UniqueConstraint(fields=('account', 'external_id'), name='provider_payout_once'),
        ),
        migrations.AddConstraint(
            model_name='providerpayout',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('charges'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Q(('amount', 0), _negated=True)), name='provider_payout_amounts_fit'),
        ),
        migrations.AddConstraint(
            model_name='providerpayout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('charges', 0), ('charges_entry', None)), models.Q(models.Q(('charges', 0), _negated=True), ('charges_entry__isnull', False)), _connector='OR'), name='provider_payout_charges_are_booked'),
        ),
        *guards.append_only("payments_providerevent"),
        *guards.append_only("payments_providerpayout", "arrival_id"),
        guards.recorded("payments_provideraccount", "secret_key", "webhook_secret", "old_webhook_secret"),
        guards.recorded("payments_paymentmethod"),
        guards.recorded("payments_providerfinding"),
    ]
