"""A run before it is released: totals, what is new, gone or unusual, hold and release, discard and compute again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from billing.models import Charge
from invoicing.models import BillRun, Invoice, Line, Outcome, Verdict
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Activity, Tenant
from tenants.transactions import lock_payers, record

UNUSUAL = Decimal("0.25")  # a net amount that differs by more than this part from the last comparable document


class NotADraft(OperatorError):
    """The document is no longer open for this decision."""


class NotPassed(OperatorError):
    """An e-invoice has no verdict yet, or breaks rules: it would be none in law."""


class LookAgain(OperatorError):
    """The drafts are not those that were looked at."""


class AnotherRun(OperatorError):
    """Payers cannot be billed again by this run while another one for the same invoice date is worked on."""


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of a run's documents of one currency, state and VAT case."""

    currency: str
    state: str
    vat_case: str
    documents: int
    net: Decimal
    vat: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a document deserves a look; ``before``: the net of the payer's document in the run before, if any."""

    kind: str  # "new", "gone", "changed"
    payer: int
    currency: str
    before: Decimal | None
    now: Decimal | None


def totals(run: BillRun) -> list[Total]:
    """The run's documents summed per currency, state and VAT case; closed ones are left out."""
    rows = (
        run.invoices.exclude(state=Invoice.State.CLOSED)
        .order_by()
        .values_list("currency", "state", "vat_case")
        .annotate(Count("id"), Sum("net"), Sum("vat"), Sum("gross"))
        .order_by("currency", "state", "vat_case")
    )
    return [Total(*row) for row in rows]


def compare(run: BillRun) -> list[Flag]:
    """What differs from the issuer's run before: payers new or gone, and nets that moved by more than a quarter.

    Compared per payer and currency; the run before is the last earlier one that made any document.
    """
    alike = BillRun.objects.filter(issuer=run.issuer_id, payer=run.payer_id)
    before = alike.filter(pk__lt=run.pk, invoices__isnull=False).order_by("-pk").first()
    if before is None:
        return []
    then, now = _nets(before), _nets(run)
    flags = []
    for key in sorted(then.keys() | now.keys()):
        was, became = then.get(key), now.get(key)
        if was is None:
            flags.append(Flag("new", *key, before=None, now=became))
        elif became is None:
            flags.append(Flag("gone", *key, before=was, now=None))
        elif abs(became - was) > abs(was) * UNUSUAL:
            flags.append(Flag("changed", *key, before=was, now=became))
    return flags


def _nets(run: BillRun) -> dict[tuple[int, str], Decimal]:
    rows = (
        run.invoices.exclude(state=Invoice.State.CLOSED)
        .order_by()
        .values_list("payer_id", "currency")
        .annotate(Sum("net"))
    )
    return {(payer, currency): net for payer, currency, net in rows}


@transaction.atomic
def release(invoices: QuerySet[Invoice], *, by: Any = None, seen: str | None = None) -> int:
    """Release drafts for issuing; held ones too. Returns how many. Raises ``NotADraft`` if one is past that, and
    ``NotPassed`` for an e-invoice that is not judged yet or breaks a rule.

    ``seen`` is the ``seal`` of what the person looked at: raises ``LookAgain`` if drafts came, went or changed since.
    """
    return _decide(invoices, Invoice.State.RELEASED, reason="", by=by, seen=seen)


def seal(hashes: Iterable[str]) -> str:
    """One hash over the content hashes of drafts, in whichever order: computed anew they may say the same."""
    return sha256("".join(sorted(hashes)).encode()).hexdigest()


@transaction.atomic
def hold(invoices: QuerySet[Invoice], *, reason: str, by: Any = None) -> int:
    """Hold drafts back, with the reason; released ones too. Returns how many. Raises ``NotADraft`` if one is issued."""
    return _decide(invoices, Invoice.State.HELD, reason=reason, by=by)


