"""A contract may be invoiced to, and paid by, another account than its own account says."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0011_customers_ask_for_changes'),
        ('tenants', '0008_more_settings_are_inherited'),
    ]

    operations = [
        migrations.AlterField(
            model_name='amendment',
            name='kind',
            field=models.CharField(choices=[('start', 'contract as agreed'), ('quantity', 'other quantity'), ('price', 'other product or price'), ('override', 'agreed price'), ('add', 'further position'), ('end', 'end of a position'), ('discount', 'discount granted'), ('discount_end', 'discount ended'), ('pause', 'pause'), ('resume', 'end of the pause'), ('trial', 'longer trial'), ('activation', 'start of billing'), ('alignment', 'other billing day'), ('renewal', 'renewal'), ('cancellation', 'cancellation of the contract'), ('reinstatement', 'continuation'), ('transfer', 'transfer to another account'), ('responsibility', 'other recipient or payer'), ('withdrawal', 'withdrawn change')], max_length=20, verbose_name='kind'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='invoice_to',
            field=models.ForeignKey(blank=True, db_index=False, help_text='Empty: as the account.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='invoice to'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='is_invoiced_alone',
            field=models.BooleanField(db_default=False, default=False, help_text='Not together with other contracts.', verbose_name='invoiced alone'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='pay_by',
            field=models.ForeignKey(blank=True, db_index=False, help_text='Empty: as the account.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='subscriptions_paid_for', to='tenants.tenant', verbose_name='paid by'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(condition=models.Q(('pay_by__isnull', False)), fields=['pay_by'], name='subscription_payer'),
        ),
        migrations.AddIndex(
            model_name='subscription',
            index=models.Index(condition=models.Q(('invoice_to__isnull', False)), fields=['invoice_to'], name='subscription_recipient'),
        ),
    ]
