"""Every figure is a number, and every amount one of its currency."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_import_and_export_are_rights'),
        ('tenants', '0006_amounts_fit_their_currency'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='charge',
            name='charge_net_is_a_number',
        ),
        migrations.RemoveConstraint(
            model_name='item',
            name='item_quantity_above_zero',
        ),
        migrations.AddConstraint(
            model_name='charge',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('net'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), ('quantity__lt', 1000000000000000)), name='charge_figures_fit'),
        ),
        migrations.AddConstraint(
            model_name='discount',
            constraint=models.CheckConstraint(condition=models.Q(('amount__lt', 1000000000000000)), name='discount_amount_is_a_number'),
        ),
        migrations.AddConstraint(
            model_name='item',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('quantity__lt', 1000000000000000)), name='item_quantity_above_zero', violation_error_message='The quantity is above zero.'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=models.CheckConstraint(condition=models.Q(('package_size__lt', 1000000000000000), ('minimum__lt', 1000000000000000), ('cap__lt', 1000000000000000), ('free_quantity__lt', 1000000000000000)), name='price_figures_are_numbers'),
        ),
        migrations.AddConstraint(
            model_name='tier',
            constraint=models.CheckConstraint(condition=models.Q(('up_to__lt', 1000000000000000), ('unit_price__lt', 1000000000000000), ('flat_amount__lt', 1000000000000000)), name='tier_figures_are_numbers'),
        ),
    ]
