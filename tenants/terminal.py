"""What the commands of all apps share: their language, naming the issuer, showing progress."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tenants.errors import OperatorError
from tenants.models import Issuer

WIDTH = 30


class WhichIssuer(OperatorError):
    """The issuer is not named, or there is none of that name."""


def add_issuer_argument(parser: ArgumentParser) -> None:
    parser.add_argument("--issuer", metavar="REF", help="reference of the issuer; may be left out if there is one only")


def issuer_from(reference: str | None) -> Issuer:
    """The issuer of that reference, or the only one. Raises ``WhichIssuer`` naming those there are."""
    known = {issuer.reference: issuer for issuer in Issuer.objects.order_by("reference")}
    if reference is None and len(known) == 1:
        return next(iter(known.values()))
    if reference in known:
        return known[reference]
    if not known:
        raise WhichIssuer(_("There is no issuer yet: import one first (import_issuer FILE)."))
    raise WhichIssuer(_("Name the issuer with --issuer: one of %(issuers)s.") % {"issuers": ", ".join(known)})


@contextmanager
def progress_bar(stream: Any, total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; the function given takes how many more are done."""
    shown = total > 0 and stream.isatty()
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done = min(total, done + more)
        if shown:
            filled = WIDTH * done // total
            stream.write(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total} {what}", ending="")
            stream.flush()

    advance(0)
    try:
        yield advance
    finally:
        if shown:
            stream.write("")


def language_of_environment() -> str:
    """German or English, as LANG says; the installation's language if it says neither."""
    code = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return code[:2] if code[:2] in dict(settings.LANGUAGES) else str(settings.LANGUAGE_CODE)
