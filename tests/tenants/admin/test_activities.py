"""What a person decides about mails in trouble."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from tenants import messages
from tenants.models import Message
from tests.builders import make_issuer, make_tenant

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:tenants_message_changelist")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def mails() -> dict[str, Message]:
    """One message of each state, by state."""
    issuer, tenant = make_issuer(), make_tenant()
    made = {}
    for state in Message.State.values:
        made[state] = messages.compose(
            f"test:{state}", issuer=issuer, tenant=tenant, recipient="a@example.com", subject="Rechnung", body="Text"
        )
        made[state].state = state
        made[state].next_at = LONG_AGO
        made[state].save()
    return made


def act(client, action: str, mails: dict[str, Message]):
    return client.post(PAGE, {"action": action, "_selected_action": [mail.pk for mail in mails.values()]})


def states(mails: dict[str, Message]) -> dict[str, str]:
    return {before: Message.objects.get(pk=mail.pk).state for before, mail in mails.items()}


def test_only_what_failed_or_is_unknown_is_sent_again(admin_client, mails):
    act(admin_client, "send_again", mails)
    assert states(mails) == {
        "waiting": "waiting",
        "working": "working",
        "done": "done",
        "unknown": "waiting",
        "parked": "waiting",
        "withdrawn": "withdrawn",
    }


def test_what_is_withdrawn_says_by_whom(admin_client, mails):
    act(admin_client, "withdraw", mails)
    assert states(mails) == {
        "waiting": "withdrawn",
        "working": "working",
        "done": "done",
        "unknown": "withdrawn",
        "parked": "withdrawn",
        "withdrawn": "withdrawn",
    }
    mails["parked"].refresh_from_db()
    assert mails["parked"].reason == "Zurückgezogen von admin."


@pytest.mark.parametrize("action", ["send_again", "withdraw"])
def test_who_may_only_look_decides_nothing(client, mails, action):
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_message"))
    client.force_login(user)
    before = states(mails)
    assert client.get(PAGE).status_code == 200
    act(client, action, mails)
    assert states(mails) == before
