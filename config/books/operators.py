"""Issuers that an account operates invoice those below that account, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from billing import operators
from billing.models import Subscription
from config.books.breach import Breach
from invoicing import coverage


def operators_hold() -> Iterator[Breach]:
    """Of contracts that were not over when the last run came; all of them where none has."""
    for one in operators.violations(Subscription.objects.all(), on=coverage.last_run_through()):
        yield Breach("operated", gettext("contract %(contract)s") % {"contract": one.contract.reference}, one.reason)
