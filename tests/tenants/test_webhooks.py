"""Webhooks to a real receiver that refuses, hangs, cuts and leaves: told at least once, signed, on record."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import translation

from tenants import intents, outbound, webhooks
from tenants.models import Activity, WebhookAttempt, WebhookEndpoint, WebhookMessage
from tests.builders import make_issuer
from tests.webhook_server import receiver

NOW = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def settled(settings):
    settings.WEBHOOKS_TO_ANYONE = True
    with translation.override("en"):
        yield


@pytest.fixture
def server(tmp_path: Path):
    with receiver(tmp_path / "hooks") as server:
        yield server


def make_endpoint(url: str, **fields) -> tuple[WebhookEndpoint, str]:
    endpoint = WebhookEndpoint(
        **{"issuer": make_issuer(), "url": url, "name": "Shop", "events": ["invoice.issued"]} | fields
    )
    return endpoint, webhooks.open_endpoint(endpoint)


def tell(endpoint: WebhookEndpoint, key: str = "invoice.issued:1") -> WebhookMessage:
    event = webhooks.Event(endpoint.pk, key, "invoice.issued", "RE-1", NOW, {"number": "RE-1", "gross": "1.190,00 €"})
    webhooks.queue([event])
    message = WebhookMessage.objects.get(endpoint=endpoint, key=key)
    WebhookMessage.objects.filter(pk=message.pk).update(next_at=NOW)
    return message


def send(now: datetime = NOW) -> int:
    return webhooks.send_pending(clock=lambda: now)


def state(message: WebhookMessage) -> tuple[str, int, str]:
    message.refresh_from_db()
    return message.state, message.attempts, message.reason


def verified(secret: str, request: dict) -> bool:
    """As the specification has the receiver do it, by its own means."""
    headers = request["headers"]
    signed = ".".join([headers["webhook-id"], headers["webhook-timestamp"], request["body"]]).encode()
    expected = hmac.new(base64.b64decode(secret[len("whsec_") :]), signed, hashlib.sha256).digest()
    return any(
        entry.split(",") == ["v1", base64.b64encode(expected).decode()]
        for entry in headers["webhook-signature"].split(" ")
    )


def test_the_example_of_the_specification_has_its_signature():
    assert (
        webhooks.signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            '{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_an_event_is_told_once_and_signed(server):
    endpoint, secret = make_endpoint(server.url)
    message = tell(endpoint)
    assert (send(), send(NOW + timedelta(days=1))) == (1, 0)
    (request,) = server.requests
    assert json.loads(request["body"]) == {
        "type": "invoice.issued",
        "timestamp": "2026-02-01T03:00:00Z",
        "data": {"number": "RE-1", "gross": "1.190,00 €"},
    }
    assert request["headers"]["webhook-id"] == f"msg_{message.pk}"
    assert request["headers"]["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert verified(secret, request)
    assert not verified(webhooks.new_secret(), request)
    assert state(message) == ("done", 1, "")
    assert message.sent_at == NOW
    (attempt,) = WebhookAttempt.objects.all()
    assert (attempt.status, attempt.at) == (204, NOW)


def test_the_same_event_is_stored_once(server):
    endpoint, _secret = make_endpoint(server.url)
    first = tell(endpoint)
    assert webhooks.queue([webhooks.Event(endpoint.pk, first.key, first.event, "RE-1", NOW, {})]) == 0
    assert WebhookMessage.objects.count() == 1


@pytest.mark.parametrize("mode", ["500", "404", "302 Location: http://127.0.0.1:1/", "cut", "rubbish"])
def test_what_was_not_taken_is_told_again_under_the_same_id(server, mode):
    endpoint, secret = make_endpoint(server.url)
    message = tell(endpoint)
    server.behave(mode)
    send()
    assert state(message)[:2] == ("waiting", 1)
    assert NOW + timedelta(minutes=1) <= message.next_at <= NOW + timedelta(minutes=2)
    assert send(NOW + timedelta(seconds=30)) == 0
    server.behave("200")
    assert send(NOW + timedelta(minutes=2)) == 1
    assert state(message) == ("done", 2, "")
    first, second = server.requests
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["headers"]["webhook-timestamp"] != second["headers"]["webhook-timestamp"]
    assert verified(secret, second)
    assert len(WebhookAttempt.objects.all()) == 2


def test_what_the_other_side_wrote_is_shown_as_one_line(server):
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    server.behave("500")
    send()
    assert state(message)[2].startswith("500 seen by <shop> xxx")
    assert len(WebhookAttempt.objects.get().answer) == 300


def test_silence_is_no_answer(server, monkeypatch):
    monkeypatch.setattr(outbound, "TIMEOUT", 0.2)
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    server.behave("hang")
    send()
    assert state(message) == ("waiting", 1, "No answer in time.")
    assert WebhookAttempt.objects.get().status is None


def test_the_other_side_may_ask_us_to_wait_longer(server):
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    server.behave("503 Retry-After: 3600")
    send()
    message.refresh_from_db()
    assert message.next_at == NOW + timedelta(hours=1)
    server.behave("503 Retry-After: 99999999")
    send(NOW + timedelta(hours=1))
    message.refresh_from_db()
    assert message.next_at == NOW + timedelta(hours=7)


def test_who_is_gone_is_told_no_more(server):
    endpoint, _secret = make_endpoint(server.url)
    first, second = tell(endpoint), tell(endpoint, "invoice.issued:2")
    server.behave("410")
    assert send() == 1
    endpoint.refresh_from_db()
    assert not endpoint.is_active
    assert send(NOW + timedelta(days=1)) == 0
    assert [state(message)[0] for message in (first, second)] == ["waiting", "waiting"]
    noted = Activity.objects.filter(table="tenants_webhookendpoint", action="update").get()
    assert (noted.channel, noted.reason) == ("webhook", "The endpoint answered that it is gone (410).")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://127.0.0.1:99999/"])
def test_one_endpoint_that_does_not_answer_holds_up_no_other(server, url):
    broken, _secret = make_endpoint(url)
    working, _secret = make_endpoint(server.url)
    for n in range(3):
        tell(broken, f"invoice.issued:{n}")
    message = tell(working)
    assert send() == 2
    assert state(message)[0] == "done"
    assert sorted(WebhookMessage.objects.filter(endpoint=broken).values_list("attempts", flat=True)) == [0, 0, 1]


def test_given_up_after_three_days_and_sent_again_by_a_person(server):
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    server.behave("500")
    now = NOW
    while state(message)[0] == "waiting":
        now = max(now, message.next_at)
        assert send(now) == 1
    assert state(message)[:2] == ("parked", 20)
    assert timedelta(days=2) < now - NOW < timedelta(days=5)
    server.behave("200")
    intents.release(WebhookMessage.objects.all(), now=now)
    send(now)
    assert state(message)[0] == "done"


def test_what_a_dead_worker_had_is_told_again(server):
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "post", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            send()
    assert state(message)[0] == "working"
    later = NOW + webhooks.LEASE + timedelta(seconds=1)
    assert webhooks.expire(now=later) == 1
    send(later)
    assert state(message)[0] == "done"


def test_after_an_exchange_both_secrets_sign_for_a_day(server):
    endpoint, old = make_endpoint(server.url)
    new = webhooks.exchange_secret(endpoint, now=NOW)
    tell(endpoint)
    send()
    tell(endpoint, "invoice.issued:2")
    send(NOW + timedelta(hours=25))
    during, after = server.requests
    assert (verified(old, during), verified(new, during)) == (True, True)
    assert (verified(old, after), verified(new, after)) == (False, True)


def test_no_secret_can_be_read_in_the_database(server):
    endpoint, secret = make_endpoint(server.url)
    webhooks.exchange_secret(endpoint, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("select t::text from tenants_webhookendpoint t union all select a::text from tenants_activity a")
        seen = " ".join(row[0] for row in cursor.fetchall())
    assert secret not in seen
    assert secret.removeprefix("whsec_") not in seen
    noted = Activity.objects.filter(table="tenants_webhookendpoint").values_list("after", flat=True)
    assert not {"secret", "old_secret"} & {column for after in noted for column in after}


def test_a_secret_of_another_key_parks_the_message(server, settings):
    endpoint, _secret = make_endpoint(server.url)
    message = tell(endpoint)
    settings.SECRET_KEY = "another"
    send()
    assert state(message)[0] == "parked"
    assert server.requests == []


def test_an_old_key_still_reads(server, settings):
    endpoint, secret = make_endpoint(server.url)
    tell(endpoint)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    send()
    assert verified(secret, server.requests[0])


def test_a_try_shows_whether_it_arrives(server):
    endpoint, _secret = make_endpoint(server.url)
    webhooks.send_test(endpoint, now=NOW)
    WebhookMessage.objects.update(next_at=NOW)
    send()
    assert json.loads(server.requests[0]["body"])["type"] == "endpoint.test"
