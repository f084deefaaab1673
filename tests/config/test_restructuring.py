"""Accounts that move, merge, split and close: what is shown is what is done, and open items stay unless taken over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import translation

from billing import contracts, metrics
from billing.models import Subscription
from config import books, business_day, restructuring, tree_pages
from invoicing.models import Invoice, JournalEntry, OpenItem, Posting
from payments.models import DunningBlock
from tenants import tree
from tenants.models import Access, Activity, Contact, Issuer, NotificationPreference, StaffScope, Tenant, TreeChange
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db

TENTH = date(2026, 2, 10)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def issuer() -> Issuer:
    """OLD pays for its branch SHOP and for SOLO's branch none: February is issued. NEW is another group."""
    issuer = make_issuer(reference="MAIN")
    price = make_price((None, "100.00", "0"))
    old = make_tenant(reference="OLD")
    new = make_tenant(reference="NEW", language="en")
    shop = make_tenant(
        reference="SHOP", kind="branch", parent=old, invoice_to=old, pay_by=old, language="", price_class=None
    )
    make_contract(issuer, shop, reference="V-SHOP", price=price)
    make_contract(issuer, new, reference="V-NEW", price=price, quantity=Decimal(2))
    bill(issuer, FEBRUARY)
    return issuer


def account(reference: str) -> Tenant:
    return Tenant.objects.get(reference=reference)


def left_open() -> dict[tuple[str, str], Decimal]:
    """Open of each payer's documents."""
    items = OpenItem.objects.with_open_amount().exclude(open_amount=0)
    return {(item.payer.reference, item.invoice.number): item.open_amount for item in items}


def change(kind: str, tenant: str, target: str | None, on: date = TENTH, **options) -> restructuring.Effect:
    """Previewed, planned and made; what was shown is what was done."""
    here, there = account(tenant), account(target) if target else None
    shown = restructuring.preview(kind, here, there, options, on=on)
    plan = restructuring.plan(kind, here, there, options, on=on, reason="Verkauf", by=None, channel="command")
    made = restructuring.carry_out(plan, by=None, channel="command")
    assert made == shown
    assert list(tree.faults()) == []
    assert [breach for breach in books.check() if breach.invariant not in ("coverage", "guards")] == []
    assert restructuring.carry_out(plan, by=None, channel="command") == restructuring.Effect()  # a second time
    return made


def test_d_18_open_invoices_stay_with_the_old_payer_and_new_ones_go_to_the_new_one(issuer):
    assert left_open() == {("OLD", "RE-2026-00001"): Decimal("119"), ("NEW", "RE-2026-00002"): Decimal("238")}
    effect = change("move", "SHOP", "NEW")
    assert [(one.record, one.field, one.before, one.after) for one in effect.fields] == [
        ("SHOP", "parent", "OLD", "NEW"),
        ("SHOP", "invoice_to", "OLD", "NEW"),
        ("SHOP", "pay_by", "OLD", "NEW"),
    ]
    assert [(one.field, one.before, one.after) for one in effect.settings] == [("language", "de", "en")]
    assert [(one.document, one.before, one.amount) for one in effect.staying] == [
        ("RE-2026-00001", "OLD", Decimal("119"))
    ]
    assert left_open() == {("OLD", "RE-2026-00001"): Decimal("119"), ("NEW", "RE-2026-00002"): Decimal("238")}

    bill(issuer, MARCH)
    march = Invoice.objects.get(issued_on=MARCH)
    assert (march.payer.reference, march.recipient.reference, march.net.amount) == ("NEW", "NEW", Decimal("300"))
    assert left_open()["NEW", "RE-2026-00003"] == Decimal("357")

    told = TreeChange.objects.about(account("SHOP")).get()
    assert (told.state, told.target.reference, told.outcome["fields"][0]) == (
        "done",
        "NEW",
        ["SHOP", "parent", "OLD", "NEW"],
    )
    moved = Activity.objects.filter(table="tenants_tenant", row=account("SHOP").pk, action="update")
    assert [one.reason for one in moved] == ["Verkauf", "Verkauf", "Verkauf"]
    assert {name for one in moved for name in one.after} == {"parent_id", "invoice_to_id", "pay_by_id"}