@transaction.atomic
def discard(invoices: QuerySet[Invoice], *, by: Any = None, waits_for: str = "") -> int:
    """Delete drafts with their charges, so that contracts can be corrected.

    Payers of whom nothing else is left in a run are pending again in it; the others' charges come with the next run.
    With ``waits_for``, a reason, those payers are parked instead: the run computes nothing until ``again`` lets it.
    Returns how many drafts. Raises ``NotADraft`` if one is issued, and ``AnotherRun`` where a payer cannot be pending
    again because another run for the same invoice date is worked on.
    """
    drafts = _locked(invoices, [*_OPEN, Invoice.State.CLOSED])
    keys = [draft.pk for draft in drafts]
    charges = list(Line.objects.filter(invoice__in=keys, charge__isnull=False).values_list("charge_id", flat=True))
    put_on_record("discarded", drafts, by=by)
    Invoice.objects.filter(pk__in=keys).delete()
    _take_back(charges)
    for run in {draft.run_id for draft in drafts if draft.run_id}:
        payers = {draft.billed_payer for draft in drafts if draft.run_id == run}
        if waits_for:
            _park(run, payers, waits_for)
        else:
            _again(run, payers)
        _count_anew(run, payers)
    return len(keys)


@transaction.atomic
def again(run: BillRun, payers: Iterable[int]) -> int:
    """Let parked payers of ``run`` be billed once more by it. Returns how many. Raises ``AnotherRun``."""
    wanted = list(payers)
    lock_payers(wanted)  # a worker may just be billing one that was let before
    parked = run.outcomes.filter(payer__in=wanted, state=Outcome.State.PARKED).values_list("payer_id", flat=True)
    return _again(run.pk, set(parked))


def decisions(run: BillRun) -> QuerySet[Activity]:
    """Who released, held, discarded and issued documents of the run, the latest first."""
    return Activity.objects.filter(table=table_of(BillRun), row=run.pk, action__in=_DECISIONS).order_by("-id")


_DECISIONS = [Invoice.State.RELEASED.value, Invoice.State.HELD.value, "discarded", Invoice.State.ISSUED.value]


_OPEN = [Invoice.State.DRAFT, Invoice.State.HELD, Invoice.State.RELEASED]


def _decide(invoices: QuerySet[Invoice], state: Invoice.State, *, reason: str, by: Any, seen: str | None = None) -> int:
    drafts = _locked(invoices, _OPEN)
    if seen is not None and seen != seal(draft.content_hash for draft in drafts):
        raise LookAgain(_("The drafts are no longer those you looked at. Nothing was released; look again."))
    if state == Invoice.State.RELEASED:
        refuse_not_passed(drafts)
    put_on_record(state.value, drafts, by=by, reason=reason)
    return Invoice.objects.filter(pk__in=[draft.pk for draft in drafts]).update(
        state=state, reason=reason, waits_for=""
    )


def refuse_not_passed(drafts: Iterable[Invoice]) -> None:
    """Raises ``NotPassed`` naming the first e-invoice that the rules did not pass, with the reason if there is one."""
    electronic = [draft for draft in drafts if draft.format != Tenant.DocumentFormat.PDF]
    if not electronic:
        return
    verdicts = Verdict.objects.filter(content_hash__in=[draft.content_hash for draft in electronic], passed=True)
    passed = set(verdicts.values_list("content_hash", flat=True))
    for draft in electronic:
        if draft.content_hash not in passed:
            raise NotPassed(
                _("%(document)s (%(account)s) cannot be released: %(reason)s")
                % {
                    "document": draft,
                    "account": draft.parties["buyer"]["reference"],
                    "reason": draft.reason or _("its e-invoice is still to be checked against the rules."),
                }
            )


