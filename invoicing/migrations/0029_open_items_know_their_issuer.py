"""An open item is one of an issuer, with or without a document: what a payer paid ahead is one, too."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0028_heads_are_those_of_documents"), ("tenants", "0019_issuers_are_operated_by_accounts")]

    operations = [
        migrations.AddField(
            model_name="openitem",
            name="issuer",
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="open_items", to="tenants.issuer", verbose_name="issuer"),
        ),
        migrations.AddField(
            model_name="openitem",
            name="reference",
            field=models.CharField(blank=True, db_default="", help_text="What it is, where it is not a document.", max_length=140, verbose_name="reference"),
        ),
        migrations.RemoveConstraint(model_name="openitem", name="open_item_once_per_document"),
        migrations.AlterField(
            model_name="openitem",
            name="invoice",
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="open_items", to="invoicing.invoice", verbose_name="document"),
        ),
        migrations.AddConstraint(
            model_name="openitem",
            constraint=models.UniqueConstraint(condition=models.Q(("invoice__isnull", False)), fields=("invoice", "moved_from"), name="open_item_once_per_document", nulls_distinct=False),
        ),
    ]
