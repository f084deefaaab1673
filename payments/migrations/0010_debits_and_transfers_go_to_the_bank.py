"""Debits, transfers and runs keep what they say once they are on their way; blocks are on record."""

from importlib import import_module

import django.db.models.deletion
import djmoney.models.fields
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

KEEPS = """
create function kontor_keeps() returns trigger language plpgsql as $$
-- Arguments: the columns that may change. Rows are never deleted.
begin
    if tg_op = 'UPDATE' and to_jsonb(old) - tg_argv = to_jsonb(new) - tg_argv then
        return new;
    end if;
    raise exception '% keeps what it says: % refused', tg_table_name, lower(tg_op)
        using errcode = 'KO001', hint = 'What is on its way to the bank is discarded or returned, never changed.';
end $$;

create function kontor_run_released() returns trigger language plpgsql as $$
-- A payment run goes forward only: proposed, released, sent, settled; what was never sent may be discarded.
-- From its release on it says what it says, and so do its file and its hash.
declare
    fixed text[] := array['state', 'sent_at'];
begin
    if tg_op = 'UPDATE' and old.state = 'proposed'
       and to_jsonb(old) - '{state,content_hash,file_id,released_by_id,released_at,sent_at,collect_on}'::text[]
         = to_jsonb(new) - '{state,content_hash,file_id,released_by_id,released_at,sent_at,collect_on}'::text[] then
        return new;
    end if;
    if tg_op = 'UPDATE' and to_jsonb(old) - fixed = to_jsonb(new) - fixed
       and (old.sent_at is null or old.sent_at = new.sent_at)
       and ((old.state, new.state) in (('released', 'sent'), ('released', 'discarded'), ('sent', 'settled'),
                                       ('released', 'settled'))
            or old.state = new.state) then
        return new;
    end if;
    raise exception 'payment run %: % refused', old.id, lower(tg_op)
        using errcode = 'KO001', hint = 'A released payment run never changes and never goes back.';
end $$;

create function kontor_transfer_kept() returns trigger language plpgsql as $$
-- A transfer says for good to whom it goes; it changes its run only until that run is released, or after it was discarded.
begin
    if tg_op = 'UPDATE' and to_jsonb(old) - 'run_id' = to_jsonb(new) - 'run_id'
       and (old.run_id is null or exists (select from payments_paymentrun
                                           where id = old.run_id and state in ('proposed', 'discarded'))) then
        return new;
    end if;
    raise exception 'a transfer keeps what it says: % refused', lower(tg_op)
        using errcode = 'KO001', hint = 'A transfer to another account is a refund of its own.';
end $$;
"""
GONE = "drop function kontor_keeps(); drop function kontor_run_released(); drop function kontor_transfer_kept()"