def test_d_18_the_new_payer_may_take_over_what_is_open(issuer):
    block = DunningBlock.objects.create(tenant=account("OLD"), reason="Ratenzahlung", starts_on=FEBRUARY)
    effect = change("move", "SHOP", "NEW", takes_over=True)
    assert [(one.document, one.before, one.after, one.amount) for one in effect.taken_over] == [
        ("RE-2026-00001", "OLD", "NEW", Decimal("119"))
    ]
    assert effect.staying == []
    assert left_open() == {("NEW", "RE-2026-00001"): Decimal("119"), ("NEW", "RE-2026-00002"): Decimal("238")}
    entry = JournalEntry.objects.get(kind="transfer")
    assert (entry.booked_on, entry.invoice.number) == (TENTH, "RE-2026-00001")
    assert [
        (posting.open_item.payer.reference, posting.account.role, posting.amount.amount)
        for posting in Posting.objects.filter(entry=entry).order_by("-amount")
    ] == [("NEW", "receivables", Decimal("119")), ("OLD", "receivables", Decimal("-119"))]
    followed = DunningBlock.objects.exclude(pk=block.pk).get()
    assert (followed.open_item.payer.reference, followed.reason) == ("NEW", "Ratenzahlung")
    invoice = Invoice.objects.get(number="RE-2026-00001")
    assert (invoice.payer.reference, invoice.recipient.reference) == ("OLD", "OLD")  # issued documents stay


def test_d_18_what_also_concerns_others_is_not_taken_over(issuer):
    old = account("OLD")
    make_contract(issuer, old, reference="V-OLD", price=make_price(), starts_on=MARCH)
    bill(issuer, MARCH)
    effect = change("move", "SHOP", "NEW", on=MARCH, takes_over=True)
    both = Invoice.objects.get(payer=old, issued_on=MARCH)
    assert [one.document for one in effect.taken_over] == ["RE-2026-00001"]
    assert left_open()["OLD", both.number] == Decimal("238")


def test_without_following_the_account_pays_for_itself(issuer):
    effect = change("move", "SHOP", None, follows=False, takes_over=True)
    shop = account("SHOP")
    assert (shop.parent, shop.pay_by, shop.invoice_to) == (None, None, None)
    assert [one.after for one in effect.taken_over] == ["SHOP"]


def test_d_16_moving_an_account_or_a_contract_is_neither_churn_nor_new_nor_expansion_of_the_organisation(issuer):
    group = make_tenant(reference="GROUP")
    for name in ("OLD", "NEW"):
        change("move", name, "GROUP")
    before = metrics.mrr(MARCH, under=account("GROUP"))
    nodes = Tenant.objects.under(account("GROUP"))
    each = [metrics.report(MARCH, MARCH, under=node).flows for node in nodes if node.is_leaf_node()]
    assert before == {"EUR": 300}
    assert sum(flows["EUR"].closing for flows in each) == 300  # the sum of the nodes

    change("move", "SHOP", "NEW")
    flow = metrics.report(FEBRUARY, MARCH, under=account("GROUP")).flows["EUR"]
    assert (flow.opening, flow.closing, sum(flow.movements.values())) == (300, 300, 0)
    assert metrics.mrr(MARCH, under=account("NEW")) == {"EUR": 300}
    assert metrics.mrr(MARCH, under=account("OLD")) == {}
    assert group.reference == "GROUP"


def test_d_16_a_contract_that_goes_on_within_the_organisation_is_neither_churn_nor_new(issuer):
    group = make_tenant(reference="GROUP")
    for name in ("OLD", "NEW"):
        change("move", name, "GROUP")
    contract, april = Subscription.objects.get(reference="V-NEW"), date(2026, 4, 1)
    author = {"reason": "", "by": None, "channel": "command"}
    contracts.transfer(contract, tenant=account("OLD"), reference="V-OLD", effective=MARCH, **author)
    for under in (account("GROUP"), None):
        flow = metrics.report(FEBRUARY, april, under=under).flows["EUR"]
        assert (flow.opening, flow.closing, sum(flow.movements.values())) == (300, 300, 0)
    # told for one unit alone, it is lost there and won here
    lost = metrics.report(FEBRUARY, april, under=account("NEW")).flows["EUR"]
    assert (lost.opening, lost.closing, lost.movements["churn"]) == (200, 0, 1)
    won = metrics.report(FEBRUARY, april, under=account("OLD"), with_descendants=False).flows["EUR"]
    assert (won.opening, won.closing, won.movements["new"]) == (0, 200, 1)
    assert group.reference == "GROUP"


