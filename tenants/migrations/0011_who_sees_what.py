"""Access of customers and bounds of staff; preferences of notification; what signing in needs."""

import django.db.models.deletion
import django.db.models.functions.datetime
from importlib import import_module

from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0010_accounts_are_restructured'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Access',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('with_descendants', models.BooleanField(default=True, verbose_name='with all accounts below')),
                ('sees_invoices', models.BooleanField(default=False, verbose_name='sees invoices')),
                ('sees_subscriptions', models.BooleanField(default=False, verbose_name='sees contracts')),
                ('sees_usage', models.BooleanField(default=False, verbose_name='sees usage')),
                ('sees_payments', models.BooleanField(default=False, help_text='Open items, statements of account and reminders.', verbose_name='sees payments')),
                ('pays', models.BooleanField(default=False, help_text='Is shown how and to whom to pay.', verbose_name='pays')),
                ('changes_contacts', models.BooleanField(default=False, verbose_name='changes contact data')),
                ('requests_changes', models.BooleanField(default=False, help_text='Asks for changes of contracts, and cancels them in time.', verbose_name='requests changes')),
            ],
            options={
                'verbose_name': 'access',
                'verbose_name_plural': 'accesses',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Lockout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('name', 'name'), ('address', 'network address'), ('code', 'second factor'), ('link', 'sign-in link')], max_length=10, verbose_name='kind')),
                ('digest', models.CharField(max_length=64, verbose_name='hash of the name or address')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('counted_at', models.DateTimeField(verbose_name='last attempt at')),
                ('locked_until', models.DateTimeField(blank=True, null=True, verbose_name='locked until')),
            ],
            options={
                'verbose_name': 'lock-out',
                'verbose_name_plural': 'lock-outs',
            },
        ),
        migrations.CreateModel(
            name='NotificationPreference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.CharField(choices=[('invoice_issued', 'document issued'), ('section_copy', "own section on another account's document"), ('reminder', 'reminder'), ('payment_failed', 'payment failed'), ('contract_changed', 'contract changed'), ('price_changed', 'price change announced'), ('request_decided', 'request decided')], max_length=20, verbose_name='event')),
                ('role', models.CharField(choices=[('billing', 'invoices'), ('dunning', 'reminders'), ('technical', 'technical contact'), ('approver', 'approves changes')], max_length=10, verbose_name='role of the contact')),
                ('is_wanted', models.BooleanField(default=True, verbose_name='is written to')),
            ],
            options={
                'verbose_name': 'notification preference',
                'verbose_name_plural': 'notification preferences',
                'ordering': ['event', 'role'],
            },
        ),
        migrations.CreateModel(
            name='SecondFactor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('secret', models.CharField(max_length=200, verbose_name='encrypted secret')),
                ('last_step', models.BigIntegerField(default=0, verbose_name='last step of time used')),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='in use since')),
            ],
            options={
                'verbose_name': 'second factor',
                'verbose_name_plural': 'second factors',
            },
        ),
        migrations.CreateModel(
            name='SignInLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, verbose_name='hash of the link')),
                ('sent_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='sent at')),
                ('expires_at', models.DateTimeField(verbose_name='valid until')),
                ('used_at', models.DateTimeField(blank=True, null=True, verbose_name='used at')),
            ],
            options={
                'verbose_name': 'sign-in link',
                'verbose_name_plural': 'sign-in links',
            },
        ),
        migrations.CreateModel(
            name='StaffScope',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
            options={
                'verbose_name': 'staff scope',
                'verbose_name_plural': 'staff scopes',
                'ordering': ['id'],
            },
        ),
        migrations.AddField(
            model_name='contact',
            name='receives_sections',
            field=models.BooleanField(db_default=False, default=False, help_text='Of a consolidated invoice that goes to an account above, the part of this account alone.', verbose_name='receives copies of its section'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='billing_day',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Day of the month, 1 to 31, for new contracts.', null=True, verbose_name='billing day'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='collection_rhythm',
            field=models.CharField(blank=True, choices=[('due', 'whenever something is due'), ('monthly', 'once a month'), ('quarterly', 'once a quarter')], db_default='', default='', max_length=20, verbose_name='rhythm of collection'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='collection_threshold',
            field=models.DecimalField(blank=True, decimal_places=4, max_digits=19, null=True, verbose_name='collected from an amount of'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='consolidation',
            field=models.CharField(blank=True, choices=[('together', 'one document for all'), ('by_account', 'a document per account'), ('by_contract', 'a document per contract')], db_default='', default='', max_length=20, verbose_name='invoices joined'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='document_format',
            field=models.CharField(blank=True, choices=[('pdf', 'PDF'), ('zugferd', 'ZUGFeRD'), ('xrechnung_cii', 'XRechnung (CII)'), ('xrechnung_ubl', 'XRechnung (UBL)')], db_default='', default='', max_length=20, verbose_name='document format'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='leitweg_id',
            field=models.CharField(blank=True, db_default='', default='', help_text='Buyer reference of an e-invoice (EN 16931 BT-10).', max_length=46, verbose_name='Leitweg-ID'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='po_number',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of contracts that name none of their own.', max_length=60, verbose_name='PO number'),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('billing_day', None), models.Q(('billing_day__gte', 1), ('billing_day__lte', 31)), _connector='OR'), name='tenant_billing_day_in_month', violation_error_message='The billing day is a day of the month, 1 to 31.'),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('collection_threshold', None), models.Q(('collection_threshold__gte', 0), ('collection_threshold__lt', 1000000000000000)), _connector='OR'), name='tenant_collection_threshold_is_an_amount', violation_error_message='The amount from which is collected is zero or more.'),
        ),
        migrations.AddField(
            model_name='access',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='accesses', to='tenants.tenant', verbose_name='account'),
        ),
        migrations.AddField(
            model_name='access',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='accesses', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddConstraint(
            model_name='lockout',
            constraint=models.UniqueConstraint(fields=('kind', 'digest'), name='lockout_once'),
        ),
        migrations.AddField(
            model_name='notificationpreference',
            name='tenant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notification_preferences', to='tenants.tenant', verbose_name='account'),
        ),
        migrations.AddField(
            model_name='secondfactor',
            name='user',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='second_factor', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='signinlink',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='staffscope',
            name='issuer',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.issuer', verbose_name='issuer'),
        ),
        migrations.AddField(
            model_name='staffscope',
            name='tenant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant', verbose_name='account and all below it'),
        ),
        migrations.AddField(
            model_name='staffscope',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='staff_scopes', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddConstraint(
            model_name='access',
            constraint=models.UniqueConstraint(fields=('user', 'tenant'), name='access_once', violation_error_message='This user already has access to this account.'),
        ),
        migrations.AddConstraint(
            model_name='access',
            constraint=models.CheckConstraint(condition=models.Q(('sees_invoices', True), ('sees_subscriptions', True), ('sees_usage', True), ('sees_payments', True), ('pays', True), ('changes_contacts', True), ('requests_changes', True), _connector='OR'), name='access_grants_something', violation_error_message='An access grants at least one thing.'),
        ),
        migrations.AddConstraint(
            model_name='notificationpreference',
            constraint=models.UniqueConstraint(fields=('tenant', 'event', 'role'), name='notification_preference_once', violation_error_message='This account has already stated its preference for this event and role.'),
        ),
        migrations.AddConstraint(
            model_name='signinlink',
            constraint=models.UniqueConstraint(fields=('digest',), name='sign_in_link_once'),
        ),
        migrations.AddConstraint(
            model_name='staffscope',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('issuer__isnull', False), ('tenant', None)), models.Q(('issuer', None), ('tenant__isnull', False)), _connector='OR'), name='staff_scope_names_one', violation_error_message='A scope names an issuer or an account, not both.'),
        ),
        migrations.AddConstraint(
            model_name='staffscope',
            constraint=models.UniqueConstraint(fields=('user', 'issuer'), name='staff_scope_issuer_once'),
        ),
        migrations.AddConstraint(
            model_name='staffscope',
            constraint=models.UniqueConstraint(fields=('user', 'tenant'), name='staff_scope_account_once'),
        ),
        guards.recorded("tenants_access"),
        guards.recorded("tenants_staffscope"),
        guards.recorded("tenants_notificationpreference"),
        guards.recorded("tenants_secondfactor", "secret", "last_step"),
    ]
