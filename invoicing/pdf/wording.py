"""Days, figures and standing words as a document of one language prints them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal
from django.utils.translation import gettext as _

from invoicing.kernel.printing import decimals_of

DAYS = {"de": "dd.MM.yyyy", "en": "d MMM yyyy"}
COMMON_UNITS = {"C62": "", "E34": "GB", "E35": "TB", "4L": "MB", "KWH": "kWh", "KGM": "kg"}


@dataclass(frozen=True, slots=True)
class Wording:
    """Figures with the decimals of ``currency``; ``language`` is de or en."""

    language: str
    currency: str
    places: int

    def day(self, day: date) -> str:
        return format_date(day, DAYS[self.language], locale=self.language)

    def days(self, first: date, last: date) -> str:
        return self.day(first) if first == last else f"{self.day(first)} – {self.day(last)}"

    def amount(self, amount: Decimal) -> str:
        """Without the currency, as in a column that names it."""
        return self.figure(amount, self.places)

    def money(self, amount: Decimal) -> str:
        return f"{self.amount(amount)}\N{NO-BREAK SPACE}{self.currency}"

    def figure(self, figure: Decimal, decimals: int) -> str:
        """``figure`` must be exact at ``decimals``: nothing is rounded here."""
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return format_decimal(figure, pattern, locale=self.language)

    def number(self, number: Decimal) -> str:
        """With as many decimals as it needs: 44, 10.5, 0.9 percent."""
        return self.figure(number, decimals_of(number, 0))

    def percent(self, share: Decimal | Fraction) -> str:
        figure = share if isinstance(share, Decimal) else Decimal(share.numerator) / Decimal(share.denominator)
        space = "\N{NO-BREAK SPACE}" if self.language == "de" else ""
        return f"{self.number(figure)}{space}%"

    def quantity(self, quantity: Decimal, unit: str) -> str:
        word = unit_word(unit)
        return f"{self.number(quantity)}\N{NO-BREAK SPACE}{word}" if word else self.number(quantity)

    def country(self, code: str) -> str:
        return str(Locale.parse(self.language).territories.get(code, code))


def unit_word(unit: str) -> str:
    """What stands behind a quantity; pieces stand alone."""
    if unit in COMMON_UNITS:
        return COMMON_UNITS[unit]
    words = {
        "HUR": _("h"),
        "MIN": _("min."),
        "DAY": _("days"),
        "MON": _("months"),
        "ANN": _("years"),
        "LS": _("flat rate"),
    }
    return words.get(unit, unit)


def grouped_iban(iban: str) -> str:
    return " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
