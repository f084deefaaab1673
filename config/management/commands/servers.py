"""The embedded servers in the foreground, for a service manager or a look at what they say."""

from typing import Any

from django.core.management.base import BaseCommand

from config import env, servers


class Command(BaseCommand):
    help = "Run the embedded database and broker until stopped. Other commands start them by themselves, detached."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        home = env.home()
        seen = servers.status(home)
        if seen.pid:
            self.stdout.write(f"{home}: {', '.join(sorted(seen.ready))} (process {seen.pid})")
            return
        servers.supervise(home)
