"""Applications report usage with a token: strict about what they say, an answer for each event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from billing import api, usage_tokens
from billing.models import Application, UsageBatch, UsageEvent, UsageKey, UsageSource, UsageToken, UsageTotal
from tenants.models import Activity
from tests.builders import make_issuer, make_tenant
from tests.usage_rows import make_meters, make_source

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 12, tzinfo=UTC)
EVENT = {
    "event": "e1",
    "occurred_at": "2026-03-10T12:00:00+01:00",
    "tenant": "K1",
    "application": "PBX",
    "meter": "sms",
    "quantity": 3,
}


class DeadlockDetected(Exception):
    pgcode = "40P01"


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def source() -> UsageSource:
    make_tenant(reference="K1")
    make_meters()
    return make_source(make_issuer())


@pytest.fixture
def token(source) -> str:
    return usage_tokens.issue(source, by=User.objects.create_user("anna"))[1]


def send(token: str, *events: Any, body: Any = None, **headers: str) -> Any:
    content = json.dumps({"events": events}) if body is None else body
    return Client(enforce_csrf_checks=True).post(
        "/api/usage", content, content_type="application/json", headers={"Authorization": f"Bearer {token}", **headers}
    )


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (EVENT | fields).items() if value is not ...}


def test_events_are_taken_in_and_each_has_its_answer(source, token):
    first = send(token, EVENT, changed(event="e2", properties={"gb": 4.25, "tags": ["a", True, None]}, user="u1"))
    assert first.status_code == 200
    assert first.json() == {
        "batch": UsageBatch.objects.get().pk,
        "accepted": 2,
        "replayed": 0,
        "conflict": 0,
        "refused": 0,
        "events": [{"event": "e1", "outcome": "accepted"}, {"event": "e2", "outcome": "accepted"}],
    }
    assert UsageTotal.objects.get().total == 6
    stored = UsageEvent.objects.get(key__key="e2")
    assert stored.properties == {"gb": 4.25, "tags": ["a", True, None]}
    again = send(token, EVENT, changed(quantity=4), changed(event="e3", tenant="")).json()
    assert again["events"] == [
        {"event": "e1", "outcome": "replayed"},
        {
            "event": "e1",
            "outcome": "conflict",
            "reason": "the event is known and says something else; take it back by another (reverses)",
        },
        {"event": "e3", "outcome": "refused", "reason": "tenant: must not be empty"},
    ]
    counts = UsageBatch.objects.order_by("id").values_list("accepted", "replayed", "conflicting", "refused")
    assert list(counts) == [(2, 0, 0, 0), (0, 1, 1, 1)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param(7, "an event is an object", id="no object"),
        pytest.param(changed(colour="red"), "colour: this field is not known", id="unknown field"),
        pytest.param(changed(event=...), "event: must not be empty", id="no key"),
        pytest.param(changed(event=5), "event: is a text in quotes", id="a number as key"),
        pytest.param(changed(event="x" * 101), "event: 101 characters, at most 100 are allowed", id="long key"),
        pytest.param(changed(event="a\u202eb"), "event: contains a line break or an invisible", id="invisible"),
        pytest.param(
            changed(occurred_at="2026-03-10T12:00:00"), "occurred_at: “2026-03-10T12:00:00” is not an", id="no offset"
        ),
        pytest.param(changed(occurred_at="2026-03-10T24:00:00Z"), "occurred_at: “2026-03-10T24:00:00Z” is", id="24:00"),
        pytest.param(changed(occurred_at=1773140400), "occurred_at: is a text in quotes", id="a number as instant"),
        pytest.param(
            changed(occurred_at="2027-05-10T12:00:00Z"), "occurred_at: lies more than 400 days ahead", id="far"
        ),
        pytest.param(changed(quantity="1,5"), "quantity: “1,5” is not a number", id="comma"),
        pytest.param(changed(quantity=True), "quantity: is a text in quotes", id="a truth as number"),
        pytest.param(
            changed(quantity=10**15), "quantity: “1000000000000000” has more than 15 digits", id="long number"
        ),
        pytest.param(changed(quantity=1e-11), "quantity: “0.00000000001” has more than", id="fine number"),
        pytest.param(changed(quantity=1e300), "quantity: “1E+300” is too long a number", id="astronomic"),
        pytest.param(changed(properties=[1]), "properties: is a JSON object in braces", id="a list"),
        pytest.param(
            changed(properties={"a": {"b": {"c": {"d": {}}}}}), "properties: nested more than 4 deep", id="deep"
        ),
        pytest.param(changed(properties={str(n): n for n in range(51)}), "properties: more than 50 prop", id="many"),
        pytest.param(changed(properties={"a": "b" * 4000}), "properties: 4009 characters, at most", id="long"),
        pytest.param(changed(properties={"a": "\u0000"}), "properties: contains a line break or an invis", id="NUL"),
        pytest.param(
            changed(properties={"a": "\ud800"}), "properties: contains a line break or an invis", id="surrogate"
        ),
        pytest.param(changed(reverses="e9"), "reverses: there is no event “e9” of this source, acc", id="unknown"),
    ],
)
def test_an_event_that_says_what_it_may_not_is_refused_and_the_others_taken(source, token, item, reason):
    answer = send(token, item, changed(event="good")).json()
    assert [one["outcome"] for one in answer["events"]] == ["refused", "accepted"]
    assert answer["events"][0]["reason"].startswith(reason)
    assert list(UsageKey.objects.values_list("key", flat=True)) == ["good"]


def test_numbers_are_exact_and_instants_in_utc(source, token):
    body = json.dumps({"events": [changed(occurred_at="2026-03-11 00:30:00.1234567+0530")]}).replace(
        '"quantity": 3', '"quantity": 0.1000000001, "properties": {"n": 12345678901234567890.5}'
    )
    assert send(token, body=body).json()["accepted"] == 1
    stored = UsageEvent.objects.get()
    assert stored.quantity == Decimal("0.1000000001")
    assert stored.occurred_at == datetime(2026, 3, 10, 19, 0, 0, 123456, tzinfo=UTC)
    assert str(UsageTotal.objects.get().day) == "2026-03-10"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed"),
        ("[]", 400, "malformed"),
        ('{"events": [], "more": 1}', 400, "malformed"),
        ('{"events": {}}', 400, "malformed"),
        ('{"events": []}', 400, "too_many_events"),
        ('{"events": [{"event": "a", "event": "b"}]}', 400, "malformed"),
        ('{"events": [{"quantity": NaN}]}', 400, "malformed"),
        ("[" * 100_000, 400, "malformed"),
        ('{"events": [' + ",".join("1" for _ in range(10_001)) + "]}", 413, "too_many_events"),
        (" " * (8 * 2**20 + 1), 413, "too_large"),
    ],
)
def test_a_body_that_is_none_is_answered_as_a_whole(source, token, body, status, code):
    answer = send(token, body=body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert not UsageBatch.objects.exists()


def test_only_json_by_post(token):
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/api/usage").status_code == 405
    assert client.post("/api/usage", {"events": "1"}).status_code == 415


def test_nobody_gets_in_without_a_token_in_force(source, token):
    for said in ("", "Bearer", "Bearer x", f"Basic {token}", f"Bearer {token}x"):
        answer = Client().post(
            "/api/usage", "{}", content_type="application/json", headers={"Authorization": said} if said else {}
        )
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    stored = UsageToken.objects.get()
    usage_tokens.revoke(stored, now=NOW, by=User.objects.get())
    assert send(token, EVENT).status_code == 401
    with pytest.raises(usage_tokens.RevokedAlready):
        usage_tokens.revoke(stored, now=NOW, by=User.objects.get())
    assert not UsageKey.objects.exists()


def test_a_token_is_kept_as_a_hash_and_its_use_noted(source, token):
    stored = UsageToken.objects.get()
    assert token not in str(UsageToken.objects.values().get())
    assert (token[:3], len(token), stored.hint) == ("ku_", 46, token[:8])
    send(token, EVENT)
    stored.refresh_from_db()
    assert stored.used_at == NOW
    told = Activity.objects.filter(table="billing_usagetoken")
    assert [(one.action, one.actor) for one in told] == [("insert", "anna")]  # its use is no change of terms
    assert "digest" not in told.get().after


def test_a_source_of_one_application_may_leave_it_out_and_name_no_other(source):
    source.application = Application.objects.get()
    source.save()
    Application.objects.create(reference="CRM")
    token = usage_tokens.issue(source, by=User.objects.create_user("anna"))[1]
    answer = send(token, changed(application=...), changed(event="e2", application="CRM")).json()
    assert [one["outcome"] for one in answer["events"]] == ["accepted", "refused"]
    assert answer["events"][1]["reason"] == "application: this source reports “PBX” alone"
    assert UsageEvent.objects.get().application_reference == "PBX"


def test_messages_are_in_the_language_that_is_asked_for(source, token):
    assert send(token, 7, **{"Accept-Language": "de"}).json()["events"][0]["reason"] == "ein Ereignis ist ein Objekt"
    assert send(token, 7).json()["events"][0]["reason"] == "an event is an object"


def test_whoever_meets_others_at_the_same_rows_tries_again(source, token, monkeypatch):
    calls = []

    def meets(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError from DeadlockDetected()
        return taken_in(*arguments, **named)

    taken_in = api.metering.take_in
    monkeypatch.setattr(api.metering, "take_in", meets)
    monkeypatch.setattr(api.time, "sleep", lambda seconds: None)
    assert send(token, EVENT).json()["accepted"] == 1
    assert len(calls) == 3
