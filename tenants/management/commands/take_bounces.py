"""Note mail that came back: `take_bounces < report.eml`, `take_bounces MAILDIR/new/*`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext

from tenants import bounces
from tenants.terminal import language_of_environment

LARGEST = 10_000_000  # bytes: a report carries the mail it is about


class Command(BaseCommand):
    help = (
        "Read reports of mail servers (RFC 3464), from files or the standard input, and note which messages came back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "files", nargs="*", type=Path, metavar="FILE", help="mails; without any: the standard input"
        )

    def handle(self, *, files: list[Path], **options: Any) -> None:
        with translation.override(language_of_environment()):
            count = bounces.take(self.mails(files), now=timezone.now())
            self.stdout.write(
                ngettext("%(count)d message came back.", "%(count)d messages came back.", count) % {"count": count}
            )

    def mails(self, files: list[Path]) -> Iterator[bytes]:
        if not files:
            yield sys.stdin.buffer.read(LARGEST)
        for path in files:
            try:
                with path.open("rb") as file:
                    yield file.read(LARGEST)
            except OSError as error:
                raise CommandError(
                    gettext("%(path)s cannot be read: %(reason)s.") % {"path": path, "reason": error.strerror}
                ) from error
