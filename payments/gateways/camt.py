"""Bank files of ISO 20022: camt.052 (during the day), camt.053 (statement), camt.054 (notification).

Versions .02, .04, .08 and .10 and their neighbours: elements are found by name, whatever the version, and what a schema
would complain of is no reason to refuse a file that can be read. Only booked entries count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext as _
from lxml import etree

from payments.gateways.reading import FileRefused, check_lines, check_size, fitting, in_time
from payments.kernel.statement import Statement, StatementLine, Trouble, plain

NOT_GIVEN: Final = frozenset({"NOTPROVIDED", "NONREF", "NICHTANGEGEBEN"})
RECORDS: Final = {"Rpt": ("camt.052", False), "Stmt": ("camt.053", True), "Ntfctn": ("camt.054", False)}
RETURNED: Final = frozenset({"RRTN", "UPDD", "PRDD", "UPCT", "ARET", "RPCR"})  # sub-families of returns and rejections
RETURNED_GVC: Final = frozenset(
    {"108", "109", "159"}
)  # German codes: debit returned to us (B2B, core), transfer returned
AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,17})?|[+-]?\.[0-9]{1,17}")


def looks_like(data: bytes) -> bool:
    return b"camt.05" in data[:4096] or data.lstrip(b"\xef\xbb\xbf \t\r\n")[:5] == b"<?xml"


def read(data: bytes) -> list[Statement]:
    """The statements of a file, in its order. Raises ``FileRefused`` with the place and the reason."""
    root = _parsed(data)
    records = [node for node in root.iter("{*}Rpt", "{*}Stmt", "{*}Ntfctn") if _name(node.getparent()) in MESSAGES]
    if not records:
        raise FileRefused(_("The file is XML, but no bank statement (camt.052, camt.053 or camt.054)."))
    header = _text(root, "*/GrpHdr/MsgId")
    pages = _text(root, "*/GrpHdr/MsgPgntn/LastPgInd")
    found = [_statement(record, header) for record in records]
    check_lines(sum(len(one.lines) for one in found))
    if pages == "false" and found:
        found[-1] = _with(found[-1], Trouble("page_follows"))
    return found


MESSAGES: Final = frozenset({"BkToCstmrAcctRpt", "BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn"})


def _parsed(data: bytes) -> etree._Element:
    check_size(data)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.position[0] if error.position else 0
        raise FileRefused(_("Line %(line)d: the file is not complete XML.") % {"line": line}) from None
    if root.getroottree().docinfo.doctype:
        raise FileRefused(_("The file declares a document type (DOCTYPE), which no bank statement needs."))
    return root


def _statement(record: etree._Element, message: str) -> Statement:
    form, is_final = RECORDS[_name(record)]
    account = _text(record, "Acct/Id/IBAN") or _text(record, "Acct/Id/Othr/Id") or _text(record, "Acct/Id/PrtryAcct/Id")
    opening, closing, currency = _balances(record)
    currency = _text(record, "Acct/Ccy") or currency
    troubles: list[Trouble] = []
    lines: list[StatementLine] = []
    for position, entry in enumerate(record.findall("{*}Ntry"), start=1):
        try:
            found = list(_lines(entry, position, plain(account), troubles))
        except ValueError as error:
            raise FileRefused(
                _("Line %(line)d, entry %(entry)d: %(reason)s")
                % {"line": entry.sourceline or 0, "entry": position, "reason": error}
            ) from None
        currency = currency or next((line.currency for line in found), "")
        if any(line.currency != currency for line in found):
            troubles.append(Trouble("other_currency", {"entry": str(position), "currency": found[0].currency}))
        lines += found
    days = [line.booked_on for line in lines]
    statement = Statement(
        form=form,
        reference=_text(record, "Id") or message,
        account=account,
        currency=currency,
        is_final=is_final,
        number=_text(record, "ElctrncSeqNb") or _text(record, "LglSeqNb"),
        starts_on=_day(record, "FrToDt/FrDtTm") or _day(record, "FrToDt/FrDt") or min(days, default=None),
        ends_on=_day(record, "FrToDt/ToDtTm") or _day(record, "FrToDt/ToDt") or max(days, default=None),
        opening=opening,
        closing=closing,
        lines=tuple(lines),
        troubles=tuple(troubles),
    )
    if statement.difference:
        gap = Trouble("balances_differ", {"difference": f"{statement.difference:f}", "currency": currency})
        return _with(statement, gap)
    return statement


def _lines(entry: etree._Element, position: int, own: str, troubles: list[Trouble]) -> Iterator[StatementLine]:
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts") or "BOOK"
    if status != "BOOK":
        return
    total, currency = _amount(entry, "Amt")
    if total is None:
        raise ValueError(_("it has no amount."))
    sign = _sign(entry, 0)
    booked_on = _day(entry, "BookgDt/Dt") or _day(entry, "BookgDt/DtTm") or _day(entry, "ValDt/Dt")
    value_on = _day(entry, "ValDt/Dt") or _day(entry, "ValDt/DtTm") or booked_on
    booked_on = booked_on or value_on
    if booked_on is None or value_on is None:
        raise ValueError(_("it has no booking date."))
    details = entry.findall("{*}NtryDtls/{*}TxDtls")
    parts = _parts(details, sign, currency)
    shares: list[tuple[list[etree._Element], Decimal]]
    if len(details) < 2:
        shares = [(details, sign * total)]
    elif parts is not None and sum(parts) == sign * total:
        shares = [([detail], part) for detail, part in zip(details, parts, strict=True)]
    else:
        troubles.append(Trouble("details_differ", {"entry": str(position)}))
        shares = [(details, sign * total)]
    for found, amount in shares:
        yield _line(entry, found, position, own, sign * total, amount, currency, booked_on, value_on, len(shares))


def _line(
    entry: etree._Element,
    details: list[etree._Element],
    position: int,
    own: str,
    total: Decimal,
    amount: Decimal,
    currency: str,
    booked_on: date,
    value_on: date,
    size: int,
) -> StatementLine:
    detail = details[0] if len(details) == 1 else None
    code, gvc = _code(detail if detail is not None and _code(detail) != ("", "") else entry)
    reason = _text(detail, "RtrInf/Rsn/Cd") or _text(detail, "RtrInf/Rsn/Prtry") or _text(detail, "RtrInf/RsnCd/Cd")
    is_return = bool(reason) or code.rpartition("-")[2] in RETURNED or gvc in RETURNED_GVC
    name, iban, bic = _party(detail, amount > 0, own)
    purposes = [_purpose(one) for one in details]
    return StatementLine(
        entry=position,
        booked_on=booked_on,
        value_on=value_on,
        amount=amount,
        currency=currency,
        purpose=" ".join(filter(None, purposes)) or _text(entry, "AddtlNtryInf"),
        name=name,
        iban=iban,
        bic=bic,
        end_to_end_id=_given(detail, "Refs/EndToEndId"),
        mandate=_given(detail, "Refs/MndtId"),
        bank_reference=_given(detail, "Refs/AcctSvcrRef") or _given(entry, "AcctSvcrRef") or _given(entry, "NtryRef"),
        code=gvc or code,
        is_return=is_return,
        return_code=reason,
        return_text=" ".join(_texts(detail, "RtrInf/AddtlInf")),
        fee=_fee(detail, amount, currency) if is_return else Decimal(0),
        entry_amount=total,
        entry_reference=_given(entry, "AcctSvcrRef") or _given(entry, "NtryRef"),
        entry_size=size,
    )


def _parts(details: list[etree._Element], sign: int, currency: str) -> list[Decimal] | None:
    """What each detail comes to, if all of them say so in the account's currency."""
    parts = []
    for detail in details:
        for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt"):
            amount, of = _amount(detail, path)
            if amount is not None and of == currency:
                parts.append(_sign(detail, sign) * amount)
                break
        else:
            return None
    return parts


