"""What if: the next twelve documents of a contract, or of a price, as they are and with one change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from billing import contracts
from billing.contracts.course import Stretch
from billing.models import Discount, Price, Product, Subscription
from invoicing import simulation
from invoicing.simulation import Compared, Expected
from tenants.admin import figures
from tenants.admin.numbers import NumberField, typed
from tenants.errors import OperatorError

CHANNEL = "admin"
TALLEST = 100  # percent of the chart
KINDS = [
    ("", _("no change")),
    ("quantity", _("other quantity")),
    ("price", _("agreed price")),
    ("discount", _("discount in percent")),
]


def day_field(label: Any, **options: Any) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "k-input"})
    years = [MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2099, 12, 31))]
    return forms.DateField(label=label, input_formats=["%Y-%m-%d"], widget=widget, validators=years, **options)


def number_field(label: Any, **options: Any) -> NumberField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "k-input"})
    return NumberField(label=label, max_digits=19, widget=widget, **options)


CHOICE = forms.Select(attrs={"class": "k-input"})


class WhatIfForm(forms.Form):
    """One change: what, how much, from when. It is asked for in the address, because it changes nothing."""

    kind = forms.ChoiceField(label=_("what changes"), choices=KINDS, required=False, widget=CHOICE)
    value = number_field(
        _("value"),
        required=False,
        decimal_places=10,
        help_text=_("The new quantity, the agreed price, or the percentage."),
    )
    day = day_field(_("from"), required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind, value = cleaned.get("kind"), cleaned.get("value")
        if kind and value is None and "value" not in self.errors:
            self.add_error("value", _("Say how much."))
        elif kind in ("quantity", "discount") and value is not None and value <= 0:
            self.add_error("value", _("The value is above zero."))
        elif kind == "discount" and value is not None and value > 100:
            self.add_error("value", _("A percentage is at most 100."))
        elif kind == "price" and value is not None and value < 0:
            self.add_error("value", _("A price is not negative."))
        elif kind in ("quantity", "discount") and value is not None and -int(value.as_tuple().exponent) > 4:
            self.add_error("value", _("The value has at most four decimals."))
        return cleaned


class ContractForm(WhatIfForm):
    position = forms.TypedChoiceField(label=_("position"), coerce=int, required=False, widget=CHOICE)

    field_order = ["kind", "position", "value", "day"]


class PriceForm(WhatIfForm):
    quantity = number_field(_("quantity"), decimal_places=4, min_value=Decimal("0.0001"))
    starts_on = day_field(_("first day"))

    field_order = ["quantity", "starts_on", "kind", "value", "day"]


def contract(request: HttpRequest, key: int) -> HttpResponse:
    """A contract as it runs today, and with the change."""
    check_allowed(request)
    seen = Subscription.objects.visible_to(request.user)
    subscription = get_object_or_404(seen.select_related("tenant", "issuer"), pk=key)
    today = timezone.localdate()
    running = contracts.course_of(subscription).on(max(today, subscription.starts_on))
    form = ContractForm(request.GET or None)
    form.fields["position"].choices = positions(running)  # type: ignore[attr-defined]
    first = max(today, subscription.starts_on)

    def reckoned(change: Mapping[str, Any] | None) -> list[Expected]:
        made = None
        if change is not None:
            made = change_of(subscription, running, change, today)
        return simulation.of_contract(subscription, on=today, change=made)

    return page(
        request,
        form,
        reckoned,
        title=gettext("What if: contract %(contract)s") % {"contract": subscription.reference},
        currency=subscription.currency,
        back=reverse("admin:billing_subscription_change", args=[key]),
        first=first,
    )


def positions(running: Mapping[int, Stretch]) -> list[tuple[int, str]]:
    """What runs: 1: 5 × Seat."""
    products = Product.objects.in_bulk([stretch.terms.product for stretch in running.values()])
    named = {key: product.name_de if get_language() == "de" else product.name_en for key, product in products.items()}
    return [
        (line, f"{line}: {figures.number(stretch.terms.quantity)} × {named[stretch.terms.product]}")
        for line, stretch in sorted(running.items())
    ]


def change_of(
    subscription: Subscription, running: Mapping[int, Stretch], change: Mapping[str, Any], today: date
) -> Callable[[], Any]:
    """The call that makes the change asked for, in the rehearsal."""
    value, line = change["value"], change.get("position") or min(running, default=1)
    common: dict[str, Any] = {"on": today, "effective": change["day"], "by": None, "channel": CHANNEL}
    if change["kind"] == "quantity":
        return lambda: contracts.change_quantity(subscription, line=line, quantity=value, reason="", **common)
    if change["kind"] == "price":
        price = Price.objects.filter(pk=running[line].terms.price).first() if line in running else None
        is_flat = price is not None and price.model == Price.Model.FLAT
        agreed = {"flat_amount": value} if is_flat else {"unit_price": value}
        return lambda: contracts.agree_price(subscription, line=line, reason="", **agreed, **common)

    def granted() -> Any:
        discount = Discount.objects.create(
            reference=f"~{subscription.pk}~", name_de="?", name_en="?", kind=Discount.Kind.PERCENT, percent=value
        )
        return contracts.grant(subscription, discount=discount, reason=gettext("What if"), **common)

    return granted


def price(request: HttpRequest, key: int) -> HttpResponse:
    """A new contract at a price, and the same with the change."""
    check_allowed(request)
    seen = Price.objects.visible_to(request.user)
    held = get_object_or_404(seen.select_related("product", "price_class").prefetch_related("tiers"), pk=key)
    today = timezone.localdate()
    given = request.GET.copy()
    given.setdefault("quantity", typed(Decimal(1)))
    given.setdefault("starts_on", today.replace(day=1).isoformat())
    form = PriceForm(given)
    language = get_language() or "en"

    def reckoned(change: Mapping[str, Any] | None) -> list[Expected]:
        asked = form.cleaned_data
        return simulation.of_price(
            held,
            quantity=asked["quantity"],
            on=asked["starts_on"],
            language=language,
            change=None if change is None else scenario_change(held, change),
        )

    return page(
        request,
        form,
        reckoned,
        title=gettext("What if: price of %(product)s") % {"product": held.product.reference},
        currency=held.currency,
        back=reverse("admin:billing_price_change", args=[key]),
        first=today,
    )


def scenario_change(held: Price, change: Mapping[str, Any]) -> dict[str, Any]:
    """The change in the words of a scenario."""
    day, value = change["day"].isoformat(), f"{change['value']:f}"
    if change["kind"] == "quantity":
        figures_ = {"quantity": value}
    elif change["kind"] == "price":
        figures_ = {"flat_amount" if held.model == Price.Model.FLAT else "unit_price": value}
    else:
        figures_ = {"percent": value, "reason": gettext("What if")}
    return {"on": day, "effective": day, "kind": change["kind"], **figures_}


def check_allowed(request: HttpRequest) -> None:
    if not request.user.has_perm("billing.view_subscription"):
        raise PermissionDenied


def page(
    request: HttpRequest,
    form: WhatIfForm,
    reckoned: Callable[[Mapping[str, Any] | None], list[Expected]],
    *,
    title: str,
    currency: str,
    back: str,
    first: date,
) -> HttpResponse:
    """Both sides beside each other; a refusal stands where the figures would."""
    rows: list[Compared] = []
    refusal, is_changed = "", False
    try:
        if not form.is_bound or form.is_valid():
            asked = form.cleaned_data if form.is_bound else {}
            without = reckoned(None)
            is_changed = bool(asked.get("kind"))
            changed = reckoned({**asked, "day": asked.get("day") or first}) if is_changed else without
            rows = simulation.compared(without, changed)
    except OperatorError as error:
        refusal = str(error)
    highest = max((abs(side.net) for row in rows for side in (row.without, row.changed) if side), default=Decimal(0))
    context = {
        **admin.site.each_context(request),
        "title": title,
        "form": form,
        "back": back,
        "refusal": refusal,
        "is_changed": is_changed,
        "rows": [shown(row, currency, highest) for row in rows],
        "sums": sums(rows, currency),
    }
    return TemplateResponse(request, "invoicing/admin/what_if.html", context)


def shown(row: Compared, currency: str, highest: Decimal) -> dict[str, Any]:
    return {
        "day": figures.day(row.day),
        "without": amounts(row.without, currency, highest),
        "changed": amounts(row.changed, currency, highest),
        "difference": figures.money_cell(row.difference, currency) if row.difference else figures.EMPTY,
    }


def amounts(side: Expected | None, currency: str, highest: Decimal) -> dict[str, Any]:
    """The figures of one document; and the height of its column, in percent of the highest."""
    height = int(abs(side.net) * TALLEST / highest) if side and highest else 0
    return {
        "net": figures.money_cell(side.net, currency) if side else figures.EMPTY,
        "gross": figures.money_cell(side.gross, currency) if side else figures.EMPTY,
        "figure": figures.money(side.net, currency) if side else figures.EMPTY,
        "height": height,
        "top": TALLEST - height,
        "is_negative": bool(side and side.net < 0),
    }


def sums(rows: list[Compared], currency: str) -> dict[str, Any]:
    nothing = Decimal(0)
    without = sum((row.without.net for row in rows if row.without), nothing)
    changed = sum((row.changed.net for row in rows if row.changed), nothing)
    return {
        "without": figures.money_cell(without, currency),
        "changed": figures.money_cell(changed, currency),
        "difference": figures.money_cell(changed - without, currency),
    }
