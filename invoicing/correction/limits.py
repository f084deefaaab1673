"""Up to which amount one person may correct a document alone."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Exists, OuterRef, Sum
from django.utils.translation import gettext_lazy as _

from invoicing.models import Invoice
from tenants.errors import OperatorError


class NeedsApproval(OperatorError):
    """The correction is above what one person may issue alone."""


def needs_approval(draft: Invoice) -> bool:
    return _above(draft) is not None


def refuse_above(drafts: Sequence[int]) -> None:
    """Raises ``NeedsApproval`` naming the first draft (key) above its issuer's limit."""
    for draft in Invoice.objects.filter(pk__in=drafts).select_related("issuer", "corrects").order_by("pk"):
        given = _above(draft)
        if given is not None:
            limit = draft.issuer.correction_limit
            assert limit is not None
            raise NeedsApproval(
                _(
                    "The correction of %(document)s by %(gross)s %(currency)s is above %(limit)s, which %(issuer)s lets"
                    " one person correct: another person must approve it."
                )
                % {
                    "document": draft.corrects,
                    "gross": f"{given:.2f}",
                    "currency": draft.currency,
                    "limit": f"{limit.normalize():f}",
                    "issuer": draft.issuer.reference,
                }
            )


def _above(draft: Invoice) -> Decimal | None:
    """What would have been given back of the document, if it is above the limit.

    Earlier credit notes that stand count, too: whoever may give 100 back may not do so ten times.
    """
    limit = draft.issuer.correction_limit
    if limit is None:
        return None
    given = abs(draft.gross.amount)
    if draft.kind == Invoice.Kind.CREDIT_NOTE:
        stands = ~Exists(Invoice.objects.filter(corrects=OuterRef("pk"), kind=Invoice.Kind.CANCELLATION))
        earlier = Invoice.objects.issued().filter(stands, corrects=draft.corrects_id, kind=Invoice.Kind.CREDIT_NOTE)
        given += abs(earlier.aggregate(gross=Sum("gross"))["gross"] or 0)
    return given if given > limit else None
