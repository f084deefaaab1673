"""What is open of a document may be taken over by another payer: closed here by an entry, opened there."""

import django.db.models.deletion
from django.db import migrations, models

FUNCTION = """
create function kontor_item_is_taken_over() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_openitem o where o.id = new.moved_from_id
                    and (o.invoice_id, o.currency) = (new.invoice_id, new.currency) and o.payer_id <> new.payer_id) then
        raise exception 'open item % takes over what is none of its document, or its payer''s own', new.id
            using errcode = 'KO003', hint = 'Another payer takes over what is open of the same document.';
    end if;
    return null;
end $$;
create trigger open_item_is_taken_over after insert on invoicing_openitem
    for each row when (new.moved_from_id is not null) execute function kontor_item_is_taken_over();
"""


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0015_payers_get_one_statement")]

    operations = [
        migrations.RemoveConstraint(model_name="journalentry", name="journal_entry_once"),
        migrations.AddField(
            model_name="openitem",
            name="moved_from",
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="moved_to", to="invoicing.openitem", verbose_name="taken over from"),
        ),
        migrations.AlterField(
            model_name="journalentry",
            name="kind",
            field=models.CharField(choices=[("issue", "document issued"), ("offset", "credit set off"), ("transfer", "open item taken over")], max_length=15, verbose_name="kind"),
        ),
        migrations.AlterField(
            model_name="openitem",
            name="invoice",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="open_items", to="invoicing.invoice", verbose_name="document"),
        ),
        migrations.AddConstraint(
            model_name="journalentry",
            constraint=models.UniqueConstraint(condition=models.Q(("invoice__isnull", False), models.Q(("kind", "transfer"), _negated=True)), fields=("invoice", "kind"), name="journal_entry_once"),
        ),
        migrations.AddConstraint(
            model_name="openitem",
            constraint=models.UniqueConstraint(condition=models.Q(("moved_from__isnull", True)), fields=("invoice",), name="open_item_once_per_document"),
        ),
        migrations.RunSQL(FUNCTION, "drop trigger open_item_is_taken_over on invoicing_openitem; drop function kontor_item_is_taken_over()"),
    ]
