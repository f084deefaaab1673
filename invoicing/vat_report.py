"""VAT of a quarter for the authorities: the EC sales list, One-Stop Shop figures, and the evidence for each 0 percent.

All from the VAT shares of issued documents, by invoice date, in the issuer's currency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection

from billing.kernel.money import places_of, rounded
from billing.kernel.period import Period, months_after
from invoicing.kernel.vat import EU
from tenants.models import Issuer

ZERO: Final = Decimal(0)
SUPPLIES: Final = {"AE": "S", "K": "L"}  # Zusammenfassende Meldung: services, deliveries (§ 18a UStG)

SHARES: Final = """
    select i.id, i.number, i.issued_on, i.parties -> 'buyer' ->> 'reference',
           coalesce(i.parties -> 'buyer' ->> 'vat_id', ''),
           s.vat_case, s.country, s.vat_rate, s.base, s.vat, s.currency, b.rate,
           c.id, coalesce(c.method, ''), c.is_valid, coalesce(c.consultation_number, ''),
           (c.checked_at at time zone %s)::date,
           i.corrects_id is not null or jsonb_path_exists(i.parties, '$.vat.*.as_corrected')
      from invoicing_vatshare s
      join invoicing_invoice i on i.id = s.invoice_id
      left join invoicing_bookvat b on b.invoice_id = i.id
      left join tenants_vatcheck c on c.id = s.vat_check_id
     where i.issuer_id = %s and i.state = 'issued' and i.issued_on >= %s and i.issued_on < %s
     order by i.issued_on, i.range_id, i.sequence, s.vat_rate desc
"""


# What the threshold of Art. 59c of Directive 2006/112/EC counts (§ 3a (5), § 3c (4) UStG)
DISTANCE_SALES: Final = """
    select extract(year from i.issued_on)::int, i.currency, b.rate, sum(l.net)
      from invoicing_line l
      join invoicing_invoice i on i.id = l.invoice_id
      left join invoicing_line o on o.id = l.corrects_id
      join billing_charge c on c.id = coalesce(l.charge_id, o.charge_id)
      join billing_item p on p.id = c.item_id
      join billing_product d on d.id = p.product_id
      join tenants_tenant t on t.id = i.recipient_id
      left join invoicing_bookvat b on b.invoice_id = i.id
     where i.issuer_id = %s and i.state = 'issued' and i.issued_on >= %s and i.issued_on < %s
       and d.tax_category in ('digital', 'goods', 'reduced_goods') and t.buys_as = 'consumer'
       and i.parties -> 'buyer' ->> 'country' = any(%s)
     group by 1, 2, 3
"""
THRESHOLD: Final = Decimal(10_000)  # EUR net in a calendar year, over all member states


@dataclass(frozen=True, slots=True)
class DistanceSales:
    """Electronic services and goods sold to consumers in other member states, net in EUR: a year and the one before."""

    year: int
    net: Decimal
    before: Decimal

    @property
    def is_passed(self) -> bool:
        """Whether they are taxed where the customers are: from the supply that passes it on, and all the next year."""
        return max(self.net, self.before) > THRESHOLD


@dataclass(frozen=True, slots=True)
class Share:
    """A VAT share of an issued document; ``base`` and ``vat`` in the document's currency."""

    invoice: int
    number: str
    issued_on: date
    account: str
    vat_id: str
    case: str
    country: str
    rate: Decimal
    base: Decimal
    vat: Decimal
    currency: str
    exchange_rate: Decimal | None
    check: int | None
    method: str
    is_valid: bool | None
    consultation_number: str
    checked_on: date | None
    keeps_proof: bool = False  # a correction rests on the proof of what it corrects


@dataclass(frozen=True, slots=True)
class SalesToBusiness:
    """A line of the EC sales list: kind of supply ("S": service, "L": goods), in the issuer's currency if converted."""

    vat_id: str
    supply: str
    currency: str
    base: Decimal
    documents: int


@dataclass(frozen=True, slots=True)
class SalesToConsumers:
    """A line of the One-Stop Shop return."""

    country: str
    rate: Decimal
    currency: str
    base: Decimal
    vat: Decimal


