"""Due items -> a proposed payment run: its debits, and who is left out and why. Nothing goes anywhere yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Min

from invoicing.kernel.bank_days import bank_days_after
from payments.collection import reading
from payments.collection.reading import EUROS, Planned, Proposal
from payments.collection.releasing import discard
from payments.models import Collection, CollectionItem, CollectionMethod, Debit, LeftOut, PaymentRun
from tenants.copying import new_keys, table_of
from tenants.models import Issuer
from tenants.transactions import lock_payers

COLLECTIONS: Final = table_of(Collection)
PURPOSE_LENGTH: Final = 140


def rehearse(issuer: Issuer, *, on: date) -> Iterator[Proposal]:
    """Say chunk by chunk what ``propose`` would put into a run; writes nothing. Raises ``NoCreditor``."""
    calendar = reading.calendar_of(reading.creditor_of(issuer), on)
    for payers in reading.chunks(reading.candidates(issuer, calendar)):
        yield reading.plan(issuer, payers, calendar)


def propose(
    issuer: Issuer, *, on: date, by: Any = None, on_chunk: Callable[[Proposal], None] | None = None
) -> PaymentRun:
    """The proposed run of the issuer with all that is due through ``on`` and some bank days more.

    Joins the proposal that is there, unless the bank could no longer carry it out: that one is discarded. A second call
    finds each payer decided about; so does one that resumes after a kill. Raises ``NoCreditor``.
    """
    creditor = reading.creditor_of(issuer)
    run = _open(issuer, on, by)
    calendar = reading.calendar_of(creditor, run.on)
    for payers in reading.chunks(reading.candidates(issuer, calendar)):
        with transaction.atomic():
            lock_payers(payers)
            proposal = reading.plan(issuer, _undecided(run, payers), calendar)
            _write(run, proposal)
        if on_chunk:
            on_chunk(proposal)
    first = Debit.objects.filter(collection__run=run).exclude(collection__outcome=Collection.Outcome.DISCARDED)
    day = first.aggregate(first=Min("collect_on"))["first"]
    if day is not None and day != run.collect_on:
        PaymentRun.objects.filter(pk=run.pk, state=PaymentRun.State.PROPOSED).update(collect_on=day)
        run.collect_on = day
    return run


def _open(issuer: Issuer, on: date, by: Any) -> PaymentRun:
    """The issuer's proposal, made where there is none; of two that make one, the second joins the first."""
    kind = PaymentRun.Kind.SEPA_DEBIT
    proposed = PaymentRun.objects.filter(issuer=issuer, kind=kind, state=PaymentRun.State.PROPOSED)
    found = proposed.first()
    if found is not None and found.on < on and _is_too_late(found, on):
        discard(found.pk, reason="", by=by)
        found = None
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return PaymentRun.objects.create(
                issuer=issuer, kind=kind, on=on, collect_on=bank_days_after(on, 1), made_by=by
            )
    except IntegrityError:
        return proposed.get()


def _is_too_late(run: PaymentRun, on: date) -> bool:
    """Whether a debit of the proposal would lie before the day on which the bank can still collect, or it has none."""
    debits = Debit.objects.filter(collection__run=run).exclude(collection__outcome=Collection.Outcome.DISCARDED)
    first = debits.aggregate(first=Min("collect_on"))["first"]
    return first is None or first < bank_days_after(on, 1)


def _undecided(run: PaymentRun, payers: Sequence[int]) -> list[int]:
    decided = set(Collection.objects.filter(run=run, payer__in=payers).values_list("payer", flat=True))
    decided |= set(LeftOut.objects.filter(run=run, payer__in=payers).values_list("payer", flat=True))
    return [payer for payer in payers if payer not in decided]


def _write(run: PaymentRun, proposal: Proposal) -> None:
    """Rows of a chunk, in the caller's transaction, under the payers' locks."""
    LeftOut.objects.bulk_create(
        LeftOut(run=run, payer_id=payer, reason=reason.value, currency=currency, amount=amount)
        for payer, currency, reason, amount in proposal.left
    )
    keys = new_keys(**{COLLECTIONS: len(proposal.debits)})[COLLECTIONS]
    planned = list(zip(keys, proposal.debits, strict=True))
    Collection.objects.bulk_create(
        Collection(
            pk=key,
            issuer_id=run.issuer_id,
            payer_id=one.payer,
            run=run,
            method=CollectionMethod.SEPA,
            key=f"LS{key:010}",
            currency=EUROS,
            amount=one.attempt.amount,
        )
        for key, one in planned
    )
    CollectionItem.objects.bulk_create(
        CollectionItem(collection_id=key, open_item_id=part.key, currency=EUROS, amount=part.amount)
        for key, one in planned
        for part in one.attempt.parts
    )
    Debit.objects.bulk_create(
        Debit(
            collection_id=key,
            mandate=one.mandate,
            account=one.account,
            sequence=one.sequence,
            has_new_account=one.has_new_account,
            collect_on=one.attempt.collect_on,
            purpose=_purpose(one),
            is_announced=one.attempt.is_told,
        )
        for key, one in planned
    )


def _purpose(planned: Planned) -> str:
    """The numbers of the documents, as many as fit; the rest is counted."""
    names = list(planned.documents)
    while names:
        rest = len(planned.documents) - len(names)
        text = ", ".join(names) + (f" +{rest}" if rest else "")
        if len(text) <= PURPOSE_LENGTH:
            return text
        names.pop()
    return ""
