"""Why a contract changes on its day, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from billing.kernel.legal_day import Rule, Step

SENTENCES: Final[dict[Rule, Any]] = {
    Rule.WANTED: gettext_lazy("as wanted"),
    Rule.STARTS: gettext_lazy("the position starts on %(day)s"),
    Rule.NOTICE: gettext_lazy("announced in time for %(day)s"),
    Rule.TERM: gettext_lazy("its term fixes the price until %(before)s"),
    Rule.CHARGED: gettext_lazy("charged until %(before)s already"),
    Rule.PERIOD: gettext_lazy("the next billing period begins on %(day)s"),
}


def why(steps: Sequence[Step]) -> str:
    """The rules that made the day later than wanted; those that a later one overtook are left out, but for the one
    before a billing period, which is its reason."""
    if len(steps) <= 1:
        return str(SENTENCES[Rule.WANTED])
    told = steps[1:][-2:] if steps[-1].rule is Rule.PERIOD else steps[-1:]
    return "; ".join(
        str(SENTENCES[step.rule])
        % {
            "day": date_format(step.day, "SHORT_DATE_FORMAT"),
            "before": date_format(step.day - timedelta(days=1), "SHORT_DATE_FORMAT"),
        }
        for step in told
    )
