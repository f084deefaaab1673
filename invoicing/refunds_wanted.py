"""What contracts that were cancelled with a refund give back is marked to be paid out, not set off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from django.db import connection
from django.utils.translation import gettext

from invoicing.models import RefundRequest

CANCELLED: Final = """
    select o.id, string_agg(distinct s.reference, ', ' order by s.reference)
      from invoicing_openitem o
      join invoicing_line l on l.invoice_id = o.invoice_id
      join billing_charge c on c.id = l.charge_id and c.kind = 'credit'
      join billing_item i on i.id = c.item_id
      join billing_subscription s on s.id = i.subscription_id
     where o.invoice_id = any(%s) and o.amount < 0 and o.moved_from_id is null
       and exists (select from billing_amendment a
                    where a.subscription_id = s.id and a.kind = 'cancellation' and a.data ->> 'money' = 'refund'
                      and not exists (select from billing_amendment w
                                       where w.subscription_id = s.id and w.kind = 'withdrawal'
                                         and (w.data ->> 'sequence')::int = a.sequence))
     group by o.id
"""


def mark(credit_notes: Sequence[int], *, on: date) -> None:
    """Note for credit notes (keys) that were just posted that their payers want the money, in the caller's transaction.

    It is a record alone: nothing is paid, and the credit is set off no more until the wish is withdrawn.
    """
    with connection.cursor() as cursor:
        cursor.execute(CANCELLED, [list(credit_notes)])
        found = cursor.fetchall()
    RefundRequest.objects.bulk_create(
        RefundRequest(
            open_item_id=item,
            wanted_on=on,
            reason=gettext("Contract %(contract)s was cancelled with a refund.")[:200] % {"contract": contracts[:150]},
        )
        for item, contracts in found
    )
