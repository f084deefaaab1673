"""By which position an account's usage is charged: of each account and meter at most one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import connection
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.models import Application, Item, Meter, Product, Subscription
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Tenant

ITEMS, PRODUCTS, CONTRACTS, METERS, APPLICATIONS, ACCOUNTS = (
    table_of(model) for model in (Item, Product, Subscription, Meter, Application, Tenant)
)
# Of a position (i) of a contract (s): up to the earlier of their ends
DAYS: Final = (
    "daterange({i}.starts_on, greatest({i}.starts_on, least(coalesce({i}.ends_before, 'infinity'), {s}.ends_before)))"
)


class ChargedTwice(OperatorError):
    """Two contracts would charge the same usage."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A position to be: it charges what ``meter`` counts of ``account`` on these days (``None``: for good)."""

    account: int
    meter: int
    contract: str
    starts_on: date
    ends_before: date | None

    def meets(self, other: Strategy) -> bool:
        return (
            (self.account, self.meter) == (other.account, other.meter)
            and self.contract != other.contract
            and self.starts_on < (other.ends_before or date.max)
            and other.starts_on < (self.ends_before or date.max)
        )


def others(wanted: Sequence[Strategy]) -> dict[Strategy, str]:
    """The contract that already charges what one of these would charge, where there is one, or another one of them."""
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select w.n, min(s.reference)
              from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::date[], %s::date[]) with ordinality
                   as w(account, meter, contract, starts_on, ends_before, n)
              join {CONTRACTS} s on s.tenant_id = w.account and s.reference <> w.contract
              join {ITEMS} i on i.subscription_id = s.id
              join {PRODUCTS} p on p.id = i.product_id and p.meter_id = w.meter
             where {DAYS.format(i="i", s="s")}
                && daterange(w.starts_on, greatest(w.starts_on, coalesce(w.ends_before, 'infinity')))
             group by w.n
            """,
            [
                [one.account for one in wanted],
                [one.meter for one in wanted],
                [one.contract for one in wanted],
                [one.starts_on for one in wanted],
                [one.ends_before for one in wanted],
            ],
        )
        found = {wanted[n - 1]: contract for n, contract in cursor.fetchall()}
    by_series: dict[tuple[int, int], list[Strategy]] = {}
    for one in wanted:
        earlier = by_series.setdefault((one.account, one.meter), [])
        met = next((other for other in earlier if other.meets(one)), None)
        if met is not None:
            found.setdefault(one, met.contract)
        earlier.append(one)
    return found


def refuse_second(contract: int) -> None:
    """Raises ``ChargedTwice`` if a contract, as it is now, charges usage that another position charges on a day."""
    twice = next(iter(twice_charged([contract])), None)
    if twice is not None:
        raise ChargedTwice(
            _(
                "Contract %(contract)s: %(other)s charges the usage of %(account)s by the meter %(meter)s already from"
                " %(day)s on. End one of the two first, or charge it by another meter."
            )
            % {
                "contract": twice.contract,
                "other": twice.other,
                "account": twice.account,
                "meter": twice.meter,
                "day": date_format(twice.since, "SHORT_DATE_FORMAT"),
            }
        )


@dataclass(frozen=True, slots=True)
class Twice:
    """Usage of an account that two contracts (or two positions of one) charge from a day on."""

    contract: str
    other: str
    account: str
    meter: str
    since: date


def twice_charged(contracts: Iterable[int] | None = None) -> list[Twice]:
    """All usage that would be charged twice, by these contracts (their keys) or by any."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with mine as materialized (
                select s.reference, s.tenant_id, i.id, i.starts_on, p.meter_id, {DAYS.format(i="i", s="s")} as days
                  from {ITEMS} i
                  join {PRODUCTS} p on p.id = i.product_id and p.meter_id is not null
                  join {CONTRACTS} s on s.id = i.subscription_id
                 where (%s::bigint[] is null or s.id = any(%s))),
            theirs as materialized (  -- from the few accounts on, whatever the tables' statistics say
                select s.reference, s.tenant_id, i.id, i.starts_on, p.meter_id, {DAYS.format(i="i", s="s")} as days
                  from (select distinct tenant_id from mine) m
                  join {CONTRACTS} s on s.tenant_id = m.tenant_id
                  join {ITEMS} i on i.subscription_id = s.id
                  join {PRODUCTS} p on p.id = i.product_id and p.meter_id is not null)
            select i.reference, o.reference, t.reference, a.reference || '/' || m.reference,
                   greatest(i.starts_on, o.starts_on)
              from mine i
              join theirs o on o.tenant_id = i.tenant_id and o.meter_id = i.meter_id and o.id <> i.id
              join {ACCOUNTS} t on t.id = i.tenant_id
              join {METERS} m on m.id = i.meter_id join {APPLICATIONS} a on a.id = m.application_id
             where i.days && o.days and (%s::bigint[] is not null or i.id < o.id)
            order by 1, 2, 5
            """,
            [chosen := None if contracts is None else list(contracts), chosen, chosen],
        )
        return [Twice(*row) for row in cursor.fetchall()]
