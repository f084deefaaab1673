"""What a bank says of an account, whatever the form it said it in: a statement and its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a person should know of a file that can be read nevertheless; ``code`` has its sentence elsewhere."""

    code: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One movement of money: credits are positive, debits negative, in the account's currency.

    A booking of several payments is several lines; they share ``entry``, the position of the booking in its statement,
    and ``entry_reference``, the bank's own for it.
    ``fee``: what of a returned debit is the banks' fee; ``amount`` includes it.
    """

    entry: int
    booked_on: date
    value_on: date
    amount: Decimal
    currency: str
    purpose: str = ""
    name: str = ""
    iban: str = ""
    bic: str = ""
    end_to_end_id: str = ""
    mandate: str = ""
    bank_reference: str = ""
    code: str = ""
    is_return: bool = False
    return_code: str = ""
    return_text: str = ""
    fee: Decimal = Decimal(0)
    entry_amount: Decimal = Decimal(0)
    entry_reference: str = ""
    entry_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one account saw between two days. ``is_final``: an end-of-day statement; others tell of what comes in it."""

    form: str
    reference: str
    account: str
    currency: str
    is_final: bool = True
    number: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    opening: Decimal | None = None
    closing: Decimal | None = None
    lines: tuple[StatementLine, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def moved(self) -> Decimal:
        return sum((line.amount for line in self.lines if line.currency == self.currency), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """What the closing balance has more than opening and lines come to; 0 where a balance is not told."""
        if self.opening is None or self.closing is None:
            return Decimal(0)
        return self.closing - self.opening - self.moved


def plain(account: str) -> str:
    """An account's number as it is compared: capitals and digits, nothing between them."""
    return "".join(sign for sign in account.upper() if sign.isascii() and sign.isalnum())


def names_account(told: str, iban: str) -> bool:
    """Whether ``told`` is this account: its IBAN, or a German bank code and account number (“50880050/0194787400”).

    Some banks put the currency behind the number; others leave leading zeros out.
    """
    own, other = plain(iban), plain(told)
    if own == other:
        return True
    if not own.startswith("DE") or len(own) != 22 or other.startswith("DE"):
        return False
    bank, _slash, number = told.replace(" ", "").partition("/")
    digits = "".join(sign for sign in number.partition("-")[0] if sign.isdigit())
    return bank == own[4:12] and bool(digits) and digits.zfill(10) == own[12:]
