"""Entering an endpoint, its secret shown once, a try, and sending again what failed."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from tenants import webhooks
from tenants.models import Issuer, WebhookEndpoint, WebhookMessage
from tests.builders import make_issuer

pytestmark = pytest.mark.django_db
LIST = "admin:tenants_webhookendpoint_changelist"


@pytest.fixture(autouse=True)
def english(client, admin_client):
    for one in (client, admin_client):
        one.cookies["django_language"] = "en"


def entered(admin_client, **fields) -> str:
    values = {
        "name": "Shop",
        "issuer": make_issuer().pk,
        "url": "https://shop.example.com/hook",
        "events": ["invoice.issued", "invoice.paid"],
        "is_active": "on",
    }
    response = admin_client.post(reverse("admin:tenants_webhookendpoint_add"), values | fields, follow=True)
    return response.content.decode()


def test_the_secret_is_shown_once(admin_client):
    html = entered(admin_client)
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]+", html.replace("&#x3D;", "=")))
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.events == ["invoice.issued", "invoice.paid"]
    assert webhooks.decrypted(endpoint.secret, webhooks.PURPOSE) == secret
    again = admin_client.get(reverse("admin:tenants_webhookendpoint_change", args=[endpoint.pk])).content.decode()
    assert "whsec_" not in again
    assert endpoint.secret not in again


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"events": []}, "This field is required."),
        ({"url": "ftp://shop.example.com/"}, "The address begins with https:// and names no user."),
        ({"url": "https://anna:pw@shop.example.com/"}, "The address begins with https:// and names no user."),
        ({"events": ["endpoint.test"]}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(admin_client, fields, sentence):
    assert sentence in entered(admin_client, **fields)
    assert not WebhookEndpoint.objects.exists()


def test_a_change_keeps_the_secret_and_an_exchange_shows_another(admin_client):
    entered(admin_client)
    endpoint = WebhookEndpoint.objects.get()
    before = endpoint.secret
    url = reverse("admin:tenants_webhookendpoint_change", args=[endpoint.pk])
    values = {"name": "Laden", "issuer": endpoint.issuer_id, "url": endpoint.url, "events": ["invoice.paid"]}
    admin_client.post(url, values)
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.is_active, endpoint.secret) == ("Laden", False, before)
    html = admin_client.post(
        reverse(LIST), {"action": "exchange_secret", "_selected_action": endpoint.pk}, follow=True
    ).content.decode()
    assert "whsec_" in html
    endpoint.refresh_from_db()
    assert endpoint.old_secret == before != endpoint.secret


def test_a_try_is_queued_and_what_failed_is_sent_again(admin_client):
    entered(admin_client)
    endpoint = WebhookEndpoint.objects.get()
    admin_client.post(reverse(LIST), {"action": "send_test", "_selected_action": endpoint.pk})
    message = WebhookMessage.objects.get()
    assert message.event == "endpoint.test"
    WebhookMessage.objects.update(state="parked", attempts=20)
    page = reverse("admin:tenants_webhookmessage_changelist")
    admin_client.post(page, {"action": "send_again", "_selected_action": message.pk})
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("waiting", 0)
    shown = admin_client.get(reverse("admin:tenants_webhookmessage_change", args=[message.pk])).content.decode()
    assert "endpoint.test" in shown


def test_http_is_refused_at_entry_unless_endpoints_may_be_anywhere(admin_client, settings):
    settings.WEBHOOKS_TO_ANYONE = False
    assert "The address must begin with https://." in entered(admin_client, url="http://shop.example.com/")
    assert not WebhookEndpoint.objects.exists()
    settings.WEBHOOKS_TO_ANYONE = True
    entered(admin_client, url="http://shop.example.com/", issuer=Issuer.objects.get().pk)
    assert WebhookEndpoint.objects.get().url == "http://shop.example.com/"


def test_a_try_is_sent_from_the_page_of_the_endpoint(admin_client, client):
    entered(admin_client)
    endpoint = WebhookEndpoint.objects.get()
    page = reverse("admin:tenants_webhookendpoint_change", args=[endpoint.pk])
    send = reverse("admin:tenants_webhookendpoint_test", args=[endpoint.pk])
    assert f'action="{send}"' in admin_client.get(page).content.decode()
    assert admin_client.get(send).status_code == 403
    assert admin_client.post(send)["Location"] == page
    assert WebhookMessage.objects.get().event == "endpoint.test"
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_webhookendpoint"))
    client.force_login(user)
    assert send not in client.get(page).content.decode()
    assert client.post(send).status_code == 403
    assert WebhookMessage.objects.count() == 1


def test_who_may_only_look_changes_nothing(admin_client, client):
    entered(admin_client)
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_webhookendpoint"))
    client.force_login(user)
    endpoint = WebhookEndpoint.objects.get()
    assert client.get(reverse("admin:tenants_webhookendpoint_add")).status_code == 403
    client.post(reverse(LIST), {"action": "exchange_secret", "_selected_action": endpoint.pk})
    assert WebhookEndpoint.objects.get().secret == endpoint.secret
