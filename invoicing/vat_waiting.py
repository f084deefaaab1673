"""Documents without VAT that wait until VIES has confirmed the VAT id they rest on, and go on when the answer is there.

When it has come, the draft is computed anew by its run: what it says of the evidence, and perhaps of the VAT, changes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import translation

from invoicing import drafting, former_vat, review, taxation
from invoicing.kernel.vat import Case
from invoicing.models import Invoice
from invoicing.parties import RESTS_ON_THE_VAT_ID, Accounts
from tenants import vat_inquiries
from tenants.errors import OperatorError
from tenants.models import Intent, Issuer, VatInquiry
from tenants.transactions import wake

logger = logging.getLogger(__name__)

ON_THE_VAT_ID: Final = [case.value for case in RESTS_ON_THE_VAT_ID]


def without_pending(issuer: Issuer, invoices: Sequence[Invoice], facts: Accounts) -> list[Invoice]:
    """Those of the released documents that may be issued, in the caller's transaction.

    The others show no VAT because of a VAT id that VIES has not confirmed lately: they are held, and VIES is asked.
    """
    pending = []
    for invoice in invoices:
        if Case(invoice.vat_case) not in RESTS_ON_THE_VAT_ID or invoice.corrects_id:
            continue
        if former_vat.marked(invoice.parties):
            continue
        account, check = facts.accounts[invoice.recipient_id], facts.vat_checks.get(invoice.recipient_id)
        if taxation.standing_of(issuer, account, check, on=invoice.issued_on).is_unconfirmed:
            pending.append(invoice)
    if not pending:
        return list(invoices)
    hold(issuer, pending)
    return [invoice for invoice in invoices if invoice not in pending]


def hold(issuer: Issuer, invoices: Sequence[Invoice]) -> None:
    """Let drafts wait, and have VIES asked, in the caller's transaction."""
    with translation.override(issuer.language):
        reason = str(drafting.VAT_CHECK_PENDING)
    review.put_on_record(Invoice.State.HELD.value, invoices, by=None, reason=reason)
    Invoice.objects.filter(pk__in=[invoice.pk for invoice in invoices]).update(
        state=Invoice.State.HELD, reason=reason, waits_for=Invoice.WaitsFor.VAT_CHECK
    )
    ask(issuer, [invoice.recipient_id for invoice in invoices])


def ask(issuer: Issuer, recipients: Sequence[int]) -> None:
    """Have VIES asked about the recipients of drafts that wait, in the caller's transaction."""
    vat_inquiries.ask(issuer, recipients)


def answered() -> QuerySet[Invoice]:
    """Drafts that wait for nothing any more: about their recipients nothing is being asked."""
    under_way = VatInquiry.objects.filter(
        tenant=OuterRef("recipient"), vat_id=F("tenant__vat_id"), state__in=[Intent.State.WAITING, Intent.State.WORKING]
    )
    gave_up = VatInquiry.objects.filter(tenant=OuterRef("recipient"), state=Intent.State.PARKED).filter(
        ~Exists(VatInquiry.objects.filter(tenant=OuterRef("tenant"), pk__gt=OuterRef("pk")))
    )
    return Invoice.objects.filter(
        ~Exists(under_way), ~Exists(gave_up), waits_for=Invoice.WaitsFor.VAT_CHECK, state=Invoice.State.HELD
    )


def settle() -> int:
    """Have the drafts computed anew whose answer has come; returns how many. One that cannot be now is tried again.

    Their runs are woken; a document that may then go without VAT goes its usual way, another one shows VAT.
    """
    settled = 0
    for key in list(answered().order_by("pk").values_list("pk", flat=True)):
        try:
            with transaction.atomic():
                settled += review.discard(answered().filter(pk=key))
                wake("config.sweep")
        except OperatorError as refusal:
            logger.info("A draft waits on", extra={"document": key, "reason": str(refusal)})
    return settled
