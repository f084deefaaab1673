"""Contracts change by amendments: what they need of contracts, positions, prices and granted discounts."""

import django.contrib.postgres.constraints
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0007_discounts_have_their_value'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Amendment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sequence', models.PositiveIntegerField(verbose_name='number')),
                ('kind', models.CharField(choices=[('start', 'contract as agreed'), ('quantity', 'other quantity'), ('price', 'other product or price'), ('override', 'agreed price'), ('add', 'further position'), ('end', 'end of a position'), ('discount', 'discount granted'), ('discount_end', 'discount ended'), ('pause', 'pause'), ('resume', 'end of the pause'), ('trial', 'longer trial'), ('activation', 'start of billing'), ('alignment', 'other billing day'), ('renewal', 'renewal'), ('cancellation', 'cancellation of the contract'), ('reinstatement', 'continuation'), ('transfer', 'transfer to another account'), ('withdrawal', 'withdrawn change')], max_length=20, verbose_name='kind')),
                ('effective_on', models.DateField(verbose_name='effective from')),
                ('written_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='written at')),
                ('channel', models.CharField(choices=[('admin', 'admin'), ('csv', 'file'), ('api', 'API'), ('command', 'command'), ('schedule', 'by schedule')], max_length=10, verbose_name='channel')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('data', models.JSONField(default=dict, verbose_name='what was asked for')),
            ],
            options={
                'verbose_name': 'amendment of a contract',
                'verbose_name_plural': 'amendments of contracts',
                'ordering': ['subscription', 'sequence'],
            },
        ),
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_on', models.DateField(verbose_name='first day')),
                ('ends_before', models.DateField(blank=True, null=True, verbose_name='first day no longer covered')),
                ('policy', models.CharField(choices=[('credit', 'its days are not charged; what was charged is given back'), ('no_credit', 'charging goes on'), ('extend_term', 'its days are not charged, and the term is longer by them')], default='credit', max_length=20, verbose_name='policy')),
            ],
            options={
                'verbose_name': 'pause',
                'verbose_name_plural': 'pauses',
                'ordering': ['subscription', 'starts_on'],
            },
        ),
        migrations.AlterModelOptions(
            name='subscription',
            options={'ordering': ['reference'], 'permissions': [('import_subscription', 'Can import contracts'), ('export_subscription', 'Can export contracts'), ('amend_subscription', 'Can amend contracts')], 'verbose_name': 'contract', 'verbose_name_plural': 'contracts'},
        ),
        migrations.RemoveConstraint(
            model_name='grant',
            name='grant_once',
        ),
        migrations.RemoveConstraint(
            model_name='price',
            name='price_once_per_cell_and_day',
        ),
        migrations.AddField(
            model_name='grant',
            name='ends_before',
            field=models.DateField(blank=True, help_text='Periods that begin on this day or later are without it.', null=True, verbose_name='first day no longer covered'),
        ),
        migrations.AddField(
            model_name='grant',
            name='periods',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Empty: as long as the discount lasts.', null=True, verbose_name='billed periods'),
        ),
        migrations.AddField(
            model_name='grant',
            name='starts_on',
            field=models.DateField(blank=True, help_text='It begins with the first period from this day on.', null=True, verbose_name='first day'),
        ),
        migrations.AddField(
            model_name='item',
            name='anchor_day',
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='day of the month of its own'),
        ),
        migrations.AddField(
            model_name='item',
            name='anchor_on',
            field=models.DateField(blank=True, null=True, verbose_name='first day of a period of its own'),
        ),
        migrations.AddField(
            model_name='item',
            name='line',
            field=models.PositiveSmallIntegerField(db_default=1, default=1, verbose_name='position'),
        ),
        migrations.AddField(
            model_name='item',
            name='periods_before',
            field=models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='billed periods before'),
        ),
        migrations.AddField(
            model_name='price',
            name='agreed_for',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='agreed_prices', to='billing.subscription', verbose_name='agreed for the contract'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='accepted_on',
            field=models.DateField(blank=True, null=True, verbose_name='accepted by the customer on'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='activated_on',
            field=models.DateField(blank=True, null=True, verbose_name='service activated on'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='billing_starts_with',
            field=models.CharField(choices=[('contract', 'with the contract'), ('activation', 'with the activation of the service'), ('acceptance', 'with the acceptance by the customer')], db_default='contract', default='contract', max_length=12, verbose_name='billing starts'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='extended_days',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, help_text='By pauses that extend the term.', verbose_name='term longer by days'),
        ),
        migrations.AddField(
            model_name='subscription',
            name='keeps_last_period',
            field=models.BooleanField(db_default=False, default=False, help_text='Of what is billed in advance, the period in which the contract ends is charged in full.', verbose_name='last period stays charged'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.UniqueConstraint(fields=('subscription', 'discount', 'starts_on'), name='grant_once', nulls_distinct=False, violation_error_message='The contract has this discount already.'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.CheckConstraint(condition=models.Q(('starts_on', None), ('ends_before', None), ('ends_before__gte', models.F('starts_on')), _connector='OR'), name='grant_ends_after_it_starts'),
        ),
        migrations.AddConstraint(
            model_name='price',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('agreed_for', None)), expressions=[(models.Func('product', 'product', models.Value('[]'), function='int8range'), '&&'), (models.Func('price_class', 'price_class', models.Value('[]'), function='int8range'), '&&'), (models.Func('currency', 'currency', models.Value('[]'), function='kontor_textrange'), '&&'), (models.Func('starts_on', 'ends_before', function='daterange'), '&&')], name='price_once_per_cell_and_day', violation_error_message='Another price stands in this cell of the price list on these days.'),
        ),
        migrations.AddField(
            model_name='amendment',
            name='author',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author'),
        ),
        migrations.AddField(
            model_name='amendment',
            name='subscription',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='amendments', to='billing.subscription', verbose_name='contract'),
        ),
        migrations.AddField(
            model_name='item',
            name='amendment',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='items', to='billing.amendment', verbose_name='opened by the amendment'),
        ),
        migrations.AddConstraint(
            model_name='item',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('anchor_day', None), ('anchor_on', None)), models.Q(('anchor_day__gte', 1), ('anchor_day__isnull', False), ('anchor_day__lte', 31), ('anchor_on__isnull', False)), _connector='OR'), name='item_anchor_is_whole'),
        ),
        migrations.AddField(
            model_name='pause',
            name='amendment',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='pause', to='billing.amendment', verbose_name='amendment of a contract'),
        ),
        migrations.AddField(
            model_name='pause',
            name='subscription',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pauses', to='billing.subscription', verbose_name='contract'),
        ),
        migrations.AddConstraint(
            model_name='amendment',
            constraint=models.UniqueConstraint(fields=('subscription', 'sequence'), name='amendment_number_once'),
        ),
        migrations.AddConstraint(
            model_name='pause',
            constraint=models.CheckConstraint(condition=models.Q(('ends_before', None), ('ends_before__gte', models.F('starts_on')), _connector='OR'), name='pause_ends_after_it_starts', violation_error_message='The pause ends before it starts.'),
        ),
    ]
