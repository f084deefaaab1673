"""Who may be collected from, and from which bank account; mandates and their accounts are kept, changes recorded."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0020_activities_are_of_now'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='approval',
            name='action',
            field=models.CharField(choices=[('cancel', 'cancel the document'), ('credit', 'credit note'), ('debit', 'payment run'), ('refund', 'refund')], max_length=10, verbose_name='action'),
        ),
        migrations.AlterField(
            model_name='importbatch',
            name='kind',
            field=models.CharField(choices=[('issuers', 'issuers'), ('catalog', 'catalog'), ('tenants', 'accounts'), ('contracts', 'contracts'), ('mandates', 'mandates')], max_length=10, verbose_name='kind'),
        ),
        migrations.CreateModel(
            name='Mandate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=35, verbose_name='mandate reference')),
                ('scheme', models.CharField(choices=[('CORE', 'core (SEPA-Basislastschrift)'), ('B2B', 'business to business (SEPA-Firmenlastschrift)')], default='CORE', max_length=4, verbose_name='scheme')),
                ('is_one_off', models.BooleanField(default=False, verbose_name='for one debit only')),
                ('signed_on', models.DateField(verbose_name='signed on')),
                ('original_reference', models.CharField(blank=True, help_text='where it was taken over', max_length=35, verbose_name='reference with the creditor before')),
                ('original_creditor', models.CharField(blank=True, max_length=35, verbose_name='creditor identifier before')),
                ('revoked_on', models.DateField(blank=True, null=True, verbose_name='revoked on')),
                ('revocation', models.CharField(blank=True, max_length=200, null=True, verbose_name='why revoked')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='entered at')),
                ('issuer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='mandates', to='tenants.issuer', verbose_name='issuer')),
                ('paper', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='tenants.file', verbose_name='signed paper')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='mandates', to='tenants.tenant', verbose_name='payer')),
            ],
            options={
                'verbose_name': 'mandate',
                'verbose_name_plural': 'mandates',
                'ordering': ['-id'],
                'permissions': [('revoke_mandate', 'Can revoke mandates'), ('approve_mandate', 'Can approve bank details of mandates'), ('import_mandate', 'Can import mandates')],
            },
        ),
        migrations.CreateModel(
            name='MandateAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField(verbose_name='number')),
                ('holder', models.CharField(max_length=70, verbose_name='account holder')),
                ('iban', models.CharField(editable=False, max_length=400, verbose_name='encrypted IBAN')),
                ('iban_hash', models.CharField(db_index=True, editable=False, max_length=64, verbose_name='hash of the IBAN')),
                ('iban_tail', models.CharField(max_length=4, verbose_name='IBAN ends in')),
                ('bic', models.CharField(blank=True, max_length=11, verbose_name='BIC')),
                ('entered_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='entered at')),
                ('decision', models.CharField(blank=True, choices=[('approved', 'approved'), ('refused', 'refused')], max_length=10, null=True, verbose_name='decision')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
                ('entered_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='entered by')),
                ('mandate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to='tenants.mandate', verbose_name='mandate')),
            ],
            options={
                'verbose_name': 'bank account of a mandate',
                'verbose_name_plural': 'bank accounts of mandates',
                'ordering': ['number'],
            },
        ),
        migrations.CreateModel(
            name='Creditor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identifier', models.CharField(help_text='as the Bundesbank gave it, such as DE98ZZZ09999999999', max_length=35, verbose_name='creditor identifier')),
                ('prenotification_days', models.PositiveSmallIntegerField(default=14, help_text='So many days before the debit the payer is told its day and amount: 14, unless agreed otherwise.', verbose_name='days of pre-notification')),
                ('days_ahead', models.PositiveSmallIntegerField(default=5, help_text='So many bank days before the due day a payment run is proposed, to be looked at and sent.', verbose_name='bank days ahead')),
                ('releases_by_itself', models.BooleanField(default=False, help_text='The file is written in the night, but never sent: a person takes it to the bank.', verbose_name='runs are released without a person')),
                ('run_limit', models.DecimalField(blank=True, decimal_places=4, help_text='A run above this sum is released only when another person approves it. Empty: never needed.', max_digits=19, null=True, verbose_name='largest payment run without approval')),
                ('refund_limit', models.DecimalField(blank=True, decimal_places=4, default=0, help_text='A refund above this amount is paid only when another person approves it. Empty: never needed.', max_digits=19, null=True, verbose_name='largest refund without approval')),
                ('checks_bank_details', models.BooleanField(default=True, help_text='The bank account of a mandate counts only when somebody else than who entered it approves it.', verbose_name='bank details need a second person')),
                ('passes_charges_on', models.BooleanField(default=False, verbose_name="payers bear the bank's charges of returned debits")),
                ('issuer', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='creditor', to='tenants.issuer', verbose_name='issuer')),
            ],
            options={
                'verbose_name': 'creditor',
                'verbose_name_plural': 'creditors',
                'ordering': ['issuer'],
                'constraints': [models.CheckConstraint(condition=models.Q(('identifier__regex', '^[A-Z]{2}[0-9]{2}[A-Z0-9]{3}[A-Z0-9]{1,28}$')), name='creditor_identifier_has_its_form', violation_error_message='A creditor identifier looks like DE98ZZZ09999999999.'), models.CheckConstraint(condition=models.Q(('prenotification_days__gte', 1), ('prenotification_days__lte', 60), ('days_ahead__gte', 1), ('days_ahead__lte', 30), models.Q(('run_limit', None), models.Q(('run_limit__gte', 0), ('run_limit__lt', 1000000000000000)), _connector='OR'), models.Q(('refund_limit', None), models.Q(('refund_limit__gte', 0), ('refund_limit__lt', 1000000000000000)), _connector='OR')), name='creditor_bounds', violation_error_message='Pre-notification takes 1 to 60 days, runs are proposed 1 to 30 bank days ahead, limits are not below zero.')],
            },
        ),
        migrations.AddConstraint(
            model_name='mandate',
            constraint=models.UniqueConstraint(fields=('issuer', 'reference'), name='mandate_reference_once', violation_error_message='The issuer has a mandate of this reference already.'),
        ),
        migrations.AddConstraint(
            model_name='mandate',
            constraint=models.CheckConstraint(condition=models.Q(('reference__regex', "^[A-Za-z0-9+?/:().,'-]{1,35}$")), name='mandate_reference_has_its_form', violation_error_message="A mandate reference has at most 35 letters, digits and + ? / : ( ) . , ' -, and no blank."),
        ),
        migrations.AddConstraint(
            model_name='mandate',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('revocation', None), ('revoked_on', None)), models.Q(('revocation__isnull', False), ('revoked_on__gte', models.F('signed_on'))), _connector='OR'), name='mandate_revoked_with_reason', violation_error_message='A mandate cannot be revoked before it was signed, nor without a reason.'),
        ),
        migrations.AddConstraint(
            model_name='mandateaccount',
            constraint=models.UniqueConstraint(fields=('mandate', 'number'), name='mandate_account_once'),
        ),
        migrations.AddConstraint(
            model_name='mandateaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('decided_by', None), ('decision', None)), models.Q(('decided_at__isnull', False), ('decision__isnull', False), models.Q(('decided_by', None), ('entered_by', None), models.Q(('decided_by', models.F('entered_by')), _negated=True), _connector='OR')), _connector='OR'), name='mandate_account_decided_by_another', violation_error_message='Whoever enters bank details cannot approve them.'),
        ),
        migrations.AddConstraint(
            model_name='mandateaccount',
            constraint=models.CheckConstraint(condition=models.Q(('iban_tail__regex', '^[A-Z0-9]{4}$')), name='mandate_account_tail'),
        ),
        *guards.append_only("tenants_mandate", "revoked_on", "revocation", "paper_id"),
        *guards.append_only("tenants_mandateaccount", "decision", "decided_by_id", "decided_at"),
        guards.recorded("tenants_creditor"),
        guards.recorded("tenants_mandate"),
    ]