@pytest.mark.parametrize(
    ("tenant", "target", "said"),
    [
        ("OLD", "SHOP", "SHOP lies below OLD: an account cannot come to stand below itself."),
        ("OLD", "OLD", "OLD lies below OLD: an account cannot come to stand below itself."),
        ("SHOP", "OLD", "SHOP stands below OLD already."),
        ("OLD", None, "OLD stands at the top already."),
        ("SHOP", "GONE", "The account GONE is closed."),
    ],
)
def test_a_move_that_cannot_be_is_refused_and_changes_nothing(issuer, tenant, target, said):
    make_tenant(reference="GONE", status="closed")
    before = list(Tenant.objects.order_by("pk").values())
    with pytest.raises(restructuring.RestructuringRefused, match=said):
        restructuring.preview("move", account(tenant), target and account(target), {}, on=TENTH)
    assert list(Tenant.objects.order_by("pk").values()) == before


def test_a_merger_brings_contracts_contacts_accounts_below_and_open_items(issuer):
    Contact.objects.create(tenant=account("OLD"), name="Jana Weiß")
    make_contract(issuer, account("OLD"), reference="V-OLD", price=make_price(), starts_on=MARCH)
    effect = change("merge", "OLD", "NEW")
    assert [(one.contract, one.account, one.successor, one.day) for one in effect.contracts] == [
        ("V-OLD", "NEW", "V-OLD-2", MARCH)
    ]
    assert effect.contacts == ["Jana Weiß"]
    assert [(one.document, one.after, one.amount) for one in effect.taken_over] == [
        ("RE-2026-00001", "NEW", Decimal("119"))
    ]
    old, shop = account("OLD"), account("SHOP")
    assert (old.status, shop.parent.reference, shop.pay_by.reference) == ("closed", "NEW", "NEW")
    assert Contact.objects.get().tenant.reference == "NEW"
    assert Invoice.objects.get(number="RE-2026-00001").payer.reference == "OLD"
    run = bill(issuer, MARCH)
    assert {one.payer.reference: one.state for one in run.outcomes.all()}["NEW"] == "issued"
    assert sum(invoice.net.amount for invoice in Invoice.objects.filter(issued_on=MARCH)) == Decimal("400")


def test_a_merger_within_a_paid_period_closes_the_account_once_the_rest_was_given_back(issuer):
    """Paid ahead there, charged here: the customer pays each day once, and one account owes it all."""
    make_contract(issuer, account("OLD"), reference="V-OLD", price=make_price())
    bill(issuer, FEBRUARY)
    plan = restructuring.plan(
        "merge", account("OLD"), account("NEW"), {}, on=date(2026, 2, 15), reason="", by=None, channel="command"
    )
    effect = restructuring.carry_out(plan, by=None, channel="command")
    assert [(one.contract, one.successor) for one in effect.contracts] == [("V-OLD", "V-OLD-2")]
    assert effect.waits_for == "-€50.00 net of OLD are still to be billed; it is closed once that is done."
    plan.refresh_from_db()
    assert (plan.state, plan.refusal, account("OLD").status) == ("planned", effect.waits_for, "active")
    assert restructuring.carry_out_due(on=date(2026, 2, 16)).done == 0
    bill(issuer, date(2026, 2, 16))
    assert sorted(Invoice.objects.filter(issued_on=date(2026, 2, 16)).values_list("payer__reference", "net")) == [
        ("NEW", Decimal("50.00")),
        ("OLD", Decimal("-50.00")),
    ]
    assert restructuring.carry_out_due(on=date(2026, 2, 17)).done == 1
    plan.refresh_from_db()
    assert (plan.state, account("OLD").status) == ("done", "closed")
    assert plan.outcome["contracts"] == [["V-OLD", "NEW", "V-OLD-2", "2026-02-15"]]
    assert [row[0] for row in plan.outcome["fields"]] == ["SHOP", "SHOP", "SHOP", "OLD"]
    assert {payer for payer, _number in left_open()} == {"NEW"}
    # February for SHOP, V-OLD less its second half, that half anew, and NEW's own two
    assert sum(left_open().values()) == Decimal("1.19") * (100 + 100 - 50 + 50 + 200)
    assert [breach for breach in books.check() if breach.invariant not in ("coverage", "guards")] == []


