from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation
from django.utils.translation import ngettext

from billing import metering
from tenants.terminal import language_of_environment


class Command(BaseCommand):
    help = "Assign usage that came before its account or meter was known. The business day does it, too."

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override(language_of_environment()):
            count = metering.assign()
            self.stdout.write(
                ngettext("%(count)d event was assigned.", "%(count)d events were assigned.", count) % {"count": count}
            )
