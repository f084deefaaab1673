"""Compare the numbers of the account tree with its parents: `check_trees`, `check_trees --repair`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext, ngettext

from tenants import tree
from tenants.errors import OperatorError
from tenants.terminal import language_of_environment
from tenants.transactions import acting


class Command(BaseCommand):
    help = "Name every account whose place in the tree is numbered wrongly; exit code 1 if there is one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="number the trees anew from the parents first")

    def handle(self, *, repair: bool, **options: Any) -> None:
        with translation.override(language_of_environment()):
            if repair:
                try:
                    with acting(actor="check_trees", channel="command"):
                        tree.repair()
                except OperatorError as refusal:
                    raise CommandError(str(refusal)) from refusal
                self.stdout.write(gettext("The trees were numbered anew."))
            found = 0
            for found, fault in enumerate(tree.faults(), 1):
                self.stdout.write(f"{fault.account}: {fault.reason}")
            if found:
                raise CommandError(
                    ngettext("%(count)d fault found.", "%(count)d faults found.", found) % {"count": found}
                )
            self.stdout.write(gettext("The trees are sound."))
