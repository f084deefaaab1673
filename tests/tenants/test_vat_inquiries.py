"""VAT ids asked about at a register in a process of its own, which is down, slow, breaks off or talks nonsense."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import translation

from tenants import vat_inquiries
from tenants.models import Tenant, VatCheck, VatInquiry
from tenants.vat_inquiries import Asked
from tests.builders import make_issuer, make_tenant
from tests.vies_server import Register, register

NOW = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


@pytest.fixture
def vies(tmp_path: Path, settings):
    with register(tmp_path / "vies") as server:
        settings.VIES_URL = server.url
        settings.VIES_TIMEOUT = 1
        yield server


@pytest.fixture
def issuer():
    return make_issuer()


def make_austrian(**fields) -> Tenant:
    return make_tenant(
        **{"country": "AT", "city": "Wien", "postcode": "1010", "vat_id": "ATU13585627", "vat_id_valid": True} | fields
    )


def answer(at: datetime = NOW, limit: int = 20) -> Asked:
    return vat_inquiries.answer_pending(clock=lambda: at, limit=limit)


def ask(issuer, *tenants: Tenant) -> int:
    count = vat_inquiries.ask(issuer, [tenant.pk for tenant in tenants])
    VatInquiry.objects.filter(attempts=0).update(next_at=NOW)
    return count


def states() -> list[tuple[str, int, str]]:
    return list(VatInquiry.objects.order_by("pk").values_list("state", "attempts", "reason"))


def test_an_answer_is_kept_as_evidence(vies: Register, issuer):
    tenant = make_austrian(name="Café Wien GmbH", city="Anderswo")
    assert ask(issuer, tenant) == 1
    assert ask(issuer, tenant) == 0  # it is being asked
    assert answer() == Asked(1, 0)
    assert answer() == Asked()
    assert vies.asked == [
        {
            "countryCode": "AT",
            "vatNumber": "U13585627",
            "requesterMemberStateCode": "DE",
            "requesterNumber": "812415868",
            "traderName": "Café Wien GmbH",
            "traderStreet": "Königsplatz 13",
            "traderPostalCode": "1010",
            "traderCity": "Anderswo",
        }
    ]
    check = VatCheck.objects.get()
    assert (check.method, check.is_valid, check.vat_id, check.requester) == ("vies", True, "ATU13585627", "DE812415868")
    assert (check.consultation_number, check.name_matches, check.address_matches) == ("WAPIAAAAU13585627", True, False)
    assert (check.name_sent, check.address_sent) == ("Café Wien GmbH", "Königsplatz 13, 1010, Anderswo")
    assert (check.checked_at, check.answer) == (NOW, "")
    assert '"valid": true' in check.raw
    assert VatInquiry.objects.get().answer == check


def test_an_id_that_is_not_valid_counts_as_none(vies: Register, issuer):
    vies.does("invalid")
    tenant = make_austrian()
    ask(issuer, tenant)
    assert answer() == Asked(1, 0)
    tenant.refresh_from_db()
    assert (tenant.vat_id_valid, VatCheck.objects.get().is_valid) == (False, False)
    vies.does("confirm")
    assert ask(issuer, tenant) == 1  # what VIES refused may be valid by now
    answer()
    tenant.refresh_from_db()
    assert tenant.vat_id_valid


@pytest.mark.parametrize(
    ("mode", "argument", "reason"),
    [
        pytest.param("fault", "MS_UNAVAILABLE", "VIES gives no answer: MS_UNAVAILABLE", id="member state away"),
        pytest.param("fault", "MS_MAX_CONCURRENT_REQ", "VIES gives no answer: MS_MAX_CONCURRENT_REQ", id="busy"),
        pytest.param("fault", "SERVICE_UNAVAILABLE", "VIES gives no answer: SERVICE_UNAVAILABLE", id="VIES away"),
        pytest.param("status", "429", "VIES gives no answer: status 429", id="too many requests"),
        pytest.param("status", "503", "VIES gives no answer: status 503", id="server error"),
        pytest.param("nonsense", "", "VIES gives no answer: status 200", id="a page instead of JSON"),
        pytest.param("nonsense", '{"valid": "yes"}', "VIES gives no answer: status 200", id="JSON of another form"),
        pytest.param("nonsense", "[true]", "VIES gives no answer: status 200", id="JSON, but no object"),
        pytest.param("nonsense", "[" * 10_000, "VIES gives no answer: status 200", id="nested beyond reason"),
        pytest.param("cut", "", "VIES gives no answer: status 200", id="cut connection"),
        pytest.param("hang", "", "VIES cannot be reached: ", id="no answer in time"),
    ],
)
def test_no_answer_is_not_an_answer(vies: Register, issuer, mode, argument, reason):
    vies.does(mode, argument)
    tenant = make_austrian()
    ask(issuer, tenant)
    assert answer() == Asked(0, 1)
    ((state, attempts, told),) = states()
    assert (state, attempts, told.startswith(reason)) == ("waiting", 1, True)
    assert not VatCheck.objects.exists()
    tenant.refresh_from_db()
    assert tenant.vat_id_valid  # what was known before still holds

    vies.does("confirm")
    assert answer(NOW + timedelta(minutes=1)) == Asked()  # nobody asks again at once
    assert answer(NOW + timedelta(hours=1)) == Asked(1, 0)  # the late answer counts
    assert VatCheck.objects.get().checked_at == NOW + timedelta(hours=1)


def test_an_answer_with_figures_of_another_form_is_kept(vies: Register, issuer):
    odd = '"errorWrappers": 5, "traderNameMatch": [], "traderCityMatch": {}, "name": "Caf\\u0000 \\ud800Wien"'
    vies.does("nonsense", f'{{"valid": true, "requestIdentifier": "A\\u0000", {odd}}}')
    ask(issuer, make_austrian())
    assert answer() == Asked(1, 0)
    check = VatCheck.objects.get()
    assert (check.is_valid, check.answer, check.consultation_number) == (True, "Caf Wien", "A")
    assert (check.name_matches, check.address_matches) == (None, None)


def test_one_register_that_is_away_holds_up_no_other(vies: Register, issuer):
    vies.does("fault", "MS_UNAVAILABLE AT")
    first, second = make_austrian(), make_austrian(vat_id="ATU33864707")
    dutch = make_tenant(country="NL", vat_id="NL004495445B01", vat_id_valid=True)
    ask(issuer, first, second, dutch)
    assert answer() == Asked(1, 1)
    assert [state for state, _attempts, _reason in states()] == ["waiting", "waiting", "done"]
    assert len(vies.asked) == 2  # the second Austrian id was not sent after the first got no answer
    assert [attempts for _state, attempts, _reason in states()] == [1, 0, 1]
    assert answer(NOW + timedelta(minutes=4)) == Asked()


def test_after_a_failure_of_the_whole_service_nothing_else_is_asked(vies: Register, issuer):
    vies.does("status", "503")
    ask(issuer, make_austrian(), make_austrian(vat_id="ATU33864707"))
    assert answer() == Asked(0, 1)
    assert len(vies.asked) == 1
    vies.does("confirm")
    assert answer(NOW + timedelta(minutes=19)) == Asked()  # it asked for twenty minutes
    assert answer(NOW + timedelta(minutes=21)) == Asked(2, 0)


def test_our_own_id_that_is_refused_is_for_a_person_to_see(vies: Register, issuer):
    vies.does("fault", "INVALID_REQUESTER_INFO")
    ask(issuer, make_austrian())
    assert answer() == Asked(0, 1)
    assert states() == [("parked", 1, "VIES does not accept DE812415868 as the VAT id that asks.")]


def test_an_answer_for_an_id_changed_meanwhile_is_kept_but_does_not_count(vies: Register, issuer):
    vies.does("invalid")
    tenant = make_austrian()
    ask(issuer, tenant)
    Tenant.objects.filter(pk=tenant.pk).update(vat_id="ATU33864707")
    answer()
    tenant.refresh_from_db()
    assert (tenant.vat_id_valid, VatCheck.objects.get().vat_id) == (True, "ATU13585627")


def test_only_what_vies_can_know_is_asked(vies: Register, issuer):
    german = make_tenant(vat_id="DE136695976", vat_id_valid=True)
    swiss = make_tenant(country="CH", vat_id="CHE107787577")
    mistyped = make_austrian(vat_id="ATU13585628", vat_id_valid=False)
    nameless = make_austrian(vat_id="")
    assert ask(issuer, german, swiss, mistyped, nameless) == 0


def test_old_confirmations_are_asked_for_anew(vies: Register, issuer):
    tenant = make_austrian()
    ask(issuer, tenant)
    answer()
    assert vat_inquiries.ask_again(issuer, [tenant.pk], on=date(2026, 5, 1)) == 0
    assert vat_inquiries.ask_again(issuer, [tenant.pk], on=date(2026, 5, 3)) == 1


def test_without_an_address_nothing_is_asked(settings, issuer):
    settings.VIES_URL = ""
    assert vat_inquiries.ask(issuer, [make_austrian().pk]) == 0
    assert not VatInquiry.objects.exists()
