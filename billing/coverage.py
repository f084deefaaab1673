"""Every day of every position with its answer: charged, pending, waived or in error, and why.

Contracts are read a chunk at a time, in a fixed number of queries, whatever the size of the book. What is charged is
read from the charges alone: what charging would do next is not asked, so that a fault of it cannot hide itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from billing import charging
from billing.kernel.charges import Booked, Kind
from billing.kernel.coverage import Reason, Stretch, active_days, covered
from billing.kernel.period import Period
from billing.models import Charge, Item, Product, Subscription
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Tenant

CHUNK: Final = 500
CHARGES, ITEMS, PRODUCTS, CONTRACTS, ACCOUNTS = (
    table_of(model) for model in (Charge, Item, Product, Subscription, Tenant)
)


@dataclass(frozen=True, slots=True)
class Position:
    """A contract position, as a report names it; ``ends_before`` is the earlier of its own end and its contract's."""

    key: int
    contract: int
    reference: str
    product: str
    issuer: int
    account: int
    payer: int
    account_reference: str
    is_active: bool  # the account
    starts_on: date
    ends_before: date | None


@dataclass(frozen=True, slots=True)
class Covered:
    """Days of a position with their answer; ``detail`` says more in words, where there is more to say."""

    position: Position
    stretch: Stretch
    detail: str = ""


def read(*, through: date, among: QuerySet[Subscription] | None = None) -> Iterator[list[Covered]]:
    """All positions' days up to ``through``, that day included, chunk by chunk; of the contracts ``among`` or of all.

    A gap is told as such; whether a run was there at all is known above (``invoicing.coverage``).
    """
    last = 0
    while keys := contracts_after(last, among):
        last = keys[-1]
        yield _read(keys, through)


def contracts_after(last: int, among: QuerySet[Subscription] | None) -> list[int]:
    found = Subscription.objects.all() if among is None else among
    return list(found.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK])


def _read(contracts: Sequence[int], through: date) -> list[Covered]:
    positions = read_positions(contracts, through)
    booked = _booked([position.key for position in positions])
    reckoned, refused = reckonable(contracts)
    schedules = {position.terms.key: position.terms.schedule for position in reckoned}
    found = []
    for position in positions:
        schedule = schedules.get(position.key)
        if schedule is not None:
            stretches = covered(schedule, booked.get(position.key, ()), through)
            found += [Covered(position, of_account(position, stretch)) for stretch in stretches]
            continue
        days = active_days(position.starts_on, position.ends_before, through)
        refusal = refused.get(position.contract, "")
        if days:
            reason = Reason.UNBILLABLE if refusal else Reason.WAITS_FOR_START
            found.append(Covered(position, Stretch(days, reason), refusal))
    return found


def of_account(position: Position, stretch: Stretch) -> Stretch:
    """Charging leaves accounts out that are not active: their gaps have that reason."""
    is_left_out = stretch.reason is Reason.GAP and not position.is_active
    return replace(stretch, reason=Reason.NOT_ACTIVE) if is_left_out else stretch


def read_positions(contracts: Sequence[int], through: date) -> list[Position]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select i.id, s.id, s.reference, p.reference, s.issuer_id, t.id,
                   coalesce(s.pay_by_id, t.pay_by_id, t.id), t.reference, t.status = 'active', i.starts_on,
                   least(i.ends_before, s.ends_before)
              from {CONTRACTS} s
              join {ITEMS} i on i.subscription_id = s.id
              join {PRODUCTS} p on p.id = i.product_id
              join {ACCOUNTS} t on t.id = s.tenant_id
             where s.id = any(%s) and i.starts_on <= %s
             order by s.id, i.starts_on, i.id
            """,
            [list(contracts), through],
        )
        return [Position(*row) for row in cursor.fetchall()]


def _booked(items: Sequence[int]) -> dict[int, list[Booked]]:
    booked: dict[int, list[Booked]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select item_id, id, kind, starts_on, ends_before, net, corrects_id from {CHARGES}
             where item_id = any(%s) and addition = 0 and reversed_by_id is null and reverses_id is null
            """,
            [list(items)],
        )
        for item, key, kind, start, end, net, corrects in cursor.fetchall():
            booked[item].append(Booked(key, Kind(kind), Period(start, end), net, corrects))
    return booked


def reckonable(contracts: Sequence[int]) -> tuple[list[charging.Position], dict[int, str]]:
    """The positions of contracts (their keys) as charging reckons them; and, by contract, why one cannot be reckoned.

    Positions of contracts that wait for the day with which billing starts are in neither.
    """
    try:
        return charging.positions_of(contracts), {}
    except OperatorError as refusal:
        if len(contracts) == 1:
            return [], {contracts[0]: str(refusal)}
        middle = len(contracts) // 2
        positions, refused = reckonable(contracts[:middle])
        more, others = reckonable(contracts[middle:])
        return positions + more, refused | others
