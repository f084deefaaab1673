"""How an issuer's letters look and what they say in its own words; changes are on record."""

import django.db.models.deletion
from importlib import import_module

from django.db import migrations, models


guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0026_corrections_follow_their_documents'),
        ('tenants', '0016_mail_may_come_back'),
    ]

    operations = [
        migrations.CreateModel(
            name='Letterhead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('colour', models.CharField(default='#1b4965', help_text='Of headings, lines and totals; dark enough to be read on white.', max_length=7, verbose_name='colour')),
                ('foot_1', models.TextField(blank=True, help_text='Empty columns show the data of the issuer: address, contact, bank, tax and register.', max_length=500, verbose_name='foot, first column')),
                ('foot_2', models.TextField(blank=True, max_length=500, verbose_name='foot, second column')),
                ('foot_3', models.TextField(blank=True, max_length=500, verbose_name='foot, third column')),
                ('foot_4', models.TextField(blank=True, max_length=500, verbose_name='foot, fourth column')),
                ('issuer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='letterhead', to='tenants.issuer', verbose_name='issuer')),
                ('logo', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='logo')),
            ],
            options={
                'verbose_name': 'letterhead',
                'verbose_name_plural': 'letterheads',
                'ordering': ['issuer'],
                'constraints': [models.CheckConstraint(condition=models.Q(('colour__regex', '^#[0-9a-f]{6}$')), name='letterhead_colour_is_a_code', violation_error_message='A colour is written as # and six digits from 0 to f, such as #1b4965.')],
            },
        ),
        migrations.CreateModel(
            name='LetterText',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('invoice', 'invoice'), ('credit_note', 'credit note'), ('cancellation', 'cancellation invoice'), ('statement', 'collective statement'), ('first_reminder', 'payment reminder (level 0)'), ('reminder', 'reminder'), ('last_reminder', 'final reminder')], default='invoice', max_length=20, verbose_name='kind of letter')),
                ('language', models.CharField(choices=[('de', 'German'), ('en', 'English')], default='de', max_length=2, verbose_name='language')),
                ('opening', models.TextField(blank=True, max_length=2000, verbose_name='introduction')),
                ('closing', models.TextField(blank=True, max_length=2000, verbose_name='closing')),
                ('mail_subject', models.CharField(blank=True, max_length=150, verbose_name='subject of the e-mail')),
                ('mail_body', models.TextField(blank=True, max_length=4000, verbose_name='text of the e-mail')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='letter_texts', to='tenants.issuer', verbose_name='issuer')),
            ],
            options={
                'verbose_name': 'text of letters',
                'verbose_name_plural': 'texts of letters',
                'ordering': ['issuer', 'kind', 'language'],
                'constraints': [models.UniqueConstraint(fields=('issuer', 'kind', 'language'), name='letter_text_once', violation_error_message='The issuer has its texts for this kind of letter and language already.')],
            },
        ),
        guards.recorded("invoicing_letterhead"),
        guards.recorded("invoicing_lettertext"),
    ]
