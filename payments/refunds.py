"""Money paid back by SEPA transfer: asked for out of a credit, approved, booked, carried out by one file, settled.

A credit is what a credit note or a payment left. Never more than what is left of it, under the payer's lock; above the
issuer's limit only when a second person agrees. Booked when it is agreed to, so that nothing else can use the credit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from invoicing import posting
from invoicing.kernel.bank_days import bank_day_from
from invoicing.kernel.entries import REFUNDS_IN_TRANSIT
from invoicing.models import JournalEntry, OpenItem, RefundRequest
from payments import receiving
from payments.gateways import sepa
from payments.models import BankLine, PaymentRun, Refund, Transfer
from tenants import files, mandates
from tenants.copying import new_keys, table_of
from tenants.errors import OperatorError
from tenants.mandates import Bank
from tenants.models import Approval, Issuer, MandateAccount
from tenants.transactions import lock_payers, record

NOTHING: Final = Decimal(0)
EUROS: Final = "EUR"
REFUNDS: Final = table_of(Refund)
State = Refund.State
RunState = PaymentRun.State
Decision = Approval.Decision


class NotRefundable(OperatorError):
    """So much cannot be paid back in this way."""


@dataclass(frozen=True, slots=True)
class Known:
    """A bank account that is known of a payer, from a mandate or a payment of his. Only its tail is ever shown."""

    row: MandateAccount | BankLine
    holder: str
    tail: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The columns of a bank account that a payer paid from."""

    holder: str
    iban: str
    iban_tail: str
    bic: str


def wanted(issuer: Issuer) -> QuerySet[RefundRequest]:
    """What payers want back and what is not asked for yet: the in-tray."""
    asked = Refund.objects.exclude(state=State.WITHDRAWN).values("open_item")
    return (
        RefundRequest.objects.filter(open_item__issuer=issuer).exclude(open_item__in=asked).order_by("wanted_on", "pk")
    )


def left_of(credit: int, *, besides: int | None = None) -> Decimal:
    """What can still be paid back of a credit (the key of its open item): less what is asked for and not booked yet."""
    item = receiving.last_of(credit)
    pending = Refund.objects.filter(open_item__in={credit, item}, entry=None).exclude(state=State.WITHDRAWN)
    if besides is not None:
        pending = pending.exclude(pk=besides)
    left = -receiving.open_of([item]).get(item, NOTHING)
    return left - (pending.aggregate(sum=Sum("amount"))["sum"] or NOTHING)


def known_accounts(issuer: Issuer, payer: int) -> list[Known]:
    """Accounts to which a payer (key) can be paid back: that of his mandate first, then those he paid from last."""
    found: list[Known] = []
    usable = mandates.usable(issuer, [payer], on=date.max).get(payer)
    if usable is not None and usable.account is not None:
        found.append(Known(usable.account, usable.account.holder, usable.account.iban_tail))
    paid = BankLine.objects.filter(bookings__entry__payment__payer=payer, bookings__entry__payment__issuer=issuer)
    seen = {usable.account.iban_hash} if usable is not None and usable.account is not None else set()
    for line in paid.exclude(iban="").order_by("-value_on", "-pk").distinct()[:20]:
        if line.iban_hash not in seen:
            seen.add(line.iban_hash)
            found.append(Known(line, line.name, line.iban_tail))
    return found


def bank_of(known: Known) -> Bank:
    """A known account in the clear, to be paid to. Raises ``mandates.NotAMandate`` where no key reads it."""
    row = known.row
    return mandates.bank_of(
        row if isinstance(row, MandateAccount) else Stored(known.holder, row.iban, row.iban_tail, row.bic)
    )


