"""Discounts of documents, of accounts too, that stack or carry a remainder; further price models and their figures."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0014_products_have_more_tax_categories'),
        ('tenants', '0012_issuers_have_a_document_format'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='grant',
            name='grant_once',
        ),
        migrations.AddField(
            model_name='discount',
            name='carry_remainder',
            field=models.BooleanField(db_default=False, default=False, help_text='What a period or document cannot use of an amount is kept for the next ones.', verbose_name='carries its remainder'),
        ),
        migrations.AddField(
            model_name='discount',
            name='is_stacked',
            field=models.BooleanField(db_default=False, default=False, help_text='Percentages that follow one another are added up (5 + 10 = 15 percent), not taken one off the other.', verbose_name='stacked'),
        ),
        migrations.AddField(
            model_name='discount',
            name='level',
            field=models.CharField(choices=[('line', 'of positions'), ('document', 'of documents')], db_default='line', default='line', help_text='Of positions: each line shows it. Of documents: below the lines, after the discounts of the lines.', max_length=10, verbose_name='level'),
        ),
        migrations.AddField(
            model_name='grant',
            name='tenant',
            field=models.ForeignKey(blank=True, help_text='To which the documents are addressed.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='tenants.tenant', verbose_name='account'),
        ),
        migrations.AddField(
            model_name='price',
            name='flat_when_zero',
            field=models.BooleanField(db_default=False, default=False, help_text='The flat amount of the first tier is due even if nothing is used.', verbose_name='flat amount also for nothing'),
        ),
        migrations.AddField(
            model_name='price',
            name='package_per_tier',
            field=models.BooleanField(db_default=False, default=False, help_text='Tiers may then end inside a package.', verbose_name='packages rounded up in each tier'),
        ),
        migrations.AddField(
            model_name='price',
            name='quota_prorated',
            field=models.BooleanField(db_default=False, default=False, help_text='In a part of a period only that part of the free quantity is free.', verbose_name='free quantity prorated'),
        ),
        migrations.AddField(
            model_name='tier',
            name='package_size',
            field=models.DecimalField(blank=True, decimal_places=4, help_text='Priced per started package of so many units; empty: per unit. Graduated and volume prices.', max_digits=19, null=True, verbose_name='package size'),
        ),
        migrations.AlterField(
            model_name='discount',
            name='after_periods',
            field=models.PositiveSmallIntegerField(default=0, help_text='So many billed periods or documents go before it.', verbose_name='after billed periods'),
        ),
        migrations.AlterField(
            model_name='discount',
            name='periods',
            field=models.PositiveSmallIntegerField(blank=True, help_text='How many billed periods (of documents: how many documents) it lasts; empty: always.', null=True, verbose_name='billed periods'),
        ),
        migrations.AlterField(
            model_name='grant',
            name='subscription',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='billing.subscription', verbose_name='contract'),
        ),
        migrations.AlterField(
            model_name='price',
            name='model',
            field=models.CharField(choices=[('flat', 'flat'), ('per_unit', 'per unit'), ('graduated', 'graduated: each unit at the price of its tier'), ('volume', 'volume: all units at the price of the tier reached'), ('package', 'per started package'), ('stairstep', 'stairstep: one amount for the tier reached'), ('percentage', 'percentage: the quantity is a value, so many percent of it'), ('commitment', 'minimum commitment: what the contract lacks to the amount')], max_length=20, verbose_name='price model'),
        ),
        migrations.AddConstraint(
            model_name='discount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('carry_remainder', False), ('kind', 'percent')), models.Q(('is_stacked', False), ('kind', 'fixed')), _connector='OR'), name='discount_stacks_or_carries', violation_error_message='Only percentages are stacked, and only amounts have a remainder.'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.UniqueConstraint(fields=('subscription', 'tenant', 'discount', 'starts_on'), name='grant_once', nulls_distinct=False, violation_error_message='The contract or account has this discount already.'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('subscription__isnull', False), ('tenant', None)), models.Q(('subscription', None), ('tenant__isnull', False)), _connector='OR'), name='grant_to_a_contract_or_an_account', violation_error_message='A discount is granted to a contract or to an account, not to both.'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(('model', 'package'), ('package_per_tier', False), _connector='OR'), name='price_only_packages_per_tier', violation_error_message='Only packages are rounded up in each tier.'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('model', 'commitment'), _negated=True), models.Q(('cap', None), ('free_quantity', 0), ('minimum', None)), _connector='OR'), name='price_commitment_stands_alone', violation_error_message='A minimum commitment has neither minimum nor maximum nor free quantity of its own.'),
        ),
        migrations.AddConstraint(
            model_name='tier',
            constraint=models.CheckConstraint(condition=models.Q(('package_size', None), models.Q(('package_size__gt', 0), ('package_size__lt', 1000000000000000)), _connector='OR'), name='tier_package_holds_something', violation_error_message='A package holds something.'),
        ),
    ]
