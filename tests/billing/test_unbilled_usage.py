"""What nobody is billed for is told with its reason, and the reasons of the sample book add up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from io import StringIO
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from billing import metering, unbilled_usage
from billing.metering import Event
from billing.models import Meter, UsageEvent
from tenants.models import StaffScope
from tests.builders import make_issuer, make_item, make_price, make_product, make_subscription, make_tenant
from tests.conftest import SAMPLE_BOOK
from tests.usage_rows import make_meters, make_source

pytestmark = pytest.mark.django_db
SAMPLE = SAMPLE_BOOK.parent / "usage"
SEES_ALL = SimpleNamespace(is_authenticated=True, is_active=True, is_staff=True, is_superuser=True)
SPRING = (date(2026, 3, 1), date(2026, 5, 31))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_the_reasons_of_the_sample_book_add_up(tmp_path, settings):
    if not SAMPLE.is_dir():
        pytest.skip(f"the sample book of usage is not there: {SAMPLE}")
    settings.FILES_ROOT = tmp_path
    for kind in ("issuer", "catalog", "tenants", "contracts"):
        call_command(f"import_{kind}", str(SAMPLE / f"{kind}.csv"), show=0, stdout=StringIO())
    call_command("import_usage", str(SAMPLE / "events.csv"), show=0, stdout=StringIO())
    counts: Counter[str] = Counter()
    for one in unbilled_usage.unbilled(SEES_ALL, date(2026, 1, 1), date(2026, 12, 31)):
        counts[one.reason] += one.events
        assert one.sources == ("file USAGE",)
    assert counts == {"account": 38, "meter": 30, "contract": 21, "before": 1349}


def test_each_reason_names_whom_and_what_it_is_about(django_assert_max_num_queries):
    tenant = make_tenant(reference="K1")
    make_meters()
    issuer = make_issuer()
    source = make_source(issuer)
    product = make_product(meter=Meter.objects.get(reference="calls"))
    contract = make_subscription(
        issuer=issuer, tenant=tenant, starts_on=date(2026, 4, 1), ends_before=date(2026, 4, 11)
    )
    make_item(subscription=contract, price=make_price(product=product), starts_on=date(2026, 4, 1))

    def event(key: str, day: str, meter: str = "calls", account: str = "K1", **fields) -> Event:
        at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        return Event(key=key, occurred_at=at, tenant=account, application="PBX", meter=meter, **fields)

    metering.take_in(
        source,
        [
            event("b1", "2026-03-30"),
            event("b2", "2026-03-31"),
            event("in", "2026-04-01"),
            event("in2", "2026-04-10"),
            event("a1", "2026-04-11"),
            event("n1", "2026-04-05", "sms"),
            event("t1", "2026-04-05", "sms"),
            event("t2", "2026-04-05", "sms", reverses="t1"),
            event("u1", "2026-04-05", account="K9"),
            event("u2", "2026-04-05", "faxes"),
            event("u3", "2026-04-05", "minutes"),
        ],
        now=NOW,
    )
    with django_assert_max_num_queries(3):
        found = unbilled_usage.unbilled(SEES_ALL, *SPRING)
    assert [
        (one.reason, one.reference, one.meter, one.account, one.events, str(one.first_on), str(one.last_on))
        for one in found
    ] == [
        ("before", "K1", "calls", tenant.pk, 2, "2026-03-30", "2026-03-31"),
        ("account", "K9", "calls", None, 1, "2026-04-05", "2026-04-05"),
        ("after", "K1", "calls", tenant.pk, 1, "2026-04-11", "2026-04-11"),
        ("contract", "K1", "sms", tenant.pk, 1, "2026-04-05", "2026-04-05"),
        ("meter", "K1", "faxes", None, 1, "2026-04-05", "2026-04-05"),
        ("value", "K1", "minutes", None, 1, "2026-04-05", "2026-04-05"),
    ]
    assert unbilled_usage.unbilled(SEES_ALL, date(2026, 4, 12), date(2026, 4, 30)) == []
    clerk = User.objects.create_user("clerk", is_staff=True)
    StaffScope.objects.create(user=clerk, tenant=make_tenant(reference="K2"))
    assert unbilled_usage.unbilled(User.objects.get(pk=clerk.pk), *SPRING) == []
    assert UsageEvent.objects.unassigned().count() == 3
