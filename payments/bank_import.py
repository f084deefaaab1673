"""A bank's file -> statements and lines, each line once whatever files tell it again; all of a file or nothing of it.

Lines are known again by what any file says of them: day, amount, end-to-end id, the other side's account, purpose. Two
alike in one file are two. A notification may tell the payments of a collective booking that a statement tells as one
sum: whichever comes first counts, and while the sum is undecided, its payments take its place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _
from stdnum import iban as iban_rules

from payments.gateways import bank_csv, camt, mt940
from payments.gateways.reading import FileRefused
from payments.kernel.matching import squeezed
from payments.kernel.statement import Statement, StatementLine, names_account, plain
from payments.models import BankAccount, BankLine, BankStatement, LineBooking, LineSetAside
from tenants import files
from tenants.encryption import decrypted, encrypted, keyed_hash

IBAN: Final = "iban"  # the purpose under which IBANs are encrypted and hashed
BANK_FILE: Final = "bank_file"
WRITTEN_IBAN: Final = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ ./-]?[A-Za-z0-9]){11,30}")
LONGEST: Final = 4_000  # signs of a text that are looked at


@dataclass(frozen=True, slots=True)
class Told:
    """One statement of a file: the account it belongs to, and which of its lines are new."""

    account: BankAccount
    statement: Statement
    fresh: tuple[StatementLine, ...]
    known: int
    is_known: bool
    stored: BankStatement | None = None


def preview(data: bytes, name: str = "", *, account: BankAccount | None = None, issuers: Any = None) -> list[Told]:
    """What ``take_in`` would take from a file; nothing is written. Raises ``FileRefused``."""
    with transaction.atomic():
        told = _take(data, name, account, issuers, by=None, writes=False)
        transaction.set_rollback(True)
    return told


@transaction.atomic
def take_in(
    data: bytes, name: str = "", *, account: BankAccount | None = None, issuers: Any = None, by: Any = None
) -> list[Told]:
    """Take a bank's file in: its statements, and those of their lines that no file told before.

    ``account`` is needed where the file does not name it; ``issuers`` bounds whose accounts are looked at. The same
    file again changes nothing. Raises ``FileRefused`` naming place and reason; then nothing of the file is kept.
    """
    return _take(data, name, account, issuers, by=by, writes=True)


def stored_file(statement: BankStatement) -> bytes:
    """The file as it was taken in. Raises ``DamagedFile``."""
    text = decrypted(files.read(statement.file).decode("ascii"), BANK_FILE)
    if text is None:
        raise files.DamagedFile(
            _("The file %(path)s was encrypted with a key that is gone.") % {"path": statement.file}
        )
    return text.encode("latin-1")


def _take(data: bytes, name: str, account: BankAccount | None, issuers: Any, *, by: Any, writes: bool) -> list[Told]:
    statements = _read(data, account)
    accounts = [_account(one, account, issuers) for one in statements]
    list(  # in the order of their keys, so that two imports at once wait for one another
        BankAccount.objects.select_for_update(no_key=True)
        .filter(pk__in=[one.pk for one in accounts])
        .order_by("pk")
        .values_list("pk")
    )
    found = []
    file = None
    digest = sha256(data).hexdigest()
    for one, of in zip(statements, accounts, strict=True):
        identity = _identity(one)
        if of.statements.filter(identity=identity).exists():
            found.append(Told(of, one, (), len(one.lines), is_known=True))
            continue
        fresh, superseded = _fresh(of, one)
        if writes and file is None:
            file = files.store(
                f"bank/{_year(one)}/{digest[:16]}.bin",
                encrypted(data.decode("latin-1"), BANK_FILE).encode("ascii"),
                content_type="application/octet-stream",
            )
        stored = None
        if writes and file is not None:
            stored = _store(of, one, fresh, identity, file, name, digest, by)
            for line in superseded:
                LineSetAside.objects.create(line_id=line, reason=_("Its payments were told one by one."), by=by)
        found.append(Told(of, one, tuple(line for _ordinal, line in fresh), len(one.lines) - len(fresh), False, stored))
    return found


def _read(data: bytes, account: BankAccount | None) -> list[Statement]:
    if not data.strip():
        raise FileRefused(_("The file is empty."))
    if camt.looks_like(data):
        return camt.read(data)
    if mt940.looks_like(data):
        return mt940.read(data)
    layout = bank_csv.layout_of(account.layout) if account and account.layout else bank_csv.recognised(data)
    if layout is None:
        raise FileRefused(
            _("The file is neither camt nor MT940, and its columns are not known; name the account that knows them.")
        )
    return bank_csv.read(data, layout, account.iban if account else "")


def _account(statement: Statement, account: BankAccount | None, issuers: Any) -> BankAccount:
    """Whose statement it is. Raises ``FileRefused``: no account of ours, or another than the one that was named."""
    candidates = [account] if account else list(_accounts(issuers))
    for one in candidates:
        if names_account(statement.account, one.iban):
            found = one
            break
    else:
        told = statement.account[-4:]
        if account is not None:
            raise FileRefused(
                _("The file is of the account ending in %(told)s, not of %(account)s.")
                % {"told": told, "account": account}
            )
        raise FileRefused(
            _("The file is of an account ending in %(told)s, which is no active bank account of yours.")
            % {"told": told}
        )
    if statement.lines and statement.currency != found.currency:
        raise FileRefused(
            _("The file is in %(told)s, but %(account)s is kept in %(currency)s.")
            % {"told": statement.currency, "account": found, "currency": found.currency}
        )
    return found


def _accounts(issuers: Any) -> Any:
    accounts = BankAccount.objects.filter(is_active=True).select_related("issuer").order_by("pk")
    return accounts if issuers is None else accounts.filter(issuer__in=issuers)


def _fresh(account: BankAccount, statement: Statement) -> tuple[list[tuple[int, StatementLine]], list[int]]:
    """The lines that are new, each with its place among those alike; and the sums that they take the place of."""
    lines = [line for line in statement.lines if line.currency == account.currency and line.amount]
    prints = {fingerprint(line) for line in lines}
    known = _known(account, prints, statement)
    collective = _collective(account, lines)
    entries: dict[int, list[StatementLine]] = defaultdict(list)
    for line in lines:
        entries[line.entry].append(line)
    fresh: list[tuple[int, StatementLine]] = []
    superseded: list[int] = []
    for told in entries.values():
        there = collective.get(entry_key(told[0]), [])
        sums = [one for one in there if one[1] == 1]
        parts = [one for one in there if one[1] > 1]
        if len(told) == 1 and told[0].entry_size == 1 and parts:
            continue  # its payments are here already
        if len(told) > 1 and sums:
            if any(is_decided for _key, _size, is_decided in sums):
                continue  # a person decided on the sum
            superseded += [key for key, _size, _is_decided in sums]
        for line in told:
            alike = known[fingerprint(line)]
            match = next(
                (one for one in alike if not one.used and one.may_match and _same(one, line)),
                None,
            )
            if match is not None:
                match.used = True
                continue
            fresh.append((len(alike), line))
            alike.append(_Alike(line.bank_reference, entry_key(line), may_match=False, used=True))
    return fresh, superseded


@dataclass(slots=True)
class _Alike:
    reference: str
    entry: str
    may_match: bool
    used: bool = False


def _known(account: BankAccount, prints: set[str], statement: Statement) -> dict[str, list[_Alike]]:
    """The lines that are here, by fingerprint. Two numbered end-of-day statements never tell the same line."""
    known: dict[str, list[_Alike]] = defaultdict(list)
    rows = (
        BankLine.objects.filter(bank_account=account, fingerprint__in=prints)
        .order_by("ordinal")
        .values_list(
            "fingerprint",
            "bank_reference",
            "entry_key",
            "statement__is_final",
            "statement__number",
            "statement__ends_on",
        )
    )
    for mark, reference, entry, is_final, number, ends_on in rows:
        other = (
            is_final
            and statement.is_final
            and number
            and statement.number
            and (number, ends_on) != (statement.number, statement.ends_on)
        )
        known[mark].append(_Alike(reference, entry, may_match=not other))
    return known


def _same(one: _Alike, line: StatementLine) -> bool:
    """By the reference of the payment, where both are told; a notification has one that the statement leaves out."""
    if not one.reference or not line.bank_reference or one.reference == line.bank_reference:
        return True
    return bool(one.entry) and one.entry == entry_key(line)


def _collective(account: BankAccount, lines: Sequence[StatementLine]) -> dict[str, list[tuple[int, int, bool]]]:
    """Lines that are here, by the bank's booking they belong to: key, size of the booking, whether it is decided on."""
    rows = list(
        BankLine.objects.filter(bank_account=account, entry_key__in={entry_key(line) for line in lines})
        .exclude(entry_key="")
        .values_list("entry_key", "pk", "entry_size")
    )
    found: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    keys = [key for _mark, key, _size in rows]
    decided = set(LineBooking.objects.filter(line__in=keys).values_list("line", flat=True))
    decided |= set(LineSetAside.objects.filter(line__in=keys).values_list("line", flat=True))
    for mark, key, size in rows:
        found[mark].append((key, size, key in decided))
    return found


