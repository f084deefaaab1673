"""A term goes on at another account where it stood; checks behind forms speak in sentences."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0009_charged_contracts_are_amended'),
    ]

    operations = [
        migrations.AddField(
            model_name='subscription',
            name='term_from',
            field=models.DateField(blank=True, help_text='Empty: the first day of the contract. Earlier if it was taken over from another account.', null=True, verbose_name='first day of the term'),
        ),
        migrations.AlterConstraint(
            model_name='discount',
            name='discount_amount_is_a_number',
            constraint=models.CheckConstraint(condition=models.Q(('amount__lt', 1000000000000000)), name='discount_amount_is_a_number', violation_error_message='The amount is a number below 1,000,000,000,000,000.'),
        ),
        migrations.AlterConstraint(
            model_name='grant',
            name='grant_ends_after_it_starts',
            constraint=models.CheckConstraint(condition=models.Q(('starts_on', None), ('ends_before', None), ('ends_before__gte', models.F('starts_on')), _connector='OR'), name='grant_ends_after_it_starts', violation_error_message='The discount ends before it starts.'),
        ),
        migrations.AlterConstraint(
            model_name='item',
            name='item_anchor_is_whole',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('anchor_day', None), ('anchor_on', None)), models.Q(('anchor_day__gte', 1), ('anchor_day__isnull', False), ('anchor_day__lte', 31), ('anchor_on__isnull', False)), _connector='OR'), name='item_anchor_is_whole', violation_error_message='A first day of its own comes with its day of the month (1 to 31), and that with a first day.'),
        ),
        migrations.AlterConstraint(
            model_name='price',
            name='price_figures_are_numbers',
            constraint=models.CheckConstraint(condition=models.Q(('package_size__lt', 1000000000000000), ('minimum__lt', 1000000000000000), ('cap__lt', 1000000000000000), ('free_quantity__lt', 1000000000000000)), name='price_figures_are_numbers', violation_error_message='The figures are numbers below 1,000,000,000,000,000.'),
        ),
        migrations.AlterConstraint(
            model_name='tier',
            name='tier_figures_are_numbers',
            constraint=models.CheckConstraint(condition=models.Q(('up_to__lt', 1000000000000000), ('unit_price__lt', 1000000000000000), ('flat_amount__lt', 1000000000000000)), name='tier_figures_are_numbers', violation_error_message='The figures are numbers below 1,000,000,000,000,000.'),
        ),
    ]
