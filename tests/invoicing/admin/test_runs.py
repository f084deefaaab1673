"""A bill run in the admin: start, watch, decide, issue; each step with its own right."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from billing.models import Charge, Item
from config.rights import ensure_roles
from invoicing import bill_run, review
from invoicing.models import BillRun, Invoice, Outcome
from tenants.models import Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings):
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def issuer():
    issuer = make_issuer()
    price = make_price((None, "100.00", "0"))
    for reference in ("A", "B", "C"):
        make_contract(issuer, make_tenant(reference=reference, name=f"Customer {reference}"), price=price)
    return issuer


@pytest.fixture
def run(issuer) -> BillRun:
    return bill(issuer, FEBRUARY, issues=False)


def page(run: BillRun) -> str:
    return reverse("admin:invoicing_billrun_change", args=[run.pk])


def do(client, run: BillRun, verb: str, **data):
    if verb == "release-all" and "seen" not in data:
        data["seen"] = review.seal(run.invoices.filter(state="draft").values_list("content_hash", flat=True))
    return client.post(reverse("admin:invoicing_billrun_do", args=[run.pk, verb]), data)


def signed_in(client, *roles: str):
    ensure_roles("default")
    user = User.objects.create_user("somebody", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    client.force_login(user)
    return client


def states(run: BillRun) -> dict[str, str]:
    return dict(run.invoices.order_by("payer__reference").values_list("payer__reference", "state"))


def messages_of(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_form_starts_a_run_and_leads_to_its_page(admin_client, issuer, django_capture_on_commit_callbacks):
    url = reverse("admin:invoicing_billrun_add")
    assert admin_client.get(url).context["form"].initial["issuer"] == issuer
    form = {"issuer": issuer.pk, "through": "2026-02-01", "issue_on": "2026-02-02"}
    with django_capture_on_commit_callbacks() as woken:
        response = admin_client.post(url, form)
    run = BillRun.objects.get()
    assert response.url == page(run)
    assert (run.through, run.issue_on, run.issues_by_itself) == (FEBRUARY, date(2026, 2, 2), False)
    assert run.started_by.username == "admin"
    assert len(woken) == 1
    progress = reverse("admin:invoicing_billrun_progress", args=[run.pk])
    assert admin_client.get(progress).json() == {
        "percent": 0,
        "text": "0 of 3 payers",
        "documents": 0,
        "parked": 0,
        "finished": False,
    }
    assert f'data-progress-url="{progress}"' in admin_client.get(page(run)).content.decode()
    bill_run.bill(run)
    assert admin_client.get(progress).json()["finished"] is True
    html = admin_client.get(page(run)).content.decode()
    assert "data-progress-url" not in html
    assert "€357.00" in html  # three times 100.00 and 19 %


def test_a_second_run_for_the_same_day_says_why_not(admin_client, issuer):
    bill_run.start(issuer=issuer, through=FEBRUARY, issue_on=FEBRUARY, issues_by_itself=False)
    form = {"issuer": issuer.pk, "through": "2026-01-31", "issue_on": "2026-02-01"}
    response = admin_client.post(reverse("admin:invoicing_billrun_add"), form)
    assert response.status_code == 200
    assert "is in progress" in messages_of(response)[0]
    assert BillRun.objects.count() == 1


@pytest.mark.parametrize("day", ["2206-02-01", "9999-12-31"])
def test_no_run_is_started_for_years_ahead(admin_client, issuer, day):
    form = {"issuer": issuer.pk, "through": day, "issue_on": day}
    response = admin_client.post(reverse("admin:invoicing_billrun_add"), form)
    assert response.status_code == 200
    assert messages_of(response)[0].startswith(f"The invoice date {day} is ")
    assert not BillRun.objects.exists()


def test_keys_that_are_none_choose_nothing(admin_client, run):
    do(admin_client, run, "release", invoice=["²", "9" * 30, "9" * 6000, "x"])
    assert set(states(run).values()) == {"draft"}
    assert admin_client.get(reverse("admin:invoicing_billrun_change", args=["²"])).status_code == 404


def test_hold_release_and_issue(admin_client, run):
    held = run.invoices.get(payer__reference="B")
    do(admin_client, run, "hold", invoice=[held.pk], hold_reason="Rückfrage beim Kunden")
    do(admin_client, run, "release-all")
    assert states(run) == {"A": "released", "B": "held", "C": "released"}
    assert "Rückfrage beim Kunden" in admin_client.get(page(run)).content.decode()
    do(admin_client, run, "issue")
    assert states(run) == {"A": "issued", "B": "held", "C": "issued"}
    assert list(Invoice.objects.issued().order_by("number").values_list("number", flat=True)) == [
        "RE-2026-00001",
        "RE-2026-00002",
    ]


def test_who_decided_what_is_on_record_and_on_the_page(admin_client, run):
    held = run.invoices.get(payer__reference="B")
    do(admin_client, run, "hold", invoice=[held.pk], hold_reason="Rückfrage beim Kunden")
    do(admin_client, run, "release-all")
    do(admin_client, run, "issue")
    do(admin_client, run, "discard", invoice=[held.pk])
    released = [invoice.pk for invoice in run.invoices.order_by("pk")]
    assert [(d.actor, d.action, d.reason, d.after) for d in review.decisions(run)] == [
        ("admin", "discarded", "", {"documents": 1, "keys": [held.pk]}),
        ("admin", "issued", "", {"documents": 2, "keys": released}),
        ("admin", "released", "", {"documents": 2, "keys": released}),
        ("admin", "held", "Rückfrage beim Kunden", {"documents": 1, "keys": [held.pk]}),
    ]
    shown = admin_client.get(page(run))
    assert [decision["documents"] for decision in shown.context["decisions"]] == ["1", "2", "2", "1"]
    assert "Decisions" in shown.content.decode()


def test_only_what_was_seen_is_released(admin_client, issuer, run):
    """A draft that a worker adds, or computes anew, after the page was shown was looked at by nobody."""
    seen = admin_client.get(page(run)).context["seen"]
    do(admin_client, run, "discard", invoice=[run.invoices.get(payer__reference="B").pk])
    bill_run.bill(run)
    do(admin_client, run, "release-all", seen=seen)
    assert states(run) == dict.fromkeys("ABC", "released")  # computed anew, it says the same

    make_contract(issuer, Tenant.objects.get(reference="A"), reference="V-MORE")
    later = bill(issuer, FEBRUARY, issues=False)
    assert states(later) == {"A": "draft"}
    do(admin_client, later, "release-all", seen=seen)
    do(admin_client, later, "release-all", seen="")
    assert states(later) == {"A": "draft"}
    said = messages_of(admin_client.get(page(later)))
    assert said[-1] == "The drafts are no longer those you looked at. Nothing was released; look again."
    do(admin_client, later, "release-all", seen=admin_client.get(page(later)).context["seen"])
    assert states(later) == {"A": "released"}


def test_holding_wants_a_reason_and_a_choice(admin_client, run):
    draft = run.invoices.first()
    assert do(admin_client, run, "hold", invoice=[draft.pk]).url == page(run)
    assert do(admin_client, run, "hold", hold_reason="Rückfrage").url == page(run)
    assert set(states(run).values()) == {"draft"}
    assert messages_of(admin_client.get(page(run))) == [
        "Say why the documents are held back.",
        "No document is selected.",
    ]


def test_discarding_computes_again(admin_client, run):
    draft = run.invoices.get(payer__reference="B")
    do(admin_client, run, "discard", invoice=[draft.pk])
    assert not Charge.objects.filter(item__subscription__tenant__reference="B").exists()
    assert run.outcomes.get(payer__reference="B").state == Outcome.State.PENDING
    bill_run.bill(run)
    assert states(run) == {"A": "draft", "B": "draft", "C": "draft"}


def test_what_is_discarded_waits_for_the_corrected_contract(admin_client, run):
    draft = run.invoices.get(payer__reference="B")
    do(admin_client, run, "set-aside", invoice=[draft.pk])
    outcome = run.outcomes.get(payer__reference="B")
    assert (outcome.state, outcome.documents) == (Outcome.State.PARKED, 0)
    assert outcome.reason == "The draft was discarded by admin; correct the contract, then bill the payer again."
    assert BillRun.objects.get(pk=run.pk).state == BillRun.State.FINISHED  # so no sweep computes it meanwhile
    Item.objects.filter(subscription__tenant__reference="B").update(quantity=3)
    do(admin_client, run, "again")
    bill_run.bill(run)
    assert run.invoices.get(payer__reference="B").net.amount == 300
    assert states(run) == {"A": "draft", "B": "draft", "C": "draft"}


ODD = [
    ("2026-02-01", "2026-02-01", []),
    ("2026-04-04", "2026-02-01", []),
    ("2026-04-05", "2026-02-01", ["What is due through 5 Apr 2026 would be invoiced on 1 Feb 2026"]),
    ("2026-01-31", "2026-01-31", ["31 Jan 2026 lies before 1 Feb 2026, that of the last issued document."]),
    ("2020-12-31", "2020-01-01", ["due through 31 Dec 2020", "1 Jan 2020 lies before 1 Feb 2026"]),
]


@pytest.mark.parametrize(("through", "issue_on", "said"), ODD)
def test_days_that_may_be_a_slip_are_to_be_confirmed(admin_client, issuer, run, through, issue_on, said):
    do(admin_client, run, "release-all")
    do(admin_client, run, "issue")
    form = {"issuer": issuer.pk, "through": through, "issue_on": issue_on}
    answer = admin_client.post(reverse("admin:invoicing_billrun_add"), form)
    if not said:
        assert answer.status_code == 302
        return
    assert not BillRun.objects.exclude(pk=run.pk).exists()
    errors = answer.context["form"].non_field_errors()
    assert len(errors) == len(said)
    assert all(part in error for part, error in zip(said, errors, strict=True))
    assert 'name="is_meant"' in answer.content.decode()
    assert admin_client.post(reverse("admin:invoicing_billrun_add"), {**form, "is_meant": "on"}).status_code == 302


def test_drafts_of_another_run_are_out_of_reach(admin_client, run):
    other = bill(make_issuer(), FEBRUARY, issues=False)
    do(admin_client, other, "release", invoice=[run.invoices.first().pk])
    assert set(states(run).values()) == {"draft"}


def test_parked_payers_are_named_with_their_reason_and_billed_again(admin_client, issuer):
    stranger = make_tenant(reference="D", street="")
    make_contract(issuer, stranger)
    run = bill(issuer, FEBRUARY, issues=False)
    html = admin_client.get(page(run)).content.decode()
    assert 'id="parked"' in html
    assert run.outcomes.get(payer=stranger).reason in html
    stranger.street = "Hauptstraße 1"
    stranger.save()
    do(admin_client, run, "again")
    bill_run.bill(run)
    assert states(run)["D"] == "draft"


def test_what_changed_against_the_last_run_is_flagged(admin_client, issuer, run):
    do(admin_client, run, "release-all")
    do(admin_client, run, "issue")
    make_contract(issuer, make_tenant(reference="NEW"), starts_on=date(2026, 3, 1))
    march = bill(issuer, date(2026, 3, 1), issues=False)
    march.invoices.filter(payer__reference="A").update(net=Decimal(150), gross=Decimal("169"))
    rows = {row["invoice"].payer.reference: row["flag"] for row in admin_client.get(page(march)).context["rows"]}
    assert rows == {"A": "+50 % against €100.00", "B": "", "C": "", "NEW": "new"}


VERBS = ["release-all", "release", "hold", "set-aside", "discard", "issue", "again", "resume"]
MAY = {
    "operator": {"set-aside", "discard", "again", "resume"},
    "approver": {"release-all", "release", "hold", "set-aside", "discard", "issue"},
    "auditor": set(),
    "support": set(),
}


@pytest.mark.parametrize("role", MAY)
def test_without_the_right_there_is_no_button_and_no_post(client, run, role: str):
    run.invoices.filter(payer__reference="A").update(state="released")
    signed_in(client, role)
    response = client.get(page(run))
    if role == "support":
        assert response.status_code == 403
    else:
        shown = {verb for verb in VERBS if f"/{verb}/do/" in response.content.decode().replace('action="', 'action=" ')}
        offered = {verb for verb, allowed in response.context["may"].items() if allowed}
        assert offered == MAY[role]
        assert shown - {"release"} <= MAY[role]  # the form itself names one verb
    for verb in VERBS:
        if verb not in MAY[role]:
            assert do(client, run, verb, invoice=[run.invoices.first().pk], hold_reason="x").status_code == 403
    assert states(run) == {"A": "released", "B": "draft", "C": "draft"}


def test_who_may_not_issue_cannot_start_a_run_that_issues_by_itself(client, issuer):
    signed_in(client, "operator")
    form = {"issuer": issuer.pk, "through": "2026-02-01", "issue_on": "2026-02-01", "issues_by_itself": "on"}
    client.post(reverse("admin:invoicing_billrun_add"), form)
    assert BillRun.objects.get().issues_by_itself is False


def test_decisions_take_a_post(admin_client, run):
    assert admin_client.get(reverse("admin:invoicing_billrun_do", args=[run.pk, "release-all"])).status_code == 403
    assert set(states(run).values()) == {"draft"}


def test_one_payer_is_billed_now_beside_the_run_of_all(admin_client, admin_user, issuer, run):
    payer = Tenant.objects.get(reference="A")
    make_contract(issuer, payer, reference="V-MORE")
    with time_machine.travel("2026-02-01 12:00:00+01:00", tick=False):
        url = reverse("admin:invoicing_billrun_bill_payer", args=[payer.pk])
        response = admin_client.post(url, {"through": "2026-02-01"})
    own = BillRun.objects.get(payer=payer)
    assert response.url == page(own)
    bill_run.bill(own)
    assert states(own) == {"A": "draft"}
    admin_client.force_login(admin_user)  # a session does not last as long as the days between
    html = admin_client.get(page(own)).content.decode()
    assert "A Customer A is being billed." in html
    assert review.compare(run) == []


def test_an_account_that_is_set_aside_is_skipped_and_listed(admin_client, issuer):
    payer = Tenant.objects.get(reference="A")
    payer.status = "suspended"
    payer.save()
    url = reverse("admin:invoicing_billrun_bill_payer", args=[payer.pk])
    admin_client.post(url, {"through": timezone.localdate().isoformat()})
    own = BillRun.objects.get(payer=payer)
    bill_run.bill(own)
    outcome = own.outcomes.get()
    assert (outcome.state, own.invoices.count()) == ("skipped", 0)
    assert outcome.reason in admin_client.get(page(own)).content.decode()


def test_who_has_no_contract_is_told_so(admin_client, issuer):
    idle = make_tenant()
    url = reverse("admin:invoicing_billrun_bill_payer", args=[idle.pk])
    for response in (admin_client.get(url), admin_client.post(url, {"through": "2026-02-01"})):
        assert response.url == reverse("account", args=[idle.pk])
    assert not BillRun.objects.exists()


def test_before_a_payer_is_billed_it_is_said_who_that_is_and_how_much(admin_client, admin_user, issuer):
    payer = Tenant.objects.get(reference="A")
    child = make_tenant(reference="A-1", name="Small", parent=payer, pay_by=payer)
    make_contract(issuer, child, reference="V-CHILD")
    url = reverse("admin:invoicing_billrun_bill_payer", args=[payer.pk])
    with time_machine.travel("2026-02-01 12:00:00+01:00", tick=False):
        admin_client.force_login(admin_user)
        asked = admin_client.get(url)
        later = admin_client.post(url, {"through": "2026-03-01", "_reckon": "1"})
        slip = admin_client.post(url, {"through": "soon"})
        page_of_child = admin_client.get(reverse("account", args=[child.pk])).content.decode()
    assert (asked.context["others"], asked.context["lines"]) == (
        {"contracts": 2, "accounts": 1, "named": ["A-1 Small"], "more": 0},
        2,
    )
    assert asked.context["sums"] == ["€200.00"]
    assert asked.context["form"]["through"].value() == date(2026, 2, 1)
    assert "What is billed is the payer A Customer A with 2 contracts, through" in asked.content.decode()
    assert (later.context["lines"], later.context["sums"]) == (4, ["€400.00"])
    assert slip.context["form"].errors and not BillRun.objects.exists()
    assert f'href="{url}"' in page_of_child and f'action="{url}"' not in page_of_child


def test_only_who_starts_runs_is_asked(client, issuer):
    signed_in(client, "support")
    url = reverse("admin:invoicing_billrun_bill_payer", args=[Tenant.objects.get(reference="A").pk])
    assert [client.get(url).status_code, client.post(url, {"through": "2026-02-01"}).status_code] == [403, 403]
