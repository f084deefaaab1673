"""Every payer of an issuer, in chunks that are all or nothing.

Any number of processes may work on one run. A chunk is one transaction: claim, lock, reckon, write, number, commit.
The claim dies with the process, so that after a kill a payer is untouched, proposed completely, or issued completely.
"""

from __future__ import annotations

import gc
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from billing import charging
from billing.models import Charge
from invoicing import drafting, issuing, posting, taxation, vat_waiting
from invoicing.models import BillRun, Invoice, Outcome
from tenants.cells import FIRST_YEAR, LAST_YEAR
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_free_payers, lock_payers, record, wake

logger = logging.getLogger(__name__)
OUTCOMES, CHARGES = table_of(Outcome), table_of(Charge)
TRIES = 3
AHEAD = timedelta(days=366)


class RunInProgress(OperatorError):
    """Another run of the issuer is being worked on."""


class HeldElsewhere(Exception):
    """Payers of documents that a chunk corrects, beside its own, are worked on by others just now."""

    def __init__(self, payers: set[int]) -> None:
        super().__init__(payers)
        self.payers = payers


class ImplausibleDay(OperatorError):
    """A day that can only be a slip of the pen: what is issued by it could not be taken back."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many payers of a run have come how far, and what it made of them."""

    pending: int
    proposed: int
    issued: int
    nothing_due: int
    skipped: int
    parked: int
    documents: int
    lines: int

    @property
    def total(self) -> int:
        return self.pending + self.done

    @property
    def done(self) -> int:
        return self.proposed + self.issued + self.nothing_due + self.skipped + self.parked


def refuse_slips(*, through: date, issue_on: date, today: date | None = None) -> None:
    """Raises ``ImplausibleDay`` if charges would run more than a year ahead of the documents, or those of ``today``."""
    if not FIRST_YEAR <= issue_on.year <= LAST_YEAR:
        raise ImplausibleDay(
            _("The invoice date %(day)s is not between %(first)d and %(last)d.")
            % {"day": issue_on.isoformat(), "first": FIRST_YEAR, "last": LAST_YEAR}
        )
    if through - issue_on > AHEAD:
        raise ImplausibleDay(
            _("Charged through %(through)s is more than a year after the invoice date %(day)s.")
            % {"through": through.isoformat(), "day": issue_on.isoformat()}
        )
    if today is not None and issue_on - today > AHEAD:
        raise ImplausibleDay(_("The invoice date %(day)s is more than a year ahead.") % {"day": issue_on.isoformat()})


@transaction.atomic
def start(
    *,
    issuer: Issuer,
    through: date,
    issue_on: date,
    issues_by_itself: bool,
    chunk_size: int = 1_000,
    payer: Tenant | None = None,
    by: Any = None,
) -> BillRun:
    """Open a run with one pending outcome per payer, or join the one that is running for the same days.

    With ``payer`` it is a run of that payer alone, beside those of all.
    Raises ``RunInProgress`` if a run for the same invoice date but another day, or another kind of release, is running,
    and ``ImplausibleDay`` (``refuse_slips``).
    """
    refuse_slips(through=through, issue_on=issue_on)
    posting.ensure_chart(issuer)
    taxation.ensure_rules(issuer)
    run, is_new = BillRun.objects.get_or_create(
        issuer=issuer,
        issue_on=issue_on,
        payer=payer,
        state=BillRun.State.RUNNING,
        defaults={
            "through": through,
            "issues_by_itself": issues_by_itself,
            "chunk_size": chunk_size,
            "started_by": by,
        },
    )
    if (run.through, run.issues_by_itself) != (through, issues_by_itself):
        raise RunInProgress(
            _("A run of %(issuer)s with invoice date %(day)s is in progress: charged through %(through)s.")
            % {"issuer": issuer.reference, "day": issue_on.isoformat(), "through": run.through.isoformat()}
        )
    if is_new:
        with translation.override(issuer.language):
            set_aside = str(_("The account is not active."))
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                insert into {OUTCOMES} (run_id, payer_id, state, reason, documents, lines)
                select %s, p.id, case p.status when 'active' then 'pending' else 'skipped' end,
                       case p.status when 'active' then '' else %s end, 0, 0
                  from tenants_tenant p
                 where p.id in ({PAYERS}) and p.id = coalesce(%s, p.id)
                """,
                [run.pk, set_aside, issuer.pk, through, payer and payer.pk],
            )
    return run


PAYERS = """
    select coalesce(s.pay_by_id, t.pay_by_id, t.id)
      from billing_subscription s join tenants_tenant t on t.id = s.tenant_id
     where s.issuer_id = %s and s.starts_on <= %s
