"""One business day, station by station; and what waits, whatever became of the worker that was to do it.

Nothing here remembers that a day was done: each station asks what is due through the day, so that a missed day is made
up for by the next, and a second time finds nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery import current_app
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing import campaigns, contracts, metering
from billing.kernel.period import months_after
from billing.models import Subscription
from config import restructuring, schedules
from invoicing import (
    bill_run,
    delivery,
    judging,
    pdf,
    price_notice,
    section_copies,
    statements,
    vat_waiting,
    webhook_events,
)
from invoicing.models import BillRun
from payments import (
    card_collection,
    card_refunds,
    card_selection,
    collection,
    dunning,
    matching,
    pay_page,
    provider_events,
    reconciliation,
    refunds,
)
from payments.models import BankAccount, DunningRun, EventHandling, PaymentRun
from tenants import mandates, messages, vat_inquiries, webhooks
from tenants.errors import OperatorError
from tenants.models import Activity, Issuer, Message, VatInquiry, WebhookMessage
from tenants.transactions import acting

logger = logging.getLogger(__name__)

RENDERED_AT_ONCE = 20
STALE = 55  # seconds after which a wake-up is dropped: the next minute sends another
GRACE = timedelta(minutes=15)  # that a night has to begin, and between two attempts to make up for it

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

    Finishes first what an earlier run left pending, if it can be. Raises ``RunInProgress`` if a run of another kind is
    open that day.
    """
    for left in BillRun.objects.filter(issuer=issuer, state=BillRun.State.RUNNING).exclude(issue_on=on):
        try:
            _bill(left, bar)
        except Exception:  # it stays open, and is tried again by the sweep
            logger.exception("A run of an earlier day could not be finished", extra={"run": left.pk})
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


def restructure(issuer: Issuer, *, on: date) -> restructuring.CarriedOut:
    """Move, merge, split and close the accounts for which it was planned; what cannot be is named in the log.

    Accounts belong to no issuer: the first whose day it is makes the changes, the others find nothing.
    """
    made = restructuring.carry_out_due(on=on)
    for reason in made.refused:
        logger.error("A planned change of the account tree waits", extra={"issuer": issuer.pk, "reason": reason})
    return made


def confirm(issuer: Issuer, *, on: date) -> int:
    """Have VIES asked about the VAT ids of the issuer's customers whose confirmation is older than it allows."""
    customers = Subscription.objects.filter(issuer=issuer).order_by()
    named = customers.values_list("tenant", "tenant__invoice_to", "invoice_to").distinct()
    return vat_inquiries.ask_again(issuer, {key for row in named for key in row if key is not None}, on=on)


def place_usage(issuer: Issuer, *, on: date) -> int:
    """Assign events whose account and meter are known by now, and have the months ready that come next.

    Events of all issuers: the first whose day it is assigns them, the others find nothing.
    """
    metering.make_months(months_after(on.replace(day=1), ahead) for ahead in range(3))
    return metering.assign()


def settle(issuer: Issuer, *, on: date) -> list[matching.Result]:
    """Match the bank lines that wait, and book those that are certain, so that nobody is reminded of what is paid."""
    with acting(actor="", channel="schedule"):
        return [matching.match(account) for account in BankAccount.objects.filter(issuer=issuer, is_active=True)]


def take(issuer: Issuer, *, on: date) -> int:
    """Have what is due through ``on`` taken from payers by their saved methods; workers make the attempts."""
    with acting(actor="", channel="schedule"):
        return card_selection.select(issuer, on=on)


def collect(issuer: Issuer, *, on: date) -> PaymentRun | None:
    """Propose the direct debits and transfers of ``on``; release the debits if the issuer lets that happen by itself.

    What goes to the bank is taken there by a person. ``None`` where the issuer collects nothing by direct debit.
    """
    creditor = mandates.creditor_of(issuer)
    with acting(actor="", channel="schedule"):
        refunds.propose(issuer, on=on)
    if creditor is None:
        return None
    run = collection.propose(issuer, on=on)
    is_small = creditor.run_limit is None or collection.total_of(run) <= creditor.run_limit
    if creditor.releases_by_itself and is_small and run.state == PaymentRun.State.PROPOSED and collection.total_of(run):
        morning = datetime.combine(on, datetime.min.time(), ZoneInfo(issuer.time_zone))
        with acting(actor="", channel="schedule"):
            collection.take_out(run.pk, now=morning)
            if collection.total_of(run):
                run = collection.release(run.pk, now=morning)
    return run


