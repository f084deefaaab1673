"""An account may invoice those below it in its own name."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0018_accounts_name_their_dunning_policy'),
    ]

    operations = [
        migrations.AddField(
            model_name='issuer',
            name='operated_by',
            field=models.ForeignKey(blank=True, help_text='An account of ours that invoices those below it in its own name, such as a reseller.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='operates', to='tenants.tenant', verbose_name='operated by'),
        ),
    ]
