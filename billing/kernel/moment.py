"""A moment in time -> the day that it is at an account."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def read_moment(text: str) -> datetime:
    """Read "2024-02-29 15:00", with an offset (+09:00) or the name of a zone behind it, or without: then it is naive.

    Raises ``ValueError`` for anything else, and for an hour that the zone's clocks skip.
    """
    words = text.split()
    if len(words) == 3:
        moment, zone = datetime.fromisoformat(" ".join(words[:2])), ZoneInfo(words[2])
        if moment.tzinfo is not None:
            raise ValueError(f"{text!r} names two time zones")
        aware = moment.replace(tzinfo=zone)
        if aware.astimezone(ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None) != moment:
            raise ValueError(f"no clock in {words[2]} shows {words[0]} {words[1]}")
        return aware
    return datetime.fromisoformat(text)


def day_at(moment: datetime, zone: str) -> date:
    """The day that the moment falls on in ``zone``; a naive moment is local there."""
    return moment.date() if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone)).date()
