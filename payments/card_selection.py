"""Due items of payers who pay by a saved method -> collections that wait to be made; the same rules as for debits.

What is due less credits is taken in one sum, from the payer's threshold on, once in its rhythm. What was refused is
tried again on the days of its schedule, or not until the payer gives another method.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from billing.kernel.money import places_of, rounded
from invoicing.kernel.bank_days import bank_day_from
from invoicing.models import OpenItem, RefundRequest
from payments import disputes, payment_methods
from payments.card_collection import held_back, order_for
from payments.kernel.collecting import Attempt, Calendar, Item, Left, Rhythm, Terms, decide
from payments.models import Collection, CollectionBlock, CollectionItem, CollectionMethod, ProviderAccount, Refund
from payments.provider_accounts import account_of, required
from tenants.models import Issuer, Tenant
from tenants.responsibility import effective
from tenants.transactions import lock_payers, wake

CHUNK: Final = 200  # payers of one transaction
STANDING: Final = (*Collection.UNSETTLED, Collection.Outcome.SUCCEEDED)


@dataclass(slots=True)
class Proposal:
    """What is taken of some payers (keys), by currency, and how much of whom is not, and why."""

    attempts: list[tuple[int, str, Attempt]] = field(default_factory=list)
    left: list[tuple[int, str, Left, Decimal]] = field(default_factory=list)


def select(issuer: Issuer, *, on: date) -> int:
    """Store an attempt for each payer of whom something is due through ``on``; returns how many are new.

    A second call finds their items under way. Nothing without an account at a provider.
    """
    account = account_of(issuer)
    if account is None:
        return 0
    made = 0
    for payers in _chunks(candidates(issuer, on=on)):
        with transaction.atomic():
            lock_payers(payers)
            proposal = plan(account, payers, on=on)
            for payer, currency, attempt in proposal.attempts:
                _write(issuer, payer, currency, attempt, on)
            made += len(proposal.attempts)
    if made:
        wake("payments.charge")
    return made


def rehearse(issuer: Issuer, *, on: date) -> Iterator[Proposal]:
    """Say chunk by chunk what ``select`` would do; writes nothing. Raises ``NoAccess``."""
    account = required(issuer)
    for payers in _chunks(candidates(issuer, on=on)):
        yield plan(account, payers, on=on)


def candidates(issuer: Issuer, *, on: date) -> list[int]:
    """Payers (keys) of whom something is due, however they pay."""
    due = OpenItem.objects.filter(issuer=issuer, due_on__lte=on).with_open_amount().filter(open_amount__gt=0)
    return sorted(set(due.order_by().values_list("payer", flat=True)))


def plan(account: ProviderAccount, payers: Sequence[int], *, on: date) -> Proposal:
    """What is taken of those of ``payers`` (keys) who pay by a saved method; writes nothing."""
    issuer, proposal = account.issuer, Proposal()
    settings = {
        payer: one
        for payer, one in effective(Tenant.objects.filter(pk__in=list(payers)), issuer).items()
        if one.collection == Tenant.Collection.CARD
    }
    items = _items(issuer, list(settings), on)
    held = held_back(issuer, list(settings), on=on)
    taken = _taken_on(issuer, list(settings))
    for payer in sorted(settings):
        method = payment_methods.default_of(account, payer)
        terms = Terms(
            settings[payer].collection_threshold,
            Rhythm(settings[payer].collection_rhythm),
            tuple(taken.get(payer, ())),
            None if method else Left.NO_MANDATE,
        )
        for currency, own in sorted(items.get(payer, {}).items()):
            marked = [replace(item, is_returned=item.is_returned or item.key in held) for item in own]
            decision = decide(marked, terms, Calendar(on, days_ahead=0, notice=0, lead=0))
            proposal.left += [(payer, currency, reason, amount) for reason, amount in decision.left]
            if decision.attempt is not None:
                proposal.attempts.append((payer, currency, decision.attempt))
    return proposal


def _items(issuer: Issuer, payers: Sequence[int], on: date) -> dict[int, dict[str, list[Item]]]:
    """By payer and currency: what is due through ``on``, and all credits."""
    contested = disputes.contested(issuer.pk, payers, on=on)
    blocks = CollectionBlock.objects.filter(
        Q(open_item=OuterRef("pk")) | Q(tenant=OuterRef("payer")), starts_on__lte=on
    ).filter(Q(ends_before=None) | Q(ends_before__gt=on))
    pending = Refund.objects.filter(open_item=OuterRef("pk"), entry=None).exclude(state=Refund.State.WITHDRAWN)
    found: Iterable[Any] = (
        OpenItem.objects.filter(issuer=issuer, payer__in=list(payers), moved_to=None)
        .with_open_amount()
        .exclude(open_amount=0)
        .filter(Q(due_on__lte=on) | Q(open_amount__lt=0))
        .annotate(
            is_blocked=Exists(blocks),
            is_under_way=Exists(CollectionItem.objects.filter(open_item=OuterRef("pk"), is_unsettled=True)),
            is_wanted=Exists(RefundRequest.objects.filter(open_item=OuterRef("pk"))),
            is_refunded=Exists(pending),
        )
        .order_by("due_on", "pk")
    )
    items: dict[int, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        items[row.payer_id][row.currency].append(
            Item(
                row.pk,
                row.due_on,
                rounded(row.open_amount, places_of(row.currency)),
                disputed=contested.get(row.pk, Decimal(0)),
                is_blocked=row.is_blocked,
                is_under_way=row.is_under_way,
                is_kept=row.is_wanted or row.is_refunded,
            )
        )
    return items


def _taken_on(issuer: Issuer, payers: Sequence[int]) -> dict[int, list[date]]:
    """By payer (key): the days on which something was collected, or is being collected."""
    found: dict[int, list[date]] = defaultdict(list)
    rows = Collection.objects.filter(
        issuer=issuer, payer__in=list(payers), method=CollectionMethod.PROVIDER, outcome__in=STANDING
    ).exclude(order__page_until__isnull=False)
    for payer, made_for in rows.values_list("payer", "order__made_on"):
        if made_for is not None:
            found[payer].append(bank_day_from(made_for))
    return found


def _write(issuer: Issuer, payer: int, currency: str, attempt: Attempt, on: date) -> None:
    collection = Collection.objects.create(
        issuer=issuer,
        payer_id=payer,
        method=CollectionMethod.PROVIDER,
        key=f"kc-{uuid.uuid4().hex}",
        currency=currency,
        amount=attempt.amount,
    )
    CollectionItem.objects.bulk_create(
        CollectionItem(collection=collection, open_item_id=part.key, currency=currency, amount=part.amount)
        for part in attempt.parts
    )
    order_for(collection, on=on)


def _chunks(payers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (payers[at : at + CHUNK] for at in range(0, len(payers), CHUNK))