def put_on_record(action: str, documents: Iterable[Invoice], *, by: Any, reason: str = "") -> None:
    """Who decided, with the keys of the documents, in the caller's transaction: one activity for each of their runs."""
    of_run: dict[tuple[str, int], list[int]] = defaultdict(list)
    for document in documents:
        owner = (table_of(BillRun), document.run_id) if document.run_id else (table_of(Invoice), document.pk)
        of_run[owner].append(document.pk)
    for (table, row), keys in of_run.items():
        record(table, row, action, {"documents": len(keys), "keys": keys}, by=by, reason=reason)


def _locked(invoices: QuerySet[Invoice], states: Sequence[str]) -> list[Invoice]:
    """The documents, their payers locked before them; all must be in one of ``states``."""
    lock_payers(invoices.payers())  # type: ignore[attr-defined]
    found = list(
        Invoice.objects.filter(pk__in=list(invoices.values_list("pk", flat=True)))
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    for invoice in found:
        if invoice.state not in states:
            raise NotADraft(
                _("%(document)s is %(state)s: nothing was changed.")
                % {"document": invoice, "state": invoice.get_state_display()}
            )
    return found


def _take_back(charges: Sequence[int]) -> None:
    """Delete charges that stand on no document any more; what they reversed stands again."""
    undone = list(Charge.objects.filter(reversed_by__in=charges).values_list("pk", flat=True))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"delete from {table_of(Charge)} where id = any(%s)", [list(charges)])
            cursor.execute(f"update {table_of(Charge)} set reversed_by_id = null where id = any(%s)", [undone])
            cursor.execute("set constraints all immediate")
            cursor.execute("set constraints all deferred")
    except IntegrityError as error:
        raise NotADraft(
            _(
                "The days that the draft takes back were charged or corrected by another document since: issue the"
                " draft."
            )
        ) from error


def _again(run: int, payers: set[int]) -> int:
    """Payers of whom no draft of the run is left are pending again, and the run is open for them."""
    count = Outcome.objects.filter(run=run, payer__in=_left_with_nothing(run, payers)).update(
        state=Outcome.State.PENDING, reason="", documents=0, lines=0
    )
    if count:
        _open(run)
    return count


def _park(run: int, payers: set[int], reason: str) -> None:
    Outcome.objects.filter(run=run, payer__in=_left_with_nothing(run, payers)).update(
        state=Outcome.State.PARKED, reason=reason, documents=0, lines=0
    )


def _left_with_nothing(run: int, payers: set[int]) -> set[int]:
    """Those of the payers who have no document in the run."""
    documents = Invoice.objects.filter(run=run).billed_for(payers).exclude(state=Invoice.State.CLOSED)
    return payers - {document.billed_payer for document in documents.only("payer", "billed_with")}


def _open(run: int) -> None:
    try:
        with transaction.atomic():
            BillRun.objects.filter(pk=run).update(state=BillRun.State.RUNNING, finished_at=None)
    except IntegrityError as error:
        raise AnotherRun(
            _("Another run for the same invoice date is in progress: wait until it is finished. Nothing was changed.")
        ) from error


def _count_anew(run: int, payers: set[int]) -> None:
    """Outcomes say how many documents are left; a payer of whom no draft is left counts as issued."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update {table_of(Outcome)} o
               set documents = m.documents, lines = m.lines,
                   state = case m.drafts when 0 then 'issued' else o.state end
              from (select coalesce(i.billed_with_id, i.payer_id) as payer_id,
                           count(distinct i.id) filter (where i.state <> 'closed') as documents,
                           count(distinct i.id) filter (where i.state not in ('closed', 'issued')) as drafts,
                           count(l.id) as lines
                      from {table_of(Invoice)} i join {table_of(Line)} l on l.invoice_id = i.id
                     where i.run_id = %s and coalesce(i.billed_with_id, i.payer_id) = any(%s) group by 1) m
             where o.run_id = %s and o.payer_id = m.payer_id and o.state = 'proposed'
            """,
            [run, list(payers), run],
        )