def _fee(detail: etree._Element | None, amount: Decimal, currency: str) -> Decimal:
    """What of a return exceeds the payment that comes back."""
    original, of = _amount(detail, "AmtDtls/InstdAmt/Amt")
    if original is not None and of == currency and Decimal(0) < original < abs(amount):
        return abs(amount) - original
    charges = _nodes(detail, "Chrgs/Rcrd") or _nodes(detail, "Chrgs")
    fees = [_amount(one, "Amt") for one in charges if _text(one, "ChrgInclInd") == "true" and _sign(one, -1) < 0]
    total = sum((fee for fee, of in fees if fee is not None and of == currency), Decimal(0))
    return total if total < abs(amount) else Decimal(0)


def _party(detail: etree._Element | None, is_credit: bool, own: str) -> tuple[str, str, str]:
    """Name, account and bank of the other side; a returned debit names us as its creditor."""
    sides = ("Dbtr", "Cdtr") if is_credit else ("Cdtr", "Dbtr")
    found = [_side(detail, side) for side in sides]
    if (own and plain(found[0][1]) == own) or not any(found[0]):
        found.reverse()
    name, iban, bic = found[0]
    return name, "" if plain(iban) == own else plain(iban), bic


def _side(detail: etree._Element | None, side: str) -> tuple[str, str, str]:
    name = _text(detail, f"RltdPties/{side}/Nm") or _text(detail, f"RltdPties/{side}/Pty/Nm")
    account = _text(detail, f"RltdPties/{side}Acct/Id/IBAN") or _text(detail, f"RltdPties/{side}Acct/Id/Othr/Id")
    bank = f"RltdAgts/{side}Agt/FinInstnId"
    return name, account, _text(detail, f"{bank}/BICFI") or _text(detail, f"{bank}/BIC")