"""


def bill(run: BillRun, *, on_step: Callable[[int], None] | None = None) -> None:
    """Bill the payers whose outcome is still pending; one payer's trouble stops no other.

    Returns when no payer is pending any more, also none that another process holds. ``on_step`` hears after each chunk
    how many payers it settled.
    """
    while settled := _tried(step, run) or _tried(wait_for_others, run):
        if on_step is not None:
            on_step(settled)
    finish(run)


def bill_a_while(run: BillRun, *, seconds: float) -> bool:
    """As ``bill``, but ends with the first chunk that is done after ``seconds``. Whether payers are left to be billed
    that no other process is at.
    """
    until = time.monotonic() + seconds
    while _tried(step, run) or _tried(wait_for_others, run):
        if time.monotonic() >= until:
            return run.outcomes.pending().exists() and not is_worked_on(run)
    finish(run)
    return False


@transaction.atomic
def is_worked_on(run: BillRun) -> bool:
    """Whether a process holds the first pending payer, as whoever works on the run does but for a moment between two
    chunks.
    """
    first = run.outcomes.pending().order_by("payer_id").values_list("pk", flat=True).first()
    return first is not None and not run.outcomes.pending().filter(pk=first).claim(1)


@transaction.atomic
def finish(run: BillRun) -> None:
    """Close the run if no payer is pending, asked under its lock: a person may just have made one pending again."""
    running = BillRun.objects.select_for_update(no_key=True).filter(pk=run.pk, state=BillRun.State.RUNNING)
    if running.first() and not run.outcomes.pending().exists():
        running.update(state=BillRun.State.FINISHED, finished_at=Now())


@contextmanager
def collector_resting() -> Iterator[None]:
    """No search for cyclic garbage while a chunk is reckoned: it makes none, and the search would cost a fifth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@collector_resting()
@transaction.atomic
def step(run: BillRun, also: Collection[int] = ()) -> int:
    """One chunk. Returns how many payers it settled; 0 when none is free.

    A payer whom somebody else is working on, say a dunning run or a person, stays pending and holds up no other.
    ``also``: further payers to wait for and hold. Raises ``HeldElsewhere`` naming such payers if it must have them.
    """
    if also:
        lock_payers(sorted(also))
    claimed = list(run.outcomes.pending().claim(run.chunk_size).values_list("payer_id", flat=True))
    payers = lock_free_payers(claimed) if claimed else []
    if payers:
        settle(run, payers)
    return len(payers)


@transaction.atomic
def wait_for_others(run: BillRun, also: Collection[int] = ()) -> int:
    """Wait for the process that holds the first pending payer; if it did not settle it, do so.

    ``also``: as ``step``.
    """
    if also:
        lock_payers(sorted(also))
    payers = list(
        run.outcomes.pending()
        .select_for_update(of=("self",), no_key=True)
        .order_by("payer_id")
        .values_list("payer_id", flat=True)[:1]
    )
    if payers:
        settle(run, payers)
        return 1
    return 1 if run.outcomes.pending().exists() else 0


def _tried(work: Callable[[BillRun, Collection[int]], int], run: BillRun) -> int:
    """Run ``work`` again, three times in all, if the database broke it off for a reason of the moment.

    Payers of documents that it corrects, whom others hold, it begins with the next time: one that waits for them while
    it holds its own could wait for ever.
    """
    attempt = 1
    also: set[int] = set()
    while True:
        try:
            return work(run, also)
        except HeldElsewhere as held:
            also |= held.payers
        except OperationalError as error:
            if attempt == TRIES or not _is_of_the_moment(error):
                raise
            logger.warning("chunk broken off, tried again", extra={"run": run.pk, "attempt": attempt})
            time.sleep(random.uniform(0.05, 0.2) * attempt)
            attempt += 1


