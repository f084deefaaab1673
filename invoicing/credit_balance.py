"""Credits of a payer: set off against other open items, or wanted back as money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of, rounded
from invoicing import posting
from invoicing.kernel import credits
from invoicing.models import OpenItem, RefundRequest
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import lock_payers, record


class NoCredit(OperatorError):
    """There is nothing to set off or to pay back."""


@dataclass(frozen=True, slots=True)
class Balance:
    """An open item with what is left of it: above zero a claim, below zero a credit."""

    item: int
    document: str
    due_on: date
    currency: str
    left: Decimal
    is_refund_wanted: bool


@dataclass(frozen=True, slots=True)
class Use:
    """So much of a credit goes to a claim."""

    credit: Balance
    claim: Balance
    amount: Decimal


def balances(issuer: Issuer, payer: Tenant) -> list[Balance]:
    """What is open of documents between the two, credits included, oldest due first; payments are applied elsewhere."""
    rows = (
        OpenItem.objects.filter(issuer=issuer, payer=payer, invoice__isnull=False)
        .annotate(left=Sum("postings__amount"))
        .exclude(left=0)
        .order_by("due_on", "pk")
        .values_list("pk", "invoice__number", "due_on", "currency", "left", "refund_request")
    )
    return [
        Balance(item, str(number), due_on, currency, rounded(left, places_of(currency)), wanted is not None)
        for item, number, due_on, currency, left, wanted in rows
    ]


def propose(issuer: Issuer, payer: Tenant) -> list[Use]:
    """How the payer's credits would be set off: the oldest credit first, against the claims that are due first, per
    currency. Credits wanted back as money are left alone. Writes nothing.
    """
    uses: list[Use] = []
    by_currency: dict[str, list[Balance]] = defaultdict(list)
    for balance in balances(issuer, payer):
        by_currency[balance.currency].append(balance)
    for own in by_currency.values():
        claims = [one for one in own if one.left > 0]
        left = [one.left for one in claims]
        for credit in (one for one in own if one.left < 0 and not one.is_refund_wanted):
            used = credits.offset(left, -credit.left).used
            uses += [Use(credit, claim, part) for claim, part in zip(claims, used, strict=True) if part]
            left = [open_ - part for open_, part in zip(left, used, strict=True)]
    return uses


@transaction.atomic
def apply(issuer: Issuer, payer: Tenant, *, on: date, by: Any = None) -> Sequence[Use]:
    """Set the payer's credits off as ``propose`` says; a second call finds nothing. Raises ``NoCredit``."""
    lock_payers([payer.pk])
    uses = propose(issuer, payer)
    if not uses:
        raise NoCredit(
            _("%(payer)s has no credit that could be set off against an open item.") % {"payer": payer.reference}
        )
    posting.offset(
        issuer,
        [posting.Offset(use.claim.item, use.credit.item, use.credit.currency, use.amount) for use in uses],
        on=on,
    )
    facts = {"credits": sorted({use.credit.document for use in uses}), "amount": f"{sum(use.amount for use in uses):f}"}
    record(table_of(Tenant), payer.pk, "offset", facts, by=by)
    return uses


@transaction.atomic
def want_refund(item: int, *, on: date, reason: str) -> RefundRequest:
    """Note that a payer wants a credit paid out: it is not set off any more. Raises ``NoCredit``."""
    found = OpenItem.objects.select_related("invoice").get(pk=item)
    lock_payers([found.payer_id])
    left = found.postings.aggregate(left=Sum("amount"))["left"]
    if not left or left >= 0:
        raise NoCredit(_("%(document)s leaves no credit.") % {"document": found})
    if not reason.strip():
        raise NoCredit(_("A wanted refund needs a reason."))
    try:
        with transaction.atomic():
            return RefundRequest.objects.create(open_item=found, wanted_on=on, reason=reason.strip())
    except IntegrityError as error:
        raise NoCredit(_("A refund of %(document)s is wanted already.") % {"document": found}) from error


@transaction.atomic
def withdraw_refund(item: int) -> None:
    """The payer does not want the money after all. Raises ``NoCredit``."""
    payer = OpenItem.objects.values_list("payer_id", flat=True).get(pk=item)
    lock_payers([payer])
    if not RefundRequest.objects.filter(open_item=item).delete()[0]:
        raise NoCredit(_("No refund is wanted."))
