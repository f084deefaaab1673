"""An empty percentage or amount made the check unknown, and so let it pass."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_package_prices_have_a_size")]

    operations = [
        migrations.RemoveConstraint(model_name="discount", name="discount_has_its_value"),
        migrations.AddConstraint(
            model_name="discount",
            constraint=models.CheckConstraint(
                name="discount_has_its_value",
                condition=models.Q(
                    kind="percent", percent__isnull=False, percent__gt=0, percent__lte=100, amount=None
                )
                | models.Q(kind="fixed", amount__isnull=False, amount__gt=0, percent=None, currency__regex="^[A-Z]{3}$"),
                violation_error_message="A percentage is above 0 and at most 100; a fixed discount has an amount above"
                " zero and a currency.",
            ),
        ),
    ]
