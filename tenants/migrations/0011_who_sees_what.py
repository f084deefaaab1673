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
                'constraints': [models.UniqueConstraint(fields=('kind', 'digest'), name='lockout_once')],
            },
        ),
        migrations.CreateModel(
            name='SecondFactor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('secret', models.CharField(max_length=200, verbose_name='encrypted secret')),
                ('last_step', models.BigIntegerField(default=0, verbose_name='last step of time used')),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='in use since')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='second_factor', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'second factor',
                'verbose_name_plural': 'second factors',
            },
        ),
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
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='accesses', to='tenants.tenant', verbose_name='account')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='accesses', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'access',
                'verbose_name_plural': 'accesses',
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('user', 'tenant'), name='access_once', violation_error_message='This user already has access to this account.'), models.CheckConstraint(condition=models.Q(('sees_invoices', True), ('sees_subscriptions', True), ('sees_usage', True), ('sees_payments', True), ('pays', True), ('changes_contacts', True), ('requests_changes', True), _connector='OR'), name='access_grants_something', violation_error_message='An access grants at least one thing.')],
            },
        ),
        migrations.CreateModel(
            name='NotificationPreference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.CharField(choices=[('invoice_issued', 'document issued'), ('section_copy', "own section on another account's document"), ('reminder', 'reminder'), ('payment_failed', 'payment failed'), ('contract_changed', 'contract changed'), ('price_changed', 'price change announced'), ('request_decided', 'request decided')], max_length=20, verbose_name='event')),
                ('role', models.CharField(choices=[('billing', 'invoices'), ('dunning', 'reminders'), ('technical', 'technical contact'), ('approver', 'approves changes')], max_length=10, verbose_name='role of the contact')),
                ('is_wanted', models.BooleanField(default=True, verbose_name='is written to')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notification_preferences', to='tenants.tenant', verbose_name='account')),
            ],
            options={
                'verbose_name': 'notification preference',
                'verbose_name_plural': 'notification preferences',
                'ordering': ['event', 'role'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'event', 'role'), name='notification_preference_once', violation_error_message='This account has already stated its preference for this event and role.')],
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
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'sign-in link',
                'verbose_name_plural': 'sign-in links',
                'constraints': [models.UniqueConstraint(fields=('digest',), name='sign_in_link_once')],
            },
        ),
        migrations.CreateModel(
            name='StaffScope',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('issuer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.issuer', verbose_name='issuer')),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant', verbose_name='account and all below it')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='staff_scopes', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'staff scope',
                'verbose_name_plural': 'staff scopes',
                'ordering': ['id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('issuer__isnull', False), ('tenant', None)), models.Q(('issuer', None), ('tenant__isnull', False)), _connector='OR'), name='staff_scope_names_one', violation_error_message='A scope names an issuer or an account, not both.'), models.UniqueConstraint(fields=('user', 'issuer'), name='staff_scope_issuer_once'), models.UniqueConstraint(fields=('user', 'tenant'), name='staff_scope_account_once')],
            },
        ),
        guards.recorded("tenants_access"),
        guards.recorded("tenants_staffscope"),
        guards.recorded("tenants_notificationpreference"),
        guards.recorded("tenants_secondfactor", "secret", "last_step"),
    ]
