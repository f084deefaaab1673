"""Files of others against the readings of others, the judge's sums, and what no bank sends."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from billing.kernel.money import places_of
from payments.gateways import camt
from payments.gateways.reading import FileRefused
from tests.payments.gateways.samples import BANK, needs_samples

SAMPLES = BANK / "camt"
pytestmark = needs_samples

READ_ELSEWHERE = sorted(path.stem for path in SAMPLES.glob("*.json")) if SAMPLES.is_dir() else []


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def statements(name: str):
    return camt.read((SAMPLES / f"{name}.xml").read_bytes())


def entries_of(reading: Any) -> list[dict[str, Any]]:
    """The entries of all statements in a reading made by genkgo/camt, each once."""
    found: list[dict[str, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if str(node.get("__CLASS__", "")).endswith("\\DTO\\Entry"):
                found.append(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(reading)
    return found


@pytest.mark.parametrize("name", READ_ELSEWHERE)
def test_entries_are_those_of_another_reader(name):
    theirs = [
        (
            Decimal(entry["getAmount"]["getAmount"]).scaleb(-decimals(name, entry)),
            entry["getAmount"]["getCurrency"]["getCode"],
            date.fromisoformat(entry["getBookingDate"]["0"][:10]),
            date.fromisoformat(entry["getValueDate"]["0"][:10]),
        )
        for entry in entries_of(json.loads((SAMPLES / f"{name}.json").read_text()))
    ]
    ours = {
        (statement.reference, line.entry): (line.entry_amount, line.currency, line.booked_on, line.value_on)
        for statement in statements(name)
        for line in statement.lines
    }
    if name == "genkgo-camt053.v2.multi.statement":  # that reading leaves out what it has met before
        assert set(theirs) < set(ours.values())
    else:
        assert sorted(ours.values()) == sorted(theirs)


def decimals(name: str, entry: dict[str, Any]) -> int:
    """That reader keeps as many places as the file writes; two of its files write three."""
    if name in ("genkgo-camt053.v2.five.decimals", "genkgo-camt053.v2.all-balance-types"):
        return len(str(entry["getAmount"]["getAmount"])) - 1
    return places_of(entry["getAmount"]["getCurrency"]["getCode"])


def test_a_statement_with_all_that_matching_needs():
    (statement,) = statements("genkgo-camt053.v8")
    assert (statement.form, statement.is_final, statement.reference) == (
        "camt.053",
        True,
        "253EURNL26VAYB8060476890",
    )
    assert (statement.account, statement.currency, statement.number) == ("NL26VAYB8060476890", "EUR", "12312")
    assert (statement.opening, statement.closing) == (Decimal("18.15"), None)  # the closing one is told in crowns
    (line,) = statement.lines
    assert (line.name, line.iban, line.bic) == ("NAME NAME", "NL56AGDH9619008421", "")
    assert (line.end_to_end_id, line.purpose) == ("MUELL/FINP/RA12345", "4654654654654654")
    assert (line.bank_reference, line.code) == ("AAAASESS-FP-CN_98765/01", "PMNT-RCDT-BOOK")


def test_several_statements_in_one_file_each_add_up():
    first, second = statements("genkgo-camt053.v2.multi.statement")
    assert (first.opening, first.moved, first.closing, first.troubles) == (
        Decimal("18.15"), Decimal("8.85"), Decimal("27.00"), (),
    )  # fmt: skip
    assert (second.opening, second.moved, second.closing, second.troubles) == (
        Decimal("27.00"), Decimal("-7.00"), Decimal("20.00"), (),
    )  # fmt: skip


def test_a_collective_booking_is_as_many_lines_as_it_has_payments():
    (statement,) = statements("viafintech-camt053.v4")
    assert statement.troubles == ()
    assert statement.opening + statement.moved == statement.closing == Decimal("322689.77")
    collective = [line for line in statement.lines if line.entry == 7]
    assert len(collective) == 10 and {line.entry_size for line in collective} == {10}
    assert sum(line.amount for line in collective) == Decimal("1000.00") == collective[0].entry_amount
    assert {line.name for line in collective} >= {"Rutschmann Pia", "Bernasconi Maria"}


def test_returned_debits_name_their_reason_and_the_one_who_did_not_pay():
    (statement,) = statements("viafintech-camt054.v4")
    assert not statement.is_final
    returned = [line for line in statement.lines if line.is_return]
    assert [(line.amount, line.return_code, line.name, line.end_to_end_id) for line in returned] == [
        (Decimal("-6.00"), "MD06", "Bernasconi Maria", "EndToEnd-2B6C-CHDDBB5"),
        (Decimal("-15.53"), "MD06", "Rutschmann Pia", "E2E-1-1-16030913"),
    ]
    assert {line.return_text for line in returned} == {"Lastschrift-Widerspruch durch den Zahlungspflichtigen"}


def test_balances_that_do_not_add_up_are_told_not_refused():
    (statement,) = statements("viafintech-camt053.v2.batch")
    assert [(one.code, one.facts) for one in statement.troubles] == [
        ("balances_differ", {"difference": "12774.14", "currency": "EUR"})
    ]
    assert [line.amount for line in statement.lines] == [Decimal("-4753.74"), Decimal("2688.00"), Decimal("5000.00")]


def test_details_that_do_not_add_up_stay_one_line():
    (statement,) = statements("genkgo-camt054.v8")
    assert [one.code for one in statement.troubles] == ["details_differ"]
    (line,) = statement.lines
    assert line.amount == Decimal("-200000.00")
    assert "Unstructured Remittance Information V3 block 2" in line.purpose


def test_a_booking_in_another_currency_is_told():
    (statement,) = statements("viafintech-camt053.v8")
    assert ("other_currency", {"entry": "3", "currency": "EUR"}) in [
        (one.code, dict(one.facts)) for one in statement.troubles
    ]


HEAD = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<Stmt><Id>S</Id><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>"""
TAIL = "</Stmt></BkToCstmrStmt></Document>"


