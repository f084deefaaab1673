"""The VAT of a consolidated document, shared among its sections without losing a cent."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

from invoicing.kernel.sections import open_parts, section_amounts
from invoicing.kernel.totals import totals
from invoicing.kernel.vat import Case

NINETEEN, SEVEN = Decimal(19), Decimal(7)


def amounts(*lines: tuple[str, Decimal, str]) -> dict[str, tuple[str, str]]:
    """Net and VAT by section, of lines given as (section, rate, net)."""
    told = [(section, Case.STANDARD, rate, Decimal(net)) for section, rate, net in lines]
    shares = totals([(case, rate, net) for _section, case, rate, net in told], 2).shares
    found = section_amounts(told, shares, 2)
    return {section: (str(amount.net), str(amount.vat)) for section, amount in found.items()}


def test_the_cent_goes_to_the_largest_remainder():
    """Of 0.03 at 19 percent 0.0057 each: the document has 0.02, and the first two sections a cent of it each."""
    lines = [("A", NINETEEN, "0.03"), ("B", NINETEEN, "0.03"), ("C", NINETEEN, "0.03")]
    assert amounts(*lines) == {"A": ("0.03", "0.01"), "B": ("0.03", "0.01"), "C": ("0.03", "0.00")}


def test_each_rate_is_shared_among_those_who_have_it():
    lines = [("A", NINETEEN, "100.00"), ("B", NINETEEN, "50.00"), ("B", SEVEN, "10.00")]
    assert amounts(*lines) == {"A": ("100.00", "19.00"), "B": ("60.00", "10.20")}


def test_sections_that_balance_each_other_keep_what_is_theirs():
    assert amounts(("A", NINETEEN, "100.00"), ("B", NINETEEN, "-100.00")) == {
        "A": ("100.00", "19.00"),
        "B": ("-100.00", "-19.00"),
    }


@given(lists(tuples(integers(0, 9), sampled_from([NINETEEN, SEVEN]), integers(-(10**7), 10**7)), min_size=1))
def test_sections_add_up_to_the_document(drawn):
    lines = [(section, Case.STANDARD, rate, Decimal(cents).scaleb(-2)) for section, rate, cents in drawn]
    document = totals([(case, rate, net) for _section, case, rate, net in lines], 2)
    found = section_amounts(lines, document.shares, 2)
    assert sum(amount.net for amount in found.values()) == document.net
    assert sum(amount.vat for amount in found.values()) == document.vat
    for section, amount in found.items():
        own = [(case, rate, net) for mine, case, rate, net in lines if mine == section]
        assert amount.net == sum(net for *_, net in own)
        assert abs(amount.gross - totals(own, 2).gross) <= Decimal("0.10")


@given(lists(integers(-50_000, 50_000), min_size=1, max_size=60), integers(0, 100))
def test_what_is_open_of_the_sections_is_what_is_open_of_the_document(cents, percent):
    gross = {section: Decimal(one).scaleb(-2) for section, one in enumerate(cents)}
    whole = sum(cents)
    left = Decimal(whole * percent // 100).scaleb(-2)
    parts = open_parts(gross, left, 2)
    assert not whole or sum(parts.values()) == left
    assert percent < 100 or not whole or parts == gross
    assert left or set(parts.values()) == {Decimal(0)}
