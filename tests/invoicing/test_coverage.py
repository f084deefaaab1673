"""Every day of every position has its answer, and nobody can be left out silently."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from billing.kernel.coverage import Answer, Reason
from billing.models import Item
from invoicing import coverage, review
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract, make_small_book

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def reasons(through: date = MARCH, **chosen) -> dict[str, int]:
    report = coverage.report(through=through, **chosen)
    assert sum(report.days.values()) == report.item_days
    return {reason.value: days for reason, days in report.days.items()}


def item_days(through: date) -> int:
    """Counted the simple way."""
    return sum(
        max(
            0,
            (
                min(item.ends_before or date.max, item.subscription.ends_before or date.max, through + timedelta(1))
                - item.starts_on
            ).days,
        )
        for item in Item.objects.select_related("subscription")
    )


def as_if_before_the_runs() -> None:
    """What there is now was there when the runs started."""
    with connection.cursor() as cursor:
        cursor.execute("update invoicing_billrun set started_at = clock_timestamp() + interval '2 hours'")


def test_a_billed_book_is_charged_to_the_day():
    make_small_book()
    assert reasons() == {"stands": 5 * 29 + 14}
    assert reasons(date(2026, 4, 2)) == {"stands": 5 * 59 + 14, "waits_for_run": 5 * 2}
    for through in (date(2026, 1, 31), FEBRUARY, date(2026, 2, 20), date(2026, 12, 31)):
        assert coverage.report(through=through).item_days == item_days(through)


def test_every_reason_has_its_days():
    issuer = make_issuer()
    price = make_price((None, "100.00", "0"))

    def contract(reference: str, **fields):
        tenant = fields.pop("tenant", None) or make_tenant(reference=reference, **fields.pop("account", {}))
        return make_contract(issuer, tenant, reference=reference, price=price, **fields)

    contract("TRIAL", trial_ends_before=date(2026, 2, 11))
    contract("TAKEN", billed_before=date(2026, 2, 6))
    contract("ARREARS", timing="arrears")
    contract("PARKED", account={"street": ""})
    contract("SLEEPING", account={"status": "suspended"})
    bill(issuer, FEBRUARY)
    bill(issuer, date(2026, 2, 20))
    contract("LATE")
    found = coverage.report(through=date(2026, 2, 20))
    assert found.days == {
        Reason.STANDS: 10 + 15,
        Reason.TRIAL: 10,
        Reason.BILLED_ELSEWHERE: 5,
        Reason.NOT_DUE: 20,
        Reason.PARKED: 20,
        Reason.NOT_ACTIVE: 20,
        Reason.CHANGED_SINCE: 20,
    }
    assert [found.answered(answer) for answer in Answer] == [25, 40, 15, 40]
    details = {fault.position.reference: fault.detail for fault in found.faults}
    assert details == {
        "PARKED": "PARKED: Es fehlt Straße; eine Rechnung braucht das (§ 14 Abs. 4 UStG).",
        "SLEEPING": "",
    }


def test_a_payer_left_out_by_every_run_cannot_hide():
    issuer = make_small_book()
    forgotten = make_contract(issuer, make_tenant(reference="FORGOTTEN"), reference="V-FORGOTTEN")
    as_if_before_the_runs()
    faults = coverage.report(through=MARCH).faults
    assert [(fault.position.contract, fault.stretch.reason, fault.stretch.period.days) for fault in faults] == [
        (forgotten.pk, Reason.GAP, 28),
        (forgotten.pk, Reason.GAP, 1),
    ]


def test_a_draft_discarded_from_an_older_run_waits_and_is_no_fault():
    """Whether its payer is pending again in that run, parked there, or has another draft of it left."""
    issuer = make_issuer()
    payers = {reference: make_tenant(reference=reference) for reference in ("PENDING", "PARKED", "TWO")}
    for reference, payer in payers.items():
        make_contract(issuer, payer, reference=reference)
    make_contract(issuer, payers["TWO"], reference="PO", po_number="PO-7")
    older = bill(issuer, FEBRUARY, issues=False)
    bill(issuer, date(2026, 2, 2))
    as_if_before_the_runs()
    drafts = older.invoices.order_by("pk")
    review.discard(drafts.filter(payer=payers["PENDING"]))
    assert reasons(FEBRUARY) == {"stands": 3, "waits_for_run": 1}
    with connection.cursor() as cursor:  # the others are discarded after the runs, whatever the clock says
        cursor.execute("update invoicing_billrun set started_at = clock_timestamp()")
    review.discard(drafts.filter(payer=payers["PARKED"]), waits_for="Preis klären")
    review.discard(drafts.filter(po_number="PO-7"))
    assert reasons(FEBRUARY) == {"stands": 1, "waits_for_run": 2, "parked": 1}
    assert [fault.detail for fault in coverage.report(through=FEBRUARY).faults] == ["Preis klären"]


@pytest.mark.parametrize(("before", "reason"), [("59 minutes", "changed_since"), ("61 minutes", "gap")])
def test_a_change_begun_before_the_run_may_have_come_after_it(before, reason):
    """Its time in the record is that at which its transaction began."""
    issuer = make_issuer()
    contract = make_contract(issuer, make_tenant(), starts_on=date(2026, 4, 1))
    bill(issuer, FEBRUARY)
    with connection.cursor() as cursor:
        cursor.execute("update billing_subscription set starts_on = %s where id = %s", [FEBRUARY, contract.pk])
        cursor.execute("update billing_item set starts_on = %s where subscription_id = %s", [FEBRUARY, contract.pk])
        cursor.execute(f"update invoicing_billrun set started_at = now() + interval '{before}'")
    assert reasons(FEBRUARY) == {reason: 1}


def test_a_price_that_cannot_be_reckoned_spoils_no_other_contract():
    issuer = make_small_book()
    broken = make_price(("10", "100.00", "0"))
    make_contract(issuer, make_tenant(reference="BROKEN"), reference="V-BROKEN", price=broken)
    found = coverage.report(through=MARCH)
    assert found.days == {Reason.STANDS: 5 * 29 + 14, Reason.UNBILLABLE: 29}
    assert "its last tier must be open-ended" in found.faults[0].detail


def test_many_contracts_take_no_more_queries_than_few():
    issuer = make_small_book()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            coverage.report(through=date(2026, 4, 2))
        return len(captured)

    before = queries()
    for n in range(3):
        make_contract(issuer, make_tenant(reference=f"M{n}"), reference=f"M{n}", quantity=Decimal(n + 1))
    assert queries() == before


def test_the_command_sums_up_and_lists_what_is_in_error(capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    issuer = make_small_book()
    call_command("coverage", "--through", "2026-03-01")
    assert capsys.readouterr().out.splitlines() == [
        "charged: 159 days",
        "not yet charged: 0 days",
        "waived: 0 days",
        "in error: 0 days",
        "Together: 159 days",
    ]
    make_contract(issuer, make_tenant(reference="FORGOTTEN"), reference="V-FORGOTTEN", price=make_price())
    as_if_before_the_runs()
    with pytest.raises(CommandError, match="2 stretches are in error"):
        call_command("coverage", "--through", "2026-03-01")
    product = Item.objects.get(subscription__reference="V-FORGOTTEN").product.reference
    assert capsys.readouterr().out.splitlines()[0] == (
        f"V-FORGOTTEN {product} 2026-02-01 – 2026-02-28: in error (due, not charged, and nothing says why)"
    )
    call_command("coverage", "--through", "2026-03-01", "--contract", "V-LEAVING")
    assert (
        capsys.readouterr().out.splitlines()[0].endswith("2026-02-01 – 2026-02-14: charged (a charge stands for them)")
    )
    with pytest.raises(CommandError, match="no contract V-NONE"):
        call_command("coverage", "--through", "2026-03-01", "--contract", "V-NONE")
