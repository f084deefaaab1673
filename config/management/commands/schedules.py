"""Write the beat's timetable into the database, where staff may change it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from config import schedules


class Command(BaseCommand):
    help = "Add the rows of the timetable that are missing; what staff changed stays."

    def handle(self, *args: Any, **options: Any) -> None:
        new = schedules.write()
        for name in new:
            self.stdout.write(_("New in the timetable: %(name)s") % {"name": name})
        if not new:
            self.stdout.write(_("The timetable is complete."))