def fingerprint(line: StatementLine) -> str:
    """What any file says of a line, as a hash; banks differ in blanks and letters, so these do not count."""
    said = (
        line.booked_on.isoformat(),
        f"{line.amount.normalize():f}",
        line.currency,
        squeezed(line.end_to_end_id),
        line.iban[-4:],
        squeezed(line.purpose)[:140],
    )
    return sha256("\n".join(said).encode()).hexdigest()


def entry_key(line: StatementLine) -> str:
    """The bank's own booking a line belongs to, as far as it can be known again by its reference."""
    if not line.entry_reference:
        return ""
    said = (line.booked_on.isoformat(), f"{line.entry_amount.normalize():f}", line.currency, line.entry_reference)
    return sha256("\n".join(said).encode()).hexdigest()


def _identity(statement: Statement) -> str:
    said = [
        statement.form,
        statement.reference,
        statement.number,
        str(statement.starts_on),
        str(statement.ends_on),
        str(statement.opening),
        str(statement.closing),
        *(f"{fingerprint(line)} {line.bank_reference}" for line in statement.lines),
    ]
    return sha256("\n".join(said).encode()).hexdigest()


def _store(
    account: BankAccount,
    statement: Statement,
    fresh: Sequence[tuple[int, StatementLine]],
    identity: str,
    file: Any,
    name: str,
    digest: str,
    by: Any,
) -> BankStatement:
    stored = BankStatement.objects.create(
        bank_account=account,
        identity=identity,
        file=file,
        file_name=name[:200],
        file_sha256=digest,
        form=statement.form,
        is_final=statement.is_final,
        reference=statement.reference[:100],
        number=statement.number[:20],
        starts_on=statement.starts_on,
        ends_on=statement.ends_on,
        currency=account.currency,
        opening=statement.opening,
        closing=statement.closing,
        told=len(statement.lines),
        known=len(statement.lines) - len(fresh),
        troubles=[{"code": one.code, "facts": dict(one.facts)} for one in statement.troubles],
        by=by,
    )
    BankLine.objects.bulk_create(
        [_line(account, stored, position, ordinal, line) for position, (ordinal, line) in enumerate(fresh, start=1)],
        batch_size=1000,
    )
    return stored


