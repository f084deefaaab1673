"""A process that sends usage: `python -m tests.billing.usage_sender SEED BATCHES` draws batches out of 3,000 events."""

from __future__ import annotations

import os
import random
import sys
from datetime import UTC, datetime, timedelta

import django

EVENTS = 3_000
BATCH = 500
NOW = datetime(2026, 5, 2, tzinfo=UTC)


def event(number: int):
    from billing.metering import Event

    return Event(
        key=f"e{number}",
        occurred_at=datetime(2026, 3, 30, tzinfo=UTC) + timedelta(minutes=number),
        tenant=f"K{number % 3}",
        application="PBX",
        meter=("minutes", "disk", "lines")[number % 7 % 3],
        properties=f'{{"seconds": {number % 60}, "gb": {number % 50}, "lines": {number % 40}}}',
    )


def send(seed: int, batches: int) -> None:
    """Each batch in an order of its own; those of all senders overlap."""
    from billing import metering
    from billing.models import UsageSource

    source = UsageSource.objects.get()
    chance = random.Random(seed)
    for _ in range(batches):
        metering.take_in(source, [event(number) for number in chance.sample(range(EVENTS), BATCH)], now=NOW)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    send(int(sys.argv[1]), int(sys.argv[2]))
