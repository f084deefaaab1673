"""What the page of a bill run shows: sums by currency and VAT case, sizes, documents; what is new, gone or unusual."""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from typing import Any

from django.db.models import Count, Max, Q
from django.urls import reverse
from django.utils.translation import gettext

from invoicing import bill_run, review, vat_warnings
from invoicing.admin.documents import STATE_COLOURS
from invoicing.models import BillRun, Invoice
from tenants.admin import figures
from tenants.admin.activities import done_badge
from tenants.models import Activity, Tenant

SIZES = (Decimal(0), Decimal(50), Decimal(200), Decimal(1000), Decimal(5000))  # net amounts from which a bar counts


def percent_done(progress: bill_run.Progress) -> int:
    return 100 if not progress.total else progress.done * 100 // progress.total


def progress_text(progress: bill_run.Progress) -> str:
    return gettext("%(done)s of %(total)s payers") % {
        "done": figures.number(progress.done),
        "total": figures.number(progress.total),
    }


def by_currency(totals: list[review.Total]) -> list[dict[str, Any]]:
    """Sums per currency, largest number of documents first, each with its VAT cases."""
    blocks = []
    for currency in dict.fromkeys(total.currency for total in totals):
        own = [total for total in totals if total.currency == currency]
        largest = max((abs(net) for net in case_nets(own).values()), default=Decimal(0))
        blocks.append(
            {
                "currency": currency,
                "documents": sum(total.documents for total in own),
                "net": figures.money(sum((total.net for total in own), Decimal(0)), currency),
                "vat": figures.money(sum((total.vat for total in own), Decimal(0)), currency),
                "gross": figures.money(sum((total.gross for total in own), Decimal(0)), currency),
                "cases": [
                    {
                        "name": Invoice.VatCase(case).label,
                        "documents": sum(total.documents for total in own if total.vat_case == case),
                        "net": figures.money(net, currency),
                        "vat": figures.money(sum((t.vat for t in own if t.vat_case == case), Decimal(0)), currency),
                        "width": int(abs(net) * 100 / largest) if largest else 0,
                    }
                    for case, net in sorted(case_nets(own).items(), key=lambda one: -abs(one[1]))
                ],
            }
        )
    return sorted(blocks, key=lambda block: -block["documents"])


def case_nets(totals: list[review.Total]) -> dict[str, Decimal]:
    nets: dict[str, Decimal] = {}
    for total in totals:
        nets[total.vat_case] = nets.get(total.vat_case, Decimal(0)) + total.net
    return nets


def state_counts(totals: list[review.Total]) -> dict[str, int]:
    """How many documents of the run are in each state."""
    counts = dict.fromkeys(Invoice.State.values, 0)
    for total in totals:
        counts[total.state] += total.documents
    return counts


def sizes(run: BillRun) -> list[dict[str, Any]]:
    """How many documents there are of each size, for the bars. Sizes count in the document's own currency."""
    bounds = list(zip_longest(SIZES, SIZES[1:]))
    counts = (
        Invoice.objects.filter(run=run)
        .exclude(state=Invoice.State.CLOSED)
        .aggregate(
            **{
                f"size{n}": Count("pk", filter=Q(net__gte=low) & (Q(net__lt=high) if high is not None else Q()))
                for n, (low, high) in enumerate(bounds)
            },
            credits=Count("pk", filter=Q(net__lt=0)),
            largest=Max("net"),
        )
    )
    bars = [{"label": size_label(low, high), "count": counts[f"size{n}"]} for n, (low, high) in enumerate(bounds)]
    if counts["credits"]:
        bars.insert(0, {"label": gettext("credits"), "count": counts["credits"]})
    highest = max((bar["count"] for bar in bars), default=0)
    return (
        [bar | {"height": max(2, bar["count"] * 100 // highest) if bar["count"] else 0} for bar in bars]
        if highest
        else []
    )


def size_label(low: Decimal, high: Decimal | None) -> str:
    if high is None:
        return gettext("from %s") % figures.number(low)
    if not low:
        return gettext("below %s") % figures.number(high)
    return f"{figures.number(low)} – {figures.number(high)}"


def row_of(invoice: Invoice, flag: review.Flag | None) -> dict[str, Any]:
    """A document in the table of a run."""
    return {
        "invoice": invoice,
        "url": reverse("admin:invoicing_invoice_change", args=[invoice.pk]),
        "pdf": reverse("admin:invoicing_invoice_pdf", args=[invoice.pk]),
        "net": figures.money(invoice.net.amount, invoice.currency),
        "vat": figures.money(invoice.vat.amount, invoice.currency),
        "gross": figures.money(invoice.gross.amount, invoice.currency),
        "state": invoice.get_state_display(),
        "colour": STATE_COLOURS[Invoice.State(invoice.state)],
        "is_open": invoice.state in (Invoice.State.DRAFT, Invoice.State.HELD, Invoice.State.RELEASED),
        "flag": flag_text(flag, invoice.currency) if flag else "",
        "flag_kind": flag.kind if flag else "",
    }


def charged_row(one: vat_warnings.Charged) -> dict[str, Any]:
    """A business in another member state that is charged VAT at home, and why."""
    words = {"rate": figures.number(one.rate)}
    if not one.vat_id:
        reason = gettext("EU customer without a VAT id: charged %(rate)s %%") % words
    elif one.is_unconfirmed:
        reason = gettext("EU customer whose VAT id VIES has not confirmed: charged %(rate)s %%") % words
    else:
        reason = gettext("EU customer without a valid VAT id: charged %(rate)s %%") % words
    return {
        "payer": one.payer,
        "recipient": one.recipient,
        "vat_id": one.vat_id or figures.EMPTY,
        "url": reverse("admin:invoicing_invoice_change", args=[one.invoice.pk]),
        "document": str(one.invoice),
        "reason": reason,
        "gross": figures.money(one.invoice.gross.amount, one.invoice.currency),
    }


def decision_of(activity: Activity) -> dict[str, Any]:
    """A decision about documents of a run, for the table of who decided what."""
    return {
        "at": activity.at,
        "by": activity.actor or figures.EMPTY,
        "action": done_badge(activity),
        "documents": figures.number((activity.after or {}).get("documents", 0)),
        "reason": activity.reason,
    }


def flag_text(flag: review.Flag, currency: str) -> str:
    if flag.kind == "new":
        return gettext("new")
    if flag.before and flag.now is not None:
        share = (flag.now - flag.before) / abs(flag.before) * 100
        sign = "+" if share > 0 else "\N{MINUS SIGN}"
        return gettext("%(change)s %% against %(before)s") % {
            "change": f"{sign}{figures.number(int(abs(share)))}",
            "before": figures.money(flag.before, currency),
        }
    return gettext("changed")


def flag_counts(flags: Any) -> dict[str, int]:
    counts = {"new": 0, "gone": 0, "changed": 0}
    for flag in flags:
        counts[flag.kind] += 1
    return counts


def gone(flags: Any) -> list[tuple[Any, str]]:
    """Payers who had a document in the run before and have none now, with what it was."""
    lost = [flag for flag in flags if flag.kind == "gone"][:200]
    payers = Tenant.objects.in_bulk([flag.payer for flag in lost])
    return [(payers[flag.payer], figures.money(flag.before, flag.currency)) for flag in lost]
