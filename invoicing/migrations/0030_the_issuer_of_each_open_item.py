"""The issuer of an open item so far is that of its document. Its guard rests while the owner writes it down."""

from django.db import migrations

FILL = """
alter table invoicing_openitem disable trigger invoicing_openitem_append_only;
update invoicing_openitem o set issuer_id = i.issuer_id from invoicing_invoice i where i.id = o.invoice_id;
set constraints all immediate;
alter table invoicing_openitem enable trigger invoicing_openitem_append_only;
"""


class Migration(migrations.Migration):
    dependencies = [("invoicing", "0029_open_items_know_their_issuer")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
