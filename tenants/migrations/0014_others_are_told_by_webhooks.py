from importlib import import_module

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0013_vat_ids_are_asked_about'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url', models.URLField(max_length=300, verbose_name='address')),
                ('name', models.CharField(help_text='What receives it, such as the name of a shop.', max_length=100, verbose_name='name')),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('invoice.issued', 'invoice issued'), ('credit_note.issued', 'credit note issued'), ('cancellation.issued', 'cancellation issued'), ('invoice.paid', 'invoice paid'), ('endpoint.test', 'test')], max_length=30), size=None, verbose_name='events')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('secret', models.CharField(editable=False, max_length=300, verbose_name='encrypted secret')),
                ('old_secret', models.CharField(blank=True, editable=False, max_length=300, verbose_name='encrypted secret before')),
                ('old_secret_until', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='secret before signs until')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='webhook_endpoints', to='tenants.issuer', verbose_name='issuer')),
            ],
            options={
                'verbose_name': 'webhook endpoint',
                'verbose_name_plural': 'webhook endpoints',
                'ordering': ['name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='WebhookMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('working', 'in progress'), ('done', 'done'), ('unknown', 'outcome unknown'), ('parked', 'failed'), ('withdrawn', 'withdrawn')], default='waiting', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next attempt')),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('token', models.UUIDField(editable=False, null=True)),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('key', models.CharField(max_length=100, verbose_name='key')),
                ('event', models.CharField(choices=[('invoice.issued', 'invoice issued'), ('credit_note.issued', 'credit note issued'), ('cancellation.issued', 'cancellation issued'), ('invoice.paid', 'invoice paid'), ('endpoint.test', 'test')], max_length=30, verbose_name='event')),
                ('about', models.CharField(max_length=60, verbose_name='document')),
                ('payload', models.TextField(verbose_name='payload')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent at')),
                ('endpoint', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='tenants.webhookendpoint', verbose_name='webhook endpoint')),
            ],
            options={
                'verbose_name': 'webhook message',
                'verbose_name_plural': 'webhook messages',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='WebhookAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('milliseconds', models.PositiveIntegerField(verbose_name='milliseconds')),
                ('status', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='status')),
                ('answer', models.CharField(blank=True, max_length=300, verbose_name='answer')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='log', to='tenants.webhookmessage', verbose_name='webhook message')),
            ],
            options={
                'verbose_name': 'attempt of a webhook',
                'verbose_name_plural': 'attempts of webhooks',
                'ordering': ['-id'],
            },
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.UniqueConstraint(fields=('issuer', 'url'), name='webhook_endpoint_once', violation_error_message='The issuer has this address already.'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(('events__len__gt', 0)), name='webhook_endpoint_wants_something', violation_error_message='Choose at least one event.'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(('url__regex', '^https?://[^\\s/@]+(/\\S*)?$')), name='webhook_endpoint_address_is_one', violation_error_message='The address begins with https:// and names no user.'),
        ),
        migrations.AddIndex(
            model_name='webhookmessage',
            index=models.Index(models.F('next_at'), condition=models.Q(('state__in', ['waiting', 'working'])), name='webhook_message_in_tray'),
        ),
        migrations.AddConstraint(
            model_name='webhookmessage',
            constraint=models.UniqueConstraint(fields=('endpoint', 'key'), name='webhook_message_once_per_event'),
        ),
        guards.recorded('tenants_webhookendpoint', 'secret', 'old_secret'),
        *guards.append_only('tenants_webhookattempt'),
    ]
