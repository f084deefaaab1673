"""Copies of sections are wanted by contacts themselves."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0014_others_are_told_by_webhooks'),
    ]

    operations = [
        migrations.AlterField(
            model_name='notificationpreference',
            name='event',
            field=models.CharField(choices=[('invoice_issued', 'document issued'), ('reminder', 'reminder'), ('payment_failed', 'payment failed'), ('contract_changed', 'contract changed'), ('price_changed', 'price change announced'), ('request_decided', 'request decided')], max_length=20, verbose_name='event'),
        ),
    ]
