"""Who may do what, and what runs by itself: changes of both are kept in the activity record."""

from importlib import import_module

from django.db import migrations

guards = import_module("tenants.migrations.0002_guards")


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0002_guards"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        guards.recorded("auth_user", "password", "last_login"),
        guards.recorded("auth_group"),
        guards.recorded("auth_user_groups"),
        guards.recorded("auth_user_user_permissions"),
        guards.recorded("auth_group_permissions"),
        guards.recorded("django_celery_beat_crontabschedule"),
        guards.recorded("django_celery_beat_periodictask", "last_run_at", "total_run_count", "date_changed"),
    ]
