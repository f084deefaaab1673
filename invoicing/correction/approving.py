"""Four eyes: a correction above the issuer's limit is asked for by one person and issued when another one approves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from invoicing.correction import cancelling, crediting, drafts
from invoicing.correction.crediting import Wanted
from invoicing.correction.drafts import NotCorrectable
from invoicing.correction.limits import NeedsApproval
from invoicing.correction.previewing import Preview, preview_cancellation, preview_credit
from invoicing.models import Invoice
from invoicing.review import LookAgain
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Approval

__all__ = ["NeedsApproval", "NotToBeDecided", "approve", "asked_for", "refuse", "request", "withdraw"]


class NotToBeDecided(OperatorError):
    """The approval is decided already, or not this person's to decide."""


@transaction.atomic
def request(
    invoice: int, wanted: Sequence[Wanted] | None, *, on: date, reason: str, by: Any, seen: str | None = None
) -> Approval:
    """Ask for a cancellation (``wanted`` is None) or a credit note to be approved, bound to the hash of its content.

    Raises as ``cancel`` and ``credit`` do, and ``NotCorrectable`` if something is asked for the document already.
    """
    preview = _preview(invoice, wanted, on=on, reason=reason)
    if seen is not None and preview.content_hash != seen:
        raise LookAgain(_("The document would no longer be what you looked at. Nothing was changed; look again."))
    original = Invoice.objects.get(pk=invoice)
    try:
        with transaction.atomic():
            return Approval.objects.create(
                issuer_id=original.issuer_id,
                table=table_of(Invoice),
                row=invoice,
                action=Approval.Action.CANCEL if wanted is None else Approval.Action.CREDIT,
                subject=str(original),
                currency=original.currency,
                gross=preview.facts.gross,
                content_hash=preview.content_hash,
                facts={"on": on.isoformat(), "lines": None if wanted is None else [_stored(one) for one in wanted]},
                reason=reason,
                requested_by=by,
            )
    except IntegrityError as error:
        raise NotCorrectable(
            _("For %(document)s an approval is asked for already.") % {"document": original}
        ) from error


def asked_for(approval: Approval) -> Preview:
    """What was asked for, as it would be issued now. Raises as ``cancel`` and ``credit`` do."""
    return _preview(approval.row, _wanted(approval), on=_day(approval), reason=approval.reason)


def approve(approval: int, *, by: Any, note: str = "") -> int | None:
    """Approve what another person asked for and issue it; returns the key of the document.

    ``None`` where it would no longer be what was asked for: the approval has lapsed then, its note says why.
    Raises ``NotToBeDecided``.
    """
    asked = Approval.objects.get(pk=approval)
    with suppress(NotCorrectable):  # found again below, and recorded
        drafts.judge_ahead([asked.row], lambda: _drafted(asked))
    return _approve(approval, by=by, note=note)


@transaction.atomic
def _approve(approval: int, *, by: Any, note: str) -> int | None:
    found = _open(approval)
    if found.requested_by_id == by.pk:
        raise NotToBeDecided(_("Whoever asks for something cannot approve it."))
    wanted = _wanted(found)
    common: dict[str, Any] = {
        "on": _day(found),
        "reason": found.reason,
        "by": by,
        "seen": found.content_hash,
        "approved": True,
    }
    try:
        with transaction.atomic():
            document = (
                cancelling.cancel([found.row], **common)[0]
                if wanted is None
                else crediting.credit(found.row, wanted, **common)
            )
    except (LookAgain, NotCorrectable) as refusal:
        _decide(found, Approval.Decision.LAPSED, by, str(refusal))
        return None
    _decide(found, Approval.Decision.APPROVED, by, note)
    return document


def _drafted(approval: Approval) -> list[int]:
    wanted, on = _wanted(approval), _day(approval)
    if wanted is None:
        return cancelling.draft([approval.row], on=on, reason=approval.reason)
    return [crediting.draft(approval.row, wanted, on=on, reason=approval.reason)]


@transaction.atomic
def refuse(approval: int, *, by: Any, note: str) -> None:
    """Refuse what another person asked for. Raises ``NotToBeDecided``."""
    found = _open(approval)
    if found.requested_by_id == by.pk:
        raise NotToBeDecided(_("Whoever asks for something withdraws it; another person refuses it."))
    _decide(found, Approval.Decision.REFUSED, by, note)


@transaction.atomic
def withdraw(approval: int, *, by: Any) -> None:
    """Take back what one asked for oneself. Raises ``NotToBeDecided``."""
    found = _open(approval)
    if found.requested_by_id != by.pk:
        raise NotToBeDecided(_("Only whoever asked for it can withdraw it."))
    _decide(found, Approval.Decision.WITHDRAWN, by, "")


def _open(approval: int) -> Approval:
    found = Approval.objects.select_for_update(of=("self",)).get(pk=approval)
    if found.decision is not None:
        raise NotToBeDecided(
            _("%(subject)s is decided already: %(decision)s.")
            % {"subject": found.subject, "decision": found.get_decision_display()}
        )
    return found


def _decide(approval: Approval, decision: Approval.Decision, by: Any, note: str) -> None:
    Approval.objects.filter(pk=approval.pk).update(decision=decision, decided_by=by, decided_at=Now(), note=note)


def _preview(invoice: int, wanted: Sequence[Wanted] | None, *, on: date, reason: str) -> Preview:
    if wanted is None:
        return preview_cancellation(invoice, on=on, reason=reason)
    return preview_credit(invoice, wanted, on=on, reason=reason)


def _day(approval: Approval) -> date:
    return date.fromisoformat(approval.facts["on"])


def _stored(wanted: Wanted) -> dict[str, Any]:
    figures = {name: getattr(wanted, name) for name in ("amount", "quantity", "percent")}
    return {"position": wanted.position} | {name: f"{f:f}" for name, f in figures.items() if f is not None}


def _wanted(approval: Approval) -> list[Wanted] | None:
    lines = approval.facts["lines"]
    if lines is None:
        return None
    return [
        Wanted(line["position"], *(_figure(line.get(name)) for name in ("amount", "quantity", "percent")))
        for line in lines
    ]


def _figure(stored: str | None) -> Decimal | None:
    return None if stored is None else Decimal(stored)
