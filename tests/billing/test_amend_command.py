"""The doors of the terminal: amend and renew."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from billing.models import Amendment
from tests.billing.test_contracts import day, make, nets, run
from tests.builders import make_issuer, make_price, make_product

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def said(command: str, *arguments: str) -> list[str]:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_a_change_is_shown_with_its_money_and_then_made():
    contract = make("10.00", "2026-03-01", reference="V-1", issuer=make_issuer(), ends_before=day("2027-03-01"))
    run(contract, "2026-03-01")
    arguments = ("amend", "V-1", "quantity", "--quantity", "3", "--effective", "2026-03-11", "--on", "2026-03-11")
    shown = said(*arguments, "--reason", "Auftrag 4711", "--dry-run")
    assert [line.partition(";")[2].split(";", 1)[1] for line in shown[:2]] == [
        "credit;2026-03-11;2026-04-01;1;-6.77;EUR",
        "fee;2026-03-11;2026-04-01;3;20.32;EUR",
    ]
    assert shown[2:] == [
        "From 2026-03-11; a run through 2026-03-11 would book 13.55 instead of 0 EUR. Per month: 10.00 → 30.00.",
        "Total value: 120.00 → 353.55.",
        "Dry run: nothing was changed.",
    ]
    assert not Amendment.objects.exists()
    assert said(*arguments, "--reason", "Auftrag 4711") == [
        "Contract V-1: amendment 2, other quantity, effective from 2026-03-11."
    ]
    amendment = Amendment.objects.get(sequence=2)
    assert (amendment.reason, amendment.channel, amendment.author) == ("Auftrag 4711", "command", None)
    run(contract, "2026-03-11")
    assert nets(contract) == ["10.00", "-6.77", "20.32"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("V-9", "resume"), "There is no contract “V-9”."),
        (("V-1", "quantity"), "The value “quantity” is missing."),
        (("V-1", "price", "--product", "SOFA"), "There is no product “SOFA”."),
        (("V-1", "pause", "--effective", "period_end"), "Say the day from which the change holds."),
        (("V-1", "resume", "--effective", "2026-03-02"), "Contract V-1: it does not rest on 2 Mar 2026."),
    ],
)
def test_a_refusal_is_a_sentence(arguments, sentence):
    make("10.00", "2026-03-01", reference="V-1")
    with pytest.raises(CommandError) as refusal:
        said("amend", *arguments, "--on", "2026-03-11")
    assert str(refusal.value) == sentence


def test_renewals_are_listed_ahead_and_written_once():
    contract = make("100.00", "2026-01-01", reference="V-1", term_months=12, renewal_months=12, notice_days=0)
    make_price((None, "1", "0"), product=make_product())
    (line,) = said("renew", "--on", "2026-12-01", "--ahead", "31")
    assert line == (
        f"V-1 ({contract.tenant.reference}) renews on 2027-01-01, notice by 2026-12-31: 1200.00 EUR at risk"
    )
    assert said("renew", "--on", "2026-12-31") == ["0 contracts renewed."]
    assert said("renew", "--on", "2027-01-02") == ["1 contract renewed."]  # a night was missed
    assert said("renew", "--on", "2027-01-02") == ["0 contracts renewed."]