def remind(issuer: Issuer, *, on: date) -> DunningRun:
    """Write the reminders that are due on ``on``."""
    return dunning.remind(issuer, on=on)


def send_out(*, clock: Callable[[], datetime], bar: Bar = unseen) -> Sent:
    """Judge e-invoices, make the PDFs that are missing, decide about their delivery, write letters, send what waits."""
    rendered = 0
    with bar(judging.waiting().count(), _("e-invoices")) as advance:
        while done := judging.judge_pending():
            advance(done.judged)
    with bar(pdf.waiting().count(), _("PDFs")) as advance:
        while made := pdf.render_pending(RENDERED_AT_ONCE):
            rendered += made
            advance(made)
    delivered = delivery.deliver_pending()
    with bar(dunning.waiting().count(), _("letters")) as advance:
        letters = dunning.write_letters(limit=10**9, on_each=lambda: advance(1))
    price_notice.write_notices(limit=10**9)
    statements.collect_pending()
    statements.print_pending()
    section_copies.print_pending()
    while card_collection.charge_pending(clock=clock):
        pass
    while card_refunds.pay_pending(clock=clock):
        pass
    while provider_events.work_off(clock=clock):
        pass
    sent = 0
    messages.expire(now=clock())
    with bar(Message.objects.claimable(clock()).count(), _("mails")) as advance:
        while some := messages.send_pending(now=clock()):
            sent += some
            advance(some)
    webhooks.expire(now=clock())
    webhook_events.queue_pending(now=clock())
    while webhooks.send_pending(clock=clock):
        pass
    return Sent(rendered, delivered, letters, sent)


def start_night(*, now: datetime) -> None:
    """Send each issuer's day to the workers; the day is the issuer's, fixed here and passed on."""
    for issuer in Issuer.objects.all():
        with _by_itself("An issuer's night could not be started", issuer=issuer.pk):
            _send("config.day", issuer_id=issuer.pk, on=today_of(issuer, now).isoformat())


def run_day(issuer: Issuer, *, on: date) -> None:
    """Restructure, renew, ask about VAT ids, assign usage, bill, settle, collect, remind; workers are woken after.

    One part's trouble does not stop the others. What did not work is found by ``missed`` and tried again.
    """
    for part in (restructure, renew, confirm, place_usage, bill, settle, take, collect, remind):
        with _by_itself("A part of the night failed", issuer=issuer.pk, part=part.__name__):
            part(issuer, on=on)


def missed(*, now: datetime) -> list[tuple[Issuer, date]]:
    """Issuers whose night passed a while ago without a finished bill run or without a dunning run, and its day.

    An issuer that came after that time has its first night yet to come: nothing is billed while it is being set up.
    A run that is at work is not disturbed.
    """
    night = schedules.last_time("config.nightly", now=now)
    if night is None or not GRACE <= now - night <= timedelta(days=1):
        return []
    found = []
    for issuer in Issuer.objects.all():
        with _by_itself("An issuer's night could not be looked for", issuer=issuer.pk):
            on = today_of(issuer, night)
            if _is_missed(issuer, on) and _was_there(issuer, night):
                found.append((issuer, on))
    return found


def collectable() -> bool:
    """Whether a collective statement or a copy of a section is to be written or printed."""
    return bool(statements.unprinted().exists() or section_copies.unprinted().exists() or statements.waiting())


