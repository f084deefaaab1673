"""Tell trouble of the machine from trouble of the code: the first ends in a sentence, the second in a traceback."""

import errno
from collections.abc import Iterator

import kombu.exceptions
import psycopg2


def outage(error: BaseException) -> str | None:
    """What a person can do about ``error``; None if it is a bug."""
    for cause in _chain(error):
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or isinstance(cause, psycopg2.errors.DiskFull):
            return "The disk is full: free some space and run the command again. What was reported as done is stored."
        if isinstance(cause, psycopg2.OperationalError) and cause.pgcode is None:  # there was no session to speak in
            reason = " ".join(str(cause).split())
            return f"The database does not answer ({reason}): start it, or correct DATABASE_URL, and try again."
        if isinstance(cause, kombu.exceptions.OperationalError):
            return f"The broker does not answer ({cause}): start it, or correct CELERY_BROKER_URL, and try again."
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
