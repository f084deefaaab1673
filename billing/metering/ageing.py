"""Let go of events that nobody has to keep any longer: whole months, after ten years at the earliest."""

from __future__ import annotations

from datetime import date

from django.db import DatabaseError, connection
from django.utils.formats import date_format
from django.utils.translation import gettext

from billing.models import UsageEvent
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.transactions import acting, record


class KeptForTenYears(OperatorError):
    """Documents rest on these events, and must be explained for ten years."""


def age_out(kept_from: date, *, actor: str) -> int:
    """Drop the months that lie wholly before ``kept_from``; returns how many were. Keys and totals by day stay.

    The database itself refuses what is younger than ten years (§ 147 AO); raises ``KeptForTenYears``.
    """
    try:
        with acting(actor=actor, channel="command"), connection.cursor() as cursor:
            cursor.execute("select kontor_usage_age_out(%s)", [kept_from])
            dropped = int(cursor.fetchone()[0])
            if dropped:
                facts = {"kept_from": kept_from.isoformat(), "months": dropped}
                record(table_of(UsageEvent), 0, "aged out", facts)
            return dropped
    except DatabaseError as error:
        if getattr(error.__cause__, "pgcode", None) != "KO001":
            raise
        text = gettext("Usage is kept for ten years, so events cannot be let go from before %(day)s.")
        raise KeptForTenYears(text % {"day": date_format(kept_from, "SHORT_DATE_FORMAT")}) from error
