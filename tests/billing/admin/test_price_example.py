"""The worked example in the form of a price: what the figures being typed come to; a warning where more costs less."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import translation

from billing.admin.price_example import told
from billing.kernel.pricing import Model, PriceTerms, tiers_up_to
from billing.kernel.worked_example import Dip, dips, telling_quantities

FIGURES = [("10", "2.50"), ("20", "2.40"), ("30", "2.30"), ("", "2.20")]
NBSP = "\N{NO-BREAK SPACE}"


def typed(sign: str = ".", **more: str) -> dict[str, str]:
    fields = {"currency": "EUR", **more}
    for n, (up_to, price) in enumerate(FIGURES):
        fields |= {f"tiers-{n}-up_to": up_to, f"tiers-{n}-unit_price": price.replace(".", sign)}
    return fields


def volume() -> PriceTerms:
    rows = [(Decimal(up_to) if up_to else None, Decimal(price), Decimal(0)) for up_to, price in FIGURES]
    return PriceTerms(Model.VOLUME, tiers_up_to(rows))


def test_the_vector_of_tiers_as_both_models():
    """Semantics e1: 11 units 27.40 graduated and 26.40 by volume, 31 units 74.20 and 68.20."""
    with translation.override("en"):
        example = told(typed())
        columns = [str(column) for column in example["columns"]]
    rows = dict(example["rows"])
    assert columns == ["graduated", "by volume"]
    assert rows["11"] == [f"27.40{NBSP}EUR", f"26.40{NBSP}EUR"]
    assert rows["31"] == [f"74.20{NBSP}EUR", f"68.20{NBSP}EUR"]
    assert example["warnings"] == ["Choose the price model: the same tiers come to different amounts."]
    assert example["sentences"] == []


def test_one_more_unit_that_costs_less_is_warned_of():
    assert dips(volume())[-1] == Dip(Decimal(30), Decimal("69.00"), Decimal("68.20"))
    assert telling_quantities(volume()) == [1, 10, 11, 20, 21, 30, 31]
    with translation.override("de"):
        example = told(typed(",", model="volume"))
    assert example["warnings"][-1] == (
        f"Eine Einheit mehr senkt den Betrag: 30 Einheiten kosten 69,00{NBSP}EUR, 31 Einheiten 68,20{NBSP}EUR."
    )
    assert example["sentences"][0] == "31 Einheiten:"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({}, "Enter the figures of the price to see what they come to.", id="nothing yet"),
        pytest.param(
            {"tiers-0-up_to": "10", "tiers-0-unit_price": "1", "model": "volume"},
            "Exactly one tier has no upper bound: the last one.",
            id="no open tier",
        ),
        pytest.param(typed(model="flat"), "These figures make no price of this model yet.", id="tiers of a flat price"),
        pytest.param(typed(minimum="x"), "Write the number with a decimal point", id="no number"),
    ],
)
def test_what_is_no_price_yet_is_said(fields, said):
    with translation.override("en"):
        assert said in told(fields)["refusal"]


@pytest.mark.django_db
def test_the_page_asks_for_the_right(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("clerk", is_staff=True))
    assert client.get("/admin/billing/price/example/").status_code == 403
    client.force_login(django_user_model.objects.create_superuser("root"))
    page = client.get("/admin/billing/price/example/", typed(",", model="volume"), headers={"accept-language": "de"})
    assert (page.status_code, "68,20" in page.content.decode()) == (200, True)