def _purpose(detail: etree._Element) -> str:
    """What the payer wrote: free text as it stands, else the structured reference, else the bank's own words."""
    words = _texts(detail, "RmtInf/Ustrd")
    for path in ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/RfrdDocInf/Nb", "RmtInf/Strd/AddtlRmtInf"):
        words += [text for text in _texts(detail, path) if text not in words]
    return " ".join(words) or _text(detail, "AddtlTxInf")


def _code(node: etree._Element) -> tuple[str, str]:
    """The bank's code for the kind of movement, by ISO and as the German number (GVC)."""
    parts = [_text(node, f"BkTxCd/Domn/{path}") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    own = re.search(r"(?:^|\+)([0-9]{3})(?:\+|$)", _text(node, "BkTxCd/Prtry/Cd"))
    return "-".join(filter(None, parts)), own[1] if own else ""


def _balances(record: etree._Element) -> tuple[Decimal | None, Decimal | None, str]:
    balances: dict[str, Decimal] = {}
    currency = ""
    for node in record.findall("{*}Bal"):
        kind = _text(node, "Tp/CdOrPrtry/Cd")
        amount, of = _amount(node, "Amt")
        if amount is None or (currency and of != currency):
            continue
        currency = of
        if kind == "CLBD":
            balances[kind] = _sign(node, 1) * amount  # the last of them closes
        else:
            balances.setdefault(kind, _sign(node, 1) * amount)
    return balances.get("OPBD", balances.get("PRCD")), balances.get("CLBD"), currency


def _sign(node: etree._Element, otherwise: int) -> int:
    told = _text(node, "CdtDbtInd")
    if told == "CRDT":
        return 1
    if told == "DBIT":
        return -1
    if not otherwise:
        raise ValueError(_("it says neither credit nor debit."))
    return otherwise


def _amount(node: etree._Element | None, path: str) -> tuple[Decimal | None, str]:
    found = _nodes(node, path)
    if not found:
        return None, ""
    text = (found[0].text or "").strip()
    if not AMOUNT.fullmatch(text):
        raise ValueError(_("“%(text)s” is not an amount.") % {"text": text[:40]})
    currency = found[0].get("Ccy", "")
    return fitting(Decimal(text), currency), currency


def _day(node: etree._Element | None, path: str) -> date | None:
    """The day as the bank wrote it; a time and its zone are left aside."""
    text = _text(node, path)
    if not text:
        return None
    try:
        return in_time(date.fromisoformat(text[:10]))
    except ValueError:
        raise ValueError(_("“%(text)s” is not a day of the calendar.") % {"text": text[:40]}) from None


def _given(node: etree._Element | None, path: str) -> str:
    text = _text(node, path)
    return "" if text.upper().replace(" ", "") in NOT_GIVEN else text


def _nodes(node: etree._Element | None, path: str) -> list[etree._Element]:
    if node is None:
        return []
    return node.findall("/".join(part if part == "*" else f"{{*}}{part}" for part in path.split("/")))


def _texts(node: etree._Element | None, path: str) -> list[str]:
    return [text for found in _nodes(node, path) if (text := " ".join((found.text or "").split()))]


def _text(node: etree._Element | None, path: str) -> str:
    return next(iter(_texts(node, path)), "")


def _name(node: etree._Element | None) -> str:
    return "" if node is None else etree.QName(node).localname


def _with(statement: Statement, trouble: Trouble) -> Statement:
    return replace(statement, troubles=(*statement.troubles, trouble))
