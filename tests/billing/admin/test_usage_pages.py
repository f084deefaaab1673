"""Usage in the admin: taken in from a file, tokens issued once, what nobody is billed for told and assigned."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from billing import metering
from billing.metering import Event
from billing.models import Meter, UsageEvent, UsageSource, UsageToken
from config.rights import ensure_roles
from tenants.models import Activity, ImportBatch, Issuer
from tests.builders import make_issuer, make_tenant
from tests.usage_rows import make_meters, make_source

pytestmark = pytest.mark.django_db
HEAD = "event;occurred_at;tenant;application;meter;quantity;properties"


def clerk(*roles: str) -> Client:
    ensure_roles("default")
    user = User.objects.create_user("-".join(roles) or "nobody", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings) -> None:
    settings.FILES_ROOT = tmp_path


@pytest.fixture
def issuer() -> Issuer:
    make_tenant(reference="K1")
    make_meters()
    return make_issuer(reference="MAIN")


def event(key: str, **fields) -> Event:
    stated = {"tenant": "K1", "application": "PBX", "meter": "calls"} | fields
    return Event(key=key, occurred_at=datetime(2026, 3, 10, 12, tzinfo=UTC), **stated)


def test_a_file_is_looked_at_and_taken_in(issuer):
    client = clerk("operator")
    lines = [
        HEAD,
        "e1;2026-03-10T12:00:00Z;K1;PBX;calls;;",
        "e1;2026-03-10T12:00:00Z;K1;PBX;calls;1;",
        "e2;2026-03-10T12:00:00Z;K9;PBX;calls;;",
    ]
    page = reverse("admin:billing_usageevent_import")
    file = SimpleUploadedFile("usage.csv", "\n".join(lines).encode(), "text/csv")
    answer = client.post(page, {"import_file": file, "issuer": issuer.pk, "resource": "0", "format": "0"})
    batch = ImportBatch.objects.get()
    assert answer.status_code == 302 and answer.url.endswith(f"/import/{batch.pk}/")
    assert {name: batch.counts[name] for name in ("new", "unchanged", "error", "warnings")} == {
        "new": 2,
        "unchanged": 1,
        "error": 0,
        "warnings": 1,
    }
    html = client.get(answer.url).content.decode()
    assert "there is no account “K9”; the event is kept and billed to nobody until there is" in html
    client.post(reverse("admin:billing_usageevent_process_import"), {"batch": batch.pk})
    assert UsageEvent.objects.count() == 2
    shown = client.get(reverse("admin:tenants_importbatch_change", args=[batch.pk]))
    assert answer.url in shown.content.decode()


def test_only_who_may_import_takes_usage_in(issuer):
    assert clerk("auditor").get(reverse("admin:billing_usageevent_import")).status_code == 403
    assert clerk("operator").get(reverse("admin:billing_usageevent_import")).status_code == 200


def test_nobody_changes_or_deletes_an_event(issuer):
    metering.take_in(make_source(issuer), [event("e1")], now=datetime(2026, 3, 11, tzinfo=UTC))
    client, key = clerk("operator", "approver"), UsageEvent.objects.get().pk
    page = reverse("admin:billing_usageevent_change", args=[key])
    assert client.get(page).status_code == 200
    assert client.post(page, {"quantity": "2"}).status_code == 403
    assert client.post(reverse("admin:billing_usageevent_delete", args=[key]), {"post": "yes"}).status_code == 403
    assert (
        client.get(reverse("admin:billing_usageevent_changelist"), {"q": "e1", "state": "counted"}).status_code == 200
    )


def test_a_token_is_issued_and_revoked_by_who_may(issuer):
    source = make_source(issuer)
    page = reverse("admin:billing_usagesource_token", args=[source.pk])
    assert clerk("operator").post(page).status_code == 403
    client = clerk("approver")
    assert client.get(page).status_code == 403
    html = client.post(page, follow=True).content.decode()
    token = UsageToken.objects.get()
    (text,) = {word for word in html.replace("<", " ").split() if word.startswith("ku_") and len(word) == 46}
    assert text[:8] == token.hint and token.created_by.get_username() == "approver"
    assert text not in client.get(reverse("admin:billing_usagesource_change", args=[source.pk])).content.decode()
    tokens = reverse("admin:billing_usagetoken_changelist")
    client.post(tokens, {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at is not None
    told = Activity.objects.filter(table="billing_usagetoken").order_by("id").values_list("action", "actor")
    assert list(told) == [("insert", "approver"), ("update", "approver")]
    headers = {"Authorization": f"Bearer {text}"}
    assert Client().post("/api/usage", "{}", content_type="application/json", headers=headers).status_code == 401


def test_what_counted_is_fixed_in_a_sentence(issuer):
    metering.take_in(make_source(issuer), [event("e1")], now=datetime(2026, 3, 11, tzinfo=UTC))
    meter = Meter.objects.get(reference="calls")
    fields = {"application": meter.application_id, "reference": "calls", "aggregation": "sum", "property": ""}
    page = reverse("admin:billing_meter_change", args=[meter.pk])
    html = clerk("approver").post(page, fields, follow=True).content.decode()
    assert "stays as it is" in html
    meter.refresh_from_db()
    assert meter.aggregation == "count"


def test_usage_of_nobody_is_told_exported_and_assigned(issuer):
    source = make_source(issuer)
    nobody = [event("e1", tenant="=K9"), event("e2", meter="faxes"), event("e3")]
    metering.take_in(source, nobody, now=datetime(2026, 3, 11, tzinfo=UTC))
    metering.take_in(source, [event("e3", meter="sms")], now=datetime(2026, 3, 11, tzinfo=UTC))
    client, page = clerk("operator"), reverse("unbilled_usage")
    asked = {"from": "2026-03-01", "to": "2026-03-31"}
    answer = client.get(page, asked)
    assert [(str(row["reason"]), row["account"], row["meter"]) for row in answer.context["rows"]] == [
        ("the account is not known", "=K9", "PBX / calls"),
        ("the account has no contract for this meter", "K1", "PBX / calls"),
        ("the meter is not known", "K1", "PBX / faxes"),
    ]
    assert [row["event"] for row in answer.context["conflicts"]] == ["e3"]
    assert len(client.get(page, asked | {"reason": "meter"}).context["rows"]) == 1
    assert len(client.get(page, asked | {"account": "K1"}).context["rows"]) == 1
    file = client.get(page, asked | {"csv": "1"}).content.decode().lstrip("\N{BYTE ORDER MARK}")
    assert list(csv.reader(io.StringIO(file), delimiter=";"))[1] == [
        "the account is not known",
        "pbx",
        "'=K9",
        "PBX",
        "calls",
        "1",
        "2026-03-10",
        "2026-03-10",
    ]
    make_tenant(reference="=K9")
    assert clerk("auditor").post(page).status_code == 403
    assert "1 event was assigned." in client.post(page, follow=True).content.decode()
    assert UsageEvent.objects.unassigned().count() == 1
    assert clerk("support").get(page, asked | {"csv": "1"}).status_code == 403
    assert clerk().get(page).status_code == 403


def test_sources_of_other_issuers_are_not_there_for_staff_with_bounds(issuer):
    other = make_source(make_issuer(), "other")
    client = clerk("approver")
    User.objects.get(username="approver").staff_scopes.create(issuer=issuer)
    assert client.get(reverse("admin:billing_usagesource_change", args=[other.pk])).status_code in (302, 404)
    assert client.post(reverse("admin:billing_usagesource_token", args=[other.pk])).status_code == 404
    assert not UsageToken.objects.exists() and UsageSource.objects.count() == 1
