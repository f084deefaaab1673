"""A refund by way of the provider names its payment, and needs a second person; it is on record."""

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0012_a_resolved_dispute_has_its_day'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderRefund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('approved_at', models.DateTimeField(blank=True, null=True, verbose_name='approved at')),
                ('approved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='approved by')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='payments.providerorder', verbose_name='order at the provider')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='provider_refunds', to='payments.payment', verbose_name='payment')),
                ('refund', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='at_provider', to='payments.refund', verbose_name='refund')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='requested by')),
            ],
            options={
                'verbose_name': 'refund at the provider',
                'verbose_name_plural': 'refunds at the provider',
                'ordering': ['-id'],
                'permissions': [('request_providerrefund', 'Can ask for refunds by way of the provider'), ('approve_providerrefund', 'Can approve refunds by way of the provider')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('approved_at', None), ('approved_by', None)), models.Q(('approved_at__isnull', False), ('approved_by__isnull', False), models.Q(('approved_by', models.F('requested_by')), _negated=True)), _connector='OR'), name='provider_refund_by_two_persons', violation_error_message='Whoever asks for a refund cannot approve it.')],
            },
        ),
        guards.recorded("payments_providerrefund"),
    ]
