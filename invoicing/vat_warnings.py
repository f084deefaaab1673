"""Customers in other member states who are charged VAT for want of a VAT id, or whose VAT id nobody has confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.db.models import Count

from invoicing import taxation, vat_report
from invoicing.kernel.vat import EU, Case
from invoicing.models import BillRun, Invoice, VatShare
from invoicing.parties import VatEvidence
from tenants.models import Issuer, Tenant, VatCheck

CHARGED: Final = 200  # shown of one run


class Fault(StrEnum):
    """Why a business in another member state is not taxed without doubt as one with a VAT id."""

    NO_ID = "no_id"
    NOT_VALID = "not_valid"
    UNCONFIRMED = "unconfirmed"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class Warned:
    """What is wrong, the check it rests on, and the issuer's policy where VIES is asked: "" if it is not."""

    fault: Fault
    check: VatEvidence | None
    policy: str = ""


def of_account(issuer: Issuer, account: Tenant, check: VatCheck | None, *, on: date) -> Warned | None:
    """What is to be said of an account's VAT id on a day; ``check`` is the last one of the id it has now."""
    if account.buys_as == Tenant.BuysAs.CONSUMER or account.invoice_to_id not in (None, account.pk):
        return None
    if account.country not in EU or account.country == issuer.country:
        return None
    proof = None
    if check is not None:
        day = check.checked_at.date().isoformat()
        proof = VatEvidence(check.method, day, check.is_valid, check.consultation_number, check.pk)
    if not account.vat_id:
        return Warned(Fault.NO_ID, None)
    if not account.vat_id_valid:
        return Warned(Fault.NOT_VALID, proof)
    if taxation.is_confirmed(issuer, proof, on=on):
        return None
    is_old = proof is not None and proof.is_valid and proof.method == VatCheck.Method.VIES
    policy = issuer.without_confirmation if settings.VIES_URL else ""
    return Warned(Fault.OLD if is_old else Fault.UNCONFIRMED, proof, policy)


@dataclass(frozen=True, slots=True)
class Charged:
    """A business in another member state that a document of a run charges VAT of the issuer's country."""

    payer: Tenant
    recipient: Tenant
    invoice: Invoice
    rate: Decimal
    vat_id: str
    is_unconfirmed: bool


def on_check_digits(run: BillRun) -> int:
    """How many documents of a run show no VAT by a VAT id that VIES has not confirmed; none where VIES is asked."""
    if settings.VIES_URL:
        return 0
    found = VatShare.objects.filter(invoice__run=run, vat_case__in=list(vat_report.SUPPLIES))
    return (
        found.exclude(vat_check__method=VatCheck.Method.VIES)
        .exclude(invoice__state=Invoice.State.CLOSED)
        .exclude(invoice__kind=Invoice.Kind.CREDIT_NOTE)
        .aggregate(documents=Count("invoice", distinct=True))["documents"]
    )


def of_run(run: BillRun) -> Sequence[Charged]:
    """By what its documents state, the first ``CHARGED``; one query."""
    found = (
        VatShare.objects.filter(
            invoice__run=run,
            invoice__parties__buyer__country__in=sorted(EU - {run.issuer.country}),
            vat_case=Case.STANDARD.value,
            vat_rate__gt=0,
            country="",
        )
        .exclude(invoice__recipient__buys_as=Tenant.BuysAs.CONSUMER)
        .exclude(invoice__state=Invoice.State.CLOSED)
        .exclude(invoice__kind=Invoice.Kind.CREDIT_NOTE)
        .select_related("invoice__payer", "invoice__recipient")
        .order_by("invoice__payer__tree_id", "invoice__payer__lft", "invoice_id", "-vat_rate")[:CHARGED]
    )
    return [
        Charged(
            share.invoice.payer,
            share.invoice.recipient,
            share.invoice,
            share.vat_rate,
            share.invoice.parties["buyer"].get("vat_id", ""),
            share.invoice.recipient.vat_id_valid,
        )
        for share in found
    ]
