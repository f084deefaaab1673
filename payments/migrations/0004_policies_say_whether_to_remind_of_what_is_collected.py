from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_letters_to_several_recipients")]

    operations = [
        migrations.AddField(
            model_name="dunningpolicy",
            name="reminds_collected",
            field=models.BooleanField(
                default=False,
                help_text="If off, items that are collected by direct debit or card are listed and not reminded.",
                verbose_name="remind of what is collected",
            ),
        ),
    ]