def _is_of_the_moment(error: BaseException) -> bool:
    """Deadlock, serialization failure, lock timeout."""
    return getattr(error.__cause__, "pgcode", None) in {"40P01", "40001", "55P03"}


def settle(run: BillRun, payers: Sequence[int]) -> None:
    """Bill ``payers`` all or none; if that fails, each half for itself, down to the one that cannot be billed."""
    try:
        _billed(run, payers)
    except (OperationalError, HeldElsewhere):
        raise
    except Exception as error:
        if len(payers) > 1:
            middle = len(payers) // 2
            settle(run, payers[:middle])
            settle(run, payers[middle:])
        else:
            park(run, payers[0], error)


def _billed(run: BillRun, payers: Sequence[int]) -> None:
    """Bill ``payers`` all or none; again, three times in all, if another payer's worker charged the same days first."""
    for attempt in range(1, TRIES + 1):
        try:
            # a savepoint; a refusal is put into words where it is raised
            with transaction.atomic(), translation.override(run.issuer.language):
                return bill_chunk(run, payers)
        except IntegrityError as error:
            if attempt == TRIES or not _is_charged_meanwhile(error):
                raise
            logger.warning("charged by another payer meanwhile", extra={"run": run.pk, "attempt": attempt})
    raise AssertionError("unreachable")


def _is_charged_meanwhile(error: IntegrityError) -> bool:
    """Somebody committed charges of the same days since they were read: the next look sees them.

    It happens where the account of a contract gets another payer while both are being billed.
    """
    refusal = error.__cause__
    code, diagnosis = getattr(refusal, "pgcode", None), getattr(refusal, "diag", None)
    return code in {"23P01", "23505"} and getattr(diagnosis, "table_name", None) == CHARGES


def bill_chunk(run: BillRun, payers: Sequence[int]) -> None:
    """Charge, draft and, where the run issues by itself, issue; then write the outcomes.

    E-invoices are left as drafts: who judges them issues those that pass (``invoicing.judging``). What is given back of
    a document that another pays is its payer's, who is held, too.
    """
    lock_payers(payers)
    proposal = charging.propose(run.issuer_id, payers, through=run.through)
    _hold_others(drafting.payers_of_corrected(proposal) - set(payers))
    drafts = drafting.propose(run.issuer, proposal, issue_on=run.issue_on)
    charging.write(proposal)
    drafting.write(
        drafts, run=run.pk, state=(Invoice.State.RELEASED if run.issues_by_itself else Invoice.State.DRAFT).value
    )
    if run.issues_by_itself:
        issuing.number(
            run.issuer,
            [issuing.Issuable.of(draft) for draft in drafts if not (draft.is_nothing or draft.waits)],
            on=run.issue_on,
        )
    if unconfirmed := [draft.recipient.id for draft in drafts if draft.waits_for]:
        vat_waiting.ask(run.issuer, unconfirmed)
    if any(draft.waits_for_verdict for draft in drafts):
        wake("invoicing.judge_pending")
    _write_outcomes(run, payers, drafts, proposal.left_out)


def _hold_others(payers: set[int]) -> None:
    """Hold payers beside those of the chunk, without waiting for them. Raises ``HeldElsewhere``."""
    if payers and len(lock_free_payers(sorted(payers))) < len(payers):
        raise HeldElsewhere(payers)


