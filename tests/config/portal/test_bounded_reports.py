"""Reports for staff with bounds: exactly the sum of what they may see, or why a part is not told.

The world's documents of February: PARENT gets 300.00 net for itself, CHILD and SIBLING; OWN, OTHER and (of the second
issuer) ABROAD 100.00 each. CHILD lies below OWN.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing import contracts
from billing.models import Subscription
from invoicing import coverage
from invoicing.account_statement import statements
from tenants.models import Issuer, StaffScope, Tenant
from tests.builders import make_price
from tests.config.portal.conftest import World, signed_in, staff
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

BOUNDS = {
    "subtree": ({"tenant": "OWN"}, {"OWN", "CHILD"}),
    "issuer": ({"issuer": "SECOND"}, {"ABROAD"}),
    "both": ({"tenant": "OWN", "issuer": "SECOND"}, {"OWN", "CHILD", "ABROAD"}),
    "none": ({}, {"PARENT", "OWN", "CHILD", "SIBLING", "OTHER", "ABROAD"}),
}
ALL = {"from": "2026-01-01", "to": "2026-12-31"}


def bounded(bounds: dict[str, str]) -> User:
    user = staff("operator", "auditor")
    if "tenant" in bounds:
        StaffScope.objects.create(user=user, tenant=Tenant.objects.get(reference=bounds["tenant"]))
    if "issuer" in bounds:
        StaffScope.objects.create(user=user, issuer=Issuer.objects.get(reference=bounds["issuer"]))
    return user


@pytest.fixture(params=BOUNDS)
def desk(request, world) -> tuple[Client, set[str]]:
    bounds, seen = BOUNDS[request.param]
    return signed_in(bounded(bounds)), seen


def context(client: Client, page: str, *args: Any, **query: str) -> Any:
    answer = client.get(reverse(page, args=args), query)
    assert answer.status_code == 200, page
    return answer.context


def rows(client: Client, page: str, *args: Any, **query: str) -> list[list[str]]:
    answer = client.get(reverse(page, args=args), query, headers={"accept-language": "en"})
    assert answer.status_code == 200, page
    return [line.split(";") for line in answer.content.decode("utf-8-sig").splitlines()[1:]]


def test_invoiced_revenue_is_the_sum_of_the_accounts_seen(desk):
    client, seen = desk
    by_account = rows(client, "invoiced_revenue", by="account", **{"as": "csv"}, **ALL)
    assert {(row[0], row[3]) for row in by_account} == {(name, "100.00") for name in seen}
    by_month = rows(client, "invoiced_revenue", by="month", **{"as": "csv"}, **ALL)
    assert [row[3] for row in by_month] == [f"{100 * len(seen)}.00"]
    for name in ("PARENT", "OWN"):
        below = rows(client, "invoiced_revenue", by="account", account=name, below="1", **{"as": "csv"}, **ALL)
        inside = {"PARENT", "OWN", "CHILD", "SIBLING"} if name == "PARENT" else {"OWN", "CHILD"}
        assert {row[0] for row in below} == (seen & inside if name in seen else set())


def test_recurring_revenue_is_the_sum_of_the_contracts_seen(desk):
    client, seen = desk
    (flow,) = context(client, "metrics")["flows"]
    assert (flow["now"], flow["closing_customers"]) == (f"{100 * len(seen)},00\N{NO-BREAK SPACE}€", str(len(seen)))


def test_a_contract_that_went_on_beyond_the_bounds_is_lost_there(world):
    """Within the group it moves nothing."""
    contracts.transfer(
        world.contracts["CHILD"],
        tenant=world.accounts["SIBLING"],
        reference="V-GONE",
        effective=MARCH,
        reason="",
        by=None,
        channel="command",
    )
    names = ("new customers", "expansion", "contraction", "churn", "reactivation")
    moved = {}
    for name, bounds in (("subtree", {"tenant": "OWN"}), ("group", {"tenant": "PARENT"})):
        User.objects.filter(username="sachbearbeiterin").delete()
        client = signed_in(bounded(bounds))
        query = {"from": "2026-02-28", "to": "2026-03-02"}
        answer = client.get(reverse("metrics"), query, headers={"accept-language": "en"})
        moved[name] = [row["count"] for row in answer.context["flows"][0]["movements"]]
        assert [row["name"] for row in answer.context["flows"][0]["movements"]] == list(names)
    assert moved == {"subtree": ["0", "0", "0", "1", "0"], "group": ["0"] * 5}


def test_coverage_is_the_sum_of_the_contracts_seen(desk):
    client, seen = desk
    page = context(client, "coverage", through="2026-02-28")
    days = {
        name: coverage.report(through=date(2026, 2, 28), among=Subscription.objects.filter(reference=f"V-{name}"))
        for name in seen
    }
    assert {report.item_days for report in days.values()} == {28}
    assert page["item_days"] == str(28 * len(seen))
    below = context(client, "coverage", through="2026-02-28", account="PARENT", below="1")
    assert below["item_days"] == str(28 * len(seen & {"PARENT", "OWN", "CHILD", "SIBLING"}) if "PARENT" in seen else 0)


def test_contracts_to_look_at_are_those_seen(desk, world):
    client, seen = desk
    price = make_price()
    for name, account in world.accounts.items():
        issuer = world.contracts[name].issuer
        make_contract(issuer, account, reference=f"W-{name}", price=price, billing_starts_with="activation")
        terms = {"term_months": 2, "renewal_months": 12, "notice_days": 10}
        make_contract(issuer, account, reference=f"R-{name}", price=make_price(), **terms)
    page = context(client, "contracts_attention", days="365")
    assert {row["contract"] for row in page["starts"]} == {f"W-{name}" for name in seen}
    assert {row["contract"] for row in [*page["overdue"], *page["renewals"]]} == {f"R-{name}" for name in seen}
    alone = context(client, "contracts_attention", days="365", account="OWN")
    shown = {row["contract"] for row in [*alone["starts"], *alone["overdue"], *alone["renewals"]]}
    assert shown == ({"R-OWN", "W-OWN"} if "OWN" in seen else set())
    files = {name: rows(client, "contracts_attention", days="365", csv=name) for name in ("starts", "renewals")}
    assert {row[0] for row in files["starts"]} == {f"W-{name}" for name in seen}
    assert {row[0] for row in files["renewals"]} == {f"R-{name}" for name in seen}


@pytest.fixture
def of_two(world) -> World:
    """OTHER has a contract with the second issuer, too, over 50.00."""
    other, second = world.accounts["OTHER"], Issuer.objects.get(reference="SECOND")
    make_contract(second, other, reference="V-TOO", price=make_price((None, "50.00", "0")))
    bill(second, date(2026, 2, 2))
    return world


def test_statement_calendar_and_page_of_an_account_tell_of_the_issuer_seen(of_two):
    other = of_two.accounts["OTHER"]
    client = signed_in(bounded({"issuer": "SECOND"}))
    statement = rows(client, "account_statement", other.pk, **{"as": "csv"}, **ALL)
    assert [row[-1] for row in statement] == ["0.00", "-59.50", "-59.50"]
    calendar = rows(client, "account_calendar", other.pk, format="csv")
    assert {row[5] for row in calendar} == {"V-TOO"} and {row[6] for row in calendar} == {"50.00"}
    page = context(client, "account", other.pk)
    (alone,) = page["roll_up"]
    assert [figure.replace("\N{NO-BREAK SPACE}", " ") for _name, figure, _url in alone["figures"]] == [
        "-59,50 €",
        "1, davon 1 überfällig",
        "50,00 €",
        "1",
        "50,00 €",
    ]
    assert client.get(reverse("account_statement", args=[of_two.accounts["OWN"].pk])).status_code == 404


def test_a_statement_of_a_part_of_the_tree_is_the_sum_of_its_accounts(world):
    """Of the group its parent sees all, the branch its own."""
    client = signed_in(bounded({"tenant": "OWN"}))
    own = world.accounts["OWN"]
    statement = rows(client, "account_statement", own.pk, below="1", **{"as": "csv"}, **ALL)
    nodes = [
        one.closing
        for node in Tenant.objects.under(own)
        for one in statements(node, with_descendants=False, after=None, through=date(2026, 12, 31))
    ]
    assert Decimal(statement[-1][-1]) == sum(nodes) == Decimal("-119.00")
    assert client.get(reverse("account_statement", args=[world.accounts["PARENT"].pk])).status_code == 404


REASON = "für ganze Rechnungssteller"


@pytest.mark.parametrize("page", ["vat_report", "audit"])
def test_what_an_issuer_answers_for_is_told_of_whole_issuers(world, page):
    client = signed_in(bounded({"tenant": "OWN"}))
    answer = client.get(reverse(page))
    assert answer.status_code == 403 and REASON in answer.content.decode()
    assert "RE-2026" not in answer.content.decode()
    User.objects.filter(username="sachbearbeiterin").delete()
    client = signed_in(bounded({"tenant": "OWN", "issuer": "SECOND"}))
    found = context(client, page)
    if page == "vat_report":
        assert [issuer.reference for issuer in found["issuers"]] == ["SECOND"]
    else:
        assert {one["issuer"] for one in found["ranges"]} == {"SECOND"}
        assert [issuer.reference for issuer in found["form"].fields["issuer"].queryset] == ["SECOND"]


def test_lists_and_files_of_the_reports_keep_to_the_issuers_seen_whole(world):
    main = Issuer.objects.get(reference="MAIN")
    exported = {"first": FEBRUARY.isoformat(), "through": "2026-12-31"}
    client = signed_in(bounded({"tenant": "OWN"}))
    assert client.get(reverse("vat_report_csv"), {"issuer": main.pk}).status_code == 404
    answer = client.post(reverse("audit_export"), exported)
    assert answer.status_code == 403 and REASON in answer.content.decode()
    User.objects.filter(username="sachbearbeiterin").delete()
    client = signed_in(bounded({"issuer": "SECOND"}))
    answer = client.get(reverse("vat_report_csv"), {"issuer": main.pk, "list": "evidence"})
    assert 'filename="vat-evidence-SECOND-' in answer["Content-Disposition"]
    assert client.post(reverse("audit_export"), exported | {"issuer": main.pk}).context["form"].errors
    archive = b"".join(client.post(reverse("audit_export"), exported).streaming_content)
    assert b"SECOND/RE-2026-00001" in archive and b"MAIN/" not in archive
