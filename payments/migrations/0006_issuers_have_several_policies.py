"""The policy that an issuer has is its standard one; accounts may name others."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0005_lines_are_disputed'),
        ('tenants', '0018_accounts_name_their_dunning_policy'),
    ]

    operations = [
        migrations.AddField(
            model_name='dunningpolicy',
            name='is_standard',
            field=models.BooleanField(default=True, help_text='Holds for accounts for which no other one is set.', verbose_name='standard'),
        ),
        migrations.AlterField(
            model_name='dunningpolicy',
            name='is_standard',
            field=models.BooleanField(default=False, help_text='Holds for accounts for which no other one is set.', verbose_name='standard'),
        ),
        migrations.AlterField(
            model_name='dunningpolicy',
            name='issuer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dunning_policies', to='tenants.issuer', verbose_name='issuer'),
        ),
        migrations.AddConstraint(
            model_name='dunningpolicy',
            constraint=models.UniqueConstraint(fields=('issuer', 'name'), name='dunning_policy_name_once', violation_error_message='The issuer has a dunning policy of this name already.'),
        ),
        migrations.AddConstraint(
            model_name='dunningpolicy',
            constraint=models.UniqueConstraint(condition=models.Q(('is_standard', True)), fields=('issuer',), name='dunning_policy_one_standard', violation_error_message='The issuer has a standard dunning policy already.'),
        ),
    ]
