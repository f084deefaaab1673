"""The worked example in the form of a price: what its figures come to, as they are being typed; nothing is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from billing.explanation import explain
from billing.kernel.money import rounded
from billing.kernel.pricing import Model, PriceTerms, rate, tiers_up_to
from billing.kernel.worked_example import amounts, dips, telling_quantities
from tenants.admin import figures
from tenants.admin.numbers import NumberField
from tenants.models.columns import UNIT_PRICE_PLACES

MOST_TIERS = 50
BOTH = (Model.GRADUATED, Model.VOLUME)  # of one set of tiers, and mixed up easily
COLUMNS = {
    Model.FLAT: _("flat"),
    Model.PER_UNIT: _("per unit"),
    Model.GRADUATED: _("graduated"),
    Model.VOLUME: _("by volume"),
    Model.PACKAGE: _("per package"),
    Model.STAIRSTEP: _("in steps"),
    Model.PERCENTAGE: _("in percent"),
}


def price_example(request: HttpRequest) -> HttpResponse:
    """The example for the figures in the address, as a piece of a page."""
    if not (request.user.has_perm("billing.view_price") or request.user.has_perm("billing.add_price")):
        raise PermissionDenied
    return render(request, "billing/admin/price_example_figures.html", told(request.GET))


def told(typed: QueryDict | Mapping[str, str]) -> dict[str, Any]:
    """What the example says: amounts at telling quantities, where one more unit costs less, and one in words."""
    chosen, currency = typed.get("model", ""), typed.get("currency", "").upper() or "EUR"
    if chosen == Model.COMMITMENT:
        return {"refusal": gettext("What the contract's other positions come to less than this is charged in arrears.")}
    try:
        rows = list(_tiers(typed))
        if not rows:
            return {"refusal": gettext("Enter the figures of the price to see what they come to.")}
        models = BOTH if chosen in ("", *BOTH) else (Model(chosen),)
        prices = {model: _terms(model, rows, typed) for model in models}
    except ValidationError as error:
        return {"refusal": " ".join(error.messages)}
    except (ArithmeticError, ValueError):
        return {"refusal": gettext("These figures make no price of this model yet.")}
    first = prices.get(Model(chosen)) if chosen else None
    quantities = telling_quantities(first or next(iter(prices.values())))
    columns = [amounts(price, quantities) for price in prices.values()]
    warnings = []
    if not chosen:
        warnings.append(gettext("Choose the price model: the same tiers come to different amounts."))
    elif first is not None:
        warnings += [
            gettext("One more unit lowers the amount: %(quantity)s units cost %(amount)s, %(next)s units %(less)s.")
            % {
                "quantity": figures.number(dip.quantity),
                "amount": figures.unit_price(plainly(dip.amount), currency),
                "next": figures.number(dip.quantity + 1),
                "less": figures.unit_price(plainly(dip.less), currency),
            }
            for dip in dips(first)
        ]
    return {
        "columns": [COLUMNS[model] for model in prices],
        "rows": [
            (figures.number(quantity), [figures.unit_price(plainly(amount), currency) for amount in of_quantity])
            for quantity, *of_quantity in zip(quantities, *columns, strict=True)
        ],
        "warnings": warnings,
        "sentences": _in_words(first, quantities[-1], currency) if first is not None else [],
    }


def plainly(amount: Decimal | Fraction) -> Decimal:
    """As a decimal; whole periods give nothing finer than ten places."""
    return amount if isinstance(amount, Decimal) else rounded(amount, UNIT_PRICE_PLACES)


def _in_words(price: PriceTerms, quantity: Decimal, currency: str) -> list[str]:
    heading = ngettext("%(quantity)s unit:", "%(quantity)s units:", int(quantity)) % {
        "quantity": figures.number(quantity)
    }
    return [heading, *explain(rate(price, quantity).trace, currency)]


def _terms(model: Model, rows: list[tuple[Decimal | None, Decimal, Decimal, Decimal | None]], typed: Any) -> PriceTerms:
    rows = sorted(rows, key=lambda row: (row[0] is None, row[0] or 0))
    if rows[-1][0] is not None:
        raise ValidationError(_("Exactly one tier has no upper bound: the last one."))
    sizes = [size for *_figures, size in rows] if model in BOTH else []
    return PriceTerms(
        model,
        tiers_up_to([(up_to, price, flat) for up_to, price, flat, _size in rows], sizes),
        package_size=_number(typed, "package_size") or Decimal(1),
        package_per_tier=bool(typed.get("package_per_tier")),
        free_quota=_number(typed, "free_quantity") or Decimal(0),
        flat_when_zero=bool(typed.get("flat_when_zero")),
        minimum=_number(typed, "minimum"),
        cap=_number(typed, "cap"),
    )


def _tiers(typed: Any) -> Iterator[tuple[Decimal | None, Decimal, Decimal, Decimal | None]]:
    """The rows that have a figure and are not to be deleted: bound, unit price, flat amount, package size."""
    for n in range(MOST_TIERS):
        name = f"tiers-{n}-"
        values = [_number(typed, name + part) for part in ("up_to", "unit_price", "flat_amount", "package_size")]
        if not typed.get(name + "DELETE") and (values[0] is not None or values[1] or values[2]):
            yield values[0], values[1] or Decimal(0), values[2] or Decimal(0), values[3]


def _number(typed: Any, name: str) -> Decimal | None:
    number: Decimal | None = NumberField(max_digits=25, required=False, min_value=0).clean(typed.get(name, ""))
    return number
