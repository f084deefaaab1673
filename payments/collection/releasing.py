"""A proposed run that a person looked at -> one file for the bank and notices to the payers; sent; or discarded.

Whatever the run rests on is read again under the payers' locks: what has changed since it was proposed is refused and
named, and can be taken out. Bound to the hash of its content: nobody releases another run than he looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from invoicing.kernel.bank_days import bank_days_after
from payments import debit_notice
from payments.collection import reading
from payments.gateways import sepa
from payments.models import Collection, CollectionItem, Debit, PaymentRun
from tenants import files, mandates
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Creditor, Issuer
from tenants.transactions import lock_payers, record

State = PaymentRun.State
Outcome = Collection.Outcome
NAMED: Final = 5
CONTENT: Final = "kontor payment run 1"


class NotToBeReleased(OperatorError):
    """The run cannot be released, sent or discarded as it is."""


def debits_of(run: PaymentRun) -> QuerySet[Debit]:
    """What the run collects, in the order of the keys; what was taken out is not in it."""
    return (
        Debit.objects.filter(collection__run=run)
        .exclude(collection__outcome=Outcome.DISCARDED)
        .select_related("collection__payer", "mandate", "account")
        .order_by("collection__key")
    )


def total_of(run: PaymentRun) -> Decimal:
    """The sum of the run, in euros."""
    found = Collection.objects.filter(run=run).exclude(outcome=Outcome.DISCARDED).aggregate(total=Sum("amount"))
    return found["total"] or Decimal(0)


def content_hash(run: PaymentRun) -> str:
    """The hash of what the run would have the bank do: each debit, its mandate, account, day and items."""
    lines = [CONTENT, f"{run.pk} {run.issuer_id} {run.kind}"]
    parts: dict[int, list[str]] = {}
    rows = CollectionItem.objects.filter(collection__run=run).order_by("open_item")
    for collection, item, amount in rows.values_list("collection", "open_item", "amount"):
        parts.setdefault(collection, []).append(f"{item}:{amount:f}")
    for debit in debits_of(run):
        one = debit.collection
        lines.append(
            f"{one.key} {one.payer_id} {one.amount.amount:f} {one.currency} {debit.mandate.reference}"
            f" {debit.account_id} {debit.sequence} {debit.collect_on.isoformat()} {' '.join(parts[one.pk])}"
        )
    return sha256("\n".join(lines).encode()).hexdigest()


def needs_approval(run: PaymentRun, creditor: Creditor) -> bool:
    return creditor.run_limit is not None and total_of(run) > creditor.run_limit


@transaction.atomic
def release(run: int, *, now: datetime, by: Any = None, seen: str | None = None, approved: bool = False) -> PaymentRun:
    """Write the file of a proposed run (key), and tell the payers. Raises ``NotToBeReleased``, naming what is wrong.

    ``seen``: the hash of what the person looked at. ``approved``: another person has approved it.
    """
    found = _locked(run, State.PROPOSED)
    creditor = reading.creditor_of(found.issuer)
    if needs_approval(found, creditor) and not approved:
        raise NotToBeReleased(
            _("%(run)s is above %(limit)s EUR: another person must approve it.")
            % {"run": found, "limit": f"{creditor.run_limit:.2f}"}
        )
    debits = list(debits_of(found))
    lock_payers(sorted({debit.collection.payer_id for debit in debits}))
    content = content_hash(found)
    if seen is not None and seen != content:
        raise NotToBeReleased(_("The run is no longer what you looked at. Nothing was changed; look again."))
    if not debits:
        raise NotToBeReleased(_("%(run)s collects nothing.") % {"run": found})
    on = today_of(found.issuer, now)
    changed = changed_since(found, debits, on)
    if changed:
        raise NotToBeReleased(
            ngettext(
                "Since the run was proposed, %(count)d payer has changed (%(payers)s): take it out first.",
                "Since the run was proposed, %(count)d payers have changed, such as %(payers)s: take them out first.",
                len(changed),
            )
            % {"count": len(changed), "payers": ", ".join(sorted(changed.values())[:NAMED])}
        )
    written = _write_file(found, creditor, debits, now, by)
    for name, batch in written.items():
        Debit.objects.filter(pk__in=batch).update(batch=name)
    _tell(found, creditor, [debit for debit in debits if not debit.is_announced])
    Collection.objects.filter(run=found, outcome=Outcome.PENDING).update(state=Collection.State.DONE)
    record(table_of(PaymentRun), found.pk, "release", {"total": f"{total_of(found):f}", "hash": content}, by=by)
    found.refresh_from_db()
    return found


def changed_since(run: PaymentRun, debits: Sequence[Debit], on: date) -> dict[int, str]:
    """Of whom (key of the collection, reference of the payer) something else would be collected by now, or nothing.

    Paid meanwhile, credited, contested, blocked; the mandate revoked or changed; too late for bank or notice.
    """
    creditor = reading.creditor_of(run.issuer)
    calendar = reading.calendar_of(creditor, run.on)
    now_planned: dict[int, reading.Planned] = {}
    payers = sorted({debit.collection.payer_id for debit in debits})
    for chunk in reading.chunks(payers):
        proposal = reading.plan(run.issuer, chunk, calendar, except_run=run.pk, as_of=on)
        now_planned |= {one.payer: one for one in proposal.debits}
    stored: dict[int, dict[int, Decimal]] = {}
    for collection, item, amount in CollectionItem.objects.filter(
        collection__in=[debit.collection_id for debit in debits]
    ).values_list("collection", "open_item", "amount"):
        stored.setdefault(collection, {})[item] = amount
    usable = mandates.usable(run.issuer, payers, on=on)
    earliest, notice = bank_days_after(on, calendar.lead), timedelta(days=calendar.notice)
    changed: dict[int, str] = {}
    for debit in debits:
        one = debit.collection
        planned = now_planned.get(one.payer_id)
        holds = usable.get(one.payer_id, mandates.Usable()).account
        is_same = (
            planned is not None
            and {part.key: part.amount for part in planned.attempt.parts} == stored[one.pk]
            and planned.account.pk == debit.account_id
            and holds is not None
            and holds.pk == debit.account_id
            and planned.sequence == debit.sequence
        )
        is_in_time = debit.collect_on >= earliest and (debit.is_announced or debit.collect_on >= on + notice)
        if not (is_same and is_in_time):
            changed[one.pk] = one.payer.reference
    return changed


@transaction.atomic
def take_out(run: int, *, now: datetime, collections: Iterable[int] | None = None, by: Any = None) -> int:
    """Take debits (keys of collections) out of a proposed run (key), or all that have changed since; returns how many.

    They are proposed anew by the next run. Raises ``NotToBeReleased``.
    """
    found = _locked(run, State.PROPOSED)
    debits = list(debits_of(found))
    lock_payers(sorted({debit.collection.payer_id for debit in debits}))
    if collections is None:
        keys = set(changed_since(found, debits, today_of(found.issuer, now)))
    else:
        keys = {debit.collection_id for debit in debits} & set(collections)
    _let_go(Collection.objects.filter(pk__in=keys))
    if keys:
        record(table_of(PaymentRun), found.pk, "take_out", {"count": len(keys)}, by=by)
    return len(keys)


@transaction.atomic
def load(run: int, *, by: Any) -> bytes:
    """The file of a run (key), of debits or transfers; that it was loaded down is on record. Raises ``DamagedFile``."""
    found = PaymentRun.objects.select_related("file").get(pk=run)
    if found.file is None:
        raise NotToBeReleased(_("%(run)s has no file yet.") % {"run": found})
    record(table_of(PaymentRun), found.pk, "load", {}, by=by)
    return files.read(found.file)


@transaction.atomic
def mark_sent(run: int, *, now: datetime, by: Any = None) -> None:
    """Note that a person has brought the file of a released run (key) to the bank. Raises ``NotToBeReleased``."""
    found = _locked(run, State.RELEASED)
    on = today_of(found.issuer, now)
    first = min((debit.collect_on for debit in debits_of(found)), default=None)
    if first is not None and first <= on:
        raise NotToBeReleased(
            _("On %(day)s the bank no longer takes debits for %(first)s. Discard the run and propose it anew.")
            % {"day": on.isoformat(), "first": first.isoformat()}
        )
    PaymentRun.objects.filter(pk=found.pk).update(state=State.SENT, sent_at=now)
    Collection.objects.filter(run=found, outcome=Outcome.PENDING).update(outcome=Outcome.SENT, sent_at=now)
    record(table_of(PaymentRun), found.pk, "sent", {}, by=by)


@transaction.atomic
def discard(run: int, *, reason: str, by: Any = None) -> None:
    """Give up a run (key) that never went to the bank; its items can be collected again. Raises ``NotToBeReleased``.

    Of a released run somebody may hold the file already: that takes a reason.
    """
    found = _locked(run, State.PROPOSED, State.RELEASED)
    if found.state == State.RELEASED and not reason.strip():
        raise NotToBeReleased(
            _("A released run is discarded with a reason: its file must not go to the bank any more.")
        )
    lock_payers(sorted(set(Collection.objects.filter(run=found).values_list("payer", flat=True))))
    _let_go(Collection.objects.filter(run=found))
    PaymentRun.objects.filter(pk=found.pk).update(state=State.DISCARDED)
    record(table_of(PaymentRun), found.pk, "discard", {}, by=by, reason=reason.strip())


def today_of(issuer: Issuer, now: datetime) -> date:
    """The issuer's day at an instant."""
    return now.astimezone(ZoneInfo(issuer.time_zone)).date()


