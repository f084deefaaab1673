"""How long a contract runs: the end of the term in force, its renewal, and until when notice can be given."""

from dataclasses import dataclass
from datetime import date, timedelta

from billing.kernel.period import months_after


@dataclass(frozen=True, slots=True)
class Term:
    """``renews_on``: first day of the next term; ``notice_by``: the last day on which notice still ends this one."""

    renews_on: date
    notice_by: date


def term_on(
    day: date,
    starts_on: date,
    term_months: int | None,
    renewal_months: int | None,
    notice_days: int | None,
    extended_days: int = 0,
) -> Term | None:
    """The term in force on ``day``; ``None`` for a contract without a term, or past its only one.

    ``starts_on``: first day of the first term, which for a contract taken over from another account lies before its
    own first day. Renewals count from the end of the first term, never from one another, so that a 31st stays a 31st;
    ``extended_days`` (by pauses) make each end later. Notice of n days leaves n whole days: 90 days to 31 December are
    given on 2 October at the latest.
    """
    if not term_months:
        return None
    longer = timedelta(days=extended_days)
    day -= longer
    n = 0
    renews_on = months_after(starts_on, term_months)
    if renews_on <= day:
        if not renewal_months:
            return None
        months = (day.year - renews_on.year) * 12 + day.month - renews_on.month
        n = max(0, months // renewal_months - 1)
        while (renews_on := months_after(starts_on, term_months + n * renewal_months)) <= day:
            n += 1
    renews_on += longer
    return Term(renews_on, renews_on - timedelta(days=1 + (notice_days or 0)))
