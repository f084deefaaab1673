"""One business day, station by station; and what waits, whatever became of the worker that was to do it.

Nothing here remembers that a day was done: each station asks what is due through the day, so that a missed day is made
up for by the next, and a second time finds nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from celery import current_app
from django.utils.translation import gettext as _

from billing import contracts
from invoicing import bill_run, delivery, pdf
from invoicing.models import BillRun, Invoice
from payments import dunning
from payments.models import DunningRun
from tenants import messages
from tenants.errors import OperatorError
from tenants.models import Issuer, Message
from tenants.transactions import acting

logger = logging.getLogger(__name__)

RENDERED_AT_ONCE = 20
STALE = 55  # seconds after which a wake-up is dropped: the next minute sends another

Bar = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]  # (how many, of what) -> how many more


@dataclass(frozen=True, slots=True)
class Sent:
    """What rendering, delivering and sending did, for all issuers."""

    rendered: int
    delivered: delivery.Decided
    letters: int
    sent: int


@contextmanager
def unseen(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """The progress bar of a task: none."""
    yield lambda more: None


def today_of(issuer: Issuer, now: datetime) -> date:
    """The issuer's day at an instant."""
    return now.astimezone(ZoneInfo(issuer.time_zone)).date()


def bill(issuer: Issuer, *, on: date, bar: Bar = unseen) -> BillRun:
    """Charge and draft what is due through ``on``, dated ``on``; issue it if the issuer's nightly run may.

    Finishes first what an earlier run left pending. Raises ``RunInProgress`` if a run of another kind is open that day.
    """
    for left in BillRun.objects.filter(issuer=issuer, state=BillRun.State.RUNNING).exclude(issue_on=on):
        _bill(left, bar)
    with acting(actor="", channel="schedule"):
        run = bill_run.start(issuer=issuer, through=on, issue_on=on, issues_by_itself=issuer.issues_by_itself)
    _bill(run, bar)
    run.refresh_from_db()
    return run


def renew(issuer: Issuer, *, on: date) -> contracts.Renewed:
    """Renew the contracts of which notice can no longer be given; those that cannot be are named in the log."""
    done = contracts.renew_due(issuer, on=on)
    for reason in done.refused:
        logger.error("A contract could not be renewed", extra={"issuer": issuer.pk, "reason": reason})
    return done


def remind(issuer: Issuer, *, on: date) -> DunningRun:
    """Write the reminders that are due on ``on``."""
    return dunning.remind(issuer, on=on)


def send_out(*, clock: Callable[[], datetime], bar: Bar = unseen) -> Sent:
    """Make the PDFs that are missing, decide about their delivery, write the letters and send every mail that waits."""
    rendered = 0
    with bar(Invoice.objects.issued().unprinted().count(), _("PDFs")) as advance:
        while made := pdf.render_pending(RENDERED_AT_ONCE):
            rendered += made
            advance(made)
    delivered = delivery.deliver_pending()
    with bar(dunning.unwritten().count(), _("letters")) as advance:
        letters = dunning.write_letters(limit=10**9, on_each=lambda: advance(1))
    sent = 0
    messages.expire(now=clock())
    with bar(Message.objects.claimable(clock()).count(), _("mails")) as advance:
        while some := messages.send_pending(now=clock()):
            sent += some
            advance(some)
    return Sent(rendered, delivered, letters, sent)


def start_night(*, now: datetime) -> None:
    """Send each issuer's day to the workers; the day is the issuer's, fixed here and passed on."""
    for issuer in Issuer.objects.all():
        current_app.send_task("config.day", kwargs={"issuer_id": issuer.pk, "on": today_of(issuer, now).isoformat()})


def run_day(issuer: Issuer, *, on: date) -> None:
    """Renew, bill and remind; the workers are woken for what follows. One part's refusal does not stop the other."""
    renew(issuer, on=on)
    try:
        bill(issuer, on=on)
    except OperatorError as refusal:
        logger.error("The nightly bill run was refused", extra={"issuer": issuer.pk, "reason": str(refusal)})
    remind(issuer, on=on)


def sweep(*, now: datetime) -> list[str]:
    """Wake a worker for everything that waits; returns the names of the tasks. Finds what nobody was woken for."""
    messages.expire(now=now)
    woken: list[tuple[str, dict[str, Any]]] = [
        ("invoicing.bill", {"run_id": run})
        for run in BillRun.objects.filter(state=BillRun.State.RUNNING).values_list("pk", flat=True)
    ]
    trays: dict[str, Any] = {
        "invoicing.render_pending": Invoice.objects.issued().unprinted(),
        "invoicing.deliver": delivery.with_address(),
        "payments.write_letters": dunning.unwritten(),
        "tenants.send_pending": Message.objects.claimable(now),
    }
    woken += [(task, {}) for task, tray in trays.items() if tray.exists()]
    for task, arguments in woken:
        current_app.send_task(task, kwargs=arguments, expires=STALE)
    return [task for task, _arguments in woken]


def _bill(run: BillRun, bar: Bar) -> None:
    with bar(bill_run.progress(run).pending, _("payers")) as advance:
        bill_run.bill(run, on_step=advance)
