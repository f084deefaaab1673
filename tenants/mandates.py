"""Mandates for SEPA direct debit: entered, given another bank account, approved, revoked. IBANs are read only here.

A bank account counts when it is approved: by somebody else than who entered it, where the issuer wants that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from stdnum import bic as bics
from stdnum import iban as ibans

from tenants import files
from tenants.encryption import decrypted, encrypted, keyed_hash, keyed_hashes
from tenants.errors import OperatorError
from tenants.models import Creditor, Issuer, Mandate, MandateAccount, Tenant
from tenants.models.mandate import REFERENCE

IBAN: Final = "iban"  # the purpose of its key
PAPERS: Final = {"application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg"}
LARGEST_PAPER: Final = 5_000_000

Decision = MandateAccount.Decision

__all__ = [
    "REFERENCE",
    "Bank",
    "NotAMandate",
    "Usable",
    "bank_of",
    "change_account",
    "checked",
    "creditor_of",
    "decide",
    "enter",
    "holding_account",
    "is_same",
    "keep_paper",
    "revoke",
    "sealed",
    "usable",
]


class NotAMandate(OperatorError):
    """A mandate that cannot be entered or changed in this way."""


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank account as it is entered. ``repr`` keeps the IBAN out of logs and tracebacks."""

    holder: str
    iban: str
    bic: str = ""

    def __repr__(self) -> str:
        return f"Bank(…{self.iban[-4:]})"


@dataclass(frozen=True, slots=True)
class Usable:
    """The mandate that a payer has for an issuer, with the account that holds; else why there is none."""

    mandate: Mandate | None = None
    account: MandateAccount | None = None
    is_revoked: bool = False
    is_unapproved: bool = False


def checked(bank: Bank) -> Bank:
    """The same in the form that is stored. Raises ``NotAMandate``; the sentence never shows the IBAN."""
    iban, bic = ibans.compact(bank.iban).upper(), bics.compact(bank.bic)
    if not ibans.is_valid(iban):
        raise NotAMandate(_("The check digits of the IBAN are wrong."))
    if bic and not bics.is_valid(bic):
        raise NotAMandate(_("“%(bic)s” is no BIC.") % {"bic": bic})
    holder = " ".join(bank.holder.split())
    if not holder or len(holder) > 70:
        raise NotAMandate(_("The account holder is a name of at most 70 characters."))
    return Bank(holder, iban, bic)


def creditor_of(issuer: Issuer) -> Creditor | None:
    """How the issuer collects by direct debit; ``None`` where it does not."""
    return Creditor.objects.filter(issuer=issuer).first()


@transaction.atomic
def enter(
    issuer: Issuer,
    payer: Tenant,
    bank: Bank,
    *,
    reference: str,
    signed_on: date,
    on: date,
    scheme: str = Mandate.Scheme.CORE,
    is_one_off: bool = False,
    original_reference: str = "",
    original_creditor: str = "",
    by: Any = None,
) -> Mandate:
    """Keep a mandate that ``payer`` has signed. Raises ``NotAMandate``."""
    if signed_on > on:
        raise NotAMandate(_("A mandate cannot have been signed on a day that is still to come."))
    if creditor_of(issuer) is None:
        raise NotAMandate(_("%(issuer)s has no creditor identifier to collect with.") % {"issuer": issuer.reference})
    entered = checked(bank)
    try:
        with transaction.atomic():
            mandate = Mandate.objects.create(
                issuer=issuer,
                payer=payer,
                reference=reference,
                scheme=scheme,
                is_one_off=is_one_off,
                signed_on=signed_on,
                original_reference=original_reference,
                original_creditor=original_creditor,
            )
    except IntegrityError as error:
        raise NotAMandate(
            _("“%(reference)s” is no mandate reference, or one that %(issuer)s has given already.")
            % {"reference": reference, "issuer": issuer.reference}
        ) from error
    _add_account(mandate, entered, by)
    return mandate


@transaction.atomic
def change_account(mandate: int, bank: Bank, *, by: Any = None) -> MandateAccount | None:
    """Give a mandate (key) another bank account, or account holder; the one before is kept.

    ``None`` where it is the same. Raises ``NotAMandate``.
    """
    found = _standing(mandate)
    entered = checked(bank)
    latest = found.accounts.exclude(decision=Decision.REFUSED).order_by("-number").first()
    if latest and is_same(latest, entered):
        return None
    return _add_account(found, entered, by)


@transaction.atomic
def decide(account: int, *, approves: bool, by: Any) -> None:
    """Approve or refuse a bank account (key) that somebody else has entered. Raises ``NotAMandate``."""
    found = MandateAccount.objects.select_for_update(of=("self",)).get(pk=account)
    if found.decision is not None:
        raise NotAMandate(
            _("The bank account is decided about already: %(how)s.") % {"how": found.get_decision_display()}
        )
    if found.entered_by_id is not None and found.entered_by_id == by.pk:
        raise NotAMandate(_("Whoever enters bank details cannot approve them."))
    _decide(found, Decision.APPROVED if approves else Decision.REFUSED, by)


