"""Doors for workers. A task may come twice, late, or not at all: what is to be done stands in the database."""

from __future__ import annotations

from datetime import date

from celery import shared_task
from django.utils import timezone

from payments import card_collection, card_refunds, dunning, pay_page, provider_events, reconciliation
from payments.models import ProviderAccount
from tenants.models import Issuer

BATCH = 100


@shared_task(name="payments.remind")
def remind(*, issuer_id: int, on: str, **_newer: object) -> None:
    """``on`` is an ISO day in the issuer's zone, fixed by whoever started it."""
    dunning.remind(Issuer.objects.get(pk=issuer_id), on=date.fromisoformat(on))


@shared_task(name="payments.write_letters")
def write_letters(**_newer: object) -> None:
    while dunning.write_letters(limit=BATCH):
        pass


@shared_task(name="payments.charge")
def charge(**_newer: object) -> None:
    """Attempts at the provider that wait; and what became of those of which nobody knows."""
    while card_collection.charge_pending(clock=timezone.now):
        pass
    card_collection.ask_pending(clock=timezone.now)
    pay_page.close_pages(clock=timezone.now)


@shared_task(name="payments.pay_back")
def pay_back(**_newer: object) -> None:
    while card_refunds.pay_pending(clock=timezone.now):
        pass
    card_refunds.ask_pending(clock=timezone.now)


@shared_task(name="payments.work_off_events")
def work_off_events(**_newer: object) -> None:
    while provider_events.work_off(clock=timezone.now):
        pass


@shared_task(name="payments.reconcile")
def reconcile(*, account_id: int, day: str, **_newer: object) -> None:
    """``day`` is an ISO day in the issuer's zone, fixed by whoever started it."""
    account = ProviderAccount.objects.select_related("issuer").get(pk=account_id)
    reconciliation.compare(account, date.fromisoformat(day), now=timezone.now())
