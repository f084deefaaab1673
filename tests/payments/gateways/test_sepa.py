"""Files for the bank: judged by an independent check, and refused with a sentence where no bank would take them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import translation
from lxml import etree

from payments.gateways.sepa import (
    Debit,
    NotForTheBank,
    Party,
    Transfer,
    batches,
    debit_file,
    transfer_file,
    written_as,
)
from tests.judges import needs_sepa_judge, sepa_findings

TODAY = "2026-11-25"
NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
US = Party("Beispiel Telefonie GmbH & Co. KG", "DE89370400440532013000", "COBADEFFXXX")
MUELLER = Party("Müller & Söhne GmbH", "DE02120300000000202051", "BYLADEM1001")
ADDRESS = {"town": "Zürich", "country": "CH"}


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def make_debit(number: int = 1, **fields) -> Debit:
    given = {
        "key": f"D{number:06}",
        "amount": Decimal("9706.31"),
        "payer": MUELLER,
        "mandate": f"M-{number}",
        "signed_on": date(2026, 1, 2),
        "purpose": "RE-2026-00001 Rückläufer „Straße“ – Größe",
        "scheme": "CORE",
        "sequence": "RCUR",
        "collect_on": date(2026, 12, 1),
    }
    return Debit(**given | fields)


def made(*debits: Debit) -> bytes:
    return debit_file("KTR-7", debits, creditor=US, creditor_id="DE98ZZZ09999999999", created_at=NOW)


def judged(tmp_path: Path, content: bytes) -> list[str]:
    file = tmp_path / "file.xml"
    file.write_bytes(content)
    return sepa_findings(file, TODAY)


def texts(content: bytes, tag: str) -> list[str]:
    return [element.text for element in etree.fromstring(content).iter(f"{{*}}{tag}")]


@needs_sepa_judge
@pytest.mark.parametrize("count", [1, 2, 500])
def test_the_judge_passes_files_of_debits(tmp_path, count):
    debits = [
        make_debit(
            number,
            amount=Decimal(number) / 100,
            sequence=("FRST", "RCUR", "OOFF")[number % 3],
            scheme="B2B" if number % 5 == 0 else "CORE",
            collect_on=date(2026, 12, 1 + number % 3),
        )
        for number in range(1, count + 1)
    ]
    content = made(*debits)
    assert judged(tmp_path, content) == []
    assert texts(content, "NbOfTxs")[0] == str(count)
    assert texts(content, "CtrlSum")[0] == f"{Decimal(count * (count + 1)) / 200:.2f}"
    assert len(texts(content, "PmtInfId")) == {1: 1, 2: 2, 500: 6}[count]
    assert sorted(texts(content, "EndToEndId")) == [debit.key for debit in debits]


@needs_sepa_judge
def test_the_judge_passes_a_file_of_transfers(tmp_path):
    transfers = [
        Transfer(f"G{number}", Decimal("274.58"), MUELLER, "Guthaben RK-2026-00001", date(2026, 12, 1 + number))
        for number in range(3)
    ]
    content = transfer_file("KTR-8", transfers, payer=US, created_at=NOW)
    assert judged(tmp_path, content) == []
    assert texts(content, "CtrlSum") == ["823.74", "274.58", "274.58", "274.58"]
    assert texts(content, "Dt") == ["2026-12-01", "2026-12-02", "2026-12-03"]


@needs_sepa_judge
def test_a_payer_outside_of_the_economic_area_is_written_with_bic_and_address(tmp_path):
    swiss = Party("Zürich AG", "CH9300762011623852957", "POFICHBEXXX", **ADDRESS)
    content = made(make_debit(payer=swiss))
    assert judged(tmp_path, content) == []
    assert texts(content, "TwnNm") == ["Zuerich"]


def test_the_same_data_give_the_same_bytes_in_whatever_order_they_come():
    debits = [make_debit(number, sequence=("FRST", "RCUR")[number % 2]) for number in range(10)]
    assert made(*debits) == made(*reversed(debits))


def test_debits_lie_in_a_batch_for_each_day_scheme_and_sequence():
    debits = [
        make_debit(1, sequence="RCUR"),
        make_debit(2, sequence="FRST", amount=Decimal("0.01")),
        make_debit(3, sequence="RCUR", amount=Decimal("5.00")),
    ]
    assert texts(made(*debits), "PmtInfId") == ["KTR-7-1", "KTR-7-2"]
    assert batches(debits) == {
        (date(2026, 12, 1), "CORE", "FRST"): Decimal("0.01"),
        (date(2026, 12, 1), "CORE", "RCUR"): Decimal("9711.31"),
    }


@needs_sepa_judge
def test_what_a_mandate_was_before_goes_along(tmp_path):
    content = made(make_debit(original_mandate="ALT-1", original_creditor="DE98ZZZ09999999999", has_new_account=True))
    assert judged(tmp_path, content) == []
    assert texts(content, "AmdmntInd") == ["true"]
    assert texts(content, "OrgnlMndtId") == ["ALT-1"]
    assert "SMNDA" in texts(content, "Id")
    assert texts(made(make_debit()), "AmdmntInd") == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Müller & Söhne GmbH", "Mueller + Soehne GmbH"),
        ("ÄÖÜ Straße", "AeOeUe Strasse"),
        ("Łódź Čapek Ñandú Ångström", "Lodz Capek Nandu Angstroem"),
        ("Ελλάδα България", "Ellada Balgariya"),
        ("„Größe“ – 5 €; a_b\n c", "'Groesse' - 5 E, a-b c"),
        ("東京", ".."),
        ("N" * 71, "N" * 70),
        (" x ", "x"),
    ],
)
def test_what_banks_cannot_read_is_spelled_out(text, written):
    assert written_as(text, 70) == written


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amount": Decimal(0)}, "no amount of whole cents"),
        ({"amount": Decimal("-5.00")}, "no amount of whole cents"),
        ({"amount": Decimal("0.001")}, "no amount of whole cents"),
        ({"amount": Decimal("1000000000")}, "no amount of whole cents"),
        ({"amount": Decimal("NaN")}, "no amount of whole cents"),
        ({"payer": replace(MUELLER, iban="DE03120300000000202051")}, "check digits of the IBAN"),
        ({"payer": replace(MUELLER, bic="X")}, "BIC"),
        ({"payer": replace(MUELLER, name=" ")}, "account holder is missing"),
        ({"payer": Party("AG", "CH9300762011623852957", **ADDRESS)}, "a BIC is needed"),
        ({"payer": Party("AG", "CH9300762011623852957", "POFICHBEXXX")}, "an address is needed"),
        ({"collect_on": date(2026, 12, 5)}, "the banks are closed"),
        ({"collect_on": date(2026, 12, 25)}, "the banks are closed"),
        ({"mandate": "M 1"}, "no reference"),
        ({"mandate": "/M1"}, "no reference"),
        ({"mandate": "M" * 36}, "no reference"),
        ({"key": "Ä1"}, "no reference"),
        ({"signed_on": date(2026, 12, 2)}, "signed after"),
    ],
)
def test_what_no_bank_would_take_is_refused_and_named(fields, reason):
    with pytest.raises(NotForTheBank, match=reason) as refusal:
        made(make_debit(**fields))
    assert "120300000000202051" not in str(refusal.value)


def test_nothing_a_key_twice_and_a_wrong_creditor_are_refused():
    with pytest.raises(NotForTheBank, match="nothing to pay"):
        made()
    with pytest.raises(NotForTheBank, match="two payments"):
        made(make_debit(1), make_debit(1))
    with pytest.raises(NotForTheBank, match="creditor identifier"):
        debit_file("K", [make_debit()], creditor=US, creditor_id="DE97ZZZ09999999999", created_at=NOW)
