"""What contracts, prices and charges cannot be: by SQL of the application's role, and by the ORM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import CheckConstraint, ProtectedError

from billing.models import (
    ChangeRequest,
    Charge,
    Item,
    Price,
    Subscription,
    UsageEvent,
    UsageTotal,
)
from tests.guards import FROZEN, NO_RIGHT, Attempt, assert_refused, attempts, copy_of, fingerprint, guards_of
from tests.small_book import change_prices, committed_small_book
from tests.usage_rows import store_little_usage


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")) as name:
        alone = Subscription.objects.get(reference="V-ALONE")
        ChangeRequest.objects.create(subscription=alone, kind="cancellation")
        change_prices(alone)
        store_little_usage(alone.issuer, alone.tenant, spare=True)
        yield name


def charge_of(document: str) -> str:
    return f"(select charge_id from invoicing_line l join invoicing_invoice i on i.id = l.invoice_id where {document})"


FEE = charge_of("i.number = 'RE-2026-00001'")
CREDIT = charge_of("i.number = 'RK-2026-00001'")
COUNTED = "id = (select id from billing_usagekey where key = 'e-counted')"
UNASSIGNED = " where meter_reference = 'nothing'"
EVENT = (
    "insert into billing_usageevent select k.id, e.occurred_at, tenant_reference, application_reference,"
    " meter_reference, user_name, %s, properties, reverses_key, tenant_id, meter_id, day, %s, label, null"
    " from billing_usageevent e, billing_usagekey k where k.key = 'e-free' and e.value is not null"
)
OTHER_TENANT = "select max(id) from tenants_tenant"
ANY_TENANT = "select min(id) from tenants_tenant"
LATER = {"starts_on": "'2030-01-01'::date", "ends_before": "'2030-02-01'::date"}


def changed(table: str, **values: str) -> str:
    return f"update {table} set {', '.join(f'{column} = {value}' for column, value in values.items())}"


METERED = (
    copy_of(
        "billing_product",
        "id = (select min(product_id) from billing_item)",
        reference="'METERED'",
        meter_id="(select max(id) from billing_meter)",
    )
    + 2
    * copy_of(
        "billing_price",
        "id = (select min(id) from billing_price)",
        agreed_for_id="(select id from billing_subscription where reference = 'V-ALONE')",
    )
    + copy_of("billing_subscription", "reference = 'V-ALONE'", reference="'V-USED'", ends_before="null::date")
)
METERED_ITEM = copy_of(
    "billing_item",
    "id = (select min(i.id) from billing_item i join billing_subscription s on s.id = i.subscription_id"
    " where s.reference = 'V-ALONE')",
    subscription_id="(select id from billing_subscription where reference = 'V-USED')",
    product_id="(select id from billing_product where reference = 'METERED')",
    price_id="(select id from billing_price order by id desc offset %s limit 1)",
    line="9",
    starts_on="'2031-01-01'::date",
    ends_before="null::date",
)

TRIES = [
    # charges
    ("billing_charge_append_only", changed("billing_charge", net="1") + f" where id = {FEE}", FROZEN),
    ("charge_reversed_by_its_own", changed("billing_charge", reversed_by_id=CREDIT) + f" where id = {FEE}", FROZEN),
    ("charge_reversed_by_its_own", changed("billing_charge", reversed_by_id="id") + f" where id = {FEE}", FROZEN),
    ("billing_charge_append_only", changed("billing_charge", trace="'{}'") + f" where id = {FEE}", FROZEN),
    ("billing_charge_no_truncate", "truncate billing_charge cascade", NO_RIGHT),
    ("charge_final", f"delete from billing_charge where id = {FEE}", FROZEN),
    (
        "charge_standing_fees_do_not_overlap",
        copy_of("billing_charge", f"id = {FEE}", starts_on="'2026-02-28'::date", ends_before="'2026-03-01'::date"),
    ),
    (
        "charge_standing_credits_do_not_overlap",
        copy_of("billing_charge", f"id = {CREDIT}", starts_on="'2026-02-28'::date", ends_before="'2026-03-05'::date"),
    ),
    ("charge_covers_days", copy_of("billing_charge", f"id = {FEE}", **LATER | {"ends_before": "'2030-01-01'::date"})),
    ("charge_credit_names_its_fee", copy_of("billing_charge", f"id = {CREDIT}", **LATER, corrects_id="null::bigint")),
    ("charge_credit_names_its_fee", copy_of("billing_charge", f"id = {FEE}", **LATER, corrects_id=FEE)),
    ("charge_sign_follows_kind", copy_of("billing_charge", f"id = {FEE}", **LATER, net="-1")),
    ("charge_sign_follows_kind", copy_of("billing_charge", f"id = {CREDIT}", **LATER, net="1")),
    ("charge_figures_fit", copy_of("billing_charge", f"id = {FEE}", **LATER, net="'NaN'::numeric")),
    ("charge_figures_fit", copy_of("billing_charge", f"id = {FEE}", **LATER, net="0.001")),
    ("charge_figures_fit", copy_of("billing_charge", f"id = {FEE}", **LATER, quantity="'NaN'::numeric")),
    ("charge_addition_is_a_fee", copy_of("billing_charge", f"id = {CREDIT}", **LATER, addition="1")),
    (
        "charge_once",
        copy_of("billing_charge", f"id = {FEE}", addition="1") * 2,  # usage that came in late is charged once, too
    ),
    (
        "billing_charge_reverses_id_key",
        copy_of("billing_charge", f"id = {FEE}", kind="'credit'", net="-100", reverses_id=FEE) * 2,
    ),
    # contracts and their positions
    ("subscription_reference_once", copy_of("billing_subscription", "reference = 'V-ALONE'")),
    ("subscription_currency_is_a_code", changed("billing_subscription", currency="'eur'")),
    ("subscription_ends_after_it_starts", changed("billing_subscription", ends_before="starts_on - 1")),
    ("subscription_trial_after_start", changed("billing_subscription", trial_ends_before="starts_on - 1")),
    ("subscription_billing_day_in_month", changed("billing_subscription", billing_day="32")),
    ("subscription_billing_day_in_month", changed("billing_subscription", billing_day="0")),
    ("item_ends_after_it_starts", changed("billing_item", ends_before="starts_on - 1")),
    ("item_quantity_above_zero", changed("billing_item", quantity="0")),
    ("item_quantity_above_zero", changed("billing_item", quantity="'NaN'")),
    ("item_once_per_price_and_day", copy_of("billing_item", "true", starts_on="'2030-01-01'::date")),
    (
        "item_anchor_is_whole",
        copy_of("billing_item", "ends_before is null", starts_on="'2030-01-01'::date", anchor_on="'2030-01-01'::date"),
    ),
    (
        "item_anchor_is_whole",
        copy_of("billing_item", "true", starts_on="'2030-01-01'::date", anchor_on="'2030-01-01'::date", anchor_day="0"),
    ),
    ("grant_ends_after_it_starts", changed("billing_grant", starts_on="'2030-01-02'", ends_before="'2030-01-01'")),
    # usage
    ("meter_reference_once", copy_of("billing_meter", "reference = 'minutes'")),
    ("meter_unique_of_a_property", changed("billing_meter", property="''") + " where reference = 'logins'"),
    ("meter_count_without_property", changed("billing_meter", property="'x'") + " where reference = 'calls'"),
    ("billing_meter_frozen", changed("billing_meter", aggregation="'max'") + " where reference = 'minutes'", FROZEN),
    ("billing_meter_frozen", changed("billing_meter", property="'s'") + " where reference = 'minutes'", FROZEN),
    ("billing_meter_frozen", changed("billing_meter", reference="'s'") + " where reference = 'minutes'", FROZEN),
    ("billing_application_frozen", changed("billing_application", reference="'other'"), FROZEN),
    ("usage_key_once", copy_of("billing_usagekey", "key = 'e-counted'")),
    ("billing_usagekey_reverses_id_key", copy_of("billing_usagekey", "key = 'e-back'", key="'e-again'")),
    ("usage_event_assigned_whole", changed("billing_usageevent", tenant_id=f"({ANY_TENANT})") + UNASSIGNED),
    ("usage_event_assigned_whole", changed("billing_usageevent", value="1") + UNASSIGNED),
    ("usage_event_figures_are_numbers", EVENT % ("'NaN'", "value")),
    ("usage_event_figures_are_numbers", EVENT % ("1", "'NaN'")),
    (
        "usage_event_reversal_counts_nothing",
        changed("billing_usageevent", reversed_by_id="id") + " where reverses_key <> ''",
    ),
    ("billing_usageevent_assigned_once", changed("billing_usageevent", label="'x'") + f" where {COUNTED}", FROZEN),
    (
        "product_metered_by_periods",
        METERED + changed("billing_product", interval="'once'") + " where reference = 'METERED'",
    ),
    (
        "product_keeps_its_meter",
        changed("billing_product", meter_id="(select max(id) from billing_meter)")
        + " where id in (select product_id from billing_item)",
        FROZEN,
    ),
    ("usage_charged_once", METERED + METERED_ITEM % "0" + METERED_ITEM % "1"),
    (
        "usage_charged_once",
        METERED
        + METERED_ITEM % "0"
        + copy_of("billing_subscription", "reference = 'V-USED'", reference="'V-MOVED'", tenant_id=f"({OTHER_TENANT})")
        + METERED_ITEM.replace("V-USED", "V-MOVED") % "1"
        + changed("billing_subscription", tenant_id="o.tenant_id")
        + " from billing_subscription o where o.reference = 'V-USED' and billing_subscription.reference = 'V-MOVED';",
    ),
    ("usage_total_once", copy_of("billing_usagetotal", "true")),
    ("usage_total_figures_are_numbers", changed("billing_usagetotal", count="-1")),
    ("usage_total_figures_are_numbers", changed("billing_usagetotal", total="'NaN'")),
    ("usage_total_figures_are_numbers", changed("billing_usagetotal", maximum="'NaN'")),
    ("usage_total_last_is_whole", changed("billing_usagetotal", last_at="now()")),
    ("usage_conflict_once", copy_of("billing_usageconflict", "true")),
    *(
        attempt
        for table, column in (
            ("usagekey", "key = 'x'"),
            ("usageevent", "quantity = 2"),
            ("usagebatch", "channel = 'file'"),
            ("usageconflict", "digest = '1'"),
        )
        for attempt in (
            (f"billing_{table}_append_only", f"update billing_{table} set {column}", FROZEN),
            (f"billing_{table}_append_only", f"delete from billing_{table}", FROZEN),
            (f"billing_{table}_no_truncate", f"truncate billing_{table} cascade", NO_RIGHT),
        )
    ),
    # requests of customers
    ("change_request_decided_or_open", changed("billing_changerequest", state="'accepted'")),
    ("change_request_one_cancellation_waits", copy_of("billing_changerequest", "true")),
    # price campaigns
    ("price_campaign_name_once", copy_of("billing_pricecampaign", "true")),
    ("price_campaign_says_how", changed("billing_pricecampaign", percent="null")),
    ("price_campaign_says_how", changed("billing_pricecampaign", amount="1")),
    ("price_campaign_says_how", changed("billing_pricecampaign", rule="'amount'", percent="null", amount="1")),
    ("price_campaign_says_how", changed("billing_pricecampaign", rule="'list'")),
    ("price_campaign_percent_in_bounds", changed("billing_pricecampaign", percent="100.1")),
    ("price_campaign_percent_in_bounds", changed("billing_pricecampaign", percent="'NaN'")),
    (
        "price_campaign_amount_is_a_number",
        changed("billing_pricecampaign", rule="'amount'", percent="null", amount="'NaN'", currency="'EUR'"),
    ),
    ("price_campaign_announced_has_its_day", changed("billing_pricecampaign", announced_on="null")),
    ("price_campaign_announced_has_its_day", changed("billing_pricecampaign", state="'draft'")),
    (
        "price_campaign_starts_in_order",
        changed("billing_pricecampaign", starts_from="'2026-01-01'", starts_before="'2026-01-01'"),
    ),
    ("billing_pricecampaign_is_announced", changed("billing_pricecampaign", percent="4"), FROZEN),
    ("billing_pricecampaign_is_announced", changed("billing_pricecampaign", announced_on="'2026-10-01'"), FROZEN),
    ("price_notice_once_per_account", copy_of("billing_pricenotice", "true")),
    ("billing_pricenotice_append_only", changed("billing_pricenotice", language="'en'"), FROZEN),
    ("billing_pricenotice_append_only", "delete from billing_pricenotice", FROZEN),
    ("billing_pricenotice_no_truncate", "truncate billing_pricenotice cascade", NO_RIGHT),
    ("price_change_once_per_position", copy_of("billing_pricechange", "true")),
    ("price_change_has_its_amendment", changed("billing_pricechange", state="'changed'")),
    (
        "price_change_has_its_amendment",
        changed("billing_pricechange", amendment_id="(select min(id) from billing_amendment)"),
    ),
    ("price_change_has_its_day", changed("billing_pricechange", effective_on="null")),
    ("price_change_says_why_not", changed("billing_pricechange", state="'skipped'")),
    # what was charged is amended
    ("billing_item_changes_once", changed("billing_item", quantity="7"), FROZEN),
    ("billing_item_changes_once", changed("billing_item", timing="'arrears'"), FROZEN),
    ("billing_item_changes_once", changed("billing_item", starts_on="starts_on - 1"), FROZEN),
    ("billing_subscription_is_amended", changed("billing_subscription", starts_on="'2025-01-01'"), FROZEN),
    ("billing_subscription_is_amended", changed("billing_subscription", billing_day="2"), FROZEN),
    ("billing_subscription_is_amended", changed("billing_subscription", billing_starts_with="'activation'"), FROZEN),
    ("billing_amendment_append_only", changed("billing_amendment", reason="'x'"), FROZEN),
    ("billing_amendment_append_only", "delete from billing_amendment", FROZEN),
    ("billing_amendment_no_truncate", "truncate billing_amendment cascade", NO_RIGHT),
    ("amendment_number_once", copy_of("billing_amendment", "sequence = 1")),
    ("pause_ends_after_it_starts", changed("billing_pause", ends_before="starts_on - 1")),
    ("billing_pause_amendment_id_key", copy_of("billing_pause", "true")),
    ("grant_once", copy_of("billing_grant", "true")),
    # the catalog
    ("price_once_per_cell_and_day", copy_of("billing_price", "true", starts_on="'2030-01-01'::date")),
    ("price_currency_is_a_code", changed("billing_price", currency="'eur'")),
    ("price_package_has_a_size", changed("billing_price", model="'package'")),
    ("price_package_has_a_size", changed("billing_price", model="'package'", package_size="0")),
    *(
        ("price_figures_are_numbers", changed("billing_price", **{column: "'NaN'"}))
        for column in ("package_size", "minimum", "cap", "free_quantity")
    ),
    ("price_bounds_in_order", changed("billing_price", minimum="2", cap="1")),
    ("tier_bound_once", copy_of("billing_tier", "true")),
    ("tier_bound_above_zero", changed("billing_tier", up_to="0")),
    ("tier_prices_are_not_negative", changed("billing_tier", unit_price="-1")),
    *(
        ("tier_figures_are_numbers", changed("billing_tier", **{column: "'NaN'"}))
        for column in ("up_to", "unit_price", "flat_amount")
    ),
    ("price_only_packages_per_tier", changed("billing_price", package_per_tier="true")),
    ("price_commitment_stands_alone", changed("billing_price", model="'commitment'", minimum="1")),
    ("price_commitment_stands_alone", changed("billing_price", model="'commitment'", cap="1")),
    ("price_commitment_stands_alone", changed("billing_price", model="'commitment'", free_quantity="1")),
    ("tier_package_holds_something", changed("billing_tier", package_size="0")),
    ("tier_package_holds_something", changed("billing_tier", package_size="'NaN'")),
    ("grant_to_a_contract_or_an_account", changed("billing_grant", subscription_id="null")),
    (
        "grant_to_a_contract_or_an_account",
        changed("billing_grant", tenant_id="(select min(id) from tenants_tenant)"),
    ),
    ("discount_stacks_or_carries", changed("billing_discount", carry_remainder="true")),
    (
        "discount_stacks_or_carries",
        changed("billing_discount", kind="'fixed'", percent="null", amount="1", currency="'EUR'", is_stacked="true"),
    ),
    ("discount_has_its_value", changed("billing_discount", percent="null")),
    ("discount_has_its_value", changed("billing_discount", percent="100.1")),
    ("discount_has_its_value", changed("billing_discount", percent="0")),
    ("discount_has_its_value", changed("billing_discount", kind="'fixed'", percent="null")),
    ("discount_has_its_value", changed("billing_discount", kind="'fixed'", percent="null", amount="1", currency="''")),
    (
        "discount_amount_is_a_number",
        changed("billing_discount", kind="'fixed'", percent="null", amount="'NaN'", currency="'EUR'"),
    ),
]


@attempts(*TRIES)
def test_a_guard_refuses_and_nothing_changes(book, attempt: Attempt):
    assert_refused(attempt)


def test_each_guard_is_tried(book):
    assert {guard for guard, *_ in TRIES} == guards_of("billing") - {"charge_given_back_once"} | {
        "billing_charge_reverses_id_key",
        "billing_pause_amendment_id_key",
        "billing_usagekey_reverses_id_key",
    }


def test_a_day_is_charged_once_even_if_stretches_were_not_compared(book):
    """The narrower key stands behind the exclusion constraint, which speaks first."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("alter table billing_charge drop constraint charge_standing_fees_do_not_overlap")
        with pytest.raises(DatabaseError, match="charge_once"):
            cursor.execute(copy_of("billing_charge", f"id = {FEE}"))
        transaction.set_rollback(True, using="owner")


