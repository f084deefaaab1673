"""Documents and letters that cannot be printed are tried again later and later."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("invoicing", "0010_one_word_for_all_documents"),
    ]

    operations = [
        migrations.CreateModel(
            name="PrintTrouble",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("table", models.CharField(max_length=63, verbose_name="record")),
                ("row", models.BigIntegerField(verbose_name="key")),
                ("attempts", models.PositiveSmallIntegerField(default=1, verbose_name="attempts")),
                ("next_at", models.DateTimeField(verbose_name="next attempt")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
            ],
            options={
                "verbose_name": "trouble with printing",
                "verbose_name_plural": "troubles with printing",
                "constraints": [models.UniqueConstraint(fields=("table", "row"), name="print_trouble_once_per_record")],
            },
        ),
    ]