def kept(table, function, *may_change):
    arguments = ", ".join(f"'{column}'" for column in may_change)
    return [
        migrations.RunSQL(
            f"create trigger {table}_kept before update or delete on {table}"
            f" for each row execute function {function}({arguments})",
            f"drop trigger {table}_kept on {table}",
        ),
        guards.no_truncate(table),
    ]


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0031_payments_leave_open_items'),
        ('payments', '0009_providers_keep_methods_and_tell_of_payments'),
        ('tenants', '0021_payers_give_mandates'),
    ]

    operations = [
        migrations.CreateModel(
            name='Debit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sequence', models.CharField(choices=[('FRST', 'first of several'), ('RCUR', 'one of several'), ('OOFF', 'the only one')], max_length=4, verbose_name='sequence')),
                ('has_new_account', models.BooleanField(default=False, verbose_name='from a new account')),
                ('collect_on', models.DateField(verbose_name='day of the debit')),
                ('purpose', models.CharField(max_length=140, verbose_name='purpose')),
                ('is_announced', models.BooleanField(help_text='The invoice says day and amount, in time: no further notice is due.', verbose_name='announced by its document')),
                ('batch', models.CharField(blank=True, max_length=35, null=True, verbose_name='batch of the file')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='debits', to='tenants.mandateaccount', verbose_name='bank account')),
                ('collection', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='debit', to='payments.collection', verbose_name='collection')),
                ('mandate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='debits', to='tenants.mandate', verbose_name='mandate')),
                ('notice', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.message', verbose_name='pre-notification')),
            ],
            options={
                'verbose_name': 'direct debit',
                'verbose_name_plural': 'direct debits',
                'ordering': ['collection'],
            },
        ),
        migrations.CreateModel(
            name='CollectionBlock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=200, verbose_name='reason')),
                ('starts_on', models.DateField(verbose_name='first day')),
                ('ends_before', models.DateField(blank=True, null=True, verbose_name='first day no longer covered')),
                ('after_return', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='blocks', to='payments.paymentreturn', verbose_name='returned payment')),
                ('open_item', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='collection_blocks', to='invoicing.openitem', verbose_name='open item')),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='collection_blocks', to='tenants.tenant', verbose_name='payer')),
            ],
            options={
                'verbose_name': 'collection block',
                'verbose_name_plural': 'collection blocks',
                'ordering': ['-id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('open_item__isnull', False), ('tenant', None)), models.Q(('open_item', None), ('tenant__isnull', False)), _connector='OR'), name='collection_block_names_one', violation_error_message='A block names either a payer or one open item.'), models.CheckConstraint(condition=models.Q(('ends_before', None), ('ends_before__gte', models.F('starts_on')), _connector='OR'), name='collection_block_ends_after_it_starts', violation_error_message='The block ends before it starts.')],
            },
        ),
        migrations.CreateModel(
            name='LeftOut',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(choices=[('threshold', 'below the amount from which is collected'), ('credit', 'credits cover what is due'), ('rhythm', 'collected already in this period'), ('block', 'blocked'), ('dispute', 'disputed'), ('no_mandate', 'no mandate'), ('revoked', 'mandate revoked'), ('expired', 'mandate unused for 36 months'), ('unapproved', 'bank details not approved yet'), ('under_way', 'being collected already'), ('returned', 'returned before: a person decides'), ('currency', 'not in euros')], max_length=10, verbose_name='reason')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='due')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='payer')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='left_out', to='payments.paymentrun', verbose_name='payment run')),
            ],
            options={
                'verbose_name': 'payer left out',
                'verbose_name_plural': 'payers left out',
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('run', 'payer', 'currency', 'reason'), name='left_out_once_per_reason'), models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField())), name='left_out_amount_fits')],
            },
        ),
        migrations.CreateModel(
            name='Transfer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('holder', models.CharField(max_length=70, verbose_name='account holder')),
                ('iban', models.CharField(editable=False, max_length=400, verbose_name='encrypted IBAN')),
                ('iban_hash', models.CharField(editable=False, max_length=64, verbose_name='hash of the IBAN')),
                ('iban_tail', models.CharField(max_length=4, verbose_name='IBAN ends in')),
                ('bic', models.CharField(blank=True, max_length=11, verbose_name='BIC')),
                ('purpose', models.CharField(max_length=140, verbose_name='purpose')),
                ('refund', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='transfer', to='payments.refund', verbose_name='refund')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='transfers', to='payments.paymentrun', verbose_name='payment run')),
            ],
            options={
                'verbose_name': 'transfer',
                'verbose_name_plural': 'transfers',
                'ordering': ['refund'],
                'constraints': [models.CheckConstraint(condition=models.Q(('iban_tail__regex', '^[A-Z0-9]{4}$')), name='transfer_account_tail')],
            },
        ),
        migrations.RunSQL(KEEPS, GONE),
        *kept("payments_debit", "kontor_keeps", "batch", "notice_id"),
        *kept("payments_collectionitem", "kontor_keeps", "is_unsettled"),
        *kept("payments_paymentrun", "kontor_run_released"),
        *kept("payments_transfer", "kontor_transfer_kept"),
        *guards.append_only("payments_leftout"),
        guards.recorded("payments_collectionblock"),
    ]