def test_not_even_the_owner_truncates_charges(book):
    with pytest.raises(DatabaseError) as refusal, connections["owner"].cursor() as cursor:
        cursor.execute("truncate billing_charge cascade")
    assert refusal.value.__cause__.pgcode == FROZEN


def test_a_charge_is_marked_as_reversed_once(book):
    """Its one column that may be written: from nothing to a value, never to another one or back."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"update billing_charge set reversed_by_id = {CREDIT} where id = {FEE}")
        for value in (FEE, "null"):
            with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"update billing_charge set reversed_by_id = {value} where id = {FEE}")
            assert refusal.value.__cause__.pgcode == FROZEN
        transaction.set_rollback(True)


@pytest.mark.parametrize("way", ["save", "delete", "update of a query", "delete of a query"])
def test_the_orm_takes_nothing_away_that_charges_rest_on(book, way):
    before = fingerprint()
    charge = Charge.objects.get(line__invoice__number="RE-2026-00001")
    rows = (
        [charge]
        if way in ("save", "update of a query")
        else [charge, charge.item, charge.item.subscription, charge.item.price]
    )
    for row in rows:
        query = type(row).objects.filter(pk=row.pk)
        with pytest.raises((DatabaseError, ProtectedError)), transaction.atomic():
            if way == "save":
                row.net = 1
                row.save()
            elif way == "update of a query":
                query.update(net=1)
            elif way == "delete":
                row.delete()
            else:
                query.delete()
    assert fingerprint() == before
    assert {type(row) for row in rows} <= {Charge, Item, Subscription, Price}


def test_every_check_says_in_a_sentence_what_it_wants():
    """Forms show it; Django's own only names the constraint."""
    for model in set(apps.get_app_config("billing").get_models()) - {Charge, UsageEvent, UsageTotal}:  # never in a form
        for check in model._meta.constraints:
            if isinstance(check, CheckConstraint):
                assert check.violation_error_message != check.default_violation_error_message, check.name