def sweep(*, now: datetime) -> list[str]:
    """Wake a worker for everything that waits; returns the names of the tasks. Finds what nobody was woken for.

    What is soon done comes first; a run gets a worker only if none is at it. One tray's trouble does not stop the
    others.
    """
    with _by_itself("Messages of dead workers could not be found"):
        messages.expire(now=now)
        webhooks.expire(now=now)
        card_collection.expire(now=now)
        card_refunds.expire(now=now)
        provider_events.expire(now=now)
    trays: dict[str, Callable[[], Any]] = {
        "invoicing.judge_pending": judging.waiting,
        "invoicing.render_pending": pdf.waiting,
        "invoicing.deliver": delivery.with_address,
        "invoicing.collect": collectable,
        "payments.write_letters": dunning.waiting,
        "payments.work_off_events": lambda: EventHandling.objects.claimable(now),
        "payments.charge": lambda: _has_charges(now),
        "payments.pay_back": lambda: (
            card_refunds.waiting().claimable(now).exists() or card_refunds.lost(now=now).exists()
        ),
        "invoicing.write_price_notices": price_notice.waiting,
        "tenants.ask_vies": lambda: VatInquiry.objects.claimable(now),
        "invoicing.settle_vat_checks": vat_waiting.answered,
        "tenants.send_pending": lambda: Message.objects.claimable(now),
        "invoicing.tell": lambda: webhook_events.waiting(now=now),
        "tenants.send_webhooks": lambda: WebhookMessage.objects.claimable(now).filter(endpoint__is_active=True),
    }
    woken = []
    for task, tray in trays.items():
        with _by_itself("A tray could not be swept", task=task):
            waits = tray()
            if waits.exists() if isinstance(waits, QuerySet) else waits:
                _send(task, expires=STALE)
                woken.append(task)
    for run in BillRun.objects.filter(state=BillRun.State.RUNNING).order_by("pk"):
        with _by_itself("A run could not be swept", run=run.pk):
            if not bill_run.is_worked_on(run):
                _send("invoicing.bill", run_id=run.pk, expires=STALE)
                woken.append("invoicing.bill")
    for campaign in campaigns.unfinished().order_by("pk"):
        with _by_itself("A campaign could not be swept", campaign=campaign.pk):
            _send("billing.apply_campaign", campaign_id=campaign.pk, expires=STALE)
            woken.append("billing.apply_campaign")
    if _is_time_to_look(now):
        for account, day in reconciliation.missing(now=now):
            with _by_itself("A day could not be compared with the provider", account=account.pk):
                _send("payments.reconcile", account_id=account.pk, day=day.isoformat(), expires=GRACE.seconds)
                woken.append("payments.reconcile")
        for issuer, on in missed(now=now):
            with _by_itself("A missed night could not be made up for", issuer=issuer.pk):
                _send("config.day", issuer_id=issuer.pk, on=on.isoformat(), expires=GRACE.seconds)
                woken.append("config.day")
    return woken


def _has_charges(now: datetime) -> bool:
    """Whether attempts at a provider wait to be made or to be asked about, or pages to be closed."""
    trays = (card_collection.waiting().claimable(now), card_collection.lost(now=now), pay_page.overdue(now=now))
    return any(tray.exists() for tray in trays)


def _is_time_to_look(now: datetime) -> bool:
    """One minute in fifteen: the sweep keeps no memory, and a night is not to be tried again each minute."""
    return int(now.timestamp()) // 60 % (GRACE.seconds // 60) == 0


def _is_missed(issuer: Issuer, on: date) -> bool:
    states = set(BillRun.objects.filter(issuer=issuer, payer=None, issue_on=on).values_list("state", flat=True))
    if BillRun.State.RUNNING in states:
        return False
    return not states or not DunningRun.objects.filter(issuer=issuer, on=on).exists()


def _was_there(issuer: Issuer, night: datetime) -> bool:
    entered = Activity.objects.filter(table=Issuer._meta.db_table, row=issuer.pk).order_by("pk").first()
    return entered is None or entered.at <= night


@contextmanager
def _by_itself(message: str, **facts: Any) -> Iterator[None]:
    """What goes wrong with one issuer, part or tray is put into the log, and goes no further."""
    try:
        yield
    except OperatorError as refusal:
        logger.error(message, extra=facts | {"reason": str(refusal)})
    except Exception:
        logger.exception(message, extra=facts)


def _send(task: str, *, expires: int | None = None, **arguments: Any) -> None:
    current_app.send_task(task, kwargs=arguments, expires=expires)


def _bill(run: BillRun, bar: Bar) -> None:
    with bar(bill_run.progress(run).pending, _("payers")) as advance:
        bill_run.bill(run, on_step=advance)
