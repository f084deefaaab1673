"""What the timetable starts. The clock is read here, once; the day it gives is passed on."""

from __future__ import annotations

from datetime import date

from celery import shared_task
from django.utils import timezone

from config import business_day
from tenants.models import Issuer


@shared_task(name="config.nightly")
def nightly(**_newer: object) -> None:
    business_day.start_night(now=timezone.now())


@shared_task(name="config.day")
def day(*, issuer_id: int, on: str, **_newer: object) -> None:
    business_day.run_day(Issuer.objects.get(pk=issuer_id), on=date.fromisoformat(on))


@shared_task(name="config.sweep")
def sweep(**_newer: object) -> None:
    business_day.sweep(now=timezone.now())