def _locked(run: int, *states: str) -> PaymentRun:
    found = PaymentRun.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=run)
    if found.kind != PaymentRun.Kind.SEPA_DEBIT or found.state not in states:
        raise NotToBeReleased(_("%(run)s is %(state)s already.") % {"run": found, "state": found.get_state_display()})
    return found


def _let_go(collections: QuerySet[Collection]) -> None:
    """Nothing is collected by them: their items are free again."""
    pending = list(collections.filter(outcome=Outcome.PENDING).values_list("pk", flat=True))
    CollectionItem.objects.filter(collection__in=pending).update(is_unsettled=False)
    Collection.objects.filter(pk__in=pending).update(outcome=Outcome.DISCARDED, state=Collection.State.WITHDRAWN)


def _write_file(
    run: PaymentRun, creditor: Creditor, debits: Sequence[Debit], now: datetime, by: Any
) -> Mapping[str, list[int]]:
    """Store the file and the release; by name of each of its batches the debits (keys) in it."""
    issuer, message = run.issuer, f"KTR-{run.pk}"
    plain = [_plain(debit) for debit in debits]
    content = sepa.debit_file(
        message,
        plain,
        creditor=sepa.Party(issuer.name, issuer.iban, issuer.bic),
        creditor_id=creditor.identifier,
        created_at=now,
    )
    file = files.store(f"payment-runs/{issuer.pk}/{run.pk}/{message}.xml", content, content_type="application/xml")
    numbers = {batch: number for number, batch in enumerate(sepa.batches(plain), 1)}
    found: dict[str, list[int]] = {}
    for debit in debits:
        number = numbers[debit.collect_on, debit.mandate.scheme, debit.sequence]
        found.setdefault(f"{message}-{number}", []).append(debit.pk)
    PaymentRun.objects.filter(pk=run.pk).update(
        state=State.RELEASED,
        content_hash=content_hash(run),
        file=file,
        released_at=now,
        released_by=by,
        collect_on=min(debit.collect_on for debit in debits),
    )
    return found


def _plain(debit: Debit) -> sepa.Debit:
    payer, mandate = debit.collection.payer, debit.mandate
    bank = mandates.bank_of(debit.account)
    is_first_use = debit.sequence == Debit.Sequence.FIRST
    return sepa.Debit(
        key=debit.collection.key,
        amount=debit.collection.amount.amount.normalize(),
        payer=sepa.Party(bank.holder, bank.iban, bank.bic, payer.city, payer.country),
        mandate=mandate.reference,
        signed_on=mandate.signed_on,
        purpose=debit.purpose,
        scheme=mandate.scheme,
        sequence=debit.sequence,
        collect_on=debit.collect_on,
        original_mandate=mandate.original_reference if is_first_use else "",
        original_creditor=mandate.original_creditor if is_first_use else "",
        has_new_account=debit.has_new_account,
    )


def _tell(run: PaymentRun, creditor: Creditor, debits: Sequence[Debit]) -> None:
    """Pre-notifications to payers whose documents do not say this day and amount; each debit keeps its first."""
    for debit, message in debit_notice.announce(run.issuer, creditor, debits):
        Debit.objects.filter(pk=debit.pk).update(notice=message)
