"""Bank files for tests, as a bank would write them: camt.053 and camt.054, version 08."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from xml.sax.saxutils import escape

OURS = "DE74291417776317066907"


@dataclass(frozen=True)
class Entry:
    """A booking; ``parts`` are the payments of a collective one."""

    amount: str
    purpose: str = ""
    name: str = ""
    iban: str = ""
    end_to_end_id: str = ""
    mandate: str = ""
    reference: str = ""
    day: str = "2026-03-02"
    reason: str = ""
    original: str = ""
    parts: Sequence[Entry] = ()

    @property
    def value(self) -> Decimal:
        return Decimal(self.amount)


def camt(
    *entries: Entry,
    message: str = "053",
    account: str = OURS,
    number: str = "",
    opening: str = "1000.00",
    day: str = "2026-03-02",
    with_details: bool = True,
) -> bytes:
    """A file with one statement (053) or notification (054)."""
    kind, tag = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}[message]
    closing = Decimal(opening) + sum((entry.value for entry in entries), Decimal(0))
    balances = f"{_balance('OPBD', Decimal(opening), day)}{_balance('CLBD', closing, day)}" if message == "053" else ""
    sequence = f"<ElctrncSeqNb>{number}</ElctrncSeqNb>" if number else ""
    body = "".join(_entry(entry, with_details) for entry in entries)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{message}.001.08"><{kind}>
<GrpHdr><MsgId>M-{message}-{day}-{number}</MsgId><CreDtTm>{day}T20:00:00+01:00</CreDtTm></GrpHdr>
<{tag}><Id>S-{message}-{day}-{number}</Id>{sequence}<CreDtTm>{day}T20:00:00+01:00</CreDtTm>
<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy></Acct>{balances}{body}</{tag}></{kind}></Document>
""".encode()


def returned(entry: Entry, reason: str, fee: str = "0") -> Entry:
    """The return debit of a payment."""
    total = entry.value + Decimal(fee)
    return replace(entry, amount=f"{-total}", original=entry.amount, reason=reason, reference="")


def _balance(kind: str, amount: Decimal, day: str) -> str:
    sign = "CRDT" if amount >= 0 else "DBIT"
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{abs(amount):.2f}</Amt>'
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _entry(entry: Entry, with_details: bool) -> str:
    sign = "CRDT" if entry.value >= 0 else "DBIT"
    reference = f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef>" if entry.reference else ""
    family = "RDDT</Cd><SubFmlyCd>UPDD" if entry.reason else "RCDT</Cd><SubFmlyCd>ESCT"
    details = "".join(_details(part, sign) for part in entry.parts or [entry]) if with_details else ""
    return (
        f'<Ntry><Amt Ccy="EUR">{abs(entry.value):.2f}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><Dt>{entry.day}</Dt></ValDt>{reference}"
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"{f'<NtryDtls>{details}</NtryDtls>' if details else ''}</Ntry>"
    )


def _details(part: Entry, sign: str) -> str:
    ids = f"<EndToEndId>{escape(part.end_to_end_id or 'NOTPROVIDED')}</EndToEndId>"
    ids += f"<MndtId>{part.mandate}</MndtId>" if part.mandate else ""
    original = f'<AmtDtls><InstdAmt><Amt Ccy="EUR">{part.original}</Amt></InstdAmt></AmtDtls>' if part.original else ""
    name = f"<Dbtr><Pty><Nm>{escape(part.name)}</Nm></Pty></Dbtr>" if part.name else ""
    account = f"<DbtrAcct><Id><IBAN>{part.iban}</IBAN></Id></DbtrAcct>" if part.iban else ""
    purpose = f"<RmtInf><Ustrd>{escape(part.purpose)}</Ustrd></RmtInf>" if part.purpose else ""
    reason = f"<RtrInf><Rsn><Cd>{part.reason}</Cd></Rsn></RtrInf>" if part.reason else ""
    return (
        f'<TxDtls><Refs>{ids}</Refs><Amt Ccy="EUR">{abs(part.value):.2f}</Amt><CdtDbtInd>{sign}</CdtDbtInd>{original}'
        f"<RltdPties>{name}{account}</RltdPties>{purpose}{reason}</TxDtls>"
    )
