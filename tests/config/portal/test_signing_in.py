"""Passwords, links, second factors and sessions: what gets in, what must wait, what ends."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.urls import reverse

from tenants import sign_in
from tenants.models import Access, Lockout, SecondFactor, SignInLink
from tests.config.portal.conftest import customer, signed_in, staff

PASSWORD = "ein-langes-Kennwort-7"
FORMS = {"customer": "/portal/sign-in/", "staff": "/admin/login/"}


@pytest.fixture
def people(world):
    return {"customer": customer(world.accounts["OWN"]), "staff": staff("support")}


def browser() -> Client:
    return Client(SERVER_NAME="localhost")


def enter(client: Client, form: str, name: str, password: str = PASSWORD, code: str = "") -> int:
    return client.post(form, {"username": name, "password": password, "code": code}).status_code


@pytest.mark.parametrize("who", FORMS)
def test_the_right_password_gets_in_by_the_right_door_only(people, who):
    name, (other,) = people[who].username, [form for key, form in FORMS.items() if key != who]
    assert enter(browser(), FORMS[who], name) == 302
    assert enter(browser(), FORMS[who], name, "falsch") == 200
    client = browser()
    assert enter(client, other, name) == 200
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("who", FORMS)
def test_attempts_that_fail_wait_longer_each_time(people, who, clock):
    form, name = FORMS[who], people[who].username
    for _attempt in range(5):
        assert enter(browser(), form, name, "falsch") == 200
    assert enter(browser(), form, name) == 200  # even the right one waits
    clock.shift(timedelta(seconds=61))
    assert enter(browser(), form, name, "falsch") == 200
    clock.shift(timedelta(seconds=61))
    assert enter(browser(), form, name) == 200  # two minutes now
    clock.shift(timedelta(seconds=60))
    assert enter(browser(), form, name) == 302
    assert not Lockout.objects.filter(kind="name").exists()


@pytest.mark.parametrize(("is_behind_proxy", "waits"), [(False, True), (True, False)])
def test_the_wait_of_an_address_is_not_evaded_by_a_header(people, settings, is_behind_proxy, waits):
    """Without a proxy of our own anyone could write another address there; with one, that one writes it."""
    settings.BEHIND_PROXY = is_behind_proxy
    for attempt in range(30):
        spoofed = {"x-forwarded-for": f"198.51.100.{attempt}"}
        browser().post(FORMS["customer"], {"username": f"x{attempt}", "password": "falsch"}, headers=spoofed)
    assert Lockout.objects.filter(kind="address").count() == (30 if is_behind_proxy else 1)
    right = {"username": people["customer"].username, "password": PASSWORD}
    answer = browser().post(FORMS["customer"], right, headers={"x-forwarded-for": "198.51.100.99"})
    assert answer.status_code == (200 if waits else 302)


def test_no_wait_is_longer_than_half_an_hour(db, clock):
    for _attempt in range(30):
        sign_in.count_attempt(Lockout.Kind.NAME, "anna", now=datetime.now(UTC))
        clock.shift(timedelta(minutes=30))
    sign_in.count_attempt(Lockout.Kind.NAME, "anna", now=datetime.now(UTC))
    with pytest.raises(sign_in.TooManyAttempts, match="30"):
        sign_in.count_attempt(Lockout.Kind.NAME, "anna", now=datetime.now(UTC))


def ask_for_link(client: Client, email: str, monkeypatch) -> tuple[str, list]:
    woken: list = []
    monkeypatch.setattr("config.portal.entering.wake", lambda task, **facts: woken.append((task, facts)))
    page = client.post("/portal/sign-in/link/", {"email": email})
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode()), woken


def send(woken: list) -> str:
    """What the worker does; the address in the mail."""
    ((_task, facts),) = woken
    sign_in.send_link(**facts, now=datetime.now(UTC))
    return re.search(r"http://localhost(/portal/sign-in/link/[\w-]{43}/)", mail.outbox[-1].body).group(1)


def test_the_answer_is_the_same_whether_the_address_is_known_or_not(people, monkeypatch):
    known, first = ask_for_link(browser(), people["customer"].email, monkeypatch)
    unknown, second = ask_for_link(browser(), "niemand@example.com", monkeypatch)
    official, third = ask_for_link(browser(), people["staff"].email, monkeypatch)
    assert known == unknown == official
    assert [facts[0][1]["user_id"] for facts in (first, second, third)] == [people["customer"].pk, 0, 0]
    assert not sign_in.send_link(people["staff"].pk, page="x", language="de", now=datetime.now(UTC))


def test_a_link_signs_in_once_and_is_kept_only_as_a_hash(people, monkeypatch):
    _page, woken = ask_for_link(browser(), people["customer"].email.upper(), monkeypatch)
    link = send(woken)
    token = link.strip("/").rpartition("/")[2]
    assert mail.outbox[-1].to == [people["customer"].email]
    assert token not in str(SignInLink.objects.values_list())
    client = browser()
    assert client.get(link).status_code == 200 and "_auth_user_id" not in client.session  # a mail scanner looks
    assert client.post(link)["Location"] == "/portal/"
    assert client.get("/portal/").status_code == 200
    assert browser().post(link).status_code == 410


def test_a_link_lives_a_quarter_of_an_hour(people, monkeypatch, clock):
    _page, woken = ask_for_link(browser(), people["customer"].email, monkeypatch)
    link = send(woken)
    clock.shift(timedelta(minutes=15))
    assert browser().post(link).status_code == 410


def test_a_new_link_ends_with_the_first_that_is_used(people, monkeypatch):
    links = [send(ask_for_link(browser(), people["customer"].email, monkeypatch)[1]) for _n in range(2)]
    assert browser().post(links[0]).status_code == 302
    assert browser().post(links[1]).status_code == 410


def test_links_are_asked_for_a_few_times_only(people, monkeypatch):
    sent = [bool(ask_for_link(browser(), people["customer"].email, monkeypatch)[1]) for _n in range(5)]
    assert sent == [True, True, True, False, False]


# The second factor


def code_of(secret: str) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC))


def set_up(user) -> str:
    secret, _address = sign_in.begin_second_factor(user, issuer="Kontor")
    sign_in.confirm_second_factor(user, code_of(secret), now=datetime.now(UTC))
    return secret


@pytest.mark.parametrize("who", FORMS)
def test_a_second_factor_is_asked_for_and_a_code_works_once(people, who, clock):
    user, form = people[who], FORMS[who]
    secret = set_up(user)
    assert enter(browser(), form, user.username) == 200
    assert enter(browser(), form, user.username, code=code_of(secret)) == 200  # used when it was set up
    clock.shift(timedelta(seconds=30))
    code = code_of(secret)
    assert enter(browser(), form, user.username, code=code) == 302
    assert enter(browser(), form, user.username, code=code) == 200
    assert secret not in SecondFactor.objects.get().secret


def test_codes_are_not_guessed(people, clock):
    user = people["customer"]
    set_up(user)
    for _attempt in range(5):
        with pytest.raises(sign_in.WrongCode):
            sign_in.check_code(user, "000000", now=datetime.now(UTC))
    with pytest.raises(sign_in.TooManyAttempts):
        sign_in.check_code(user, "000000", now=datetime.now(UTC))


@pytest.mark.parametrize("who", FORMS)
@pytest.mark.parametrize("code", ["\uff11\uff12\uff13\uff14\uff15\uff16", "12345é"])
def test_what_cannot_be_a_code_is_told_as_any_wrong_one(people, who, code, clock):
    """An error of ours instead would tell that the password was right."""
    set_up(people[who])
    assert enter(browser(), FORMS[who], people[who].username, code=code) == 200


def test_a_link_takes_the_code_too(people, monkeypatch, clock):
    user = people["customer"]
    secret = set_up(user)
    link = send(ask_for_link(browser(), user.email, monkeypatch)[1])
    clock.shift(timedelta(seconds=30))
    assert browser().post(link).status_code == 200
    assert browser().post(link, {"code": code_of(secret)}).status_code == 302


@pytest.mark.parametrize(("who", "page"), [("customer", "/portal/security/"), ("staff", "/admin/second-factor/")])
def test_a_second_factor_is_set_up_and_given_up_on_a_page(people, who, page, clock):
    user, client = people[who], signed_in(people[who])
    shown = client.get(page).content.decode()
    assert "<svg" in shown
    secret = re.search(r"<code>([A-Z2-7 ]{32,})</code>", shown).group(1).replace(" ", "")
    assert client.post(page, {"code": "000000"}).status_code == 200
    assert not sign_in.has_second_factor(user)
    assert client.post(page, {"code": code_of(secret)}).status_code == 302
    assert sign_in.has_second_factor(user)
    assert "<svg" not in (kept := client.get(page).content.decode()) and secret not in kept
    clock.shift(timedelta(seconds=30))
    assert client.post(page, {"code": code_of(secret)}).status_code == 302
    assert not sign_in.has_second_factor(user)


def test_staff_can_be_made_to_use_one(people, settings, clock):
    settings.STAFF_NEEDS_SECOND_FACTOR = True
    client = signed_in(people["staff"])
    assert client.get("/admin/")["Location"] == "/admin/second-factor/"
    assert client.get("/admin/second-factor/").status_code == 200
    set_up(people["staff"])
    client.force_login(people["staff"])
    assert signed_in(people["staff"]).get("/admin/").status_code == 200


# Sessions


@pytest.mark.parametrize(("who", "page"), [("customer", "/portal/"), ("staff", "/admin/")])
def test_a_session_ends_when_idle_or_old(people, who, page, clock):
    client = signed_in(people[who])
    assert client.get(page).status_code == 200
    clock.shift(timedelta(minutes=30))
    assert client.get(page).status_code == 200
    clock.shift(timedelta(minutes=30, seconds=61))
    assert client.get(page).status_code == 302
    client = signed_in(people[who])
    for _n in range(30):  # busy all the time
        assert client.get(page).status_code == 200
        clock.shift(timedelta(minutes=20))
    clock.shift(timedelta(seconds=1))
    assert client.get(page).status_code == 302


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda user: user.groups.set(Group.objects.filter(name="auditor")), id="other role"),
        pytest.param(lambda user: Group.objects.get(name="support").permissions.clear(), id="role means less"),
        pytest.param(lambda user: user.user_permissions.add(1), id="a right of one's own"),
        pytest.param(lambda user: (user.set_password("anders-und-lang-8"), user.save()), id="password"),
        pytest.param(lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False), id="inactive"),
        pytest.param(lambda user: set_up(user), id="second factor"),
    ],
)
def test_a_session_ends_when_rights_or_password_change(people, change):
    client = signed_in(people["staff"])
    assert client.get("/admin/").status_code == 200
    change(people["staff"])
    assert client.get("/admin/").status_code == 302


def test_a_session_of_a_customer_ends_with_the_access(people, world):
    client = signed_in(people["customer"])
    assert client.get("/portal/").status_code == 200
    Access.objects.create(user=people["customer"], tenant=world.accounts["OTHER"], pays=True)
    assert client.get("/portal/").status_code == 302


def test_the_way_back_leads_into_the_portal_alone(people):
    for wanted, reached in {
        "/portal/contracts/": "/portal/contracts/",
        "https://boese.example/": "/portal/",
        "//boese.example/portal/": "/portal/",
        "/admin/": "/portal/",
    }.items():
        client = browser()
        sent = {"username": people["customer"].username, "password": PASSWORD, "next": wanted}
        assert client.post("/portal/sign-in/", sent)["Location"] == reached
    assert browser().get(reverse("portal:sign_out")).status_code == 405
