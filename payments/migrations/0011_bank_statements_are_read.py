"""Bank accounts, their statements, each line once, what it may be, what it was booked as, and what was set aside."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
import djmoney.models.fields
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

WITHIN = """
create function kontor_line_is_booked_within() returns trigger language plpgsql as $$
-- What is booked of a line has its sign and is never more than it.
declare
    whole numeric;
    booked numeric;
begin
    select l.amount into whole from payments_bankline l where l.id = new.line_id and l.currency = new.currency for update;
    select sum(b.amount) into booked from payments_linebooking b where b.line_id = new.line_id;
    if whole is null or booked * sign(whole) < 0 or abs(booked) > abs(whole) then
        raise exception 'bank line % is booked with % of %', new.line_id, booked, whole
            using errcode = 'KO004', hint = 'A line is booked once, in one or several parts.';
    end if;
    return null;
end $$;
create trigger payments_linebooking_within after insert on payments_linebooking
    for each row execute function kontor_line_is_booked_within();
"""
ANYHOW = """
drop trigger payments_linebooking_within on payments_linebooking;
drop function kontor_line_is_booked_within();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0031_payments_leave_open_items'),
        ('payments', '0010_debits_and_transfers_go_to_the_bank'),
        ('tenants', '0021_payers_give_mandates'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BankAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('iban', models.CharField(error_messages={'unique': 'This bank account is entered already.'}, max_length=34, unique=True, verbose_name='IBAN')),
                ('bic', models.CharField(blank=True, max_length=11, verbose_name='BIC')),
                ('currency', models.CharField(default='EUR', max_length=3, verbose_name='currency')),
                ('books_by_itself', models.CharField(choices=[('never', 'nothing: a person decides on every line'), ('certain', 'documents named, amount exact, payer known'), ('named', 'documents named and amount exact, whoever paid')], default='certain', max_length=10, verbose_name='booked without a person')),
                ('small_difference', models.DecimalField(decimal_places=4, default=0, help_text='A document that is paid but for so much at most is settled, and the difference written off.', max_digits=19, verbose_name='small difference')),
                ('layout', models.JSONField(blank=True, help_text='Which column means what, for a bank whose files are not known by themselves.', null=True, verbose_name='layout of CSV files')),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='bank_accounts', to='tenants.issuer', verbose_name='issuer')),
                ('ledger_account', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='bank_account', to='invoicing.ledgeraccount', verbose_name='ledger account')),
            ],
            options={
                'verbose_name': 'bank account',
                'verbose_name_plural': 'bank accounts',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='BankStatement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identity', models.CharField(editable=False, max_length=64, verbose_name='identity')),
                ('file_name', models.CharField(blank=True, max_length=200, verbose_name='file name')),
                ('file_sha256', models.CharField(db_index=True, max_length=64, verbose_name='hash of the file')),
                ('form', models.CharField(max_length=10, verbose_name='form')),
                ('is_final', models.BooleanField(verbose_name='end-of-day statement')),
                ('reference', models.CharField(blank=True, max_length=100, verbose_name='reference')),
                ('number', models.CharField(blank=True, max_length=20, verbose_name='statement number')),
                ('starts_on', models.DateField(blank=True, null=True, verbose_name='first day')),
                ('ends_on', models.DateField(blank=True, null=True, verbose_name='last day')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('opening', djmoney.models.fields.MoneyField(blank=True, currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, null=True, verbose_name='opening balance')),
                ('closing', djmoney.models.fields.MoneyField(blank=True, currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, null=True, verbose_name='closing balance')),
                ('told', models.PositiveIntegerField(verbose_name='lines in the file')),
                ('known', models.PositiveIntegerField(verbose_name='known before')),
                ('troubles', models.JSONField(blank=True, default=list, verbose_name='to be noted')),
                ('imported_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='imported at')),
                ('bank_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='statements', to='payments.bankaccount', verbose_name='bank account')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('file', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.file', verbose_name='file')),
            ],
            options={
                'verbose_name': 'bank statement',
                'verbose_name_plural': 'bank statements',
                'ordering': ['-ends_on', '-id'],
                'permissions': [('import_bankstatement', 'Can import bank statements')],
            },
        ),
        migrations.CreateModel(
            name='BankLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(verbose_name='position')),
                ('fingerprint', models.CharField(editable=False, max_length=64, verbose_name='fingerprint')),
                ('ordinal', models.PositiveSmallIntegerField(editable=False, verbose_name='of several alike')),
                ('entry_key', models.CharField(editable=False, max_length=64, verbose_name='booking of the bank')),
                ('entry_size', models.PositiveIntegerField(default=1, verbose_name='payments in the booking')),
                ('booked_on', models.DateField(verbose_name='booked on')),
                ('value_on', models.DateField(verbose_name='value date')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('fee', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='fee of the bank')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('purpose', models.TextField(blank=True, verbose_name='purpose')),
                ('name', models.CharField(blank=True, max_length=140, verbose_name='name')),
                ('iban', models.CharField(blank=True, editable=False, max_length=400, verbose_name='encrypted IBAN')),
                ('iban_hash', models.CharField(blank=True, editable=False, max_length=64, verbose_name='hash of the IBAN')),
                ('iban_tail', models.CharField(blank=True, max_length=4, verbose_name='IBAN ends in')),
                ('bic', models.CharField(blank=True, max_length=11, verbose_name='BIC')),
                ('end_to_end_id', models.CharField(blank=True, max_length=100, verbose_name='end-to-end id')),
                ('mandate', models.CharField(blank=True, max_length=100, verbose_name='mandate reference')),
                ('bank_reference', models.CharField(blank=True, max_length=100, verbose_name='reference of the bank')),
                ('code', models.CharField(blank=True, max_length=30, verbose_name="bank's code")),
                ('is_return', models.BooleanField(default=False, verbose_name='return')),
                ('return_code', models.CharField(blank=True, max_length=35, verbose_name='reason code')),
                ('return_text', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('bank_account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='payments.bankaccount', verbose_name='bank account')),
                ('statement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='payments.bankstatement', verbose_name='bank statement')),
            ],
            options={
                'verbose_name': 'bank line',
                'verbose_name_plural': 'bank lines',
                'ordering': ['-booked_on', '-id'],
                'permissions': [('book_bankline', 'Can book bank lines and undo bookings'), ('set_aside_bankline', 'Can set bank lines aside'), ('write_off_bankline', 'Can write differences off and grant cash discounts')],
            },
        ),
        migrations.CreateModel(
            name='LineBooking',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount', djmoney.models.fields.MoneyField(currency_field_name='currency', decimal_places=4, default_currency=None, max_digits=19, verbose_name='amount')),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='line_booking', to='invoicing.journalentry', verbose_name='journal entry')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='payments.bankline', verbose_name='bank line')),
            ],
            options={
                'verbose_name': 'booking of a bank line',
                'verbose_name_plural': 'bookings of bank lines',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='LineSetAside',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=200, verbose_name='reason')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='at')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('line', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='set_aside', to='payments.bankline', verbose_name='bank line')),
            ],
            options={
                'verbose_name': 'line set aside',
                'verbose_name_plural': 'lines set aside',
            },
        ),
        migrations.CreateModel(
            name='MatchProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('certainty', models.PositiveSmallIntegerField(choices=[(0, 'unclear'), (1, 'possible'), (2, 'likely'), (3, 'certain')], default=0, verbose_name='certainty')),
                ('reasons', models.JSONField(default=list, verbose_name='reasons')),
                ('shares', models.JSONField(default=list, help_text='Open item, amount, rule, discount and difference of each.', verbose_name='shares')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='made at')),
                ('line', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='proposal', to='payments.bankline', verbose_name='bank line')),
                ('payer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='payer')),
                ('payment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'proposal',
                'verbose_name_plural': 'proposals',
            },
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.CheckConstraint(condition=models.Q(('currency__regex', '^[A-Z]{3}$')), name='bank_account_currency', violation_error_message='The currency is a code of three capital letters, such as EUR.'),
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.CheckConstraint(condition=models.Q(('iban__regex', '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$')), name='bank_account_iban_has_its_form', violation_error_message='An IBAN is two letters and digits, written without blanks.'),
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.CheckConstraint(condition=models.Q(('small_difference__gte', 0), ('small_difference__lt', 1000000000000000)), name='bank_account_small_difference', violation_error_message='The small difference is not below zero.'),
        ),
        migrations.AddConstraint(
            model_name='bankstatement',
            constraint=models.UniqueConstraint(fields=('bank_account', 'identity'), name='bank_statement_once'),
        ),
        migrations.AddConstraint(
            model_name='bankstatement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('opening', None), models.Func(models.F('opening'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), _connector='OR'), models.Q(('closing', None), models.Func(models.F('closing'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), _connector='OR')), name='bank_statement_balances_fit'),
        ),
        migrations.AddConstraint(
            model_name='bankstatement',
            constraint=models.CheckConstraint(condition=models.Q(('known__lte', models.F('told'))), name='bank_statement_known_are_told'),
        ),
        migrations.AddIndex(
            model_name='bankline',
            index=models.Index(fields=['bank_account', 'entry_key'], name='bank_line_by_entry'),
        ),
        migrations.AddIndex(
            model_name='bankline',
            index=models.Index(condition=models.Q(('iban_hash', ''), _negated=True), fields=['iban_hash'], name='bank_line_by_iban'),
        ),
        migrations.AddConstraint(
            model_name='bankline',
            constraint=models.UniqueConstraint(fields=('bank_account', 'fingerprint', 'ordinal'), name='bank_line_once'),
        ),
        migrations.AddConstraint(
            model_name='bankline',
            constraint=models.UniqueConstraint(fields=('statement', 'position'), name='bank_line_once_per_position'),
        ),
        migrations.AddConstraint(
            model_name='bankline',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Func(models.F('fee'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Q(('amount', 0), _negated=True), ('fee__gte', 0)), name='bank_line_amounts_fit'),
        ),
        migrations.AddConstraint(
            model_name='linebooking',
            constraint=models.CheckConstraint(condition=models.Q(models.Func(models.F('amount'), models.F('currency'), function='kontor_fits', output_field=models.BooleanField()), models.Q(('amount', 0), _negated=True)), name='line_booking_amount_fits'),
        ),
        migrations.AddConstraint(
            model_name='linesetaside',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='line_set_aside_with_reason', violation_error_message='A line is set aside for a reason.'),
        ),
        migrations.AddIndex(
            model_name='matchproposal',
            index=models.Index(fields=['certainty'], name='match_proposal_by_certainty'),
        ),
        migrations.RunSQL(WITHIN, ANYHOW),
        *guards.append_only("payments_bankstatement"),
        *guards.append_only("payments_bankline"),
        *guards.append_only("payments_linebooking"),
        guards.recorded("payments_bankaccount"),
        guards.recorded("payments_linesetaside"),
    ]
