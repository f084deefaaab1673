"""Up to which amount one person may correct alone."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from invoicing.models import Invoice
from tenants.errors import OperatorError


class NeedsApproval(OperatorError):
    """The correction is above what one person may issue alone."""


def needs_approval(draft: Invoice) -> bool:
    limit = draft.issuer.correction_limit
    return limit is not None and abs(draft.gross.amount) > limit


def refuse_above(drafts: Sequence[int]) -> None:
    """Raises ``NeedsApproval`` naming the first draft (key) above its issuer's limit."""
    for draft in Invoice.objects.filter(pk__in=drafts).select_related("issuer", "corrects").order_by("pk"):
        if needs_approval(draft):
            limit = draft.issuer.correction_limit
            assert limit is not None
            raise NeedsApproval(
                _(
                    "The correction of %(document)s by %(gross)s %(currency)s is above %(limit)s, which %(issuer)s lets"
                    " one person correct: another person must approve it."
                )
                % {
                    "document": draft.corrects,
                    "gross": f"{abs(draft.gross.amount):.2f}",
                    "currency": draft.currency,
                    "limit": f"{limit.normalize():f}",
                    "issuer": draft.issuer.reference,
                }
            )
