"""What became of debits that were sent: the bank credits them, in one sum or singly; some are returned or refused.

Money is booked by ``payments.receiving``; here stands what follows for the collection, its items and the mandate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from invoicing import posting
from invoicing.kernel.entries import DEBITS_IN_TRANSIT
from payments import debit_notice, receiving
from payments.gateways.return_reasons import ends_mandate, reason_of
from payments.kernel.allocation import Rule, Share
from payments.models import (
    Collection,
    CollectionBlock,
    CollectionItem,
    CollectionMethod,
    Debit,
    Payment,
    PaymentReturn,
    PaymentRun,
)
from tenants import mandates
from tenants.errors import OperatorError
from tenants.models import Issuer, Mandate
from tenants.transactions import lock_payers

NOTHING: Final = Decimal(0)
Outcome = Collection.Outcome
State = PaymentRun.State
UNDER_WAY: Final = [Outcome.SENT.value, Outcome.PROCESSING.value]


class NotSettled(OperatorError):
    """A debit is not in the state in which the bank could have said this of it."""


def with_bank(issuer: Issuer) -> QuerySet[Collection]:
    """The debits of runs that the bank has, or may have: a file that was released may have been brought there."""
    return Collection.objects.filter(
        issuer=issuer, method=CollectionMethod.SEPA, run__state__in=[State.RELEASED, State.SENT, State.SETTLED]
    ).exclude(outcome__in=[Outcome.DISCARDED, Outcome.FAILED])


def expected(issuer: Issuer, amount: Decimal, *, text: str = "", is_named: bool = False) -> list[Collection]:
    """The debits that the bank credits as ``amount``: one batch of a file, a whole file, or nothing that is known.

    Of a batch some may be settled already, where their return came first; all of it is not. ``text``: what else the
    line says; where it names a batch, that one is meant. ``is_named``: without a name it is none, however well
    the sum fits, since the line is somebody's transfer. Two that fit alike fit neither.
    """
    batches: dict[str, list[Collection]] = defaultdict(list)
    runs: dict[str, list[Collection]] = defaultdict(list)
    waiting = with_bank(issuer).filter(outcome__in=Collection.UNSETTLED).values("run")
    debits = Debit.objects.filter(collection__in=with_bank(issuer).filter(run__in=waiting))
    for debit in debits.select_related("collection__issuer").order_by("collection__key"):
        batches[debit.batch or ""].append(debit.collection)
        runs[f"KTR-{debit.collection.run_id}"].append(debit.collection)
    for groups in (batches, runs):
        named = {name: group for name, group in groups.items() if name and name in text.split()}
        fitting = [
            group
            for group in (named or ({} if is_named else groups)).values()
            if _sum(group) == amount and any(one.payment_id is None for one in group)
        ]
        if len(fitting) == 1:
            return fitting[0]
    return []


@transaction.atomic
def settle(
    collections: Sequence[int], *, account: int | None = None, value_on: date, on: date, by: Any = None
) -> list[Payment]:
    """Book that debits (keys) came in: a payment each, applied to what it was collected for, credits netted first.

    ``account``: the key of the ledger account where the money lies, else that of debits in transit. A debit that is
    settled already is left. Raises ``NotSettled`` for one whose file was never released.
    """
    found = list(
        Collection.objects.filter(pk__in=list(collections), method=CollectionMethod.SEPA)
        .select_related("issuer", "run")
        .order_by("pk")
    )
    lock_payers(sorted({one.payer_id for one in found}))
    made = []
    states = {one.run_id: one.run.state for one in found if one.run is not None}
    for one in Collection.objects.filter(pk__in=[one.pk for one in found]).select_related("issuer").order_by("pk"):
        if one.payment_id is not None:
            continue
        is_there = one.outcome == Outcome.PENDING and states.get(one.run_id) == State.RELEASED
        if one.outcome not in UNDER_WAY and not is_there:
            raise NotSettled(
                _("The debit %(key)s is %(outcome)s: the bank cannot have credited it.")
                % {"key": one.key, "outcome": one.get_outcome_display()}
            )
        made.append(_settle(one, account, value_on=value_on, on=on, by=by))
    _close({one.run_id for one in found if one.run_id is not None})
    return made


@transaction.atomic
def take_back(
    collection: int,
    *,
    amount: Decimal | None = None,
    account: int | None = None,
    origin: str,
    code: str,
    text: str = "",
    charges: Decimal = NOTHING,
    on: date,
    by: Any = None,
) -> PaymentReturn:
    """Book that the bank took a debit (key) back: its items are open again, and not collected until a person lets it.

    ``amount``: what was taken back but for ``charges``; else all. By some reasons the mandate ends. The payer is told.
    ``origin`` names what said so, once. Raises ``NotSettled`` for a debit that was never sent.
    """
    one = Collection.objects.select_related("issuer").get(pk=collection)
    lock_payers([one.payer_id])
    if one.payment_id is None:
        settle([one.pk], account=account, value_on=on, on=on, by=by)
    one.refresh_from_db()
    payment = one.payment
    assert payment is not None
    before = payment.returns.filter(origin=origin).first()
    if before is not None:
        return before
    returned = receiving.take_back(
        payment,
        one.amount.amount if amount is None else amount,
        account=_account(one.issuer, account),
        origin=origin,
        code=code,
        reason=text or reason_of(code),
        charges=charges,
        on=on,
        by=by,
    )
    after_return(returned)
    return returned


def after_return(returned: PaymentReturn) -> None:
    """What follows when a collected payment comes back, in the caller's transaction, under the payer's lock.

    Of a debit: its items are blocked until a person lets them be collected again (semantics e7: never unasked), by some
    reasons its mandate ends, and the payer is told.
    """
    code, on = returned.reason_code, returned.returned_on
    one = Collection.objects.filter(payment=returned.payment_id).select_related("issuer").first()
    if one is None or one.outcome == Outcome.RETURNED:
        return
    Collection.objects.filter(pk=one.pk).update(outcome=Outcome.RETURNED, failure_code=code[:60])
    if one.method == CollectionMethod.SEPA:
        _block(one, returned, code, on)
        _end_mandate(one, code, on)
        debit_notice.tell_returned(one, code)


@transaction.atomic
def fail(collection: int, *, code: str, on: date, by: Any = None) -> None:
    """Note that the bank refused a debit (key) before any money moved. Its items are free. Raises ``NotSettled``."""
    one = Collection.objects.select_related("issuer").get(pk=collection)
    lock_payers([one.payer_id])
    one = Collection.objects.select_related("issuer").get(pk=collection)
    if one.outcome == Outcome.FAILED:
        return
    if one.outcome not in UNDER_WAY:
        raise NotSettled(
            _("The debit %(key)s is %(outcome)s: the bank cannot refuse it any more.")
            % {"key": one.key, "outcome": one.get_outcome_display()}
        )
    CollectionItem.objects.filter(collection=one).update(is_unsettled=False)
    Collection.objects.filter(pk=one.pk).update(outcome=Outcome.FAILED, failure_code=code[:60], settled_on=on)
    for item in one.items.filter(amount__gt=0):
        CollectionBlock.objects.create(open_item=item.open_item, reason=_blocked(one, code), starts_on=on)
    _end_mandate(one, code, on)
    debit_notice.tell_returned(one, code)
    _close({one.run_id} if one.run_id is not None else set())


def _settle(one: Collection, account: int | None, *, value_on: date, on: date, by: Any) -> Payment:
    payment = receiving.receive(
        one.issuer,
        receiving.Receipt(
            payer=one.payer_id,
            source=Payment.Source.DEBIT,
            origin=one.key,
            amount=one.amount.amount,
            currency=one.currency,
            account=_account(one.issuer, account),
            reference=Debit.objects.get(collection=one).purpose or one.key,
            received_on=value_on,
        ),
        on=on,
        by=by,
    )
    wanted = {
        receiving.last_of(item): amount
        for item, amount in one.items.order_by("open_item__due_on", "pk").values_list("open_item", "amount")
    }
    _net(one, wanted, on)
    is_open = receiving.open_of(wanted)
    left, shares = one.amount.amount, []
    for claim, most in wanted.items():
        part = min(left, most, is_open.get(claim, NOTHING))
        if part > 0:
            shares.append(Share(claim, part, Rule.COLLECTION))
            left -= part
    receiving.apply(payment, shares, on=on, by=by)
    CollectionItem.objects.filter(collection=one).update(is_unsettled=False)
    Collection.objects.filter(pk=one.pk).update(outcome=Outcome.SUCCEEDED, settled_on=value_on, payment=payment)
    return payment


def _net(one: Collection, wanted: dict[int, Decimal], on: date) -> None:
    """Use the credits that the debit netted, on the claims that were due first, as far as both are still open."""
    credits = [key for key, amount in wanted.items() if amount < 0]
    claims = [key for key, amount in wanted.items() if amount > 0]
    if not credits:
        return
    is_open = receiving.open_of(wanted)
    payments = {found.open_item_id: found for found in Payment.objects.filter(open_item__in=credits)}
    currency = one.currency
    offsets = []
    for credit in credits:
        left = min(-is_open.get(credit, NOTHING), -wanted[credit])
        shares = []
        for claim in claims:
            part = min(left, is_open.get(claim, NOTHING))
            if part > 0:
                is_open[claim] -= part
                left -= part
                shares.append(Share(claim, part, Rule.COLLECTION))
        if credit in payments:
            receiving.apply(payments[credit], shares, on=on)
        else:
            offsets += [posting.Offset(share.item, credit, currency, share.amount) for share in shares]
    posting.offset(one.issuer, offsets, on=on)


def _block(one: Collection, returned: PaymentReturn, code: str, on: date) -> None:
    """What was collected is not tried again unasked (semantics e7): each item is blocked until a person ends that."""
    for item in one.items.filter(amount__gt=0).order_by("pk"):
        CollectionBlock.objects.create(
            open_item_id=receiving.last_of(item.open_item_id),
            reason=_blocked(one, code),
            starts_on=on,
            after_return=returned,
        )


def _blocked(one: Collection, code: str) -> str:
    return (_("Debit %(key)s came back: %(reason)s") % {"key": one.key, "reason": reason_of(code)})[:200]


def _end_mandate(one: Collection, code: str, on: date) -> None:
    mandate = Mandate.objects.get(debits__collection=one)
    if ends_mandate(code) and mandate.revoked_on is None:
        mandates.revoke(mandate.pk, on=max(on, mandate.signed_on), reason=f"{code}: {reason_of(code)}")


def _account(issuer: Issuer, account: int | None) -> int:
    return account if account is not None else posting.account_of(issuer, DEBITS_IN_TRANSIT)


def _close(runs: set[int]) -> None:
    """Runs of which the bank has said everything are settled."""
    for run in sorted(runs):
        if not Collection.objects.filter(run=run, outcome__in=Collection.UNSETTLED).exists():
            PaymentRun.objects.filter(pk=run, state__in=[State.RELEASED, State.SENT]).update(state=State.SETTLED)


def _sum(collections: Sequence[Collection]) -> Decimal:
    return sum((one.amount.amount for one in collections), NOTHING)
