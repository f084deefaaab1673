"""Every figure is a number, and every amount one of its currency."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_figures_fit'),
        ('invoicing', '0004_two_indexes_less'),
        ('tenants', '0006_amounts_fit_their_currency'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='invoice',
            name='invoice_amounts_are_numbers',
        ),
        migrations.RemoveConstraint(
            model_name='line',
            name='line_net_is_a_number',
        ),
        migrations.RemoveConstraint(
            model_name='posting',
            name='posting_amount_is_a_number',
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('net'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('vat'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='invoice_amounts_fit'),
        ),
        migrations.AddConstraint(
            model_name='line',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('net'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('quantity__lt', 1000000000000000)), name='line_figures_fit'),
        ),
        migrations.AddConstraint(
            model_name='openitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='open_item_amount_fits'),
        ),
        migrations.AddConstraint(
            model_name='posting',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='posting_amount_fits'),
        ),
        migrations.AddConstraint(
            model_name='section',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('net'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='section_net_fits'),
        ),
        migrations.AddConstraint(
            model_name='vatshare',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('base'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('vat'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='vat_share_amounts_fit'),
        ),
    ]
