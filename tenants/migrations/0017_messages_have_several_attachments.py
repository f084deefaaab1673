from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0016_mail_may_come_back'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='pdf_beside_xml',
            field=models.BooleanField(blank=True, help_text='Whether the e-mail with an XRechnung carries a PDF, too.', null=True, verbose_name='PDF for reading beside the XML'),
        ),
        migrations.CreateModel(
            name='MessageAttachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(verbose_name='position')),
                ('file_name', models.CharField(max_length=100, verbose_name='name of the attachment')),
                ('file', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='tenants.file', verbose_name='file')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attachments', to='tenants.message', verbose_name='message')),
            ],
            options={
                'verbose_name': 'further attachment',
                'verbose_name_plural': 'further attachments',
                'ordering': ['message_id', 'position'],
                'constraints': [models.UniqueConstraint(fields=('message', 'position'), name='attachment_once_per_message_and_position', violation_error_message='The message has another attachment at this position.'), models.UniqueConstraint(fields=('message', 'file_name'), name='attachment_name_once_per_message', violation_error_message='The message has another attachment of this name.')],
            },
        ),
        *guards.append_only("tenants_messageattachment"),
    ]
