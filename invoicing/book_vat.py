"""Net and VAT of documents in other currencies, in the issuer's own (§ 16 (6) UStG; EN 16931 BT-6, BT-111)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import exact, places_of, rounded
from invoicing.kernel.content import book_vat_text
from invoicing.kernel.totals import Totals
from invoicing.models import BookVat, ExchangeRate
from tenants.copying import copy_rows, table_of
from tenants.errors import OperatorError
from tenants.models import Issuer

BOOK_VATS: Final = table_of(BookVat)
STALE: Final = timedelta(days=7)  # over a weekend and holidays the last rate holds; after that one was forgotten


class NoExchangeRate(OperatorError):
    """VAT in another currency cannot be converted: the rate of the day is not entered."""


@dataclass(frozen=True, slots=True)
class Rate:
    rate: Decimal  # units of the document's currency for one of the issuer's
    day: date
    source: str


@dataclass(frozen=True, slots=True)
class InBooks:
    """A document's net and VAT in the issuer's currency, each rounded once."""

    currency: str
    net: Decimal
    vat: Decimal
    rate: Rate

    @property
    def text(self) -> str:
        """As it stands in the canonical content."""
        return book_vat_text(self.currency, self.net, self.vat, self.rate.rate, self.rate.day, self.rate.source)


def rates_of(issuer: Issuer, currencies: Iterable[str], *, on: date) -> dict[str, Rate]:
    """The rate of each foreign currency on a day, or the last one of the week before; no query where there is none."""
    foreign = set(currencies) - {issuer.currency}
    if not foreign:
        return {}
    rows = (
        ExchangeRate.objects.filter(base=issuer.currency, currency__in=foreign, day__lte=on, day__gt=on - STALE)
        .order_by("currency", "-day")
        .distinct("currency")
        .values_list("currency", "rate", "day", "source")
    )
    return {currency: Rate(rate, day, source) for currency, rate, day, source in rows}


def former_rates(charges: Iterable[int]) -> dict[int, Rate]:
    """By charge: the rate its document was converted by, which what is given back of it keeps (§ 17 UStG); one query,
    none for no charges.
    """
    wanted = list(charges)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select l.charge_id, b.rate, b.rate_on, b.source
              from invoicing_line l join {BOOK_VATS} b on b.invoice_id = l.invoice_id
             where l.charge_id = any(%s)
            """,
            [wanted],
        )
        return {charge: Rate(*told) for charge, *told in cursor.fetchall()}


def in_books(issuer: Issuer, currency: str, total: Totals, rate: Rate | None, *, on: date) -> InBooks | None:
    """Convert a document's totals; none for one in the issuer's currency, or without VAT and without a rate.

    Raises ``NoExchangeRate`` for VAT that cannot be converted.
    """
    if currency == issuer.currency:
        return None
    if rate is None:
        if not total.vat:
            return None
        raise NoExchangeRate(
            _(
                "There is no exchange rate of %(currency)s for %(base)s on %(day)s or in the week before: enter it, so"
                " that the VAT can be stated in %(base)s (§ 16 (6) UStG)."
            )
            % {"currency": currency, "base": issuer.currency, "day": on.isoformat()}
        )
    places = places_of(issuer.currency)
    return InBooks(
        issuer.currency, converted(total.net, rate.rate, places), converted(total.vat, rate.rate, places), rate
    )


def converted(amount: Decimal, rate: Decimal, places: int) -> Decimal:
    """An amount by the price of one unit of the other currency; rounded once."""
    with exact():
        return rounded(Fraction(amount) / Fraction(rate), places)


def write(documents: Iterable[tuple[int, InBooks]]) -> None:
    """Keep them with their documents (by key), in the caller's transaction."""
    rows = [
        (key, one.currency, one.net, one.vat, one.rate.rate, one.rate.day, one.rate.source) for key, one in documents
    ]
    if rows:
        copy_rows(BOOK_VATS, ("invoice_id", "currency", "net", "vat", "rate", "rate_on", "source"), rows)
