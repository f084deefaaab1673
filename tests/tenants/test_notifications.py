"""Who is written to about what."""

from __future__ import annotations

import pytest

from tenants import notifications
from tenants.models import Contact, NotificationPreference
from tenants.notifications import Event
from tests.builders import make_tenant


def person(tenant, name: str, **roles: bool) -> Contact:
    return Contact.objects.create(tenant=tenant, name=name, email=f"{name}@example.com", **roles)


def prefer(tenant, event: str, role: str, is_wanted: bool) -> None:
    NotificationPreference.objects.create(tenant=tenant, event=event, role=role, is_wanted=is_wanted)


@pytest.fixture
def group(db):
    parent = make_tenant(email="zentrale@example.com")
    child = make_tenant(parent=parent, kind="branch", email="")
    return parent, child


def test_d03_the_billing_contact_receives_the_invoice(group):
    parent, _child = group
    person(parent, "buchhaltung", is_billing=True)
    person(parent, "technik", is_technical=True)
    assert notifications.recipients(Event.INVOICE_ISSUED, [parent]) == {parent.pk: ["buchhaltung@example.com"]}


def test_without_a_contact_the_account_is_written_to_and_without_an_address_the_one_above(group):
    parent, child = group
    assert notifications.recipients(Event.INVOICE_ISSUED, group) == {
        parent.pk: ["zentrale@example.com"],
        child.pk: ["zentrale@example.com"],
    }


def test_d13_payment_failed_goes_to_the_payer_the_invoice_to_the_sub_account(group):
    parent, child = group
    person(parent, "mahnwesen", is_dunning=True)
    person(child, "filiale", is_billing=True)
    assert notifications.recipients(Event.PAYMENT_FAILED, [parent])[parent.pk] == ["mahnwesen@example.com"]
    assert notifications.recipients(Event.INVOICE_ISSUED, [child])[child.pk] == ["filiale@example.com"]


def test_d13_a_preference_holds_below_until_another_says_so(group):
    parent, child = group
    person(child, "technik", is_technical=True)
    person(child, "filiale", is_billing=True)
    assert notifications.in_force(Event.INVOICE_ISSUED, child) == {"billing"}
    prefer(parent, Event.INVOICE_ISSUED, "technical", True)
    prefer(parent, Event.INVOICE_ISSUED, "billing", False)
    assert notifications.recipients(Event.INVOICE_ISSUED, [child])[child.pk] == ["technik@example.com"]
    prefer(child, Event.INVOICE_ISSUED, "billing", True)
    assert notifications.recipients(Event.INVOICE_ISSUED, [child])[child.pk] == [
        "filiale@example.com",
        "technik@example.com",
    ]
    assert notifications.in_force(Event.INVOICE_ISSUED, parent) == {"technical"}
    assert notifications.in_force(Event.REMINDER, child) == {"dunning"}


def test_every_event_has_a_default():
    assert set(notifications.DEFAULTS) == set(Event.values)
    assert set(notifications.FLAGS) == set(notifications.Role.values)


def test_the_questions_are_the_same_for_many_accounts(group, django_assert_num_queries):
    for accounts in ([group[1]], [*group, *(make_tenant(parent=group[0]) for _n in range(5))]):
        with django_assert_num_queries(3):
            notifications.recipients(Event.REMINDER, accounts)