@transaction.atomic
def request(
    credit: int, amount: Decimal, *, bank: Bank, grounds: str, on: date, purpose: str = "", by: Any = None
) -> Refund:
    """Pay so much of a credit (the key of its open item) back, or ask for it where a second person must agree.

    Raises ``NotRefundable``, and ``mandates.NotAMandate`` for a wrong bank account.
    """
    item = OpenItem.objects.select_related("issuer", "payer", "invoice").get(pk=receiving.last_of(credit))
    lock_payers([item.payer_id])
    if not grounds.strip():
        raise NotRefundable(_("A refund needs its grounds."))
    if item.currency != EUROS:
        raise NotRefundable(_("By SEPA only euros are transferred."))
    account = mandates.checked(bank)
    _check(item, amount)
    [key] = new_keys(**{REFUNDS: 1})[REFUNDS]
    refund = Refund.objects.create(
        pk=key,
        issuer=item.issuer,
        payer=item.payer,
        open_item=item,
        method=Refund.Method.TRANSFER,
        key=f"ER{key:010}",
        currency=EUROS,
        amount=amount,
        grounds=grounds.strip()[:200],
        requested_by=by,
    )
    Transfer.objects.create(refund=refund, purpose=(purpose.strip() or str(item))[:140], **mandates.sealed(account))
    if needs_approval(item.issuer, refunded_of(item)):
        _ask(refund, by)
    else:
        _book(refund, on)
    refund.refresh_from_db()
    return refund


def refunded_of(item: OpenItem) -> Decimal:
    """What of a credit is paid back by transfer, or is to be: in parts it is no less than in one."""
    found = Refund.objects.filter(open_item=item, method=Refund.Method.TRANSFER).exclude(state=State.WITHDRAWN)
    total: Decimal = found.aggregate(sum=Sum("amount"))["sum"] or NOTHING
    return total


def needs_approval(issuer: Issuer, amount: Decimal) -> bool:
    """Whether a second person must agree: an issuer that has not said up to which amount not, always wants one."""
    creditor = mandates.creditor_of(issuer)
    if creditor is None:
        return True
    return creditor.refund_limit is not None and amount > creditor.refund_limit


@transaction.atomic
def approve(refund: int, *, on: date, by: Any, note: str = "") -> bool:
    """Agree to a refund (key) that another person asked for, and book it.

    False where it can no longer be paid: the approval has lapsed, its note says why. Raises ``NotRefundable``.
    """
    found, approval = _asked_for(refund)
    if approval.requested_by_id == by.pk:
        raise NotRefundable(_("Whoever asks for a refund cannot approve it."))
    try:
        if content_hash(found) != approval.content_hash:
            raise NotRefundable(_("The refund is no longer what was asked for."))
        _check(found.open_item, found.amount.amount, besides=found.pk)
    except NotRefundable as refusal:
        _decide(approval, Decision.LAPSED, by, str(refusal))
        Refund.objects.filter(pk=refund).update(state=State.WITHDRAWN, reason=str(refusal))
        return False
    _book(found, on)
    _decide(approval, Decision.APPROVED, by, note)
    return True


@transaction.atomic
def withdraw(refund: int, *, on: date, reason: str, by: Any = None) -> None:
    """Give up a refund (key) that did not go to the bank: the credit is there again. Raises ``NotRefundable``.

    One that is only asked for is refused by another person, or taken back by whoever asked.
    """
    found = _locked(refund)
    run = found.transfer.run
    if found.state != State.WAITING or (run is not None and run.state not in (RunState.PROPOSED, RunState.DISCARDED)):
        raise NotRefundable(_("%(refund)s is on its way to the bank already, or done.") % {"refund": found})
    if not reason.strip():
        raise NotRefundable(_("A refund is given up with a reason."))
    for approval in _open_approvals(found):
        is_own = by is not None and approval.requested_by_id == by.pk
        _decide(approval, Decision.WITHDRAWN if is_own else Decision.REFUSED, by, reason.strip())
    if found.entry_id is not None:
        _book_back(found, on)
    if run is not None and run.state == RunState.PROPOSED:
        Transfer.objects.filter(refund=found).update(run=None)
    Refund.objects.filter(pk=refund).update(state=State.WITHDRAWN, reason=reason.strip())
    record(REFUNDS, found.pk, "withdrawn", {"amount": f"{found.amount.amount:f}"}, by=by, reason=reason.strip())