def _write_outcomes(
    run: BillRun, payers: Sequence[int], drafts: Sequence[drafting.Draft], left_out: dict[int, list[str]]
) -> None:
    documents = dict.fromkeys(payers, 0)
    lines = dict.fromkeys(payers, 0)
    for draft in drafts:
        documents[draft.billed_payer] += not draft.is_nothing
        lines[draft.billed_payer] += len(draft.lines)
    undecided = {draft.billed_payer for draft in drafts if not run.issues_by_itself or draft.waits}
    with translation.override(run.issuer.language):
        reasons = {
            payer: str(_("Not active, left out: %(accounts)s") % {"accounts": ", ".join(references)})
            for payer, references in left_out.items()
        }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update {OUTCOMES} o set state = n.state, documents = n.documents, lines = n.lines, reason = n.reason
              from unnest(%s::bigint[], %s::text[], %s::int[], %s::int[], %s::text[])
                   as n(payer, state, documents, lines, reason)
             where o.run_id = %s and o.payer_id = n.payer
            """,
            [
                list(payers),
                [_outcome_of(documents[payer], is_undecided=payer in undecided) for payer in payers],
                list(documents.values()),
                list(lines.values()),
                [reasons.get(payer, "") for payer in payers],
                run.pk,
            ],
        )
    facts = {"payers": len(payers), "documents": sum(documents.values()), "lines": sum(lines.values())}
    record(table_of(BillRun), run.pk, "billed", facts)


def _outcome_of(documents: int, *, is_undecided: bool) -> str:
    if not documents:
        return Outcome.State.NOTHING_DUE.value
    return (Outcome.State.PROPOSED if is_undecided else Outcome.State.ISSUED).value


def park(run: BillRun, payer: int, error: Exception) -> None:
    """Set a payer aside with the reason: a refusal in its own words; all else is a bug, logged and named as one."""
    with translation.override(run.issuer.language):
        if isinstance(error, OperatorError):
            reason = str(error)
        else:
            logger.error("payer parked for an unexpected error", exc_info=error, extra={"run": run.pk, "payer": payer})
            reason = str(_("Unexpected error (%(kind)s); see the log.") % {"kind": type(error).__name__})
    Outcome.objects.filter(run=run, payer=payer).update(state=Outcome.State.PARKED, reason=reason, documents=0, lines=0)


def rehearse(issuer: Issuer, *, through: date, issue_on: date, chunk_size: int = 1_000) -> Iterator[Rehearsed]:
    """Say chunk by chunk what a run would do; writes nothing. Raises ``ImplausibleDay`` as ``start`` does."""
    refuse_slips(through=through, issue_on=issue_on)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select id from tenants_tenant where status = 'active' and id in ({PAYERS}) order by id",
            [issuer.pk, through],
        )
        payers = [row[0] for row in cursor.fetchall()]
    for start_at in range(0, len(payers), chunk_size):
        yield from _rehearse(issuer, payers[start_at : start_at + chunk_size], through, issue_on)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a run would make of some payers: their drafts, or the reason why one of them would be parked."""

    payers: Sequence[int]
    drafts: Sequence[drafting.Draft] = ()
    refusal: Exception | None = None


def _rehearse(issuer: Issuer, payers: Sequence[int], through: date, issue_on: date) -> Iterator[Rehearsed]:
    try:
        drafts = _proposed(issuer, payers, through, issue_on)
    except OperatorError as refusal:
        if len(payers) > 1:
            middle = len(payers) // 2
            yield from _rehearse(issuer, payers[:middle], through, issue_on)
            yield from _rehearse(issuer, payers[middle:], through, issue_on)
        else:
            yield Rehearsed(payers, refusal=refusal)
    else:
        yield Rehearsed(payers, drafts)


@collector_resting()
def _proposed(issuer: Issuer, payers: Sequence[int], through: date, issue_on: date) -> list[drafting.Draft]:
    proposal = charging.propose(issuer.pk, payers, through=through)
    return drafting.propose(issuer, proposal, issue_on=issue_on)


def progress(run: BillRun) -> Progress:
    """Where the run stands, from its outcomes alone."""
    counts = {f"count_{state}": Count("id", filter=Q(state=state)) for state in Outcome.State.values}
    figures = run.outcomes.aggregate(**counts, documents=Sum("documents"), lines=Sum("lines"))
    return Progress(
        **{state: figures[f"count_{state}"] for state in Outcome.State.values},
        documents=figures["documents"] or 0,
        lines=figures["lines"] or 0,
    )