@dataclass(frozen=True, slots=True)
class Evidence:
    """A share at 0 percent that rests on a VAT id, and what is wrong with its proof: "" is nothing."""

    share: Share
    fault: str


def quarter_of(day: date) -> Period:
    """The calendar quarter of a day."""
    first = date(day.year, day.month - (day.month - 1) % 3, 1)
    return Period(first, months_after(first, 3))


def shares_of(issuer: Issuer, period: Period) -> list[Share]:
    """All VAT shares of documents issued in a period, in order; one query."""
    with connection.cursor() as cursor:
        cursor.execute(SHARES, [issuer.time_zone, issuer.pk, period.start, period.end])
        return [Share(*row) for row in cursor.fetchall()]


def sales_list(issuer: Issuer, shares: Sequence[Share]) -> list[SalesToBusiness]:
    """Supplies without VAT to businesses in other member states, by VAT id and kind; corrections taken off.

    What was never converted stands apart, in its own currency.
    """
    sums: dict[tuple[str, str, str], tuple[Decimal, set[int]]] = {}
    for share in shares:
        if share.case in SUPPLIES:
            currency, base, _vat = _in_books(issuer, share)
            total, documents = sums.setdefault((share.vat_id, SUPPLIES[share.case], currency), (ZERO, set()))
            documents.add(share.invoice)
            sums[share.vat_id, SUPPLIES[share.case], currency] = total + base, documents
    return [SalesToBusiness(*key, total, len(documents)) for key, (total, documents) in sorted(sums.items())]


def one_stop_shop(issuer: Issuer, shares: Sequence[Share]) -> list[SalesToConsumers]:
    """Supplies taxed in other member states, by country and rate; corrections taken off."""
    sums: dict[tuple[str, Decimal, str], tuple[Decimal, Decimal]] = {}
    for share in shares:
        if share.country:
            currency, base, vat = _in_books(issuer, share)
            key = (share.country, share.rate, currency)
            net, tax = sums.get(key, (ZERO, ZERO))
            sums[key] = net + base, tax + vat
    return [SalesToConsumers(*key, net, tax) for key, (net, tax) in sorted(sums.items())]


def distance_sales(issuer: Issuer, year: int) -> DistanceSales | None:
    """From the lines of issued documents, by invoice date; none for an issuer outside the EU or in another currency.

    What is in a third currency and was never converted is not counted. One query.
    """
    if issuer.country not in EU or issuer.currency != "EUR":
        return None
    nets = {year - 1: ZERO, year: ZERO}
    with connection.cursor() as cursor:
        bounds = [date(year - 1, 1, 1), date(year + 1, 1, 1)]
        cursor.execute(DISTANCE_SALES, [issuer.pk, *bounds, sorted(EU - {issuer.country})])
        for issued_in, currency, rate, net in cursor.fetchall():
            if currency == issuer.currency:
                nets[issued_in] += net
            elif rate is not None:
                nets[issued_in] += net / rate
    places = places_of(issuer.currency)
    return DistanceSales(year, rounded(nets[year], places), rounded(nets[year - 1], places))


def evidence(issuer: Issuer, shares: Sequence[Share]) -> Iterator[Evidence]:
    """Each share at 0 percent that rests on a VAT id, with its proof: a positive answer of VIES not older, on the
    invoice date, than the issuer's policy.
    """
    longest = timedelta(days=issuer.vat_check_max_age_days)
    for share in shares:
        if share.case not in SUPPLIES:
            continue
        fault = ""
        if share.check is None or share.checked_on is None:
            fault = "missing"
        elif not share.is_valid:
            fault = "invalid"
        elif share.method != "vies":
            fault = "unconfirmed"
        elif share.issued_on - share.checked_on > longest and not share.keeps_proof:
            fault = "old"
        yield Evidence(share, fault)


def _in_books(issuer: Issuer, share: Share) -> tuple[str, Decimal, Decimal]:
    if share.currency == issuer.currency or share.exchange_rate is None:
        return share.currency, share.base, share.vat
    places = places_of(issuer.currency)
    return (
        issuer.currency,
        rounded(share.base / share.exchange_rate, places),
        rounded(share.vat / share.exchange_rate, places),
    )
