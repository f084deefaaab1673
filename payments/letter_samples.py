"""A sample of each kind of letter with an issuer's own words, kept or only entered: as PDF and as e-mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from django.utils import translation

from invoicing import pdf
from invoicing.einvoice.reading import party_facts
from invoicing.models import LetterText
from invoicing.parties import seller_of
from invoicing.pdf import collective, samples
from invoicing.pdf.style import Style, words_of
from payments import letter
from tenants.models import Issuer

LEVELS = {"first_reminder": (0, False), "reminder": (1, False), "last_reminder": (3, True)}
LATE = timedelta(days=20)


@dataclass(frozen=True, slots=True)
class Sample:
    """Drawn when asked for."""

    pdf: Callable[[], bytes]
    mail: Callable[[], tuple[str, str]]


def sample(text: LetterText, style: Style, *, on: date) -> Sample:
    """The letter that ``text`` is for, dated ``on``, in the given style with these words instead of those kept."""
    kind, language, issuer = text.kind, text.language, text.issuer
    styled = replace(style, words={(kind, language): words_of(text)})
    if kind in LEVELS:
        reminder = _reminder(issuer, kind, language, on)
        return Sample(lambda: letter.render(reminder, styled), lambda: letter.cover_note(reminder, styled))
    if kind == LetterText.Kind.STATEMENT:
        statement = samples.statement(issuer, language, on=on)
        return Sample(lambda: collective.render(statement, styled), lambda: collective.cover_note(statement, styled))
    facts = samples.document(issuer, kind, language, on=on)
    return Sample(lambda: pdf.render(facts, styled), lambda: pdf.cover_note(facts, styled))


def _reminder(issuer: Issuer, kind: str, language: str, on: date) -> letter.ReminderFacts:
    level, is_last = LEVELS[kind]
    due_on = on - LATE
    with translation.override(language):
        payer = samples.buyer(issuer)
    total = samples.NET + samples.VAT
    item = letter.OverdueFacts(
        number=f"{due_on:%Y}-00042",
        issued_on=due_on - samples.TERM,
        due_on=due_on,
        days_overdue=LATE.days,
        total=total,
        open=total,
    )
    return letter.ReminderFacts(
        level=level,
        is_last=is_last,
        written_on=on,
        pay_by=on + samples.TERM,
        currency=issuer.currency,
        places=2,
        language=language,
        seller=party_facts(seller_of(issuer)),
        payer=payer,
        items=(item,),
        fee=Decimal("5.00") if level else Decimal(0),
    )