def _line(account: BankAccount, statement: BankStatement, position: int, ordinal: int, line: StatementLine) -> BankLine:
    return BankLine(
        statement=statement,
        bank_account=account,
        position=position,
        fingerprint=fingerprint(line),
        ordinal=ordinal,
        entry_key=entry_key(line),
        entry_size=line.entry_size,
        booked_on=line.booked_on,
        value_on=line.value_on,
        currency=line.currency,
        amount=line.amount,
        fee=line.fee,
        purpose=masked(line.purpose)[:2000],
        name=masked(line.name)[:140],
        iban=encrypted(line.iban, IBAN) if line.iban else "",
        iban_hash=keyed_hash(line.iban, IBAN) if line.iban else "",
        iban_tail=line.iban[-4:],
        bic=line.bic[:11],
        end_to_end_id=masked(line.end_to_end_id)[:100],
        mandate=masked(line.mandate)[:100],
        bank_reference=masked(line.bank_reference)[:100],
        code=line.code[:30],
        is_return=line.is_return,
        return_code=line.return_code[:35],
        return_text=masked(line.return_text)[:200],
    )


def masked(text: str) -> str:
    """A text in which each IBAN shows its last four signs alone, whatever stands before and behind it."""
    text, start = text[:LONGEST], 0
    while match := WRITTEN_IBAN.search(text, start):
        start = match.start()
        ends = [place + 1 for place in range(start, match.end()) if text[place].isalnum()]
        for end in ends[14:]:
            found = plain(text[start:end])
            if iban_rules.is_valid(found, check_country=False):
                text = f"{text[:start]}…{found[-4:]}{text[end:]}"
                break
        start += 1
    return text


def _year(statement: Statement) -> int | str:
    return statement.ends_on.year if statement.ends_on else "undated"


def gaps(accounts: Collection[int]) -> dict[int, list[tuple[BankStatement, BankStatement, Decimal]]]:
    """By account (key): end-of-day statements whose opening is not the closing of the one before, and by how much."""
    found = defaultdict(list)
    finals = BankStatement.objects.filter(
        bank_account__in=accounts, is_final=True, opening__isnull=False, closing__isnull=False
    )
    for before, one in pairwise(finals.order_by("bank_account", "ends_on", "number", "pk")):
        if one.bank_account_id == before.bank_account_id and one.opening.amount != before.closing.amount:
            found[one.bank_account_id].append((before, one, one.opening.amount - before.closing.amount))
    return found


def missing_numbers(accounts: Collection[int]) -> dict[int, list[tuple[int, int, int]]]:
    """By account (key): statement numbers that lack between two that are here; year, first and last of each stretch."""
    by_year: dict[tuple[int, int], set[int]] = defaultdict(set)
    finals = BankStatement.objects.filter(bank_account__in=accounts, is_final=True)
    for account, number, ends_on in finals.order_by().values_list("bank_account", "number", "ends_on"):
        if number.isdecimal() and ends_on:
            by_year[account, ends_on.year].add(int(number))
    found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for (account, year), numbers in sorted(by_year.items()):
        lacking = ((one + 1, two - 1) for one, two in pairwise(sorted(numbers)) if one + 1 < two)
        found[account] += [(year, first, last) for first, last in lacking]
    return found