# The file


def waiting(issuer: Issuer) -> QuerySet[Transfer]:
    """Refunds that are agreed to and in no run yet."""
    return Transfer.objects.filter(
        refund__issuer=issuer, refund__state=State.WAITING, refund__entry__isnull=False, run=None
    ).order_by("refund")


@transaction.atomic
def propose(issuer: Issuer, *, on: date, by: Any = None) -> PaymentRun | None:
    """Put the refunds that wait into the issuer's proposed run of transfers; ``None`` where there is neither."""
    kind = PaymentRun.Kind.SEPA_TRANSFER
    proposed = PaymentRun.objects.filter(issuer=issuer, kind=kind, state=RunState.PROPOSED)
    if not proposed.exists():
        if not waiting(issuer).exists():
            return None
        try:
            with transaction.atomic():
                PaymentRun.objects.create(issuer=issuer, kind=kind, on=on, collect_on=bank_day_from(on), made_by=by)
        except IntegrityError:
            pass  # another process was first: its run is joined
    run = proposed.select_for_update(of=("self",)).get()
    waiting(issuer).update(run=run)
    return run


def transfers_of(run: PaymentRun) -> QuerySet[Transfer]:
    """What the run pays, in the order of the keys."""
    return (
        Transfer.objects.filter(run=run)
        .exclude(refund__state=State.WITHDRAWN)
        .select_related("refund__payer")
        .order_by("refund__key")
    )


def run_hash(run: PaymentRun) -> str:
    """The hash of what the run would have the bank do."""
    lines = [f"kontor transfers 1 {run.pk} {run.issuer_id}", *(content_hash(one.refund) for one in transfers_of(run))]
    return sha256("\n".join(lines).encode()).hexdigest()


@transaction.atomic
def release(run: int, *, now: datetime, by: Any = None, seen: str | None = None) -> PaymentRun:
    """Write the file of a proposed run (key) of transfers. Raises ``NotRefundable``.

    ``seen``: the hash of what the person looked at.
    """
    found = _locked_run(run, RunState.PROPOSED)
    transfers = list(transfers_of(found))
    content = run_hash(found)
    if seen is not None and seen != content:
        raise NotRefundable(_("The run is no longer what you looked at. Nothing was changed; look again."))
    if not transfers:
        raise NotRefundable(_("%(run)s pays nothing back.") % {"run": found})
    issuer, message = found.issuer, f"KTR-{found.pk}"
    day = bank_day_from(now.astimezone(ZoneInfo(issuer.time_zone)).date())
    file = files.store(
        f"payment-runs/{issuer.pk}/{found.pk}/{message}.xml",
        sepa.transfer_file(
            message,
            [_plain(one, day) for one in transfers],
            payer=sepa.Party(issuer.name, issuer.iban, issuer.bic),
            created_at=now,
        ),
        content_type="application/xml",
    )
    PaymentRun.objects.filter(pk=found.pk).update(
        state=RunState.RELEASED, content_hash=content, file=file, released_at=now, released_by=by, collect_on=day
    )
    record(table_of(PaymentRun), found.pk, "release", {"hash": content, "count": len(transfers)}, by=by)
    found.refresh_from_db()
    return found


@transaction.atomic
def mark_sent(run: int, *, now: datetime, by: Any = None) -> None:
    """Note that a person has brought the file of a released run (key) to the bank. Raises ``NotRefundable``."""
    found = _locked_run(run, RunState.RELEASED)
    PaymentRun.objects.filter(pk=found.pk).update(state=RunState.SENT, sent_at=now)
    record(table_of(PaymentRun), found.pk, "sent", {}, by=by)


