"""What a contract gives back of a document goes to its payer, in the turn of whoever pays for the contract by now."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0025_open_items_need_two_indexes_less'),
        ('tenants', '0016_mail_may_come_back'),
    ]

    operations = [
        migrations.AddField(
            model_name='invoice',
            name='billed_with',
            field=models.ForeignKey(blank=True, db_index=False, help_text='The payer in whose turn of the run it arose, where that is not its own.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='billed with'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('billed_with__isnull', False)), fields=['billed_with'], name='invoice_billed_with'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('billed_with', None), models.Q(('billed_with', models.F('payer')), _negated=True), _connector='OR'), name='invoice_billed_with_another', violation_error_message='A document is billed with its own payer unless another is named.'),
        ),
    ]
