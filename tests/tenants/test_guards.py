"""What accounts cannot be, what stays on record, and that every change of master data is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, connections, transaction

from billing.kernel import money
from billing.models import ChangeRequest, Subscription, UsageToken
from config.books.guards import PRESENT
from config.books.rules import rows_of
from invoicing.models import Letterhead, LetterText, OpenItem, RefundRequest
from tenants import messages
from tenants.models import (
    Access,
    Approval,
    Contact,
    Creditor,
    File,
    ImportBatch,
    ImportRow,
    Issuer,
    Lockout,
    Mandate,
    MandateAccount,
    Message,
    NotificationPreference,
    SecondFactor,
    SignInLink,
    StaffScope,
    Tenant,
    TreeChange,
    VatCheck,
    VatInquiry,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from tenants.transactions import acting
from tests.guards import FROZEN, NO_RIGHT, UNNAMED, Attempt, assert_refused, attempts, copy_of, guards_of
from tests.small_book import change_prices, committed_small_book
from tests.usage_rows import make_meters, make_source


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")) as name:
        tenant = Tenant.objects.get(reference="AUSTRIA")
        VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
        VatInquiry.objects.create(issuer=Issuer.objects.get(), tenant=tenant, vat_id=tenant.vat_id)
        Contact.objects.create(tenant=tenant, name="Änne")
        batch = ImportBatch.objects.create(kind="tenants", file_name="tenants.csv")
        ImportRow.objects.create(batch=batch, number=2)
        for state, done_at in (("planned", None), ("done", NOON)):
            TreeChange.objects.create(
                kind="close", tenant=tenant, effective_on="2026-03-01", state=state, done_at=done_at
            )
        grant_access(tenant)
        ask_for_approval()
        RefundRequest.objects.create(open_item=OpenItem.objects.earliest("pk"), wanted_on="2026-03-01", reason="Umzug")
        tell_by_webhook()
        permit_debits(tenant)
        Letterhead.objects.create(issuer=Issuer.objects.get())
        LetterText.objects.create(issuer=Issuer.objects.get())
        message = Message.objects.earliest("pk")
        messages.enclose([(message, File.objects.earliest("pk"), "Rechnung.pdf")])
        contract = Subscription.objects.get(reference="V-ALONE")
        change_prices(contract)
        ChangeRequest.objects.create(subscription=contract, kind="cancellation")
        make_meters()
        UsageToken.objects.create(source=make_source(contract.issuer), digest="0" * 64, hint="ku_12345")
        yield name


def permit_debits(tenant: Tenant) -> None:
    issuer = Issuer.objects.get()
    Creditor.objects.create(issuer=issuer, identifier="DE98ZZZ09999999999")
    mandate = Mandate.objects.create(issuer=issuer, payer=tenant, reference="M-1", signed_on="2026-01-02")
    MandateAccount.objects.create(
        mandate=mandate,
        number=1,
        holder="A",
        iban="x",
        iban_hash="y",
        iban_tail="1234",
        entered_by=User.objects.first(),
    )


def tell_by_webhook() -> None:
    endpoint = WebhookEndpoint.objects.create(
        issuer=Issuer.objects.get(),
        url="https://shop.example.com/hook",
        name="Shop",
        events=["invoice.paid"],
        secret="x",
    )
    message = WebhookMessage.objects.create(
        endpoint=endpoint, key="invoice.paid:1", event="invoice.paid", about="RE-1", payload="{}"
    )
    WebhookAttempt.objects.create(message=message, at=NOON, milliseconds=12, status=500)


def ask_for_approval() -> None:
    common = {"table": "invoicing_invoice", "row": 1, "action": "cancel", "currency": "EUR", "gross": 1}
    Approval.objects.create(
        issuer=Issuer.objects.get(), **common, reason="x", requested_by=User.objects.create_user("anna")
    )


def grant_access(tenant: Tenant) -> None:
    """A row of each table of rights and of signing in."""
    user = User.objects.create_user("kundin")
    Access.objects.create(user=user, tenant=tenant, sees_invoices=True)
    StaffScope.objects.create(user=user, tenant=tenant)
    StaffScope.objects.create(user=user, issuer=Issuer.objects.get())
    NotificationPreference.objects.create(tenant=tenant, event="reminder", role="billing")
    SignInLink.objects.create(user=user, digest="a", expires_at=NOON)
    Lockout.objects.create(kind="name", digest="a", counted_at=NOON)
    SecondFactor.objects.create(user=user, secret="x")


NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
ALONE = "reference = 'ALONE'"

TRIES = [
    *(
        (f"tenants_{table}_append_only", f"update tenants_{table} set {change}", FROZEN)
        for table, change in [("activity", "reason = 'x'"), ("vatcheck", "is_valid = false"), ("file", "size = 1")]
    ),
    *(
        (f"tenants_{table}_append_only", f"delete from tenants_{table}", FROZEN)
        for table in ("activity", "vatcheck", "file")
    ),
    *(
        (f"tenants_{table}_no_truncate", f"truncate tenants_{table} cascade", NO_RIGHT)
        for table in ("activity", "vatcheck", "file")
    ),
    ("tenants_activity_of_now", copy_of("tenants_activity", "id = 1", at="'2025-12-31 12:00+01'"), FROZEN),
    ("tenants_activity_of_now", copy_of("tenants_activity", "id = 1", at="now() + interval '1 hour'"), FROZEN),
    ("tenants_activity_of_now", copy_of("tenants_activity", "id = 1", at="now()", id="900000"), FROZEN),
    ("tenants_tenant_policy_is_there", f"update tenants_tenant set dunning_policy = 'Milde' where {ALONE}", UNNAMED),
    ("tenants_approval_append_only", "update tenants_approval set gross = 2", FROZEN),
    ("tenants_approval_append_only", "delete from tenants_approval", FROZEN),
    ("tenants_approval_no_truncate", "truncate tenants_approval", NO_RIGHT),
    ("tenants_webhookattempt_append_only", "update tenants_webhookattempt set status = 200", FROZEN),
    ("tenants_webhookattempt_append_only", "delete from tenants_webhookattempt", FROZEN),
    ("tenants_webhookattempt_no_truncate", "truncate tenants_webhookattempt", NO_RIGHT),
    ("tenants_messageattachment_append_only", "update tenants_messageattachment set file_name = 'x'", FROZEN),
    ("tenants_messageattachment_append_only", "delete from tenants_messageattachment", FROZEN),
    ("tenants_messageattachment_no_truncate", "truncate tenants_messageattachment", NO_RIGHT),
    (
        "attachment_once_per_message_and_position",
        copy_of("tenants_messageattachment", "true", file_name="'another'"),
    ),
    ("attachment_name_once_per_message", copy_of("tenants_messageattachment", "true", position="2")),
    ("webhook_endpoint_once", copy_of("tenants_webhookendpoint", "true")),
    ("webhook_endpoint_wants_something", "update tenants_webhookendpoint set events = '{}'"),
    ("webhook_endpoint_address_is_one", "update tenants_webhookendpoint set url = 'https://user@shop.example.com/'"),
    ("webhook_message_once_per_event", copy_of("tenants_webhookmessage", "true")),
    ("approval_one_open", copy_of("tenants_approval", "true")),
    (
        "approval_by_another_person",
        "update tenants_approval set decision = 'approved', decided_at = now(), decided_by_id = requested_by_id",
    ),
    ("approval_amount_fits", copy_of("tenants_approval", "true", row="2", gross="0.001")),
    ("issuer_correction_limit_not_negative", "update tenants_issuer set correction_limit = -1"),
    ("issuer_currency_is_a_code", "update tenants_issuer set currency = 'eur'"),
    ("issuer_country_is_a_code", "update tenants_issuer set country = 'de'"),
    ("issuer_bounds_above_zero", "update tenants_issuer set largest_document = 0"),
    ("issuer_vat_check_holds_a_while", "update tenants_issuer set vat_check_max_age_days = 0"),
    ("vat_inquiry_once_under_way", copy_of("tenants_vatinquiry", "true")),
    ("vat_inquiry_is_answered_when_done", "update tenants_vatinquiry set state = 'done'"),
    ("issuer_has_a_tax_identity", "update tenants_issuer set vat_id = '', tax_number = ''"),
    ("tree_change_planned_once", copy_of("tenants_treechange", "state = 'planned'")),
    (
        "tree_change_target_is_another_account",
        "update tenants_treechange set target_id = tenant_id where done_at is null",
    ),
    ("tree_change_merges_into_an_account", "update tenants_treechange set kind = 'merge' where done_at is null"),
    ("tree_change_has_its_time_when_done", "update tenants_treechange set state = 'done' where done_at is null"),
    ("tree_change_settled", "update tenants_treechange set reason = 'x' where state = 'done'", FROZEN),
    ("tree_change_settled", "delete from tenants_treechange where state = 'planned'", FROZEN),
    ("tenant_currency_is_a_code", f"update tenants_tenant set currency = 'eur' where {ALONE}"),
    ("tenant_country_is_a_code", f"update tenants_tenant set country = 'D' where {ALONE}"),
    ("tenant_billing_day_in_month", f"update tenants_tenant set billing_day = 32 where {ALONE}"),
    (
        "tenant_collection_threshold_is_an_amount",
        f"update tenants_tenant set collection_threshold = 'NaN' where {ALONE}",
    ),
    ("tenant_is_not_its_own_parent", f"update tenants_tenant set parent_id = id where {ALONE}"),
    ("tenant_left_once", "update tenants_tenant set lft = 1 where reference = 'BRANCH'"),
    ("tenant_right_once", "update tenants_tenant set rght = 4 where reference = 'BRANCH'"),
    ("creditor_identifier_has_its_form", "update tenants_creditor set identifier = 'de98ZZZ09999999999'"),
    ("creditor_bounds", "update tenants_creditor set prenotification_days = 0"),
    ("creditor_bounds", "update tenants_creditor set refund_limit = 'NaN'"),
    ("mandate_reference_once", copy_of("tenants_mandate", "true")),
    ("mandate_reference_has_its_form", copy_of("tenants_mandate", "true", reference="'M 1'")),
    ("mandate_revoked_with_reason", "update tenants_mandate set revoked_on = '2026-01-01', revocation = 'x'"),
    ("mandate_revoked_with_reason", "update tenants_mandate set revoked_on = '2026-03-01'"),
    ("tenants_mandate_append_only", "update tenants_mandate set reference = 'M-2'", FROZEN),
    ("tenants_mandate_append_only", "delete from tenants_mandate", FROZEN),
    ("tenants_mandate_no_truncate", "truncate tenants_mandate cascade", NO_RIGHT),
    ("mandate_account_once", copy_of("tenants_mandateaccount", "true")),
    (
        "mandate_account_decided_by_another",
        "update tenants_mandateaccount set decision = 'approved', decided_at = now(), decided_by_id = entered_by_id",
    ),
    ("mandate_account_decided_by_another", "update tenants_mandateaccount set decision = 'approved'"),
    ("mandate_account_tail", copy_of("tenants_mandateaccount", "true", number="2", iban_tail="'50-1'")),
    ("tenants_mandateaccount_append_only", "update tenants_mandateaccount set iban = 'y'", FROZEN),
    ("tenants_mandateaccount_append_only", "delete from tenants_mandateaccount", FROZEN),
    ("tenants_mandateaccount_no_truncate", "truncate tenants_mandateaccount", NO_RIGHT),
    ("import_row_once", copy_of("tenants_importrow", "true")),
    ("access_once", copy_of("tenants_access", "true")),
    ("access_grants_something", "update tenants_access set sees_invoices = false"),
    ("staff_scope_names_one", "update tenants_staffscope set issuer_id = (select min(id) from tenants_issuer)"),
    ("staff_scope_names_one", "update tenants_staffscope set tenant_id = null"),
    ("staff_scope_issuer_once", copy_of("tenants_staffscope", "issuer_id is not null")),
    ("staff_scope_account_once", copy_of("tenants_staffscope", "tenant_id is not null")),
    ("notification_preference_once", copy_of("tenants_notificationpreference", "true")),
    ("sign_in_link_once", copy_of("tenants_signinlink", "true")),
    ("lockout_once", copy_of("tenants_lockout", "true")),
]


@attempts(*TRIES)
def test_a_guard_refuses_and_nothing_changes(book, attempt: Attempt):
    assert_refused(attempt)


def test_each_guard_is_tried(book):
    assert {guard for guard, *_ in TRIES} == guards_of("tenants")


def test_not_even_the_owner_truncates(book):
    for table in ("activity", "vatcheck", "file"):
        with pytest.raises(DatabaseError) as refusal, connections["owner"].cursor() as cursor:
            cursor.execute(f"truncate tenants_{table} cascade")
        assert refusal.value.__cause__.pgcode == FROZEN


RECORDED = {
    "billing_application": ("reference", "x"),
    "billing_changerequest": ("answer", "x"),
    "billing_discount": ("name_de", "x"),
    "billing_grant": ("reason", "x"),
    "billing_item": ("line", 7),
    "billing_meter": ("reference", "x"),
    "billing_pause": ("policy", "no_credit"),
    "billing_price": ("model", "volume"),
    "billing_pricecampaign": ("state", "withdrawn"),
    "billing_pricechange": ("reason", "x"),
    "billing_priceclass": ("name", "x"),
    "billing_product": ("name_de", "x"),
    "billing_subscription": ("notes", "x"),
    "billing_tier": ("flat_amount", 7),
    "billing_usagesource": ("name", "x"),
    "billing_usagetoken": ("revoked_at", "2026-02-01T12:00:00+00:00"),
    "invoicing_calendarfeed": ("revoked_at", "2026-02-01T12:00:00+00:00"),
    "invoicing_exchangerate": ("source", "x"),
    "invoicing_ledgeraccount": ("name", "x"),
    "invoicing_letterhead": ("foot_1", "x"),
    "invoicing_lettertext": ("opening", "x"),
    "invoicing_refundrequest": ("reason", "x"),
    "invoicing_taxrate": ("source", "x"),
    "invoicing_taxrule": ("name", "x"),
    "tenants_access": ("pays", True),
    "tenants_contact": ("phone", "7"),
    "tenants_creditor": ("days_ahead", 7),
    "tenants_mandate": ("paper_id", 1),
    "tenants_issuer": ("phone", "7"),
    "tenants_notificationpreference": ("is_wanted", False),
    "tenants_secondfactor": ("confirmed_at", "2026-02-01T12:00:00+00:00"),
    "tenants_staffscope": ("id", 77),
    "tenants_tenant": ("notes", "x"),
    "tenants_treechange": ("reason", "x"),
    "tenants_webhookendpoint": ("name", "x"),
}


def test_every_change_of_master_data_is_recorded(book):
    tables = {row["table"] for row in rows_of(PRESENT.partition("union all")[0]) if row["guard"].endswith("_recorded")}
    assert {table for table in tables if table.startswith(("tenants_", "billing_", "invoicing_"))} == set(RECORDED)
    with acting(actor="anna", channel="test", reason="weil"), connection.cursor() as cursor:
        for table, (column, value) in RECORDED.items():
            cursor.execute(f"update {table} set {column} = %s where id = (select min(id) from {table})", [value])
            cursor.execute(
                'select actor, channel, reason, "table", action, before - %s, after from tenants_activity order by id'
                " desc limit 1",
                [column],
            )
            *who, before, after = cursor.fetchone()
            assert who == ["anna", "test", "weil", table, "update"]
            assert (json.loads(before), json.loads(after)) == ({}, {column: value})
        transaction.set_rollback(True)


def test_the_database_knows_the_same_minor_units_as_the_kernel(book):
    """The check constraints on amounts against the table that rounding goes by."""
    with connection.cursor() as cursor:
        for code, places in money._PLACES.items():
            finest = money.UNIT[places]
            cursor.execute("select kontor_fits(%s, %s), kontor_fits(%s, %s)", [finest, code, finest / 10, code])
            assert cursor.fetchone() == (True, False), code
