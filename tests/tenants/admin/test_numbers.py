"""Figures that people type: one decimal sign, and never a guess."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from billing.models import Tier
from tenants.admin.numbers import NumberField, NumberInput, typed

FIELD = NumberField(max_digits=25, decimal_places=10)


@pytest.mark.parametrize(
    ("language", "text", "number"),
    [
        ("de", "0,125", "0.125"),
        ("de", "1234,56", "1234.56"),
        ("de", "-3", "-3"),
        ("de", " 7 ", "7"),
        ("en", "0.125", "0.125"),
        ("en", "12.345", "12.345"),
        ("en", "1234.56", "1234.56"),
    ],
)
def test_the_decimal_sign_is_that_of_the_language(language: str, text: str, number: str):
    with translation.override(language):
        assert FIELD.clean(text) == Decimal(number)


@pytest.mark.parametrize("text", ["0.125", "1.234,56", "12.345", "1e3", "NaN", "1 234", "1'234", "Infinity", "٣", "1,"])
def test_anything_else_is_refused_in_german(text: str):
    with translation.override("de"), pytest.raises(ValidationError) as refusal:
        FIELD.clean(text)
    assert refusal.value.error_list[0].code == "comma"


@pytest.mark.parametrize("text", ["0,125", "1.234,56", "1,234.56", "1e3", "NaN", "1 234", "-", ".5"])
def test_anything_else_is_refused_in_english(text: str):
    with translation.override("en"), pytest.raises(ValidationError) as refusal:
        FIELD.clean(text)
    assert refusal.value.error_list[0].code == "point"


@pytest.mark.parametrize(("language", "shown"), [("de", 'value="1234567,0047"'), ("en", 'value="1234567.0047"')])
def test_forms_show_figures_without_grouping_and_idle_zeros(language: str, shown: str):
    field = Tier._meta.get_field("unit_price").formfield(form_class=NumberField, widget=NumberInput)
    with translation.override(language):
        html = field.widget.render("unit_price", field.prepare_value(Decimal("1234567.0047000000")))
    assert shown in html


def test_large_and_small_figures_are_typed_without_an_exponent():
    with translation.override("en"):
        assert typed(Decimal("1E+3")) == "1000"
        assert typed(Decimal("0E-10")) == "0"
        assert typed(Decimal("1E-7")) == "0.0000001"
