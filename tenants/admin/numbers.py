"""Figures that people type: one decimal sign, that of their language, and nothing else."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget


def decimal_sign() -> str:
    """The decimal sign of the active language: a comma in German, a point in English."""
    return str(get_format("DECIMAL_SEPARATOR", get_language(), use_l10n=True))


def typed(number: Decimal) -> str:
    """As a person would type it: no grouping, no exponent, no idle zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(".", decimal_sign())


class NumberInput(UnfoldAdminTextInputWidget):
    """A text field with a figures keyboard: a browser's own number field follows its language, not the page's."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"inputmode": "decimal", "autocomplete": "off", **(attrs or {})})


class NumberField(forms.DecimalField):
    """A decimal in the active language. Grouping, exponents, NaN and the other language's sign are refused.

    Django's own field reads "0.125" as 125 in German if localized, and rejects "1234,56" if not.
    """

    widget = NumberInput
    default_error_messages = {
        "comma": _("Write the number with a decimal comma and without separators of thousands, such as 1234,56."),
        "point": _("Write the number with a decimal point and without separators of thousands, such as 1234.56."),
    }

    def __init__(self, **options: Any) -> None:
        options["localize"] = False
        super().__init__(**options)

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        if value in self.empty_values:
            return None
        if isinstance(value, Decimal):
            return value
        sign = decimal_sign()
        text = str(value).strip()
        if not text:
            return None
        if not re.fullmatch(rf"[+-]?[0-9]+(?:{re.escape(sign)}[0-9]+)?", text):
            code = "comma" if sign == "," else "point"
            raise ValidationError(self.error_messages[code], code=code)
        return Decimal(text.replace(sign, "."))

    def prepare_value(self, value: Any) -> Any:
        return typed(value) if isinstance(value, Decimal) else value
