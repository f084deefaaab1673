"""What people write into a purpose, and whose money it is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.kernel.allocation import Claim, Rule
from payments.kernel.matching import Book, Certainty, Document, Line, Matcher, Numbers, Reason, name_key

KNOWN = Numbers([f"RE-2026-{number:05}" for number in range(1, 120)] + ["S-12/2016-1234"])


@pytest.mark.parametrize(
    ("purpose", "numbers"),
    [
        pytest.param("RE-2026-00017", ["RE-2026-00017"], id="as it stands"),
        pytest.param("Rechnung re 2026 00017 vom 1.2.", ["RE-2026-00017"], id="small letters and blanks"),
        pytest.param("RE202600017", ["RE-2026-00017"], id="nothing between"),
        pytest.param("RE-2026-00 017", ["RE-2026-00017"], id="broken by the bank's line"),
        pytest.param("RE/2026/00017", ["RE-2026-00017"], id="other signs"),
        pytest.param("Rg. 2026-00017", ["RE-2026-00017"], id="without its prefix"),
        pytest.param("Rechnung 202600017", ["RE-2026-00017"], id="digits alone"),
        pytest.param("Rechnungsnr 2026-17", ["RE-2026-00017"], id="without leading zeros"),
        pytest.param("RE 2026/17, KD 4711", ["RE-2026-00017"], id="without leading zeros, with prefix"),
        pytest.param("RE-2O26-OOOl7", ["RE-2026-00017"], id="letters for digits"),
        pytest.param("RE-2026-00017 und 00018", ["RE-2026-00017"], id="a short second one is not guessed"),
        pytest.param("RE-2026-00017/RE-2026-00018", ["RE-2026-00017", "RE-2026-00018"], id="two"),
        pytest.param("RE-2026-00017RE-2026-00018", ["RE-2026-00017", "RE-2026-00018"], id="two run together"),
        pytest.param("re2026-00018 RE2026-00017", ["RE-2026-00018", "RE-2026-00017"], id="in their order"),
        pytest.param("RE-2026-000171", [], id="one digit too many"),
        pytest.param("1RE-2026-0001", ["RE-2026-00001"], id="a known one without its zeros"),
        pytest.param("92026000179", [], id="inside a longer number"),
        pytest.param("RE-2027-00017", [], id="another year"),
        pytest.param("S-12/2016-1234 Danke", ["S-12/2016-1234"], id="a number of several parts"),
        pytest.param("Danke", [], id="none"),
    ],
)
def test_numbers_as_people_write_them(purpose, numbers):
    assert KNOWN.found_in(purpose)[0] == numbers


def test_what_was_misread_is_told():
    assert KNOWN.found_in("RE-2O26-00017") == (["RE-2026-00017"], False)
    assert KNOWN.found_in("RE-2026-00017")[1]


@given(number=st.integers(1, 119), before=st.text("abc xyz.,", max_size=12), after=st.text("abc xyz.,", max_size=12))
def test_a_number_is_found_whatever_stands_around_it(number, before, after):
    assert f"RE-2026-{number:05}" in KNOWN.found_in(f"{before} RE-2026-{number:05} {after}")[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café Zentral GmbH", "CAFE ZENTRAL G.M.B.H."),
        ("Müller & Söhne GmbH & Co. KG", "MUELLER UND SOEHNE".replace(" UND ", " & ")),
        ("Groß AG", "GROSS AKTIENGESELLSCHAFT".replace(" AKTIENGESELLSCHAFT", "")),
    ],
)
def test_names_are_compared_without_legal_form_and_umlauts(one, other):
    assert name_key(one) == name_key(other)


DUE = date(2026, 2, 15)


def book(**changes: Any) -> Book:
    """Payer 1 (tree 1) owes 119.00 and 50.00, payer 2 (tree 1) 80.00, payer 3 (tree 3) 119.00; R-9 is settled."""
    claims = {1: [Claim(11, DUE, Decimal("119.00")), Claim(12, DUE, Decimal("50.00"))]}
    claims |= {2: [Claim(21, DUE, Decimal("80.00"))], 3: [Claim(31, DUE, Decimal("119.00"))]}
    documents = [
        Document("RE-2026-00011", 1, 1, claims[1][0]),
        Document("RE-2026-00012", 1, 1, claims[1][1]),
        Document("RE-2026-00021", 2, 1, claims[2][0]),
        Document("RE-2026-00031", 3, 3, claims[3][0]),
        Document("RE-2026-00009", 1, 1, None),
    ]
    return Book(
        **{
            "documents": {one.number: one for one in documents},
            "claims": claims,
            "trees": {1: 1, 2: 1, 3: 3},
            "accounts": {"h1": frozenset({1}), "h3": frozenset({3})},
            "mandates": {"M-1": 1},
            "names": {name_key("Eins GmbH"): frozenset({1}), name_key("Drei"): frozenset({3})},
            "customers": {"K10001": 1, "K10003": 3},
            "collections": {"E-1": 1},
        }
        | changes
    )


def line(amount: str, purpose: str = "", **fields: Any) -> Line:
    return Line(1, Decimal(amount), purpose, **fields)


@pytest.mark.parametrize(
    ("given_line", "payer", "shares", "unapplied", "certainty", "reasons"),
    [
        pytest.param(
            line("119.00", "RE-2026-00011", account="h1"), 1, [(11, "119.00")], "0", Certainty.CERTAIN,
            [Reason.NUMBER, Reason.ACCOUNT], id="named, exact, from where it always comes",
        ),
        pytest.param(
            line("119.00", "RE-2026-00011", name="Eins"), 1, [(11, "119.00")], "0", Certainty.CERTAIN,
            [Reason.NUMBER, Reason.NAME], id="named, exact, by name",
        ),
        pytest.param(
            line("119.00", "RE-2026-00011", account="new", name="Tante Emma"), 1, [(11, "119.00")], "0",
            Certainty.LIKELY, [Reason.NUMBER], id="named and exact, from a stranger",
        ),
        pytest.param(
            line("119.00", "RE-2026-00011", account="h3"), 1, [(11, "119.00")], "0", Certainty.LIKELY,
            [Reason.NUMBER, Reason.ACCOUNT, Reason.OTHER_PAYER], id="named, from somebody else's account",
        ),
        pytest.param(
            line("80.00", "RE-2026-00021", account="h1"), 1, [(21, "80.00")], "0", Certainty.CERTAIN,
            [Reason.NUMBER, Reason.ACCOUNT], id="named, paid by another account of the tree",
        ),
        pytest.param(
            line("169.00", "RE-2026-00011, RE-2026-00012", account="h1"), 1, [(11, "119.00"), (12, "50.00")], "0",
            Certainty.CERTAIN, [Reason.NUMBER, Reason.ACCOUNT], id="two named, together exact",
        ),
        pytest.param(
            line("100.00", "RE-2026-00011", account="h1"), 1, [(11, "100.00")], "0", Certainty.LIKELY,
            [Reason.NUMBER, Reason.ACCOUNT], id="named, a part",
        ),
        pytest.param(
            line("130.00", "RE-2026-00011", account="h1"), 1, [(11, "119.00")], "11.00", Certainty.LIKELY,
            [Reason.NUMBER, Reason.ACCOUNT], id="named, too much",
        ),
        pytest.param(
            line("238.00", "RE-2026-00011 RE-2026-00031", account="h1"), 1, [], "238.00", Certainty.UNCLEAR,
            [Reason.NUMBER, Reason.ACCOUNT, Reason.OTHER_TREE], id="named over two trees: never by itself",
        ),
        pytest.param(
            line("75.00", "RE-2026-00009", account="h1"), 1, [], "75.00", Certainty.POSSIBLE,
            [Reason.NUMBER, Reason.ACCOUNT, Reason.SETTLED], id="named, settled already",
        ),
        pytest.param(
            line("50.00", "Danke", account="h1"), 1, [(12, "50.00")], "0", Certainty.LIKELY, [Reason.ACCOUNT],
            id="nothing named, the exact amount of a known payer",
        ),
        pytest.param(
            line("60.00", "Danke", account="h1"), 1, [(11, "60.00")], "0", Certainty.POSSIBLE, [Reason.ACCOUNT],
            id="nothing named, the oldest",
        ),
        pytest.param(
            line("169.00", "Kundennr. K10001"), 1, [(11, "119.00"), (12, "50.00")], "0", Certainty.LIKELY,
            [Reason.CUSTOMER], id="the customer's number",
        ),
        pytest.param(
            line("50.00", "", mandate="M-1"), 1, [(12, "50.00")], "0", Certainty.LIKELY, [Reason.MANDATE],
            id="the mandate",
        ),
        pytest.param(
            line("50.00", "", end_to_end_id="E-1"), 1, [(12, "50.00")], "0", Certainty.LIKELY, [Reason.END_TO_END],
            id="our own end-to-end id",
        ),
        pytest.param(
            line("80.00", "Danke", name="Niemand"), 2, [(21, "80.00")], "0", Certainty.POSSIBLE,
            [Reason.AMOUNT_ALONE], id="nobody known, one claim of that amount",
        ),
        pytest.param(
            line("119.00", "Danke", name="Niemand"), None, [], "119.00", Certainty.UNCLEAR, [],
            id="nobody known, two claims of that amount",
        ),
        pytest.param(
            line("119.00", "RE-2O26-00011", account="h1"), 1, [(11, "119.00")], "0", Certainty.LIKELY,
            [Reason.NUMBER_ALIKE, Reason.ACCOUNT], id="a misread number is never certain",
        ),
    ],
)  # fmt: skip
def test_proposals(given_line, payer, shares, unapplied, certainty, reasons):
    found = Matcher(book()).match(given_line)
    assert found.payer == payer
    assert [(one.item, one.amount) for one in found.division.shares] == [
        (item, Decimal(amount)) for item, amount in shares
    ]
    assert (found.division.unapplied, found.certainty) == (Decimal(unapplied), certainty)
    assert list(found.reasons) == reasons


def test_what_one_line_settles_is_not_open_to_the_next():
    matcher = Matcher(book())
    first = matcher.match(line("119.00", "RE-2026-00011", account="h1"))
    again = matcher.match(line("119.00", "RE-2026-00011", account="h1"))
    assert (first.certainty, again.certainty) == (Certainty.CERTAIN, Certainty.POSSIBLE)
    assert again.reasons[-1] == Reason.SETTLED and again.division.unapplied == Decimal("119.00")


def test_two_halves_of_one_document():
    matcher = Matcher(book())
    matcher.match(line("59.50", "RE-2026-00011", account="h1"))
    rest = matcher.match(line("59.50", "RE-2026-00011", account="h1"))
    assert (rest.certainty, rest.division.fits) == (Certainty.CERTAIN, True)
    assert rest.division.shares[0].rule == Rule.REFERENCE
