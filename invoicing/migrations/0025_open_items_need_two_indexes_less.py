"""A document's open items share one index, and only those that were taken over stand in another."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0024_some_exemptions_have_no_code'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='openitem',
            name='open_item_once_per_document',
        ),
        migrations.AlterField(
            model_name='openitem',
            name='invoice',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='open_items', to='invoicing.invoice', verbose_name='document'),
        ),
        migrations.AlterField(
            model_name='openitem',
            name='moved_from',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='moved_to', to='invoicing.openitem', verbose_name='taken over from'),
        ),
        migrations.AddConstraint(
            model_name='openitem',
            constraint=models.UniqueConstraint(fields=('invoice', 'moved_from'), name='open_item_once_per_document', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='openitem',
            constraint=models.UniqueConstraint(condition=models.Q(('moved_from__isnull', False)), fields=('moved_from',), name='open_item_taken_over_once'),
        ),
    ]
