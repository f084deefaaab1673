"""Doors for workers. A task may come twice, late, or not at all: what is to be done stands in the database."""

from __future__ import annotations

from celery import current_app, shared_task
from django.utils import timezone

from invoicing import (
    bill_run,
    delivery,
    judging,
    pdf,
    price_notice,
    section_copies,
    statements,
    vat_waiting,
    webhook_events,
)
from invoicing.models import BillRun

BATCH = 100  # PDFs between two looks at what can be mailed
TURN = 60  # seconds of a bill run, after which it lets go of its worker


@shared_task(name="invoicing.bill")
def bill(*, run_id: int, **_newer: object) -> None:
    """A turn of a run; what is left goes to the end of the queue, so that PDFs and mails have their turn, too."""
    if bill_run.bill_a_while(BillRun.objects.select_related("issuer").get(pk=run_id), seconds=TURN):
        current_app.send_task("invoicing.bill", kwargs={"run_id": run_id})


@shared_task(name="invoicing.judge_pending")
def judge_pending(**_newer: object) -> None:
    while judging.judge_pending():
        pass


@shared_task(name="invoicing.render")
def render(*, invoice_id: int, **_newer: object) -> None:
    pdf.render_document(invoice_id)
    delivery.deliver([invoice_id])


@shared_task(name="invoicing.render_pending")
def render_pending(**_newer: object) -> None:
    while pdf.render_pending(BATCH):
        delivery.deliver_pending()
    statements.collect_pending()


@shared_task(name="invoicing.collect")
def collect(**_newer: object) -> None:
    """Collective statements and copies of sections."""
    statements.collect_pending()
    statements.print_pending()
    section_copies.print_pending()


@shared_task(name="invoicing.deliver")
def deliver(*, invoice_id: int | None = None, **_newer: object) -> None:
    if invoice_id is None:
        delivery.deliver_pending()
    else:
        delivery.deliver([invoice_id])


@shared_task(name="invoicing.tell")
def tell(**_newer: object) -> None:
    """Write the webhook messages about documents, and have them sent."""
    if webhook_events.queue_pending(now=timezone.now()):
        current_app.send_task("tenants.send_webhooks")


@shared_task(name="invoicing.write_price_notices")
def write_price_notices(**_newer: object) -> None:
    while price_notice.write_notices(limit=BATCH):
        pass


@shared_task(name="invoicing.settle_vat_checks")
def settle_vat_checks(**_newer: object) -> None:
    vat_waiting.settle()
