"""Cancel all documents of a run, in chunks that are all or nothing; what cannot be cancelled stays, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from django.db.models import Exists, OuterRef

from invoicing.correction.cancelling import cancel
from invoicing.models import BillRun, Invoice
from invoicing.models.invoice import InvoiceQuerySet
from tenants.errors import OperatorError

CHUNK: Final = 100


@dataclass(slots=True)
class Cancelled:
    """How many documents were cancelled, why each of the others was not, by key, and whether some are still to come."""

    documents: int = 0
    parked: dict[int, OperatorError] = field(default_factory=dict)
    is_done: bool = True


def left_of_run(run: BillRun) -> InvoiceQuerySet:
    """Issued documents of the run that are not cancelled."""
    cancelled = Invoice.objects.filter(corrects=OuterRef("pk"), kind=Invoice.Kind.CANCELLATION)
    return Invoice.objects.issued().filter(~Exists(cancelled), run=run)


def cancel_run(
    run: BillRun,
    *,
    on: date,
    reason: str,
    by: Any = None,
    seconds: float | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Cancelled:
    """Cancel what is left of the run; one document's trouble stops no other.

    Whatever is committed stays: called again, also beside itself, it goes on with the rest. With ``seconds`` it ends
    with the first chunk that is done after them. ``on_step`` hears how many documents a chunk cancelled.
    """
    until = None if seconds is None else time.monotonic() + seconds
    found, after = Cancelled(), 0
    while keys := list(left_of_run(run).filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        if until is not None and time.monotonic() >= until:
            found.is_done = False
            break
        after = keys[-1]
        done = _settle(keys, found, on=on, reason=reason, by=by)
        found.documents += done
        if on_step is not None:
            on_step(done)
    return found


def _settle(keys: Sequence[int], found: Cancelled, **how: Any) -> int:
    """Cancel all or none; if that is refused, each half for itself, down to the document that cannot be cancelled."""
    try:
        return len(cancel(keys, **how))
    except OperatorError as refusal:
        if len(keys) == 1:
            found.parked[keys[0]] = refusal
            return 0
        middle = len(keys) // 2
        return _settle(keys[:middle], found, **how) + _settle(keys[middle:], found, **how)
