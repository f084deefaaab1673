"""End the embedded servers; their data stay."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from config import env, servers


class Command(BaseCommand):
    help = "Stop the embedded database and broker. Their data stay; the next command starts them again."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        home = env.home()
        if servers.stop(home):
            self.stdout.write(_("Stopped. The data stay in %(folder)s.") % {"folder": home})
        else:
            self.stdout.write(_("Nothing was running in %(folder)s.") % {"folder": home})
