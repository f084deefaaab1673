"""An e-invoice is released, and so issued, only when the rules passed what stands in the draft."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

FUNCTION = """
create function kontor_released_is_judged() returns trigger language plpgsql as $$
begin
    if not exists (select from invoicing_verdict where content_hash = new.content_hash and passed) then
        raise exception 'document %: no verdict says that its e-invoice keeps the rules', new.id
            using errcode = 'KO005', hint = 'What a draft says is judged by a worker before it is released.';
    end if;
    return new;
end $$;
create trigger released_is_judged before insert or update of state on invoicing_invoice
    for each row when (new.state in ('released', 'issued') and jsonb_exists(new.parties, 'format'))
    execute function kontor_released_is_judged();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0017_files_are_sealed'),
    ]

    operations = [
        migrations.AlterField(
            model_name='documentfile',
            name='kind',
            field=models.CharField(choices=[('pdf', 'PDF'), ('xml', 'XML')], max_length=10, verbose_name='kind'),
        ),
        migrations.CreateModel(
            name='Verdict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content_hash', models.CharField(max_length=64, verbose_name='hash of the content')),
                ('rules', models.CharField(max_length=60, verbose_name='version of the rules')),
                ('passed', models.BooleanField(verbose_name='passed')),
                ('findings', models.JSONField(blank=True, default=list, verbose_name='findings')),
                ('reached_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='reached at')),
            ],
            options={
                'verbose_name': 'verdict',
                'verbose_name_plural': 'verdicts',
                'constraints': [models.UniqueConstraint(fields=('content_hash', 'rules'), name='verdict_once_per_content_and_rules'), models.CheckConstraint(condition=models.Q(models.Q(('findings', []), ('passed', True)), models.Q(('passed', False), models.Q(('findings', []), _negated=True)), _connector='OR'), name='verdict_says_what_is_wrong')],
            },
        ),
        migrations.AddField(
            model_name='documentfile',
            name='verdict',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='invoicing.verdict', verbose_name='verdict'),
        ),
        *guards.append_only("invoicing_verdict"),
        migrations.RunSQL(
            FUNCTION,
            "drop trigger released_is_judged on invoicing_invoice; drop function kontor_released_is_judged()",
        ),
    ]
