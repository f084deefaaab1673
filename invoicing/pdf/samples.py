"""Invented documents under a real issuer's head: what a letter would look like, before there is one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.utils import translation
from django.utils.translation import gettext as _

from billing.kernel.money import places_of
from invoicing.einvoice.facts import (
    Collection,
    DocumentFacts,
    Kind,
    LineFacts,
    OriginalFacts,
    PartyFacts,
    SectionFacts,
    VatShareFacts,
)
from invoicing.einvoice.reading import party_facts
from invoicing.kernel.printing import Explanation
from invoicing.parties import seller_of
from invoicing.pdf.collective import CollectedFacts, StatementFacts
from tenants.models import Issuer

TERM = timedelta(days=14)
MONTH = timedelta(days=30)
PRICE, QUANTITY, VAT_RATE = Decimal("12.90"), Decimal(10), Decimal(19)
NET, VAT = Decimal("129.00"), Decimal("24.51")


def buyer(issuer: Issuer) -> PartyFacts:
    """In the active language."""
    return PartyFacts(
        name=_("Sample Customer Ltd"),
        street=_("1 Sample Street"),
        postcode="10115",
        city="Berlin",
        country=issuer.country,
        reference="K-1001",
    )


def document(issuer: Issuer, kind: str, language: str, *, on: date) -> DocumentFacts:
    """An invoice of the day ``on`` with one line, or what gives it back."""
    sign = 1 if kind == Kind.INVOICE else -1
    places = places_of(issuer.currency)
    with translation.override(language):
        line = LineFacts(
            position=1,
            text=_("Sample service"),
            quantity=sign * QUANTITY,
            unit="C62",
            net=sign * NET,
            starts_on=on,
            last_day=on + MONTH - timedelta(days=1),
            explanation=Explanation(unit_price=PRICE),
            contract="V-2001",
            vat_rate=VAT_RATE,
        )
        to = buyer(issuer)
        return DocumentFacts(
            kind=Kind(kind),
            number=f"{on:%Y}-00042",
            issued_on=on,
            due_on=on + TERM,
            payment_days=TERM.days,
            currency=issuer.currency,
            places=max(places, 2),
            language=language,
            seller=party_facts(seller_of(issuer)),
            buyer=to,
            sections=(SectionFacts(to.name, to.reference, (line,), sign * NET),),
            vat=(VatShareFacts("S", VAT_RATE, sign * NET, sign * VAT),),
            net=sign * NET,
            vat_total=sign * VAT,
            gross=sign * (NET + VAT),
            original=None if sign > 0 else OriginalFacts(f"{on:%Y}-00017", on - MONTH),
        )


def statement(issuer: Issuer, language: str, *, on: date) -> StatementFacts:
    """A collective statement of the day ``on`` over two documents."""
    with translation.override(language):
        to = buyer(issuer)
    entries = tuple(CollectedFacts(f"{on:%Y}-0004{digit}", to.name, on, on + TERM, NET + VAT) for digit in (2, 3))
    return StatementFacts(
        reference="S-0007",
        issued_on=on,
        due_on=on + TERM,
        language=language,
        currency=issuer.currency,
        places=2,
        collection=Collection.INVOICE,
        seller=party_facts(seller_of(issuer)),
        payer=to,
        entries=entries,
        total=2 * (NET + VAT),
    )