@transaction.atomic
def discard(run: int, *, reason: str, by: Any = None) -> None:
    """Give up a run (key) that never went to the bank; its refunds wait for another one. Raises ``NotRefundable``."""
    found = _locked_run(run, RunState.PROPOSED, RunState.RELEASED)
    if found.state == RunState.RELEASED and not reason.strip():
        raise NotRefundable(_("A released run is discarded with a reason: its file must not go to the bank any more."))
    PaymentRun.objects.filter(pk=found.pk).update(state=RunState.DISCARDED)
    Transfer.objects.filter(run=found).update(run=None)
    record(table_of(PaymentRun), found.pk, "discard", {}, by=by, reason=reason.strip())


# What the bank says


def with_bank(issuer: Issuer) -> QuerySet[Refund]:
    """Refunds whose file the bank has, or may have, and of which it has said nothing yet."""
    return Refund.objects.filter(
        issuer=issuer, state=State.WAITING, transfer__run__state__in=[RunState.RELEASED, RunState.SENT]
    ).order_by("key")


def expected(
    issuer: Issuer, amount: Decimal, *, key: str = "", text: str = "", other_side: str | None = None
) -> list[Refund]:
    """The refunds that the bank carried out as ``amount``: the one with this key, or all of one file.

    ``other_side``: the hash of the account the line went to, if to any; a file that the line does not name went there.
    """
    single = [one for one in with_bank(issuer).filter(key=key) if one.amount.amount == amount] if key else []
    if single:
        return single
    runs: dict[str, list[Refund]] = {}
    for one in with_bank(issuer).select_related("transfer"):
        runs.setdefault(f"KTR-{one.transfer.run_id}", []).append(one)
    words = {word.rpartition("-")[0] if word.count("-") > 1 else word for word in text.split()}
    named = {name: group for name, group in runs.items() if name in words}
    unnamed = {
        name: group
        for name, group in runs.items()
        if other_side is None or {one.transfer.iban_hash for one in group} == {other_side}
    }
    fitting = [
        group for group in (named or unnamed).values() if sum((one.amount.amount for one in group), NOTHING) == amount
    ]
    return fitting[0] if len(fitting) == 1 else []


@transaction.atomic
def settle(refunds: Sequence[int], *, account: int, value_on: date, on: date) -> dict[int, int]:
    """Book that the bank has carried refunds (keys) out from a ledger account (key); by refund the key of the entry.

    One that is settled already is left.
    """
    found = Refund.objects.filter(pk__in=list(refunds), method=Refund.Method.TRANSFER)
    lock_payers(sorted(set(found.values_list("payer", flat=True))))
    entries: dict[int, int] = {}
    runs = set()
    for one in found.select_for_update(of=("self",)).select_related("issuer", "transfer").order_by("pk"):
        if one.state != State.WAITING or one.entry_id is None:
            continue
        entries[one.pk] = posting.move(
            one.issuer,
            one.amount.amount,
            currency=one.currency,
            debit=posting.account_of(one.issuer, REFUNDS_IN_TRANSIT),
            credit=account,
            kind=JournalEntry.Kind.REFUND,
            on=on,
        )
        Refund.objects.filter(pk=one.pk).update(state=State.DONE, settled_on=value_on)
        runs.add(one.transfer.run_id)
    for run in sorted(key for key in runs if key is not None):
        if not Refund.objects.filter(transfer__run=run, state=State.WAITING).exists():
            PaymentRun.objects.filter(pk=run, state__in=[RunState.RELEASED, RunState.SENT]).update(
                state=RunState.SETTLED
            )
    return entries


def content_hash(refund: Refund) -> str:
    """The hash of what is to be paid, to whom, out of what."""
    to = refund.transfer
    parts = (refund.key, refund.open_item_id, f"{refund.amount.amount:.2f}", refund.currency, to.holder, to.iban_hash)
    return sha256("\n".join(map(str, ("kontor refund 1", *parts))).encode()).hexdigest()


