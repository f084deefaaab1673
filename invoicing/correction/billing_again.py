"""Cancel a document and bill its days anew from the contracts as they are now, looked at as a difference first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from billing import charging
from billing.kernel.money import places_of, rounded
from invoicing import bill_run, drafting
from invoicing.correction import cancelling
from invoicing.models import BillRun, Invoice, Line
from tenants.transactions import rehearsal

ZERO: Final = Decimal(0)
Key = tuple[str, str, str, date, date]  # contract, product's text, currency, first and last day


@dataclass(frozen=True, slots=True)
class Row:
    """What days of a contract and product cost on the document, and would cost anew; ``None``: nothing."""

    contract: str
    text: str
    currency: str
    starts_on: date
    last_day: date
    before: Decimal | None
    after: Decimal | None

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Comparison:
    """A document against the drafts that would take its place; what else is due to the payer stands among them."""

    rows: Sequence[Row]
    net_before: Decimal
    net_after: Decimal
    gross_before: Decimal
    gross_after: Decimal


def charged_through(invoice: Invoice) -> date:
    """Through which day its payer must be charged so that all its days come again."""
    if invoice.run is not None:
        return invoice.run.through
    last = invoice.lines.order_by("-ends_before").values_list("ends_before", flat=True).first()
    return max(last or invoice.issued_on, invoice.issued_on)


def compare(invoice: Invoice, *, on: date, reason: str) -> Comparison:
    """What ``bill_again`` would change; writes nothing. Raises as it does."""
    places = places_of(invoice.currency)
    nets: dict[Key, list[Decimal | None]] = defaultdict(lambda: [None, None])
    for line in Line.objects.filter(invoice=invoice).order_by("position"):
        days = line.starts_on, line.ends_before - timedelta(days=1)
        _add(nets, (line.details.get("contract", ""), line.text, line.currency, *days), 0, line.net.amount)
    with rehearsal():
        cancelling.draft([invoice.pk], on=on, reason=reason)
        proposal = charging.propose(invoice.issuer_id, [invoice.payer_id], through=charged_through(invoice))
        drafts = drafting.propose(invoice.issuer, proposal, issue_on=on)
    for draft in drafts:
        for proposed in draft.lines:
            due = proposed.charge.due
            contract = proposed.charge.position.contract.reference
            key = (contract, proposed.text, draft.currency, due.period.start, due.period.last_day)
            _add(nets, key, 1, due.net)
    return Comparison(
        [
            Row(*key, *(None if net is None else rounded(net, places_of(key[2])) for net in pair))
            for key, pair in sorted(nets.items())
        ],
        net_before=rounded(invoice.net.amount, places),
        net_after=sum((draft.totals.net for draft in drafts if draft.currency == invoice.currency), ZERO),
        gross_before=rounded(invoice.gross.amount, places),
        gross_after=sum((draft.totals.gross for draft in drafts if draft.currency == invoice.currency), ZERO),
    )


def _add(nets: dict[Key, list[Decimal | None]], key: Key, side: int, net: Decimal) -> None:
    nets[key][side] = (nets[key][side] or ZERO) + net


def bill_again(invoice: Invoice, *, on: date, reason: str, by: Any = None, seen: str | None = None) -> BillRun:
    """Cancel the document and propose its days anew, as drafts of a run of its payer alone.

    The cancellation is committed first: if the process dies then, the days are due and the next run bills them.
    Raises as ``cancel`` and ``bill_run.start`` do.
    """
    through = charged_through(invoice)
    bill_run.refuse_slips(through=through, issue_on=on)
    cancelling.cancel([invoice.pk], on=on, reason=reason, by=by, seen=seen)
    run = bill_run.start(
        issuer=invoice.issuer, through=through, issue_on=on, issues_by_itself=False, payer=invoice.payer, by=by
    )
    bill_run.bill(run)
    return run
