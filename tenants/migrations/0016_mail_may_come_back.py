
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0015_events_that_letters_tell_of'),
    ]

    operations = [
        migrations.AddField(
            model_name='message',
            name='bounce',
            field=models.CharField(blank=True, db_default='', default='', max_length=300, verbose_name='why it came back'),
        ),
        migrations.AddField(
            model_name='message',
            name='bounced_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='came back at'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('bounced_at__isnull', False)), fields=['-id'], name='message_bounced'),
        ),
    ]
