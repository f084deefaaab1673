import getpass
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation
from django.utils.translation import ngettext

from billing import metering
from tenants.errors import OperatorError
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Let go of usage events older than ten years, month by month. What they came to by day stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kept_from", type=date.fromisoformat, help="first day of which events stay, 2026-01-31")

    def handle(self, *args: Any, kept_from: date, **options: Any) -> None:
        with translation.override(language_of_environment()):
            try:
                count = metering.age_out(kept_from, actor=getpass.getuser())
            except OperatorError as refusal:
                raise CommandError(str(refusal)) from None
            self.stdout.write(
                ngettext("%(count)d month was let go.", "%(count)d months were let go.", count) % {"count": count}
            )
