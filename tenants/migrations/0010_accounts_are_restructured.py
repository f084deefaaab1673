"""Accounts are moved, merged, split and closed on a day; what was done stays as it is."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

guards = import_module("tenants.migrations.0002_guards")

SETTLED = """
create function kontor_settled_stays() returns trigger language plpgsql as $$
begin
    if old.state <> 'planned' or tg_op = 'DELETE' then
        raise exception '% % is settled or on record: % refused', tg_table_name, old.id, lower(tg_op)
            using errcode = 'KO001', hint = 'What was done or withdrawn stays as it is.';
    end if;
    return new;
end $$;
create trigger tree_change_settled before update or delete on tenants_treechange
    for each row execute function kontor_settled_stays();
"""
UNSETTLED = "drop trigger tree_change_settled on tenants_treechange; drop function kontor_settled_stays()"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_corrections_are_approved")]

    operations = [
        migrations.AlterModelOptions(
            name="tenant",
            options={
                "permissions": [
                    ("import_tenant", "Can import accounts"),
                    ("export_tenant", "Can export accounts"),
                    ("restructure_tenant", "Can move, merge, split and close accounts"),
                ],
                "verbose_name": "account",
                "verbose_name_plural": "accounts",
            },
        ),
        migrations.CreateModel(
            name="TreeChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("move", "moved"), ("merge", "merged into another"), ("split", "split"), ("close", "closed")], max_length=10, verbose_name="kind")),
                ("effective_on", models.DateField(verbose_name="from")),
                ("options", models.JSONField(default=dict, verbose_name="choices")),
                ("outcome", models.JSONField(default=dict, verbose_name="what it did")),
                ("state", models.CharField(choices=[("planned", "planned"), ("done", "done"), ("withdrawn", "withdrawn")], default="planned", max_length=10, verbose_name="state")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("refusal", models.TextField(blank=True, verbose_name="why it could not be made")),
                ("decided_by", models.CharField(blank=True, max_length=150, verbose_name="who")),
                ("planned_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="planned at")),
                ("done_at", models.DateTimeField(blank=True, null=True, verbose_name="done at")),
                ("target", models.ForeignKey(blank=True, help_text="The new parent, the account that takes over, or the one that was split off.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name="tree_changes_here", to="tenants.tenant", verbose_name="other account")),
                ("tenant", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="tree_changes", to="tenants.tenant", verbose_name="account")),
            ],
            options={
                "verbose_name": "change of the account tree",
                "verbose_name_plural": "changes of the account tree",
                "ordering": ["-id"],
                "indexes": [models.Index(condition=models.Q(("state", "planned")), fields=["effective_on"], name="tree_change_in_tray")],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("state", "planned")), fields=("tenant", "kind"), name="tree_change_planned_once", violation_error_message="The same change of this account is planned already; withdraw it first."),
                    models.CheckConstraint(condition=models.Q(("target", None), models.Q(("target", models.F("tenant")), _negated=True), _connector="OR"), name="tree_change_target_is_another_account", violation_error_message="An account cannot be moved to or merged into itself."),
                    models.CheckConstraint(condition=models.Q(models.Q(("kind", "merge"), _negated=True), ("target__isnull", False), _connector="OR"), name="tree_change_merges_into_an_account", violation_error_message="The account that takes over is missing."),
                    models.CheckConstraint(condition=models.Q(models.Q(("done_at__isnull", False), ("state", "done")), models.Q(models.Q(("state", "done"), _negated=True), ("done_at", None)), _connector="OR"), name="tree_change_has_its_time_when_done"),
                ],
            },
        ),
        migrations.RunSQL(SETTLED, UNSETTLED),
        guards.recorded("tenants_treechange"),
    ]
