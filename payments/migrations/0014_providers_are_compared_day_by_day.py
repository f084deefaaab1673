"""Orders know the day they are made for; our books are compared with the provider's day by day."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0013_refunds_go_by_way_of_the_provider'),
    ]

    operations = [
        migrations.AddField(
            model_name='providerorder',
            name='made_on',
            field=models.DateField(blank=True, null=True, verbose_name='made for'),
        ),
        migrations.CreateModel(
            name='ProviderComparison',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('compared_at', models.DateTimeField(verbose_name='compared at')),
                ('payments', models.PositiveIntegerField(verbose_name='payments')),
                ('refunds', models.PositiveIntegerField(verbose_name='refunds')),
                ('chargebacks', models.PositiveIntegerField(verbose_name='chargebacks')),
                ('payouts', models.PositiveIntegerField(verbose_name='payouts')),
                ('differences', models.PositiveIntegerField(verbose_name='differences')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comparisons', to='payments.provideraccount', verbose_name='account at the provider')),
            ],
            options={
                'verbose_name': 'comparison with the provider',
                'verbose_name_plural': 'comparisons with the provider',
                'ordering': ['-day', '-id'],
                'constraints': [models.UniqueConstraint(fields=('account', 'day'), name='provider_comparison_once_a_day')],
            },
        ),
    ]
