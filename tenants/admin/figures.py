"""Money, figures and states as lists and pages show them, in the active language. Only shown, never reckoned with."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency, format_decimal
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

EMPTY = "–"


def money(amount: Decimal | None, currency: str) -> str:
    """With the decimals of its currency: 1.234,56 € in German, €1,234.56 in English."""
    if amount is None:
        return EMPTY
    return format_currency(amount, currency, locale=get_language() or "en")


def unit_price(amount: Decimal, currency: str) -> str:
    """With all decimals it has, two at least, and the code of its currency."""
    figure = format_decimal(amount, "#,##0.00########", locale=get_language() or "en", decimal_quantization=False)
    return f"{figure}\N{NO-BREAK SPACE}{currency}"


def number(figure: Decimal | int) -> str:
    """With as many decimals as it needs."""
    return format_decimal(figure, "#,##0.##########", locale=get_language() or "en", decimal_quantization=False)


def day(value: date | None) -> str:
    return date_format(value, "SHORT_DATE_FORMAT") if value else EMPTY


def instant(value: datetime | None) -> str:
    """Day and time in the time zone of the pages."""
    return date_format(timezone.localtime(value), "SHORT_DATETIME_FORMAT") if value else EMPTY


def money_cell(amount: Decimal | None, currency: str) -> SafeString:
    """For a column of amounts: to the right, and red below zero."""
    sign = " k-negative" if amount is not None and amount < 0 else ""
    return format_html('<span class="k-amount{}">{}</span>', sign, money(amount, currency))


def figure_cell(figure: str) -> SafeString:
    return format_html('<span class="k-amount">{}</span>', figure)


def badge(text: Any, colour: str = "") -> SafeString:
    """A state as a coloured word: success, info, primary, warning, danger, or none. The same in lists and on pages."""
    return format_html('<span class="k-badge k-badge-{}">{}</span>', colour or "plain", text)