def test_a_merger_copies_rights_to_the_account_that_takes_over(issuer):
    """Granted is what the user lacks there; a scope that holds there already, or a preference stated there, stays."""
    old, new = account("OLD"), account("NEW")
    anna, bert, carla = (User.objects.create_user(name) for name in ("anna", "bert", "carla"))
    Access.objects.create(user=anna, tenant=old, with_descendants=False, sees_invoices=True, pays=True)
    Access.objects.create(user=anna, tenant=new, with_descendants=False, sees_invoices=True)
    Access.objects.create(user=bert, tenant=old, sees_usage=True)
    Access.objects.create(user=carla, tenant=old, with_descendants=False, sees_usage=True)
    Access.objects.create(user=carla, tenant=new, sees_usage=True)
    StaffScope.objects.create(user=bert, tenant=old)
    StaffScope.objects.create(user=carla, tenant=old)
    StaffScope.objects.create(user=carla, tenant=new)
    for event, role, here in [("reminder", "billing", False), ("invoice_issued", "billing", False)]:
        NotificationPreference.objects.create(tenant=old, event=event, role=role, is_wanted=here)
    NotificationPreference.objects.create(tenant=new, event="invoice_issued", role="billing", is_wanted=True)
    effect = change("merge", "OLD", "NEW")
    assert [(one.kind, one.who, one.what) for one in effect.rights] == [
        ("access", "anna", ("pays",)),
        ("access", "bert", ("with_descendants", "sees_usage")),
        ("scope", "bert", ()),
        ("notification", "billing", ("reminder", "False")),
    ]
    found = Access.objects.filter(tenant=new).order_by("user__username")
    assert list(found.values_list("user__username", "with_descendants", "sees_invoices", "sees_usage", "pays")) == [
        ("anna", False, True, False, True),
        ("bert", True, False, True, False),
        ("carla", True, False, True, False),
    ]
    assert list(StaffScope.objects.filter(tenant=new).order_by("user__username").values_list("user__username")) == [
        ("bert",),
        ("carla",),
    ]
    assert list(
        NotificationPreference.objects.filter(tenant=new).order_by("event").values_list("event", "is_wanted")
    ) == [("invoice_issued", True), ("reminder", False)]
    assert tree_pages.effect_rows(effect)["rights"] == [
        ("anna", "pays"),
        ("bert", "with all accounts below, sees usage"),
        ("bert", "sees this account and all below it"),
        ("Contacts: invoices", "reminder: is not written to"),
    ]
    assert TreeChange.objects.get().outcome["rights"][1] == ["access", "bert", "with_descendants", "sees_usage"]


def test_a_split_gives_contracts_and_accounts_below_to_a_new_account(issuer):
    kept = make_contract(issuer, account("OLD"), reference="V-KEPT", price=make_price())
    gone = make_contract(issuer, account("OLD"), reference="V-GONE", price=make_price())
    options = {
        "reference": "SPUN",
        "name": "Ausgründung GmbH",
        "contracts": [gone.pk],
        "children": [account("SHOP").pk],
    }
    change("split", "OLD", None, **options)
    spun = account("SPUN")
    assert (spun.parent, spun.name, spun.city, account("SHOP").pay_by) == (None, "Ausgründung GmbH", "München", spun)
    assert Subscription.objects.get(reference="V-GONE-2").tenant == spun
    kept.refresh_from_db()
    assert (kept.tenant.reference, kept.ends_before) == ("OLD", None)
    assert TreeChange.objects.get().target == spun


def test_who_pays_for_a_contract_by_its_own_terms_is_kept_where_it_stands_above(issuer):
    """SIDE splits off beside SHOP, below OLD: OLD goes on paying for one contract, SHOP's own part becomes SIDE's."""
    shop, old = account("SHOP"), account("OLD")
    Tenant.objects.filter(pk=shop.pk).update(invoice_to=shop)
    price = make_price()
    paid = make_contract(issuer, shop, reference="V-PAID", price=price, invoice_to=shop, pay_by=old)
    effect = change("split", "SHOP", None, reference="SIDE", name="Nebenan", contracts=[paid.pk], children=[])
    side, moved = account("SIDE"), Subscription.objects.get(reference="V-PAID-2")
    assert (moved.invoice_to, moved.pay_by, side.invoice_to, side.pay_by, side.parent) == (side, old, side, old, old)
    assert [(one.record, one.field, one.before, one.after) for one in effect.fields] == [
        ("SIDE", "name", "", "Nebenan"),
        ("V-PAID-2", "invoice_to", "SHOP", "SIDE"),
    ]
    effect = change("merge", "SIDE", "NEW")
    moved = Subscription.objects.get(reference="V-PAID-2-2")
    assert (moved.invoice_to.reference, moved.pay_by) == ("NEW", None)
    assert ("V-PAID-2-2", "pay_by", "OLD", "") in [
        (one.record, one.field, one.before, one.after) for one in effect.fields
    ]