@transaction.atomic
def revoke(mandate: int, *, on: date, reason: str) -> None:
    """Nothing is collected under a mandate (key) from ``on`` on. It is not taken back. Raises ``NotAMandate``."""
    found = _standing(mandate)
    if not reason.strip():
        raise NotAMandate(_("A mandate is revoked with a reason."))
    if on < found.signed_on:
        raise NotAMandate(_("A mandate cannot be revoked before it was signed."))
    Mandate.objects.filter(pk=found.pk).update(revoked_on=on, revocation=reason.strip()[:200])


@transaction.atomic
def keep_paper(mandate: int, content: bytes, *, content_type: str) -> None:
    """Keep the signed paper of a mandate (key), once. Raises ``NotAMandate``."""
    found = Mandate.objects.select_for_update(of=("self",)).get(pk=mandate)
    if found.paper_id is not None:
        raise NotAMandate(_("The signed paper of %(mandate)s is kept already.") % {"mandate": found.reference})
    if content_type not in PAPERS or not content or len(content) > LARGEST_PAPER:
        raise NotAMandate(_("The signed paper is a PDF, PNG or JPEG of at most 5 MB."))
    paper = files.store(
        f"mandates/{found.issuer_id}/{found.pk}{PAPERS[content_type]}", content, content_type=content_type
    )
    Mandate.objects.filter(pk=found.pk).update(paper=paper)


def usable(issuer: Issuer, payers: Sequence[int], *, on: date) -> dict[int, Usable]:
    """By payer (key) the mandate to collect under on ``on``: the one signed last of those that stand; two queries.

    A payer without any mandate is not named.
    """
    found: dict[int, Usable] = {}
    by_payer: dict[int, list[Mandate]] = defaultdict(list)
    rows = Mandate.objects.filter(issuer=issuer, payer__in=list(payers)).prefetch_related("accounts")
    for mandate in rows.order_by("-signed_on", "-pk"):
        by_payer[mandate.payer_id].append(mandate)
    for payer, mandates in by_payer.items():
        standing = [mandate for mandate in mandates if mandate.revoked_on is None or mandate.revoked_on > on]
        for mandate in standing:
            account = holding_account(mandate)
            if account is not None:
                found[payer] = Usable(mandate, account)
                break
        else:
            found[payer] = Usable(is_revoked=not standing, is_unapproved=bool(standing))
    return found


def holding_account(mandate: Mandate) -> MandateAccount | None:
    """The latest approved bank account of a mandate whose accounts were fetched."""
    approved = [account for account in mandate.accounts.all() if account.decision == Decision.APPROVED]
    return max(approved, key=lambda account: account.number, default=None)


def bank_of(account: Any) -> Bank:
    """The account in the clear: for the file to the bank and the XML of a document, and for nothing else.

    ``account``: a row with the columns ``holder``, ``iban`` and ``bic``. Raises ``NotAMandate`` where no key reads it.
    """
    iban = decrypted(account.iban, IBAN)
    if iban is None:
        raise NotAMandate(
            _("The IBAN that ends in %(tail)s cannot be read: its key is missing.") % {"tail": account.iban_tail}
        )
    return Bank(account.holder, iban, account.bic)


def sealed(bank: Bank) -> dict[str, str]:
    """A checked account as its columns."""
    return {
        "holder": bank.holder,
        "iban": encrypted(bank.iban, IBAN),
        "iban_hash": keyed_hash(bank.iban, IBAN),
        "iban_tail": bank.iban[-4:],
        "bic": bank.bic,
    }


def is_same(account: MandateAccount, bank: Bank) -> bool:
    """Whether a checked account is the one that is stored."""
    same = (account.holder, account.bic) == (bank.holder, bank.bic)
    return same and account.iban_hash in keyed_hashes(bank.iban, IBAN)


def _standing(mandate: int) -> Mandate:
    found = Mandate.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=mandate)
    if found.revoked_on is not None:
        raise NotAMandate(
            _("%(mandate)s is revoked: the payer has to sign a new mandate.") % {"mandate": found.reference}
        )
    return found


def _add_account(mandate: Mandate, bank: Bank, by: Any) -> MandateAccount:
    last = mandate.accounts.aggregate(last=Max("number"))["last"] or 0
    account = MandateAccount.objects.create(mandate=mandate, number=last + 1, entered_by=by, **sealed(bank))
    creditor = creditor_of(mandate.issuer)
    if creditor is not None and not creditor.checks_bank_details:
        _decide(account, Decision.APPROVED, None)
    return account


def _decide(account: MandateAccount, decision: str, by: Any) -> None:
    MandateAccount.objects.filter(pk=account.pk).update(decision=decision, decided_by=by, decided_at=Now())
