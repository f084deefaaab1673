"""Allowances: what discounts take off documents, frozen with them."""

import django.db.models.deletion
import djmoney.models.fields
from importlib import import_module

from django.db import migrations, models

guards = import_module("invoicing.migrations.0002_guards")
truncation = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0015_documents_are_discounted'),
        ('invoicing', '0019_vat_follows_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Allowance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(verbose_name='position')),
                ('text', models.CharField(max_length=250, verbose_name='text')),
                ('percent', models.DecimalField(blank=True, decimal_places=4, max_digits=7, null=True, verbose_name='percent')),
                ('vat_case', models.CharField(choices=[('S', 'taxed'), ('AE', 'reverse charge'), ('O', 'not taxable in Germany'), ('K', 'intra-community supply'), ('G', 'export of goods'), ('E', 'exempt'), ('Z', 'zero rated')], max_length=2, verbose_name='VAT case')),
                ('vat_rate', models.DecimalField(decimal_places=3, max_digits=6, verbose_name='VAT rate')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('base', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='net of the lines')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('trace', models.JSONField(default=dict, verbose_name='how it was reckoned')),
                ('corrects', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='invoicing.allowance', verbose_name='allowance of which it gives a share back')),
                ('grant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.grant', verbose_name='granted discount')),
                ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='allowances', to='invoicing.invoice', verbose_name='document')),
            ],
            options={
                'verbose_name': 'allowance',
                'verbose_name_plural': 'allowances',
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('invoice', 'position'), name='allowance_position_once'), models.CheckConstraint(condition=models.Q(models.Func(models.F('base'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='allowance_amounts_fit'), models.CheckConstraint(condition=models.Q(models.Q(('amount__gte', 0), ('amount__lte', models.F('base')), ('base__gte', 0)), models.Q(('amount__gte', models.F('base')), ('amount__lte', 0), ('base__lte', 0)), _connector='OR'), name='allowance_within_its_base', violation_error_message='A discount takes off at most what the lines come to.'), models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='allowance_currency_is_a_code', violation_error_message='The currency is a code of three capital letters, such as EUR.')],
            },
        ),
        guards.trigger(
            "invoicing_allowance_frozen", "invoicing_allowance", "before update or delete", "kontor_part_frozen"
        ),
        guards.added("invoicing_allowance_not_added", "invoicing_allowance", "kontor_no_part_added"),
        truncation.no_truncate("invoicing_allowance"),
    ]
