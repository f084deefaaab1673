"""Doors for workers. A task may come twice, late, or not at all: what is to be done stands in the database."""

from __future__ import annotations

from datetime import date

from celery import shared_task

from payments import dunning
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
