"""What happened to documents -> messages to those endpoints that want to be told (``tenants.webhooks``).

The in-tray are the journal entries of the last days; an event of a document is told an endpoint once. So a bill run
writes nothing for it, and an endpoint is told of what happens after it was entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from billing.kernel.money import places_of, rounded
from tenants import webhooks
from tenants.models import WebhookEvent

LOOK_BACK: Final = timedelta(days=31)  # longer than any outage in which events are still worth telling
CHUNK: Final = 500

DOCUMENT: Final = """
    i.id, i.number, i.kind, s.reference, i.issued_on, i.due_on, r.reference, p.reference, i.currency, i.net, i.vat,
    i.gross, (select c.number from invoicing_invoice c where c.id = i.corrects_id)
"""
PARTIES: Final = """
    join tenants_issuer s on s.id = i.issuer_id
    join tenants_tenant r on r.id = i.recipient_id
    join tenants_tenant p on p.id = i.payer_id
"""
ISSUED: Final = f"""
    select w.id, i.kind || '.issued', e.created_at, null, {DOCUMENT}
      from tenants_webhookendpoint w
      join invoicing_journalentry e on e.issuer_id = w.issuer_id and e.kind = 'issue'
      join invoicing_invoice i on i.id = e.invoice_id
      {PARTIES}
     where w.is_active and e.created_at >= greatest(w.created_at, %(since)s) and i.kind || '.issued' = any(w.events)
       and not exists (select from tenants_webhookmessage m
                        where m.endpoint_id = w.id and m.key = i.kind || '.issued:' || i.id)
     order by e.id limit {CHUNK}
"""
PAID: Final = f"""
    with settled as (
        select o.invoice_id, e.issuer_id, max(e.created_at) as at, max(e.booked_on) as paid_on
          from invoicing_journalentry e
          join invoicing_posting b on b.entry_id = e.id
          join invoicing_openitem o on o.id = b.open_item_id
         where e.created_at >= %(since)s and (e.kind <> 'issue' or e.invoice_id <> o.invoice_id)
         group by o.invoice_id, e.issuer_id)
    select w.id, 'invoice.paid', n.at, n.paid_on, {DOCUMENT}
      from settled n
      join invoicing_invoice i on i.id = n.invoice_id and i.kind = 'invoice' and i.gross > 0
      join tenants_webhookendpoint w on w.issuer_id = n.issuer_id and w.is_active and n.at >= w.created_at
       and 'invoice.paid' = any(w.events)
      {PARTIES}
     where not exists (select from invoicing_invoice c where c.corrects_id = i.id and c.kind = 'cancellation')
       and not exists (select from tenants_webhookmessage m
                        where m.endpoint_id = w.id and m.key = 'invoice.paid:' || i.id)
       and (select sum(b.amount) from invoicing_posting b join invoicing_openitem o on o.id = b.open_item_id
             where o.invoice_id = i.id) = 0
     order by i.id limit {CHUNK}
"""


def queue_pending(*, now: datetime) -> int:
    """Write the messages that are still missing; returns how many. May run beside itself."""
    written = 0
    for query in (ISSUED, PAID):
        while some := _queue(query, now):
            written += some
    return written


def waiting(*, now: datetime) -> bool:
    """Whether any endpoint is still to be told of something."""
    return any(_rows(query, now) for query in (ISSUED, PAID))


@transaction.atomic
def _queue(query: str, now: datetime) -> int:
    return webhooks.queue(_events(query, now))


def _events(query: str, now: datetime) -> Iterator[webhooks.Event]:
    for endpoint, event, at, paid_on, key, number, *document in _rows(query, now):
        data = _data(number, *document)
        if event == WebhookEvent.INVOICE_PAID:
            data["paid_on"] = paid_on.isoformat()
        yield webhooks.Event(endpoint, f"{event}:{key}", event, number, at, data)


def _rows(query: str, now: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"since": now - LOOK_BACK})
        return cursor.fetchall()


def _data(
    number: str,
    kind: str,
    issuer: str,
    issued_on: Any,
    due_on: Any,
    recipient: str,
    payer: str,
    currency: str,
    net: Decimal,
    vat: Decimal,
    gross: Decimal,
    corrects: str | None,
) -> dict[str, Any]:
    """A document as others see it: references are those of the imports, amounts and days are text."""
    places = places_of(currency)
    return {
        "number": number,
        "kind": kind,
        "issuer": issuer,
        "issued_on": issued_on.isoformat(),
        "due_on": due_on.isoformat(),
        "recipient": recipient,
        "payer": payer,
        "currency": currency,
        "net": f"{rounded(net, places):f}",
        "vat": f"{rounded(vat, places):f}",
        "gross": f"{rounded(gross, places):f}",
        "corrects": corrects,
    }