def test_b_23_a_closed_account_is_skipped_and_listed_as_skipped(issuer):
    with pytest.raises(restructuring.RestructuringRefused, match="NEW has contracts that run: V-NEW"):
        change("close", "NEW", None)
    with pytest.raises(restructuring.RestructuringRefused, match=r"NEW has open items of €238\.00: say whether"):
        change("close", "NEW", None, ends_contracts=True)
    end = date(2026, 3, 1)
    effect = change("close", "NEW", None, on=end, ends_contracts=True, keeps_items=True)
    assert [(one.contract, one.day) for one in effect.contracts] == [("V-NEW", end)]
    assert [(one.document, one.amount) for one in effect.staying] == [("RE-2026-00002", Decimal("238"))]
    assert account("NEW").status == "closed"
    run = bill(issuer, date(2026, 4, 1))
    assert {o.payer.reference: (o.state, o.reason) for o in run.outcomes.all()}["NEW"] == (
        "skipped",
        "Der Mandant ist nicht aktiv.",
    )


def test_an_account_that_is_owed_a_credit_is_closed_by_the_night_once_it_was_billed(issuer):
    options = {"ends_contracts": True, "keeps_items": True}
    plan = restructuring.plan(
        "close", account("NEW"), None, options, on=date(2026, 2, 15), reason="", by=None, channel="command"
    )
    effect = restructuring.carry_out(plan, by=None, channel="command")
    assert effect.waits_for == "-€100.00 net of NEW are still to be billed; it is closed once that is done."
    plan.refresh_from_db()
    assert (plan.state, plan.refusal, account("NEW").status) == ("planned", effect.waits_for, "active")
    night = restructuring.carry_out_due(on=date(2026, 2, 16))
    assert (night.done, night.refused) == (0, [effect.waits_for])
    bill(issuer, date(2026, 2, 16))
    assert restructuring.carry_out_due(on=date(2026, 2, 16)).done == 1
    assert account("NEW").status == "closed"
    assert restructuring.carry_out_due(on=date(2026, 2, 16)) == restructuring.planning.CarriedOut()


def test_the_night_makes_what_was_planned_on_its_day_and_not_before(issuer):
    anna = planner()
    restructuring.plan("move", account("SHOP"), account("NEW"), {}, on=MARCH, reason="", by=anna, channel="admin")
    with pytest.raises(restructuring.RestructuringRefused, match="The same change of SHOP is planned already"):
        restructuring.plan("move", account("SHOP"), None, {}, on=MARCH, reason="", by=anna, channel="admin")
    business_day.restructure(issuer, on=date(2026, 2, 28))
    assert account("SHOP").parent.reference == "OLD"
    business_day.restructure(issuer, on=MARCH)
    assert account("SHOP").parent.reference == "NEW"
    assert Activity.objects.filter(table="tenants_tenant", actor="anna", channel="schedule").exists()


def planner() -> User:
    """Somebody who may restructure, and see all."""
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.set(Permission.objects.filter(codename__in=["restructure_tenant", "view_tenant"]))
    return anna


RIGHTS_LOST = {
    "right": lambda anna: anna.user_permissions.clear(),
    "active": lambda anna: User.objects.filter(pk=anna.pk).update(is_active=False),
    "staff": lambda anna: User.objects.filter(pk=anna.pk).update(is_staff=False),
    "gone": lambda anna: anna.delete(),
    "bounds beside the account": lambda anna: StaffScope.objects.create(user=anna, tenant=account("NEW")),
    "bounds beside the new parent": lambda anna: StaffScope.objects.create(user=anna, tenant=account("OLD")),
}


