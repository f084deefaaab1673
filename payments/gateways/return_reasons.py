"""Why a bank returned a direct debit: its codes in words, and what follows from them for the mandate."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

# ISO 20022 external return reasons, as SEPA uses them
REASONS: Final = {
    "AC01": gettext_noop("The bank account does not exist."),
    "AC04": gettext_noop("The bank account is closed."),
    "AC06": gettext_noop("The bank account is blocked."),
    "AC13": gettext_noop("The bank account is a consumer's: a business mandate does not hold there."),
    "AG01": gettext_noop("The bank account does not take direct debits."),
    "AG02": gettext_noop("The bank does not take this kind of debit."),
    "AM04": gettext_noop("The account was not covered."),
    "AM05": gettext_noop("The debit came twice."),
    "BE01": gettext_noop("The name does not fit the bank account."),
    "BE05": gettext_noop("The creditor identifier is not known."),
    "CNOR": gettext_noop("The creditor's bank cannot be reached in this way."),
    "DNOR": gettext_noop("The payer's bank cannot be reached in this way."),
    "FF01": gettext_noop("The file was not as it has to be."),
    "MD01": gettext_noop("There is no valid mandate."),
    "MD02": gettext_noop("Data of the mandate are missing or wrong."),
    "MD06": gettext_noop("The payer asked for the money back."),
    "MD07": gettext_noop("The holder of the account has died."),
    "MS02": gettext_noop("The payer objected."),
    "MS03": gettext_noop("The bank gave no reason."),
    "RC01": gettext_noop("The BIC is wrong."),
    "RR01": gettext_noop("An account number that rules demand is missing."),
    "RR02": gettext_noop("A name or address that rules demand is missing."),
    "RR03": gettext_noop("A name or address that rules demand is missing."),
    "RR04": gettext_noop("The bank refuses for legal reasons."),
    "SL01": gettext_noop("The payer has had his bank refuse our debits."),
    "TM01": gettext_noop("The debit came too late."),
}
OTHERWISE: Final = gettext_noop("The bank has returned the debit.")

# After these nothing may be collected under the mandate again: the payer signs a new one, for an account that can pay.
ENDS_MANDATE: Final = frozenset({"AC01", "AC04", "AC06", "AC13", "AG01", "MD01", "MD07", "SL01"})


def reason_of(code: str) -> str:
    """What a code means, in the active language."""
    return _(REASONS.get(code.strip().upper(), OTHERWISE))


def ends_mandate(code: str) -> bool:
    """Whether a return of this code says that the mandate holds no more."""
    return code.strip().upper() in ENDS_MANDATE
