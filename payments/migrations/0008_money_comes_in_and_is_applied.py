"""Payments, their allocations and returns, collections and refunds; what was booked is kept as it is."""

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
        ('payments', '0007_policies_that_accounts_name_stay'),
        ('tenants', '0019_issuers_are_operated_by_accounts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(choices=[('bank', 'bank transfer'), ('direct_debit', 'direct debit'), ('provider', 'payment provider'), ('manual', 'entered by hand')], max_length=15, verbose_name='source')),
                ('origin', models.CharField(help_text='What it came from, once per source: a line of a statement, a charge.', max_length=100, verbose_name='origin')),
                ('received_on', models.DateField(help_text='The value date.', verbose_name='received on')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('reference', models.CharField(help_text='As the payer wrote it.', max_length=140, verbose_name='purpose')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='payment', to='invoicing.journalentry', verbose_name='journal entry')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='tenants.issuer', verbose_name='issuer')),
                ('open_item', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='payment', to='invoicing.openitem', verbose_name='credit of the payer')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='tenants.tenant', verbose_name='payer')),
            ],
            options={
                'verbose_name': 'payment',
                'verbose_name_plural': 'payments',
                'ordering': ['-received_on', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Allocation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('allocated_on', models.DateField(verbose_name='allocated on')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('rule', models.CharField(choices=[('reference', 'the purpose names the document'), ('exact_amount', 'the amount is what is open'), ('oldest_due', 'what was due first'), ('collection', 'collected for this document'), ('person', 'decided by a person'), ('payment_return', 'the payment was returned')], max_length=15, verbose_name='reason')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='allocation', to='invoicing.journalentry', verbose_name='journal entry')),
                ('open_item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='allocations', to='invoicing.openitem', verbose_name='open item')),
                ('reverses', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversed_by', to='payments.allocation', verbose_name='undoes')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='allocations', to='payments.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'allocation',
                'verbose_name_plural': 'allocations',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentReturn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.CharField(max_length=100, verbose_name='origin')),
                ('returned_on', models.DateField(verbose_name='returned on')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('charges', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, help_text='What the bank took for it on top.', max_digits=19, verbose_name='bank charges')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('reason_code', models.CharField(blank=True, max_length=35, verbose_name='reason code')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='payment_return', to='invoicing.journalentry', verbose_name='journal entry')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='payments.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'returned payment',
                'verbose_name_plural': 'returned payments',
                'ordering': ['-returned_on', '-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('sepa_debit', 'SEPA direct debits'), ('sepa_transfer', 'SEPA transfers'), ('provider', 'payment provider')], max_length=15, verbose_name='kind')),
                ('on', models.DateField(help_text='What is due by this day.', verbose_name='made for')),
                ('collect_on', models.DateField(verbose_name='execution date')),
                ('state', models.CharField(choices=[('proposed', 'proposed'), ('released', 'released'), ('sent', 'sent'), ('settled', 'carried out'), ('discarded', 'discarded')], default='proposed', max_length=10, verbose_name='state')),
                ('content_hash', models.CharField(blank=True, db_default='', max_length=64, verbose_name='content hash')),
                ('released_at', models.DateTimeField(blank=True, null=True, verbose_name='released at')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent at')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('file', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='file for the bank')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payment_runs', to='tenants.issuer', verbose_name='issuer')),
                ('made_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='made by')),
                ('released_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='released by')),
            ],
            options={
                'verbose_name': 'payment run',
                'verbose_name_plural': 'payment runs',
                'ordering': ['-id'],
                'permissions': [('release_paymentrun', 'Can release payment runs')],
            },
        ),
        migrations.CreateModel(
            name='Collection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('working', 'in progress'), ('done', 'done'), ('unknown', 'outcome unknown'), ('parked', 'failed'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next attempt')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('token', models.UUIDField(editable=False, null=True)),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('method', models.CharField(choices=[('sepa_debit', 'SEPA direct debit'), ('provider', 'payment provider')], max_length=15, verbose_name='method')),
                ('key', models.CharField(max_length=35, unique=True, verbose_name='key')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('outcome', models.CharField(choices=[('pending', 'not sent yet'), ('sent', 'sent'), ('processing', 'being processed'), ('customer', 'waits for the customer'), ('succeeded', 'received'), ('failed', 'refused'), ('returned', 'returned'), ('discarded', 'discarded')], default='pending', max_length=10, verbose_name='outcome')),
                ('external_id', models.CharField(blank=True, max_length=100, verbose_name='id at the provider')),
                ('failure_code', models.CharField(blank=True, max_length=60, verbose_name='reason code')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent at')),
                ('settled_on', models.DateField(blank=True, null=True, verbose_name='carried out on')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='collections', to='tenants.issuer', verbose_name='issuer')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='collections', to='tenants.tenant', verbose_name='payer')),
                ('payment', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='collection', to='payments.payment', verbose_name='payment')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='collections', to='payments.paymentrun', verbose_name='payment run')),
            ],
            options={
                'verbose_name': 'collection attempt',
                'verbose_name_plural': 'collection attempts',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('working', 'in progress'), ('done', 'done'), ('unknown', 'outcome unknown'), ('parked', 'failed'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next attempt')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('token', models.UUIDField(editable=False, null=True)),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('method', models.CharField(choices=[('sepa_transfer', 'SEPA transfer'), ('provider', 'payment provider'), ('manual', 'outside of the product')], max_length=15, verbose_name='method')),
                ('key', models.CharField(max_length=35, unique=True, verbose_name='key')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('grounds', models.CharField(max_length=200, verbose_name='grounds')),
                ('external_id', models.CharField(blank=True, max_length=100, verbose_name='id at the provider')),
                ('settled_on', models.DateField(blank=True, null=True, verbose_name='carried out on')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('entry', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refund', to='invoicing.journalentry', verbose_name='journal entry')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='tenants.issuer', verbose_name='issuer')),
                ('open_item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='invoicing.openitem', verbose_name='credit balance')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='tenants.tenant', verbose_name='payer')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='requested by')),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='CollectionItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('is_unsettled', models.BooleanField(db_default=True, default=True, help_text='Whether its collection is not settled yet.', verbose_name='under way')),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='payments.collection', verbose_name='collection attempt')),
                ('open_item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='collection_items', to='invoicing.openitem', verbose_name='open item')),
            ],
            options={
                'verbose_name': 'collected item',
                'verbose_name_plural': 'collected items',
                'ordering': ['id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Q(('amount', 0), _negated=True)), name='collection_item_amount_fits'), models.UniqueConstraint(fields=('collection', 'open_item'), name='collection_item_once'), models.UniqueConstraint(condition=models.Q(('is_unsettled', True)), fields=('open_item',), name='collection_item_one_attempt_at_a_time', violation_error_message='This open item is being collected already.')],
            },
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('amount__gt', 0)), name='payment_amount_fits', violation_error_message='A payment has an amount above zero, no finer than its currency.'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(fields=('issuer', 'source', 'origin'), name='payment_once_per_origin', violation_error_message='This money is booked already.'),
        ),
        migrations.AddConstraint(
            model_name='allocation',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Q(models.Q(('amount__gt', 0), ('reverses', None)), models.Q(('amount__lt', 0), ('reverses__isnull', False)), _connector='OR')), name='allocation_amount_fits'),
        ),
        migrations.AddConstraint(
            model_name='paymentreturn',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('charges'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('amount__gt', 0), ('charges__gte', 0)), name='payment_return_amounts_fit'),
        ),
        migrations.AddConstraint(
            model_name='paymentreturn',
            constraint=models.UniqueConstraint(fields=('payment', 'origin'), name='payment_return_once_per_origin'),
        ),
        migrations.AddConstraint(
            model_name='paymentrun',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'proposed')), fields=('issuer', 'kind'), name='payment_run_one_proposed', violation_error_message='A payment run of this kind waits to be released or discarded.'),
        ),
        migrations.AddConstraint(
            model_name='paymentrun',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['proposed', 'discarded']), ('released_at__isnull', False), _connector='OR'), name='payment_run_released_by_somebody'),
        ),
        migrations.AddIndex(
            model_name='collection',
            index=models.Index(models.F('next_at'), condition=models.Q(('state__in', ['waiting', 'working'])), name='collection_in_tray'),
        ),
        migrations.AddConstraint(
            model_name='collection',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('amount__gt', 0)), name='collection_amount_fits', violation_error_message='A collection has an amount above zero, no finer than its currency.'),
        ),
        migrations.AddConstraint(
            model_name='collection',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('external_id',), name='collection_once_at_the_provider'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(models.F('next_at'), condition=models.Q(('state__in', ['waiting', 'working'])), name='refund_in_tray'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('amount__gt', 0)), name='refund_amount_fits', violation_error_message='A refund has an amount above zero, no finer than its currency.'),
        ),
        *guards.append_only("payments_payment"),
        *guards.append_only("payments_allocation"),
        *guards.append_only("payments_paymentreturn"),
    ]
