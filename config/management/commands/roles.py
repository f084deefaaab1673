"""Set the groups that come with the product back to the permissions they came with."""

from typing import Any

from django.core.management.base import BaseCommand

from config.rights import ensure_roles


class Command(BaseCommand):
    help = "Give the groups operator, approver, auditor and support the permissions they come with."

    def handle(self, **options: Any) -> None:
        self.stdout.write(", ".join(ensure_roles("default", reset=True)))
