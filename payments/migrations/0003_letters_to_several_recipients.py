"""A letter goes to every dunning contact, each by a message of its own."""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

KEPT = "create trigger payments_letter_append_only before update or delete on payments_letter for each row execute function kontor_append_only({})"
FREE = "drop trigger payments_letter_append_only on payments_letter"


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_guards"), ("tenants", "0002_guards")]

    operations = [
        migrations.RunSQL(FREE, KEPT.format("'file_id', 'message_id'")),
        migrations.RemoveField(model_name="letter", name="message"),
        migrations.RunSQL(KEPT.format("'file_id'"), FREE),
        migrations.CreateModel(
            name="LetterDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("recipient", models.EmailField(max_length=254, verbose_name="recipient")),
                (
                    "letter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="payments.letter",
                        verbose_name="letter",
                    ),
                ),
                (
                    "message",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.message",
                        verbose_name="message",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery of a letter",
                "verbose_name_plural": "deliveries of letters",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("letter", "recipient"), name="letter_delivery_once_per_recipient"
                    )
                ],
            },
        ),
        *guards.append_only("payments_letterdelivery"),
    ]
