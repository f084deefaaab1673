"""A dispute that is resolved names the day: an empty one passed, as a condition on nothing does."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0011_bank_statements_are_read")]

    operations = [
        migrations.RemoveConstraint(model_name="dispute", name="dispute_open_or_resolved"),
        migrations.AddConstraint(
            model_name="dispute",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("resolved_on", None), ("state", "open")), models.Q(("resolved_on__gte", models.F("raised_on")), ("resolved_on__isnull", False), ("state__in", ["upheld", "rejected"])), _connector="OR"), name="dispute_open_or_resolved", violation_error_message="A dispute cannot be resolved before it was raised."),
        ),
    ]