def _plain(transfer: Transfer, day: date) -> sepa.Transfer:
    bank = mandates.bank_of(transfer)
    payer = transfer.refund.payer
    return sepa.Transfer(
        key=transfer.refund.key,
        amount=transfer.refund.amount.amount.normalize(),
        payee=sepa.Party(bank.holder, bank.iban, bank.bic, payer.city, payer.country),
        purpose=transfer.purpose,
        execute_on=day,
    )


def _check(item: OpenItem, amount: Decimal, besides: int | None = None) -> None:
    left = left_of(item.pk, besides=besides)
    if amount <= 0 or amount > left or Decimal(f"{amount:.2f}") != amount:
        raise NotRefundable(
            _("Of the credit %(item)s %(left)s %(currency)s are left, less than %(wanted)s.")
            % {"item": item, "left": max(left, NOTHING), "currency": item.currency, "wanted": amount}
        )


def _book(refund: Refund, on: date) -> None:
    entry = posting.post_paid_back(
        refund.issuer,
        receiving.last_of(refund.open_item_id),
        refund.amount.amount,
        currency=refund.currency,
        account=posting.account_of(refund.issuer, REFUNDS_IN_TRANSIT),
        kind=JournalEntry.Kind.REFUND,
        on=on,
    )
    Refund.objects.filter(pk=refund.pk).update(entry=entry)
    RefundRequest.objects.filter(open_item=refund.open_item_id).delete()


def _book_back(refund: Refund, on: date) -> None:
    posting.post_paid_back(
        refund.issuer,
        receiving.last_of(refund.open_item_id),
        -refund.amount.amount,
        currency=refund.currency,
        account=posting.account_of(refund.issuer, REFUNDS_IN_TRANSIT),
        kind=JournalEntry.Kind.REFUND,
        on=on,
    )


def _ask(refund: Refund, by: Any) -> None:
    if by is None:
        raise NotRefundable(_("A refund that a second person must approve needs somebody who asks for it."))
    Approval.objects.create(
        issuer=refund.issuer,
        table=table_of(Transfer),
        row=Transfer.objects.values_list("pk", flat=True).get(refund=refund),
        action=Approval.Action.REFUND,
        subject=f"{refund.payer.reference} {refund.open_item}"[:100],
        currency=refund.currency,
        gross=refund.amount.amount,
        content_hash=content_hash(refund),
        reason=refund.grounds,
        requested_by=by,
    )


def _open_approvals(refund: Refund) -> Iterable[Approval]:
    return Approval.objects.select_for_update(of=("self",)).filter(
        table=table_of(Transfer), row__in=Transfer.objects.filter(refund=refund).values("pk"), decision=None
    )


def _asked_for(refund: int) -> tuple[Refund, Approval]:
    found = _locked(refund)
    approval = next(iter(_open_approvals(found)), None)
    if approval is None or found.state != State.WAITING:
        raise NotRefundable(_("%(refund)s is decided about already.") % {"refund": found})
    return found, approval


def _locked(refund: int) -> Refund:
    payer = Refund.objects.values_list("payer_id", flat=True).get(pk=refund)
    lock_payers([payer])
    found = Refund.objects.select_for_update(of=("self",)).select_related("issuer", "payer", "open_item").get(pk=refund)
    if found.method != Refund.Method.TRANSFER:
        raise NotRefundable(_("%(refund)s goes another way than by SEPA transfer.") % {"refund": found})
    return found


def _locked_run(run: int, *states: str) -> PaymentRun:
    found = PaymentRun.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=run)
    if found.kind != PaymentRun.Kind.SEPA_TRANSFER or found.state not in states:
        raise NotRefundable(_("%(run)s is %(state)s already.") % {"run": found, "state": found.get_state_display()})
    return found


def _decide(approval: Approval, decision: str, by: Any, note: str) -> None:
    Approval.objects.filter(pk=approval.pk).update(decision=decision, decided_by=by, decided_at=Now(), note=note)
