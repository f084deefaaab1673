"""Discounts of documents that an account has lower what it pays."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0016_contracts_renew_together'),
        ('tenants', '0016_mail_may_come_back'),
    ]

    operations = [
        migrations.AlterField(
            model_name='grant',
            name='tenant',
            field=models.ForeignKey(blank=True, help_text='Lowered is whatever it pays, whoever it is addressed to.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='tenants.tenant', verbose_name='account'),
        ),
    ]
