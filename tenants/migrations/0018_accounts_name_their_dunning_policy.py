"""Which dunning policy holds is inherited down the account tree."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0017_messages_have_several_attachments'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='dunning_policy',
            field=models.CharField(blank=True, db_default='', default='', help_text='By its name; an issuer without one of that name reminds by its standard one.', max_length=100, verbose_name='dunning policy'),
        ),
    ]
