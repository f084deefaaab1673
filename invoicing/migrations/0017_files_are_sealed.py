"""A file of a document is tied to the document's place in the chain; the documents of an audit are exported by right."""

from django.db import migrations, models

SEAL = """
create function kontor_file_seal(invoice bigint, file_kind text, file bigint) returns text language sql stable as $$
    select encode(sha256(convert_to(concat_ws(E'\\n', i.chain_hash, file_kind, f.path, f.content_type, f.size, f.sha256),
                                    'UTF8')), 'hex')
      from invoicing_invoice i, tenants_file f where i.id = invoice and f.id = file
$$;

create function kontor_seal_file() returns trigger language plpgsql as $$
begin
    new.seal := kontor_file_seal(new.invoice_id, new.kind, new.file_id);
    return new;
end $$;

create trigger kontor_sealed before insert on invoicing_documentfile
    for each row execute function kontor_seal_file();

alter table invoicing_documentfile disable trigger user;
update invoicing_documentfile set seal = kontor_file_seal(invoice_id, kind, file_id);
alter table invoicing_documentfile enable trigger user;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0016_open_items_are_taken_over'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='invoice',
            options={'ordering': ['-id'], 'permissions': [('release_invoice', 'Can release and hold drafts'), ('issue_invoice', 'Can issue released drafts'), ('discard_invoice', 'Can discard drafts'), ('cancel_invoice', 'Can cancel issued documents'), ('credit_invoice', 'Can write credit notes by hand'), ('export_invoice', 'Can export documents for an audit')], 'verbose_name': 'document', 'verbose_name_plural': 'documents'},
        ),
        migrations.AddField(
            model_name='documentfile',
            name='seal',
            field=models.CharField(db_default='', editable=False, max_length=64, verbose_name='seal'),
        ),
        migrations.RunSQL(
            SEAL,
            """
            drop trigger kontor_sealed on invoicing_documentfile;
            drop function kontor_seal_file();
            drop function kontor_file_seal(bigint, text, bigint);
            """,
        ),
    ]
