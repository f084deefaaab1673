"""No day of a position is forgotten: what is due, and what the last run should have charged, is charged."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from billing.kernel.coverage import Reason
from config.books.breach import Breach
from invoicing import coverage


def days_are_answered() -> Iterator[Breach]:
    """Each gap that no run still to come, no parked payer and no change since explains."""
    through = coverage.last_run_through()
    if through is None:
        return
    for one in coverage.read(through=through):
        if one.stretch.reason is Reason.GAP:
            yield Breach(
                "coverage",
                gettext("contract %(contract)s") % {"contract": one.position.reference},
                gettext("%(product)s is not charged from %(first)s to %(last)s, and nothing says why.")
                % {
                    "product": one.position.product,
                    "first": one.stretch.period.start,
                    "last": one.stretch.period.last_day,
                },
            )


def usage_is_answered() -> Iterator[Breach]:
    """Usage of a period that a run has come to is charged, or something says why not."""
    through = coverage.last_run_through()
    if through is None:
        return
    for one in coverage.read_usage(through=through):
        position, stretch = one.covered.position, one.covered.stretch
        if stretch.reason is Reason.GAP:
            yield Breach(
                "coverage of usage",
                gettext("contract %(contract)s") % {"contract": position.reference},
                gettext(
                    "%(events)s events of %(product)s from %(first)s to %(last)s are not charged, and nothing says why."
                )
                % {
                    "events": one.events,
                    "product": position.product,
                    "first": stretch.period.start,
                    "last": stretch.period.last_day,
                },
            )
