"""Files for the bank: direct debits (pain.008.001.08) and transfers (pain.001.001.09) in euros, from plain data.

The same data give the same bytes. What a bank would send back is refused here and named; what was written is checked
against the schema of ISO 20022 before anybody gets it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _
from lxml import etree
from stdnum import bic as bics
from stdnum import iban as ibans
from stdnum.eu import at_02

from invoicing.kernel.bank_days import is_bank_day
from tenants.errors import OperatorError

DEBITS: Final = "pain.008.001.08"
TRANSFERS: Final = "pain.001.001.09"
SCHEMAS: Final = Path(__file__).parent / "schemas"
LARGEST: Final = Decimal("999999999.99")
NAME_LENGTH: Final = 70
PURPOSE_LENGTH: Final = 140
REFERENCE: Final = re.compile(r"(?!/)(?!.*//)[A-Za-z0-9+?/:().,'-]{1,35}")
# Where a bank needs neither BIC nor address of the payer: the European Economic Area
EEA: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()
)

# EPC217-08: what the basic Latin set cannot say is written as a reader would; the rest loses its accents or is a dot.
SPELLED: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ẞ": "SS", "æ": "ae", "Æ": "AE"}
    | {"ø": "oe", "Ø": "OE", "œ": "oe", "Œ": "OE", "å": "a", "Å": "A", "þ": "th", "Þ": "TH", "ð": "d", "Ð": "D"}
    | {"đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H", "ı": "i", "&": "+", "@": "(at)", "€": "E", "_": "-"}
    | {"–": "-", "—": "-", "‑": "-", "’": "'", "‘": "'", "“": "'", "”": "'", "„": "'", '"': "'", "«": "'", "»": "'"}
    | {"[": "(", "]": ")", "{": "(", "}": ")", "#": "/", ";": ",", "!": ".", "*": ".", "\u00a0": " ", "…": "..."}
    | dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True))
    | {"θ": "th", "χ": "ch", "ψ": "ps", "Θ": "TH", "Χ": "CH", "Ψ": "PS"}
    | dict(zip("ΑΒΓΔΕΖΗΙΚΛΜΝΞΟΠΡΣΤΥΦΩ", "AVGDEZIIKLMNXOPRSTYFO", strict=True))
    | dict(zip("абвгдезийклмнопрстуфхъь", "abvgdeziyklmnoprstufhay", strict=True))
    | dict(zip("АБВГДЕЗИЙКЛМНОПРСТУФХЪЬ", "ABVGDEZIYKLMNOPRSTUFHAY", strict=True))
    | {"ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sht", "ю": "yu", "я": "ya"}
    | {"Ж": "ZH", "Ц": "TS", "Ч": "CH", "Ш": "SH", "Щ": "SHT", "Ю": "YU", "Я": "YA"}
)


class NotForTheBank(OperatorError):
    """A payment that no bank would take; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Party:
    """Whose account it is. The address, town and country, is needed outside the European Economic Area only."""

    name: str
    iban: str
    bic: str = ""
    town: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Debit:
    """One direct debit. ``key`` comes back with a return. ``original_…`` tell the bank what the mandate was before."""

    key: str
    amount: Decimal
    payer: Party
    mandate: str
    signed_on: date
    purpose: str
    scheme: str  # CORE, B2B
    sequence: str  # FRST, RCUR, OOFF
    collect_on: date
    original_mandate: str = ""
    original_creditor: str = ""
    has_new_account: bool = False


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer to ``payee``."""

    key: str
    amount: Decimal
    payee: Party
    purpose: str
    execute_on: date


def debit_file(
    message: str, debits: Sequence[Debit], *, creditor: Party, creditor_id: str, created_at: datetime
) -> bytes:
    """A pain.008.001.08 of ``debits``: one batch for each day, scheme and sequence, debits in the order of their keys.

    ``message`` names the file, at most 30 characters; batches are ``message``-1 and on. Raises ``NotForTheBank``.
    """
    _check_reference(message, _("the file"), 30)
    _check_account(creditor, creditor.name, needs_address=False)
    if not at_02.is_valid(creditor_id):
        raise NotForTheBank(_("The check digits of the creditor identifier %(id)s are wrong.") % {"id": creditor_id})
    _check_keys([debit.key for debit in debits])
    for debit in debits:
        _check_debit(debit)
    ordered = sorted(debits, key=lambda debit: (*_batch(debit), debit.key))
    root, body = _document(DEBITS, "CstmrDrctDbtInitn")
    _header(body, message, [debit.amount for debit in debits], creditor.name, created_at)
    for number, (batch, members) in enumerate(groupby(ordered, key=_batch), 1):
        _debit_batch(body, f"{message}-{number}", batch, list(members), creditor, creditor_id)
    return _written(root, DEBITS)


def transfer_file(message: str, transfers: Sequence[Transfer], *, payer: Party, created_at: datetime) -> bytes:
    """A pain.001.001.09 of ``transfers``: one batch for each day. Raises ``NotForTheBank``."""
    _check_reference(message, _("the file"), 30)
    _check_account(payer, payer.name, needs_address=False)
    _check_keys([transfer.key for transfer in transfers])
    for transfer in transfers:
        _check_amount(transfer.key, transfer.amount)
        _check_account(transfer.payee, transfer.key, needs_address=False)
        _check_day(transfer.key, transfer.execute_on)
    ordered = sorted(transfers, key=lambda transfer: (transfer.execute_on, transfer.key))
    root, body = _document(TRANSFERS, "CstmrCdtTrfInitn")
    _header(body, message, [transfer.amount for transfer in transfers], payer.name, created_at)
    for number, (day, members) in enumerate(groupby(ordered, key=lambda transfer: transfer.execute_on), 1):
        _transfer_batch(body, f"{message}-{number}", day, list(members), payer)
    return _written(root, TRANSFERS)


def written_as(text: str, length: int) -> str:
    """``text`` in the characters that every bank of SEPA takes, cut to ``length``."""
    plain = "".join(_spelled(char) for char in unicodedata.normalize("NFC", text))
    allowed = re.sub(r"[^A-Za-z0-9/\-?:().,'+ ]", ".", re.sub(r"\s+", " ", plain))
    return allowed.strip()[:length].rstrip()


def _spelled(char: str) -> str:
    if ord(char) in SPELLED:
        return char.translate(SPELLED)
    parts = unicodedata.normalize("NFKD", char)
    return "".join(part for part in parts if not unicodedata.combining(part)).translate(SPELLED)


def batches(debits: Iterable[Debit]) -> dict[tuple[date, str, str], Decimal]:
    """The sum of each batch that ``debit_file`` writes, in its order: what the bank books in one amount."""
    sums: dict[tuple[date, str, str], Decimal] = {}
    for debit in sorted(debits, key=_batch):
        sums[_batch(debit)] = sums.get(_batch(debit), Decimal(0)) + debit.amount
    return sums


def _batch(debit: Debit) -> tuple[date, str, str]:
    return debit.collect_on, debit.scheme, debit.sequence


# What no bank would take


def _check_debit(debit: Debit) -> None:
    _check_amount(debit.key, debit.amount)
    _check_account(debit.payer, debit.key)
    _check_day(debit.key, debit.collect_on)
    _check_reference(debit.mandate, _("the mandate of %(key)s") % {"key": debit.key})
    if debit.signed_on > debit.collect_on:
        raise NotForTheBank(_("%(key)s: the mandate was signed after the day of the debit.") % {"key": debit.key})


def _check_amount(key: str, amount: Decimal) -> None:
    if not amount.is_finite() or not 0 < amount <= LARGEST or Decimal(f"{amount:.2f}") != amount:
        raise NotForTheBank(
            _("%(key)s: %(amount)s EUR is no amount of whole cents between 0.01 and 999,999,999.99.")
            % {"key": key, "amount": amount}
        )


def _check_account(party: Party, key: str, *, needs_address: bool = True) -> None:
    """The message never shows the account: it may end up in a log."""
    words = {"key": key}
    if not ibans.is_valid(party.iban):
        raise NotForTheBank(_("%(key)s: the check digits of the IBAN are wrong.") % words)
    if party.bic and not bics.is_valid(party.bic):
        raise NotForTheBank(_("%(key)s: the BIC is none.") % words)
    if not written_as(party.name, NAME_LENGTH):
        raise NotForTheBank(_("%(key)s: the account holder is missing.") % words)
    if ibans.compact(party.iban)[:2] in EEA:
        return
    if not party.bic:
        raise NotForTheBank(_("%(key)s: outside the European Economic Area a BIC is needed.") % words)
    if needs_address and not (party.town and party.country):
        raise NotForTheBank(_("%(key)s: outside the European Economic Area an address is needed.") % words)


def _check_day(key: str, day: date) -> None:
    if not is_bank_day(day):
        raise NotForTheBank(_("%(key)s: on %(day)s the banks are closed.") % {"key": key, "day": day.isoformat()})


def _check_reference(text: str, what: str, length: int = 35) -> None:
    if not REFERENCE.fullmatch(text) or len(text) > length:
        raise NotForTheBank(_("%(what)s: “%(text)s” is no reference for a bank.") % {"what": what, "text": text})


def _check_keys(keys: Sequence[str]) -> None:
    if not keys:
        raise NotForTheBank(_("There is nothing to pay."))
    for key in keys:
        _check_reference(key, _("the payment"))
    if len(set(keys)) != len(keys):
        raise NotForTheBank(_("A key stands on two payments."))


# What is written


def _document(message: str, name: str) -> tuple[etree._Element, etree._Element]:
    namespace = f"urn:iso:std:iso:20022:tech:xsd:{message}"
    root = etree.Element(f"{{{namespace}}}Document", nsmap={None: namespace})
    return root, _in(root, name)


def _header(body: etree._Element, message: str, amounts: Sequence[Decimal], name: str, created_at: datetime) -> None:
    head = _in(body, "GrpHdr")
    _put(head, "MsgId", message)
    _put(head, "CreDtTm", created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _sums(head, amounts)
    _put(_in(head, "InitgPty"), "Nm", written_as(name, NAME_LENGTH))


def _sums(parent: etree._Element, amounts: Sequence[Decimal]) -> None:
    _put(parent, "NbOfTxs", str(len(amounts)))
    _put(parent, "CtrlSum", f"{sum(amounts, Decimal(0)):.2f}")


def _debit_batch(
    body: etree._Element,
    name: str,
    batch: tuple[date, str, str],
    debits: Sequence[Debit],
    creditor: Party,
    creditor_id: str,
) -> None:
    day, scheme, sequence = batch
    block = _in(body, "PmtInf")
    _put(block, "PmtInfId", name)
    _put(block, "PmtMtd", "DD")
    _put(block, "BtchBookg", "true")
    _sums(block, [debit.amount for debit in debits])
    kind = _in(block, "PmtTpInf")
    _put(_in(kind, "SvcLvl"), "Cd", "SEPA")
    _put(_in(kind, "LclInstrm"), "Cd", scheme)
    _put(kind, "SeqTp", sequence)
    _put(block, "ReqdColltnDt", day.isoformat())
    _put(_in(block, "Cdtr"), "Nm", written_as(creditor.name, NAME_LENGTH))
    _account(block, "CdtrAcct", creditor)
    _bank(block, "CdtrAgt", creditor)
    _put(block, "ChrgBr", "SLEV")
    _creditor_id(_in(block, "CdtrSchmeId"), creditor_id)
    for debit in debits:
        _debit(block, debit)


def _debit(block: etree._Element, debit: Debit) -> None:
    one = _in(block, "DrctDbtTxInf")
    _put(_in(one, "PmtId"), "EndToEndId", debit.key)
    _put(one, "InstdAmt", f"{debit.amount:.2f}", Ccy="EUR")
    mandate = _in(one, "DrctDbtTx", "MndtRltdInf")
    _put(mandate, "MndtId", debit.mandate)
    _put(mandate, "DtOfSgntr", debit.signed_on.isoformat())
    if debit.original_mandate or debit.original_creditor or debit.has_new_account:
        _put(mandate, "AmdmntInd", "true")
        before = _in(mandate, "AmdmntInfDtls")
        if debit.original_mandate:
            _put(before, "OrgnlMndtId", debit.original_mandate)
        if debit.original_creditor:
            _creditor_id(_in(before, "OrgnlCdtrSchmeId"), debit.original_creditor)
        if debit.has_new_account:  # same mandate, new debtor account
            _put(_in(before, "OrgnlDbtrAcct", "Id", "Othr"), "Id", "SMNDA")
    _bank(one, "DbtrAgt", debit.payer)
    _person(one, "Dbtr", debit.payer)
    _account(one, "DbtrAcct", debit.payer)
    _put(_in(one, "RmtInf"), "Ustrd", written_as(debit.purpose, PURPOSE_LENGTH))


def _transfer_batch(body: etree._Element, name: str, day: date, transfers: Sequence[Transfer], payer: Party) -> None:
    block = _in(body, "PmtInf")
    _put(block, "PmtInfId", name)
    _put(block, "PmtMtd", "TRF")
    _put(block, "BtchBookg", "true")
    _sums(block, [transfer.amount for transfer in transfers])
    _put(_in(block, "PmtTpInf", "SvcLvl"), "Cd", "SEPA")
    _put(_in(block, "ReqdExctnDt"), "Dt", day.isoformat())
    _put(_in(block, "Dbtr"), "Nm", written_as(payer.name, NAME_LENGTH))
    _account(block, "DbtrAcct", payer)
    _bank(block, "DbtrAgt", payer)
    _put(block, "ChrgBr", "SLEV")
    for transfer in transfers:
        one = _in(block, "CdtTrfTxInf")
        _put(_in(one, "PmtId"), "EndToEndId", transfer.key)
        _put(_in(one, "Amt"), "InstdAmt", f"{transfer.amount:.2f}", Ccy="EUR")
        if transfer.payee.bic:
            _put(_in(one, "CdtrAgt", "FinInstnId"), "BICFI", bics.compact(transfer.payee.bic))
        _person(one, "Cdtr", transfer.payee)
        _account(one, "CdtrAcct", transfer.payee)
        _put(_in(one, "RmtInf"), "Ustrd", written_as(transfer.purpose, PURPOSE_LENGTH))


def _person(parent: etree._Element, tag: str, party: Party) -> None:
    person = _in(parent, tag)
    _put(person, "Nm", written_as(party.name, NAME_LENGTH))
    if ibans.compact(party.iban)[:2] not in EEA and party.town and party.country:
        address = _in(person, "PstlAdr")
        _put(address, "TwnNm", written_as(party.town, 35))
        _put(address, "Ctry", party.country)


def _account(parent: etree._Element, tag: str, party: Party) -> None:
    _put(_in(parent, tag, "Id"), "IBAN", ibans.compact(party.iban))


def _bank(parent: etree._Element, tag: str, party: Party) -> None:
    bank = _in(parent, tag, "FinInstnId")
    if party.bic:
        _put(bank, "BICFI", bics.compact(party.bic))
    else:
        _put(_in(bank, "Othr"), "Id", "NOTPROVIDED")


def _creditor_id(parent: etree._Element, creditor_id: str) -> None:
    other = _in(parent, "Id", "PrvtId", "Othr")
    _put(other, "Id", creditor_id)
    _put(_in(other, "SchmeNm"), "Prtry", "SEPA")


def _in(parent: etree._Element, *tags: str) -> etree._Element:
    """The innermost of new elements, each within the one before."""
    namespace = etree.QName(parent).namespace
    for tag in tags:
        parent = etree.SubElement(parent, f"{{{namespace}}}{tag}")
    return parent


def _put(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    element = _in(parent, tag)
    element.text = text
    for name, value in attributes.items():
        element.set(name, value)


def _written(root: etree._Element, message: str) -> bytes:
    schema = _schema(message)
    if not schema.validate(root):
        reasons = "; ".join(_reasons(schema))
        raise ValueError(f"{message} does not follow its schema: {reasons}")
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def _reasons(schema: etree.XMLSchema) -> Iterator[str]:
    """Without the values, which may be bank details."""
    return (f"line {error.line}: {error.type_name}" for error in schema.error_log)


@lru_cache(maxsize=2)
def _schema(message: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMAS / f"{message}.xsd"))
