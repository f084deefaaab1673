"""Each open item has its issuer, and is of a document or of a payment; money comes in, is applied and goes back."""

import django.db.models.deletion
from django.db import migrations, models

TAKEN_OVER = """
create or replace function kontor_item_is_taken_over() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_openitem o where o.id = new.moved_from_id
                    and (o.issuer_id, o.invoice_id, o.reference, o.currency)
                        is not distinct from (new.issuer_id, new.invoice_id, new.reference, new.currency)
                    and o.payer_id <> new.payer_id) then
        raise exception 'open item % takes over what is none of its document, or its payer''s own', new.id
            using errcode = 'KO003', hint = 'Another payer takes over what is open of the same document.';
    end if;
    return null;
end $$;
"""
DOCUMENTS_ONLY = """
create or replace function kontor_item_is_taken_over() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_openitem o where o.id = new.moved_from_id
                    and (o.invoice_id, o.currency) = (new.invoice_id, new.currency) and o.payer_id <> new.payer_id) then
        raise exception 'open item % takes over what is none of its document, or its payer''s own', new.id
            using errcode = 'KO003', hint = 'Another payer takes over what is open of the same document.';
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0030_the_issuer_of_each_open_item")]

    operations = [
        migrations.AlterField(
            model_name="openitem",
            name="issuer",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="open_items", to="tenants.issuer", verbose_name="issuer"),
        ),
        migrations.AlterField(
            model_name="journalentry",
            name="kind",
            field=models.CharField(choices=[("issue", "document issued"), ("offset", "credit set off"), ("transfer", "open item taken over"), ("payment", "payment received"), ("allocation", "payment allocated"), ("deallocation", "allocation undone"), ("payment_return", "payment returned"), ("refund", "money paid back"), ("cash_discount", "cash discount taken"), ("write_off", "written off"), ("charges", "charges of bank or provider"), ("payout", "payout by the provider")], max_length=15, verbose_name="kind"),
        ),
        migrations.AddConstraint(
            model_name="openitem",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("invoice__isnull", False), ("reference", "")), models.Q(models.Q(("reference", ""), _negated=True), ("amount__lt", 0), ("invoice", None)), _connector="OR"), name="open_item_of_a_document_or_a_payment"),
        ),
        migrations.RunSQL(TAKEN_OVER, DOCUMENTS_ONLY),
    ]
