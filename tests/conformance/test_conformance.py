"""The engine against every published case and our own vectors, and the comparison against itself."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import adapters  # noqa: F401 - marks the adapters
from tests.conformance.__main__ import main, told
from tests.conformance.comparing import differences, same
from tests.conformance.reading import read
from tests.conformance.running import ADAPTERS, Outcome, run

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "cases"
OWN = ROOT / "tests" / "conformance" / "cases"
CONVENTIONS = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shared():
    if not SHARED.is_dir():
        pytest.skip(f"the published cases are not at {SHARED}")
    return [run(case) for case in read(SHARED)]


def of(results, outcome):
    return [result for result in results if result.outcome is outcome]


def test_no_published_case_is_different(shared):
    assert list(told(of(shared, Outcome.DIFFERENT))) == []
    assert len(of(shared, Outcome.EQUAL)) >= 178


def test_every_difference_by_convention_is_explained_with_both_figures(shared):
    rows = {
        line.split("`")[1]: line for line in CONVENTIONS.splitlines() if line.startswith("| `") and line.count("|") == 5
    }
    found = of(shared, Outcome.BY_CONVENTION)
    assert set(rows) == {result.case.id for result in found}
    for result in found:
        row = rows[result.case.id]
        assert any(_plain(one.theirs) in row and _plain(one.ours) in row for one in result.differences) or any(
            isinstance(one.theirs, dict) or isinstance(one.ours, dict) for one in result.differences
        )


def _plain(figure):
    return str(figure).lstrip("-")


def test_every_case_that_is_not_supported_is_named(shared):
    for result in of(shared, Outcome.NOT_SUPPORTED):
        assert f"`{result.case.id}`" in CONVENTIONS
    lacking = {result.case.kind for result in of(shared, Outcome.NOT_SUPPORTED)}
    assert lacking <= {"dunning", "consolidated", "tax_choice", "tax_treatment"}


@pytest.mark.parametrize("case", list(read(OWN)), ids=lambda case: case.id)
def test_own_vectors(case):
    result = run(case)
    assert (result.outcome, result.differences, result.reason) == (Outcome.EQUAL, (), "")


def test_every_kind_of_the_format_has_an_adapter():
    kinds = """rate rate_multi rate_prorated_events free_quantity usage_groups usage_periods usage_rollup cycles
        period_sequence billed_period period_instants current_period_end first_billing_date billed_through billing_days
        is_billing_day nth_dates whole_periods trial_dates factor prorated_fee stub_total switch change_direction
        contract_metrics commitment coupon waterfall totals line_net net_sum tax_amount tax_included gross payable
        reverse_charge_base round tax_choice tax_treatment credit_note account_credit consolidated consolidated_months
        dunning timeline"""
    assert set(ADAPTERS) == set(kinds.split())


RATE: dict[str, Any] = {
    "id": "x",
    "kind": "rate",
    "given": {"quantity": "25", "price": {"unit_amount": "2", "model": "per_unit"}},
    "expect": {"amount": "50"},
    "convention": {"rounding": "none"},
}


def changed(**more):
    return json.dumps({**RATE, **more})


def given(**more):
    return changed(given={**RATE["given"], **more})


@pytest.mark.parametrize(
    ("line", "outcome", "reason"),
    [
        pytest.param(changed(), "equal", "", id="equal"),
        pytest.param(changed(expect={"amount": "51"}), "different", "", id="different"),
        pytest.param(
            changed(expect={"amount": "51"}, convention_dependent=True),
            "different by convention",
            "",
            id="by convention",
        ),
        pytest.param(changed(kind="rates"), "not supported", "kind 'rates' is not known", id="an unknown kind"),
        pytest.param(changed(expect={"sum": "50"}), "not supported", "no such figure: expect.sum", id="another figure"),
        pytest.param(given(quantity=None), "not supported", "given.quantity: missing", id="a field is missing"),
        pytest.param(
            given(price={"model": "per_unit"}), "not supported", "given.price.unit_amount: missing", id="deep inside"
        ),
        pytest.param(given(quantity="many"), "not supported", "given.quantity: no number: 'many'", id="no number"),
        pytest.param(given(price=[]), "not supported", "given.price: an object is expected, not []", id="no object"),
        pytest.param(given(quantity="-1"), "not supported", "refused: a quantity of -1 has no price", id="refused"),
        pytest.param(
            changed(given={**RATE["given"], "moon": "full"}, expect={"amount": "51"}),
            "not supported",
            "given.moon: not understood, and without it the figures differ",
            id="a field nobody reads",
        ),
        pytest.param("{", "not supported", "not JSON", id="no JSON"),
        pytest.param("[1]", "not supported", "not a case", id="no object at all"),
        pytest.param('{"id": "x", "kind": "rate"}', "not supported", "given: missing", id="no case"),
    ],
)
def test_what_becomes_of_a_line(tmp_path, line, outcome, reason):
    (tmp_path / "odd.jsonl").write_text(f"\n{line}\n", encoding="utf-8")
    [result] = [run(case) for case in read(tmp_path)]
    assert (result.outcome, result.place) == (outcome, f"{tmp_path / 'odd.jsonl'}:2")
    assert reason in result.reason


@pytest.mark.parametrize(
    ("lines", "code", "last"),
    [
        pytest.param([changed()], 0, "1 equal, 0 different by convention, 0 different, 0 not supported", id="equal"),
        pytest.param(
            [changed(expect={"amount": "51"}, convention_dependent=True), changed(kind="moon")],
            0,
            "0 equal, 1 different by convention, 0 different, 1 not supported",
            id="conventions and kinds never fail",
        ),
        pytest.param(
            [changed(), changed(expect={"amount": "51"})],
            1,
            "1 equal, 0 different by convention, 1 different, 0 not supported",
            id="different",
        ),
    ],
)
def test_exit_code_and_last_line(tmp_path, capsys, lines, code, last):
    (tmp_path / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert main([str(tmp_path)]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_both_figures_of_a_difference_are_printed(tmp_path, capsys):
    (tmp_path / "prices.jsonl").write_text(changed(topic="prices", expect={"amount": "51"}), encoding="utf-8")
    main([str(tmp_path)])
    out = capsys.readouterr().out
    assert "prices / rate: 1 different" in out
    assert "expect.amount: theirs 51, ours 50" in out


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_cases_is_named(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("theirs", "ours", "equal"),
    [
        pytest.param("182.2", Decimal("182.20"), True, id="numbers, not texts"),
        pytest.param("182.21", Decimal("182.20"), False, id="to the cent"),
        pytest.param("0.67", Fraction(2, 3), True, id="a fraction at the decimals stated"),
        pytest.param("0.66", Fraction(2, 3), False, id="but rounded rightly"),
        pytest.param("1", Fraction(2, 3), False, id="a whole number is not a rounded one"),
        pytest.param("14/30", Fraction(7, 15), True, id="fractions by their value"),
        pytest.param("0.4516129032258064", Fraction(14, 31), True, id="the last place of a double"),
        pytest.param("0.4516129032258164", Fraction(14, 31), False, id="and no more"),
        pytest.param(None, Decimal(0), False, id="nothing is not 0"),
        pytest.param(True, 1, False, id="a flag is no number"),
    ],
)
def test_figures(theirs, ours, equal):
    assert same(theirs, ours) is equal


def test_lines_in_any_order_and_each_once():
    ours = [{"amount": Decimal(1)}, {"amount": Decimal(2)}]
    assert list(differences([{"amount": "2"}, {"amount": "1"}], ours, "expect.lines")) == []
    assert len(list(differences([{"amount": "2"}, {"amount": "2"}], ours, "expect.lines"))) == 1
    assert len(list(differences([{"amount": "2"}], ours, "expect.lines"))) == 1
    assert len(list(differences([{"amount": "2"}, {"amount": "1"}], ours, "expect.periods"))) == 2
