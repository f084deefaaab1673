"""The level of a discount by its full name."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0017_account_discounts_follow_the_payer'),
    ]

    operations = [
        migrations.AlterField(
            model_name='discount',
            name='level',
            field=models.CharField(choices=[('line', 'of positions'), ('document', 'of documents')], db_default='line', default='line', help_text='Of positions: each line shows it. Of documents: below the lines, after the discounts of the lines.', max_length=10, verbose_name='discount level'),
        ),
    ]
