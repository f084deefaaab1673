"""The page that starts a dunning run says what it does, and asks before letters bear a day that is yet to come."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine
from django.urls import reverse

from payments.models import DunningRun
from tests.builders import make_issuer

pytestmark = pytest.mark.django_db


@time_machine.travel("2026-04-01 10:00:00+00:00", tick=False)
def test_a_day_to_come_is_to_be_confirmed(admin_client, settings):
    settings.LANGUAGE_CODE = "en"
    issuer, url = make_issuer(), reverse("admin:payments_dunningrun_add")
    html = admin_client.get(url).content.decode()
    assert "written and sent at once" in html
    assert "laid out as drafts" not in html

    form = {"issuer": issuer.pk, "on": "2026-04-02"}
    answer = admin_client.post(url, form)
    assert answer.context["form"].non_field_errors() == [
        "2 Apr 2026 lies in the future; the letters would bear this date and be sent today."
    ]
    assert not DunningRun.objects.exists()
    assert admin_client.post(url, {**form, "is_meant": "on"}).status_code == 302
    assert admin_client.post(url, {**form, "on": "2026-04-01"}).status_code == 302
    assert sorted(DunningRun.objects.values_list("on", flat=True)) == [date(2026, 4, 1), date(2026, 4, 2)]
