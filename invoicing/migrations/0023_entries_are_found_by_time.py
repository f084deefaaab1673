from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0022_vat_rules_are_guarded'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='journalentry',
            index=BrinIndex(fields=['created_at'], name='journal_entry_by_time'),
        ),
    ]
