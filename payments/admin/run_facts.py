"""What the page of a payment run shows: its batches and payments, whom it leaves out and why, the run before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from payments import collection, refunds
from payments.models import Collection, Debit, LeftOut, PaymentRun
from tenants import mandates
from tenants.admin import figures

PER_PAGE = 50
NAMED = 10
EUROS = "EUR"
OUTCOME_COLOURS = {"succeeded": "success", "failed": "danger", "returned": "danger", "sent": "primary"}


def transfers(request: HttpRequest, run: PaymentRun) -> dict[str, Any]:
    page = Paginator(refunds.transfers_of(run), PER_PAGE).get_page(request.GET.get("page"))
    return {
        "seen": refunds.run_hash(run),
        "page": page,
        "rows": [
            {
                "key": one.refund_id,
                "url": reverse("admin:payments_transfer_change", args=[one.pk]),
                "reference": one.refund.key,
                "payer": str(one.refund.payer),
                "account": f"{one.holder} …{one.iban_tail}",
                "purpose": one.purpose,
                "amount": figures.money(one.refund.amount.amount, EUROS),
                "state": figures.badge(one.refund.get_state_display()),
            }
            for one in page
        ],
    }


def debits(request: HttpRequest, run: PaymentRun) -> dict[str, Any]:
    found = (
        Debit.objects.filter(collection__run=run)
        .exclude(collection__outcome="discarded")
        .select_related("collection__payer", "mandate", "account", "notice")
    )
    batches = found.order_by("collect_on", "mandate__scheme", "sequence").values_list(
        "collect_on", "mandate__scheme", "sequence"
    )
    left = run.left_out.values("reason", "currency").annotate(count=Count("pk"), sum=Sum("amount")).order_by("reason")
    only = request.GET.get("left", "")
    shown = run.left_out.select_related("payer").order_by("payer__sort_name", "pk")
    if only in LeftOut.Reason.values:
        shown = shown.filter(reason=only)
    page = Paginator(found.order_by("collection__payer__sort_name", "pk"), PER_PAGE).get_page(request.GET.get("page"))
    creditor = mandates.creditor_of(run.issuer)
    needs = creditor is not None and creditor.run_limit is not None and total(run) > creditor.run_limit
    return {
        "seen": collection.content_hash(run),
        "needs_approval": needs,
        "batches": [
            {"on": figures.day(day), "scheme": scheme, "sequence": sequence, "count": count, "sum": money(sum_)}
            for day, scheme, sequence, count, sum_ in batches.annotate(count=Count("pk"), sum=Sum("collection__amount"))
        ],
        "left": [
            {
                "reason": row["reason"],
                "label": LeftOut.Reason(row["reason"]).label,
                "count": row["count"],
                "sum": figures.money(row["sum"], row["currency"]),
            }
            for row in left
        ],
        "left_only": only,
        "left_rows": [
            {
                "payer": str(one.payer),
                "url": reverse("account", args=[one.payer_id]),
                "reason": one.get_reason_display(),
                "amount": figures.money(one.amount.amount, one.currency),
            }
            for one in shown[:PER_PAGE]
        ],
        "compared": compared(run),
        "untold": found.filter(is_announced=False, notice=None).count() if run.state != "proposed" else 0,
        "page": page,
        "rows": [
            {
                "key": one.collection_id,
                "url": reverse("admin:payments_collection_change", args=[one.collection_id]),
                "reference": one.collection.key,
                "payer": str(one.collection.payer),
                "mandate": one.mandate.reference,
                "account": f"…{one.account.iban_tail}",
                "sequence": one.sequence,
                "on": figures.day(one.collect_on),
                "told": gettext("invoice") if one.is_announced else gettext("own notice"),
                "purpose": one.purpose,
                "amount": figures.money(one.collection.amount.amount, EUROS),
                "state": figures.badge(
                    one.collection.get_outcome_display(), OUTCOME_COLOURS.get(one.collection.outcome, "")
                ),
            }
            for one in page
        ],
    }


def total(run: PaymentRun) -> Decimal:
    if run.kind == PaymentRun.Kind.SEPA_TRANSFER:
        return refunds.transfers_of(run).aggregate(sum=Sum("refund__amount"))["sum"] or Decimal(0)
    found = Collection.objects.filter(run=run).exclude(outcome="discarded").aggregate(sum=Sum("amount"))
    return found["sum"] or Decimal(0)


def money(amount: Decimal) -> str:
    return figures.money(amount, EUROS)


def compared(run: PaymentRun) -> dict[str, Any] | None:
    """The run against the issuer's last one that went to the bank: who is new, who is gone, and the sums."""
    earlier = PaymentRun.objects.filter(issuer=run.issuer_id, kind=run.kind, pk__lt=run.pk)
    last = earlier.filter(state__in=["released", "sent", "settled"]).order_by("-pk").first()
    if last is None:
        return None

    def payers(of: PaymentRun) -> dict[int, str]:
        rows = Collection.objects.filter(run=of).exclude(outcome="discarded")
        return dict(rows.values_list("payer", "payer__name").order_by("payer__sort_name"))

    now, before = payers(run), payers(last)
    new = [name for key, name in now.items() if key not in before]
    gone = [name for key, name in before.items() if key not in now]
    return {
        "name": f"KTR-{last.pk}",
        "url": reverse("admin:payments_paymentrun_change", args=[last.pk]),
        "count": len(before),
        "sum": money(total(last)),
        "new_count": len(new),
        "new": ", ".join(new[:NAMED]),
        "gone_count": len(gone),
        "gone": ", ".join(gone[:NAMED]),
    }
