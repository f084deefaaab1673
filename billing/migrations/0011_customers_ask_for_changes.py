"""Requests of customers for contracts, and the portal as a channel of amendments."""

import django.db.models.deletion
import django.db.models.functions.datetime
from importlib import import_module

from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0010_terms_go_on_at_another_account'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='amendment',
            name='channel',
            field=models.CharField(choices=[('admin', 'admin'), ('csv', 'file'), ('api', 'API'), ('command', 'command'), ('schedule', 'by schedule'), ('portal', 'portal')], max_length=10, verbose_name='channel'),
        ),
        migrations.CreateModel(
            name='ChangeRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('change', 'change of the contract'), ('cancellation', 'cancellation of the contract')], max_length=15, verbose_name='kind')),
                ('state', models.CharField(choices=[('open', 'waits for a decision'), ('accepted', 'accepted'), ('declined', 'declined')], default='open', max_length=10, verbose_name='state')),
                ('wish', models.TextField(blank=True, max_length=2000, verbose_name='what is asked for')),
                ('wanted_on', models.DateField(blank=True, null=True, verbose_name='wanted from')),
                ('asked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='asked at')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
                ('answer', models.TextField(blank=True, max_length=2000, verbose_name='answer')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='asked by')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('subscription', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='billing.subscription', verbose_name='contract')),
            ],
            options={
                'verbose_name': 'customer request',
                'verbose_name_plural': 'customer requests',
                'ordering': ['-id'],
                'permissions': [('decide_changerequest', 'Can accept and decline requests of customers')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='change_request_decided_or_open', violation_error_message='A request is open, or it was decided at some time.'), models.UniqueConstraint(condition=models.Q(('kind', 'cancellation'), ('state', 'open')), fields=('subscription',), name='change_request_one_cancellation_waits', violation_error_message='A cancellation of this contract already waits for a decision.')],
            },
        ),
        guards.recorded("billing_changerequest"),
    ]
