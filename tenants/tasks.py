"""Doors for workers. A task may come twice, late, or not at all: what waits stands in the database."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from tenants import messages


@shared_task(name="tenants.send_message")
def send_message(*, message_id: int, **_newer: object) -> None:
    messages.send(message_id, now=timezone.now())


@shared_task(name="tenants.send_pending")
def send_pending(**_newer: object) -> None:
    while messages.send_pending(now=timezone.now()):
        pass
