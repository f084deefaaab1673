"""Whoever keeps users, groups or the timetable gets no right by it that was not given to him."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

pytestmark = pytest.mark.django_db


@pytest.fixture
def keeper(client) -> User:
    """May look at the timetable and change users and groups, and nothing else; signed in."""
    user = User.objects.create_user("keeper", is_staff=True)
    names = ["change_user", "delete_user", "change_group", "view_periodictask"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return user


def approver(**fields) -> User:
    user = User.objects.create_user("approver", is_staff=True, **fields)
    user.groups.add(Group.objects.get(name="approver"))
    return user


@pytest.mark.parametrize("is_active", [True, False])
def test_nobody_takes_over_the_account_of_someone_above_him(client, keeper, is_active):
    above = approver(is_active=is_active)
    for page in ("auth_user_password_change", "auth_user_change", "auth_user_delete"):
        url = reverse(f"admin:{page}", args=[above.pk])
        form = {"password1": "a-long-password-1", "password2": "a-long-password-1", "usable_password": "true"}
        client.post(url, form | {"post": "yes", "username": "approver"})
    above.refresh_from_db()
    assert not above.check_password("a-long-password-1")
    peer = User.objects.create_user("peer", is_staff=True)
    assert client.get(reverse("admin:auth_user_change", args=[peer.pk])).status_code == 200
    assert client.post(reverse("admin:auth_user_password_change", args=[peer.pk]), form).status_code == 302
    peer.refresh_from_db()
    assert peer.check_password("a-long-password-1")


def test_nobody_gives_rights_to_a_group_who_has_not_all_of_them(client, keeper):
    group = Group.objects.create(name="mine")
    right = Permission.objects.get(codename="issue_invoice")
    page = reverse("admin:auth_group_change", args=[group.pk])
    assert client.post(page, {"name": "ours", "permissions": [right.pk]}).status_code == 302
    group.refresh_from_db()
    assert (group.name, group.permissions.count()) == ("ours", 0)


@pytest.mark.parametrize("action", ["disable_tasks", "run_tasks"])
def test_who_may_look_at_the_timetable_runs_and_stops_nothing(client, keeper, monkeypatch, action):
    task = PeriodicTask.objects.create(
        name="night", task="config.sweep", interval=IntervalSchedule.objects.create(every=1, period="days")
    )
    sent = []
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda *args, **named: sent.append(args))
    page = reverse("admin:django_celery_beat_periodictask_changelist")
    assert client.get(page).status_code == 200
    client.post(page, {"action": action, "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert task.enabled
    assert sent == []


def test_a_new_user_is_entered_with_name_and_password_and_made_staff_on_the_next_page(admin_client):
    page = reverse("admin:auth_user_add")
    shown = admin_client.get(page).content.decode()
    names = ("username", "usable_password", "password1", "password2")
    assert [name for name in names if f'name="{name}"' in shown] == list(names)
    password = {"password1": "a-long-password-1", "password2": "a-long-password-1", "usable_password": "true"}
    response = admin_client.post(page, {"username": "second", **password})
    user = User.objects.get(username="second")
    assert response["Location"] == reverse("admin:auth_user_change", args=[user.pk])
    assert user.check_password("a-long-password-1")
    assert (user.is_staff, user.is_superuser) == (False, False)
