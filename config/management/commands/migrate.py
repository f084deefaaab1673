"""Django's migrate, by the owner of the tables, who then lets the application's role at them and makes our groups."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections

from config.rights import ensure_roles
from config.roles import grant_to_application


class Command(migrate.Command):
    help = "Bring the tables up to date as their owner, and grant the application's role what it needs."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner" if "owner" in connections else DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if not (options["plan"] or options["check_unapplied"]):
            application = connections[DEFAULT_DB_ALIAS].settings_dict["USER"]
            grant_to_application(connections[options["database"]], application)
            if not options["app_label"]:
                ensure_roles(options["database"])
