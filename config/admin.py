"""The timetable in the admin: django-celery-beat's records with our look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import PeriodicTaskAdmin as BeatPeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from config.cockpit import clock
from config.schedules import shown_name
from tenants.admin.base import Screen

for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(model)


class TaskSelect(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The registered tasks, in our look."""


class TaskForm(PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelect()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(Screen, BeatPeriodicTaskAdmin):
    form = TaskForm
    change_form_template = None  # beat's own has a script in the page, which our headers forbid
    list_display = ["shown_name", "when", "enabled", "last_run_at"]
    list_filter = [("enabled", BooleanRadioFilter)]
    list_select_related = ["interval", "crontab", "solar", "clocked"]
    search_fields = ["name__icontains", "task__startswith"]
    date_hierarchy = None
    actions = ["enable_tasks", "disable_tasks", "run_tasks"]
    fieldsets = [
        (None, {"fields": ["name", ("regtask", "task"), "enabled", "description"]}),
        (_("Schedule"), {"fields": [("crontab", "interval"), ("start_time", "one_off"), "last_run_at"]}),
        (_("Arguments"), {"fields": ["kwargs", "args"], "classes": ["collapse"]}),
    ]
    readonly_fields = ["last_run_at"]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Tasks are run and switched off by who may change them; beat's own actions ask for no right."""
        return super().get_actions(request) if self.has_change_permission(request) else {}

    @display(description=_("name"), ordering="name")
    def shown_name(self, task: PeriodicTask) -> str:
        return shown_name(task)

    @display(description=_("when"))
    def when(self, task: PeriodicTask) -> str:
        return clock(task)


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(Screen):
    list_display = ["human_readable", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"]
    fields = [("minute", "hour"), ("day_of_month", "month_of_year", "day_of_week"), "timezone"]


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(Screen):
    list_display = ["__str__", "every", "period"]


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(Screen):
    list_display = ["clocked_time"]
    fields = ["clocked_time"]


@admin.register(SolarSchedule)
class SolarScheduleAdmin(Screen):
    list_display = ["__str__", "event", "latitude", "longitude"]
