from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0007_bounds_of_a_bill_run'),
    ]

    operations = [
        migrations.AddField(
            model_name='contact',
            name='receives_sections',
            field=models.BooleanField(db_default=False, default=False, help_text='Of a consolidated invoice that goes to an account above, the part of this account alone.', verbose_name='receives copies of its section'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='billing_day',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Day of the month, 1 to 31, for new contracts.', null=True, verbose_name='billing day'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='collection_rhythm',
            field=models.CharField(blank=True, choices=[('due', 'whenever something is due'), ('monthly', 'once a month'), ('quarterly', 'once a quarter')], db_default='', default='', max_length=20, verbose_name='rhythm of collection'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='collection_threshold',
            field=models.DecimalField(blank=True, decimal_places=4, max_digits=19, null=True, verbose_name='collected from an amount of'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='consolidation',
            field=models.CharField(blank=True, choices=[('together', 'one document for all'), ('by_account', 'a document per account'), ('by_contract', 'a document per contract')], db_default='', default='', max_length=20, verbose_name='invoices joined'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='document_format',
            field=models.CharField(blank=True, choices=[('pdf', 'PDF'), ('zugferd', 'ZUGFeRD'), ('xrechnung_cii', 'XRechnung (CII)'), ('xrechnung_ubl', 'XRechnung (UBL)')], db_default='', default='', max_length=20, verbose_name='document format'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='leitweg_id',
            field=models.CharField(blank=True, db_default='', default='', help_text='Buyer reference of an e-invoice (EN 16931 BT-10).', max_length=46, verbose_name='Leitweg-ID'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='po_number',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of contracts that name none of their own.', max_length=60, verbose_name='PO number'),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('billing_day', None), models.Q(('billing_day__gte', 1), ('billing_day__lte', 31)), _connector='OR'), name='tenant_billing_day_in_month', violation_error_message='The billing day is a day of the month, 1 to 31.'),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('collection_threshold', None), models.Q(('collection_threshold__gte', 0), ('collection_threshold__lt', 1000000000000000)), _connector='OR'), name='tenant_collection_threshold_is_an_amount', violation_error_message='The amount from which is collected is zero or more.'),
        ),
    ]
