"""Kinds of column that several tables share."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Lower, Replace
from django.utils.translation import gettext_lazy as _
from djmoney.models.fields import MoneyField

AMOUNT_PLACES = 4  # the finest minor unit of any currency; check constraints narrow it to the row's own currency
UNIT_PRICE_PLACES = 10


def amount(verbose_name: Any, **options: Any) -> MoneyField:
    """An amount of a document or a booking, in the row's one ``currency`` column."""
    return MoneyField(
        verbose_name,
        max_digits=19,
        decimal_places=AMOUNT_PLACES,
        currency_field_name="currency",
        default_currency=None,
        **options,
    )


def sort_key(column: str) -> models.GeneratedField:
    """A stored key that sorts names as a German reader expects (ä as a, ß as ss) on a server without ICU."""
    folded = Func(
        Lower(Replace(F(column), Value("ß"), Value("ss"))),
        Value("äöüàáâãåçèéêëìíîïñòóôõøùúûýÿ"),
        Value("aouaaaaaceeeeiiiinooooouuuyy"),
        function="translate",
        output_field=models.CharField(max_length=250),
    )
    return models.GeneratedField(expression=folded, output_field=models.CharField(max_length=250), db_persist=True)


def same(key: str) -> Func:
    """A key as a range of one: it overlaps itself alone, and needs no database extension."""
    return Func(key, key, Value("[]"), function="int8range")


def days(start: str = "starts_on", end: str = "ends_before") -> Func:
    """The half-open stretch of days between two columns; an empty column is open."""
    return Func(start, end, function="daterange")


def currency_is_a_code(name: str) -> models.CheckConstraint:
    """Three capital letters: django-money accepts anything."""
    return models.CheckConstraint(
        name=name,
        condition=Q(currency__regex=r"^[A-Z]{3}$"),
        violation_error_message=_("The currency is a code of three capital letters, such as EUR."),
    )


def below_infinity(*columns: str) -> Q:
    """Finite where not null: PostgreSQL sorts NaN above every number, so that ``>= 0`` alone lets it pass."""
    return Q(*((f"{column}__lt", 10**15) for column in columns))


def fits_currency(*columns: str) -> Q:
    """Amounts of the row's ``currency``, none finer than its minor unit, none infinite or NaN."""
    condition = Q()
    for column in columns:
        condition &= Q(Func(F(column), F("currency"), function="kontor_fits", output_field=models.BooleanField()))
    return condition