@pytest.mark.parametrize("lost", RIGHTS_LOST)
def test_what_was_planned_is_not_made_once_its_planner_has_no_right_to_it(issuer, lost, admin_client, settings):
    """It stays planned with the reason until somebody else makes it, who answers for it then."""
    settings.LANGUAGE_CODE = "en"
    anna = planner()
    plan = restructuring.plan(
        "move", account("SHOP"), account("NEW"), {}, on=MARCH, reason="", by=anna, channel="admin"
    )
    RIGHTS_LOST[lost](anna)
    said = (
        "anna planned this and has no right to it any more: somebody who has makes it on the page of SHOP, or withdraws"
        " it."
    )
    for _night in range(2):
        assert restructuring.carry_out_due(on=MARCH).refused == [said]
    plan.refresh_from_db()
    assert (plan.state, plan.refusal, account("SHOP").parent.reference) == ("planned", said, "OLD")
    make = reverse("make_tree_change", args=[plan.pk])
    admin = User.objects.get(username="admin")
    with time_machine.travel("2026-02-28 12:00:00+00:00", tick=False):
        admin_client.force_login(admin)
        assert "It is planned for" in admin_client.post(make, follow=True).content.decode()
        assert make not in admin_client.get(reverse("account", args=[plan.tenant_id])).content.decode()
    with time_machine.travel("2026-03-01 12:00:00+00:00", tick=False):
        admin_client.force_login(admin)
        page = admin_client.get(reverse("account", args=[plan.tenant_id])).content.decode()
        assert said in page and make in page
        admin_client.post(make)
    plan.refresh_from_db()
    assert (plan.state, plan.refusal, account("SHOP").parent.reference) == ("done", "", "NEW")
    assert Activity.objects.filter(table="tenants_tenant", actor="admin", channel="admin").exists()


def test_who_may_not_restructure_makes_no_plan_of_others(issuer, client):
    plan = restructuring.plan("move", account("SHOP"), None, {}, on=TENTH, reason="", by=None, channel="command")
    make = reverse("make_tree_change", args=[plan.pk])
    anna = planner()
    client.force_login(anna)
    assert client.get(make).status_code == 405
    anna.user_permissions.remove(Permission.objects.get(codename="restructure_tenant"))
    client.logout()
    client.force_login(User.objects.get(username="anna"))
    assert client.post(make).status_code == 403
    assert account("SHOP").parent.reference == "OLD"


def test_settings_are_compared_for_each_issuer_that_an_account_deals_with(issuer):
    """OTHER gives 30 days to pay, MAIN 14: below NEW, which says 7, both change, each from its own."""
    other = make_issuer(reference="OTHER", payment_days=30)
    make_contract(other, account("SHOP"), reference="V-OTHER", price=make_price())
    Tenant.objects.filter(reference="NEW").update(payment_days=7)
    effect = restructuring.preview("move", account("SHOP"), account("NEW"), {}, on=TENTH)
    told = {(one.record, one.before, one.after) for one in effect.settings if one.field == "payment_days"}
    assert told == {("SHOP (MAIN)", "14", "7"), ("SHOP (OTHER)", "30", "7")}
    Tenant.objects.filter(reference="OLD").update(payment_days=21)
    effect = restructuring.preview("move", account("SHOP"), account("NEW"), {}, on=TENTH)
    told = {(one.record, one.before, one.after) for one in effect.settings if one.field == "payment_days"}
    assert told == {("SHOP", "21", "7")}


def test_a_plan_is_withdrawn_once(issuer):
    plan = restructuring.plan("move", account("SHOP"), None, {}, on=MARCH, reason="", by=None, channel="admin")
    assert restructuring.withdraw(plan, reason="doch nicht", by=None, channel="admin") is True
    assert restructuring.withdraw(plan, reason="doch nicht", by=None, channel="admin") is False
    assert restructuring.carry_out_due(on=MARCH).done == 0
    assert account("SHOP").parent.reference == "OLD"


def test_the_preview_of_a_merger_names_whose_rights_are_copied(admin_client, issuer, settings):
    settings.LANGUAGE_CODE = "en"
    Access.objects.create(user=User.objects.create_user("anna"), tenant=account("OLD"), sees_invoices=True, pays=True)
    page = reverse("restructure", args=[account("OLD").pk, "merge"])
    asked = {"target": "NEW", "effective_on": "2026-02-10", "takes_over": "on", "reason": ""}
    html = admin_client.post(page, asked).content.decode()
    assert "Rights at the account that takes over" in html
    assert "<tr><td>anna</td><td>with all accounts below, sees invoices, pays</td></tr>" in html
    assert not Access.objects.filter(tenant=account("NEW")).exists()
