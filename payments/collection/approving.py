"""Four eyes: a run above the issuer's limit is asked for by one person and released when another one approves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from payments.collection import releasing
from payments.collection.releasing import NotToBeReleased
from payments.models import PaymentRun
from tenants.copying import table_of
from tenants.models import Approval

Decision = Approval.Decision


@transaction.atomic
def request(run: int, *, reason: str, by: Any, seen: str | None = None) -> Approval:
    """Ask for the release of a run (key), bound to its content. Raises ``NotToBeReleased``."""
    found = PaymentRun.objects.select_for_update(of=("self",)).select_related("issuer").get(pk=run)
    content = releasing.content_hash(found)
    if found.state != PaymentRun.State.PROPOSED:
        raise NotToBeReleased(_("%(run)s is %(state)s already.") % {"run": found, "state": found.get_state_display()})
    if seen is not None and seen != content:
        raise NotToBeReleased(_("The run is no longer what you looked at. Nothing was changed; look again."))
    try:
        with transaction.atomic():
            return Approval.objects.create(
                issuer=found.issuer,
                table=table_of(PaymentRun),
                row=found.pk,
                action=Approval.Action.DEBIT,
                subject=str(found),
                currency="EUR",
                gross=releasing.total_of(found),
                content_hash=content,
                reason=reason,
                requested_by=by,
            )
    except IntegrityError as error:
        raise NotToBeReleased(_("For %(run)s an approval is asked for already.") % {"run": found}) from error


@transaction.atomic
def approve(approval: int, *, now: datetime, by: Any, note: str = "") -> bool:
    """Approve what another person asked for, and release the run. False where it has lapsed; its note says why.

    Raises ``NotToBeReleased``.
    """
    found = _open(approval, by)
    try:
        with transaction.atomic():
            releasing.release(found.row, now=now, by=by, seen=found.content_hash, approved=True)
    except NotToBeReleased as refusal:
        _decide(found, Decision.LAPSED, by, str(refusal))
        return False
    _decide(found, Decision.APPROVED, by, note)
    return True


@transaction.atomic
def refuse(approval: int, *, by: Any, note: str) -> None:
    """Refuse what another person asked for, or take back one's own. Raises ``NotToBeReleased``."""
    found = _of_a_run(approval)
    is_own = found.requested_by_id == by.pk
    if found.decision is not None:
        raise NotToBeReleased(_("It is decided already."))
    _decide(found, Decision.WITHDRAWN if is_own else Decision.REFUSED, by, note)


def _open(approval: int, by: Any) -> Approval:
    found = _of_a_run(approval)
    if found.decision is not None:
        raise NotToBeReleased(_("It is decided already."))
    if found.requested_by_id == by.pk:
        raise NotToBeReleased(_("Whoever asks for something cannot approve it."))
    return found


def _of_a_run(approval: int) -> Approval:
    """Locked; what is asked for of another record is decided there."""
    return Approval.objects.select_for_update(of=("self",)).get(pk=approval, table=table_of(PaymentRun))


def _decide(approval: Approval, decision: str, by: Any, note: str) -> None:
    Approval.objects.filter(pk=approval.pk).update(decision=decision, decided_by=by, decided_at=Now(), note=note)