def entry(amount: str = '<Amt Ccy="EUR">10.00</Amt>', sign: str = "CRDT", more: str = "", status: str = "BOOK") -> str:
    return (
        f"<Ntry>{amount}<CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>"
        f"<BookgDt><Dt>2026-03-02</Dt></BookgDt><ValDt><Dt>2026-03-03</Dt></ValDt>{more}</Ntry>"
    )


def read(*entries: str):
    (statement,) = camt.read(f"{HEAD}{''.join(entries)}{TAIL}".encode())
    return statement


def test_what_is_not_booked_yet_is_left_out():
    assert [line.amount for line in read(entry(status="PDNG"), entry()).lines] == [Decimal("10.00")]


def test_the_fee_of_a_return_is_told_apart():
    details = """<NtryDtls><TxDtls><Refs><EndToEndId>E-1</EndToEndId></Refs>
    <AmtDtls><InstdAmt><Amt Ccy="EUR">119.00</Amt></InstdAmt></AmtDtls>
    <RltdPties><Dbtr><Pty><Nm>Muster GmbH</Nm></Pty></Dbtr>
    <DbtrAcct><Id><IBAN>DE75512108001245126199</IBAN></Id></DbtrAcct>
    <Cdtr><Pty><Nm>Wir</Nm></Pty></Cdtr><CdtrAcct><Id><IBAN>DE02120300000000202051</IBAN></Id></CdtrAcct></RltdPties>
    <RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls></NtryDtls>"""
    (line,) = read(entry('<Amt Ccy="EUR">124.50</Amt>', "DBIT", details)).lines
    assert (line.amount, line.fee, line.return_code) == (Decimal("-124.50"), Decimal("5.50"), "AC04")
    assert (line.name, line.iban) == ("Muster GmbH", "DE75512108001245126199")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        pytest.param(
            entry('<Amt Ccy="EUR">10.005</Amt>'),
            "Line 2, entry 1: 10.005 EUR is finer than its currency.",
            id="half a cent",
        ),
        pytest.param(entry('<Amt Ccy="EUR">1e3</Amt>'), "Line 2, entry 1: “1e3” is not an amount.", id="an exponent"),
        pytest.param(entry(sign="X"), "Line 2, entry 1: it says neither credit nor debit.", id="no sign"),
        pytest.param(
            entry().replace("2026-03-02", "2026-02-30"),
            "Line 2, entry 1: “2026-02-30” is not a day of the calendar.",
            id="30 February",
        ),
        pytest.param(
            entry('<Amt Ccy="XXQ">1.00</Amt>'), "Line 2, entry 1: “XXQ” is no currency that is known.", id="no currency"
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_place(entries, reason):
    with pytest.raises(FileRefused) as refused:
        read(entries)
    assert str(refused.value) == reason


BOMB = """<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">
<BkToCstmrStmt><Stmt><Id>&b;</Id></Stmt></BkToCstmrStmt></Document>"""
OUTSIDE = BOMB.replace('<!ENTITY a "aaaa">', '<!ENTITY a SYSTEM "file:///etc/passwd">')


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(BOMB, "The file declares a document type (DOCTYPE), which no bank statement needs.", id="bomb"),
        pytest.param(OUTSIDE, "The file declares a document type (DOCTYPE), which no bank statement needs.", id="file"),
        pytest.param("<a><b></a>", "Line 1: the file is not complete XML.", id="broken"),
        pytest.param("<a/>", "The file is XML, but no bank statement (camt.052, camt.053 or camt.054).", id="other"),
    ],
)
def test_xml_that_is_no_statement_is_refused(data, reason):
    with pytest.raises(FileRefused) as refused:
        camt.read(data.encode())
    assert str(refused.value) == reason


def test_a_file_larger_than_allowed_is_refused_before_it_is_parsed():
    with pytest.raises(FileRefused, match="larger than 64 MB"):
        camt.read(b" " * (64 * 1024 * 1024 + 1))


def test_the_sample_that_is_no_statement_is_refused():
    with pytest.raises(FileRefused, match="no bank statement"):
        statements("genkgo-camt053.v2.wrong")


def test_every_other_sample_is_read():
    read_ = [path for path in SAMPLES.glob("*.xml") if "wrong" not in path.name and camt.read(path.read_bytes())]
    assert len(read_) == len(list(Path(SAMPLES).glob("*.xml"))) - 1 == 17
