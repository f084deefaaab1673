"""What payments, collections and refunds cannot be, and what of them stays as it was booked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction

from invoicing import posting
from invoicing.kernel.entries import BANK
from invoicing.models import JournalEntry, OpenItem
from payments.models import (
    Allocation,
    Collection,
    CollectionItem,
    Dispute,
    DunningBlock,
    Payment,
    PaymentReturn,
    PaymentRun,
    Refund,
)
from tenants.models import Issuer, Tenant
from tests.guards import FROZEN, NO_RIGHT, Attempt, assert_refused, attempts, copy_of, guards_of
from tests.payments import bank_tries, debit_tries, provider_tries
from tests.small_book import committed_small_book

MARCH_2 = date(2026, 3, 2)


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[str]:
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")) as name:
        with transaction.atomic():
            settle_some()
        yield name


def settle_some() -> None:
    """A payment applied, taken back and returned; a refund, and a collection under way."""
    issuer, payer = Issuer.objects.get(), Tenant.objects.get(reference="ALONE")
    claim = OpenItem.objects.get(invoice__number="RE-2026-00001")
    receipt = posting.Receipt(payer.pk, "EUR", Decimal("60.00"), posting.account_of(issuer, BANK), "RE 2026 1")
    [received] = posting.post_receipts(issuer, [receipt], on=MARCH_2)
    payment = Payment.objects.create(
        issuer=issuer,
        payer=payer,
        source="bank",
        origin="line 1",
        received_on=MARCH_2,
        currency="EUR",
        amount=Decimal("60.00"),
        reference="RE 2026 1",
        open_item_id=received.item,
        entry_id=received.entry,
    )
    first = None
    for amount in (Decimal("60.00"), Decimal("-60.00")):
        [entry] = posting.apply(issuer, [posting.Application(received.item, claim.pk, "EUR", amount)], on=MARCH_2)
        first = Allocation.objects.create(
            payment=payment,
            open_item=claim,
            entry_id=entry,
            allocated_on=MARCH_2,
            currency="EUR",
            amount=amount,
            rule="reference",
            reverses=first,
        )
    bank = posting.account_of(issuer, BANK)
    returned = posting.post_paid_back(
        issuer,
        received.item,
        Decimal("10.00"),
        currency="EUR",
        account=bank,
        kind=JournalEntry.Kind.RETURN,
        on=MARCH_2,
    )
    PaymentReturn.objects.create(
        payment=payment, entry_id=returned, origin="line 2", returned_on=MARCH_2, currency="EUR", amount=10, charges=3
    )
    common = {"issuer": issuer, "payer": payer, "currency": "EUR", "amount": 10}
    Refund.objects.create(**common, open_item_id=received.item, method="manual", key="KR1", grounds="Umzug")
    run = PaymentRun.objects.create(issuer=issuer, kind="sepa_debit", on=MARCH_2, collect_on=MARCH_2)
    collection = Collection.objects.create(**common, run=run, method="sepa_debit", key="KC1", external_id="x")
    CollectionItem.objects.create(collection=collection, open_item=claim, currency="EUR", amount=10)
    Dispute.objects.create(line=claim.invoice.lines.earliest("pk"), reason="falsch", raised_on=MARCH_2)
    DunningBlock.objects.create(tenant=payer, reason="Ratenplan", starts_on=MARCH_2, ends_before="2026-04-01")
    provider_tries.provide_some(issuer, payer)
    debit_tries.debit_some(issuer, payer)
    bank_tries.bank_some(issuer, payment)


AN_ITEM = "(select min(id) from invoicing_openitem)"
AN_ENTRY = "(select min(id) from invoicing_journalentry)"
NAME_IT = (
    "update tenants_tenant set dunning_policy = (select min(name) from payments_dunningpolicy)"
    " where reference = 'ALONE';"
)
BOOKED = ("payment", "allocation", "paymentreturn")
TRIES = [
    *provider_tries.TRIES,
    *debit_tries.TRIES,
    *bank_tries.TRIES,
    *((f"payments_{name}_append_only", f"update payments_{name} set amount = 1", FROZEN) for name in BOOKED),
    *((f"payments_{name}_append_only", f"delete from payments_{name}", FROZEN) for name in BOOKED),
    *((f"payments_{name}_no_truncate", f"truncate payments_{name} cascade", NO_RIGHT) for name in BOOKED),
    ("payment_amount_fits", copy_of("payments_payment", "true", origin="'other'", amount="0.001")),
    ("payment_amount_fits", copy_of("payments_payment", "true", origin="'other'", amount="0")),
    ("payment_amount_fits", copy_of("payments_payment", "true", origin="'other'", amount="'NaN'::numeric")),
    (
        "payment_once_per_origin",
        copy_of("payments_payment", "true", open_item_id=AN_ITEM, entry_id=AN_ENTRY),
    ),
    ("payments_payment_open_item_id_key", copy_of("payments_payment", "true", origin="'other'", entry_id=AN_ENTRY)),
    ("payments_payment_entry_id_key", copy_of("payments_payment", "true", origin="'other'", open_item_id=AN_ITEM)),
    ("allocation_amount_fits", copy_of("payments_allocation", "amount > 0", amount="-1")),
    ("allocation_amount_fits", copy_of("payments_allocation", "amount < 0", amount="1")),
    ("allocation_amount_fits", copy_of("payments_allocation", "amount > 0", amount="0.001")),
    ("payment_return_amounts_fit", copy_of("payments_paymentreturn", "true", origin="'other'", amount="-1")),
    ("payment_return_amounts_fit", copy_of("payments_paymentreturn", "true", origin="'other'", charges="-1")),
    ("payment_return_once_per_origin", copy_of("payments_paymentreturn", "true", entry_id=AN_ENTRY)),
    ("refund_amount_fits", copy_of("payments_refund", "true", key="'other'", amount="0")),
    ("payments_refund_key_key", copy_of("payments_refund", "true")),
    ("payment_run_one_proposed", copy_of("payments_paymentrun", "true")),
    ("payment_run_released_by_somebody", "update payments_paymentrun set state = 'released'"),
    ("collection_amount_fits", "update payments_collection set amount = 0"),
    ("collection_amount_fits", "update payments_collection set amount = 'NaN'::numeric"),
    ("collection_once_at_the_provider", copy_of("payments_collection", "true", key="'other'")),
    ("payments_collection_key_key", copy_of("payments_collection", "true", external_id="'y'")),
    ("collection_item_amount_fits", copy_of("payments_collectionitem", "true", is_unsettled="false", amount="0")),
    ("collection_item_once", copy_of("payments_collectionitem", "true", is_unsettled="false")),
    (
        "collection_item_one_attempt_at_a_time",
        copy_of("payments_collection", "true", key="'KC2'", external_id="''")
        + copy_of(
            "payments_collectionitem",
            "true",
            collection_id="(select max(id) from payments_collection)",
            is_unsettled="true",
        ),
    ),
    ("dispute_one_open_per_line", copy_of("payments_dispute", "true")),
    ("dispute_open_or_resolved", "update payments_dispute set state = 'rejected'"),
    ("dunning_policy_name_once", copy_of("payments_dunningpolicy", "true", is_standard="false")),
    ("dunning_policy_one_standard", copy_of("payments_dunningpolicy", "is_standard", name="'other'")),
    ("payments_dunningpolicy_named_stays", NAME_IT + "update payments_dunningpolicy set name = 'x'", "KO006"),
    ("payments_dunningpolicy_named_stays", NAME_IT + "delete from payments_dunningpolicy", "KO006"),
    ("dunning_level_once", copy_of("payments_dunninglevel", "level = 1")),
    ("dunning_level_0_to_3", "update payments_dunninglevel set level = 4 where level = 3"),
    ("dunning_run_once_per_day", copy_of("payments_dunningrun", "true")),
    ("letter_once_per_payer_and_level", copy_of("payments_letter", "true")),
    (
        "letter_delivery_once_per_recipient",
        copy_of("payments_letterdelivery", "true", message_id="(select min(id) from tenants_message)"),
    ),
    ("reminder_once_per_item_and_level", copy_of("payments_reminder", "true")),
    ("dunning_block_names_one", "update payments_dunningblock set tenant_id = null"),
    ("dunning_block_ends_after_it_starts", "update payments_dunningblock set ends_before = starts_on"),
    *(
        (f"payments_{name}_append_only", f"delete from payments_{name}", FROZEN)
        for name in ("reminder", "letter", "dunningrun", "letterdelivery")
    ),
    *(
        (f"payments_{name}_no_truncate", f"truncate payments_{name} cascade", NO_RIGHT)
        for name in ("reminder", "letter", "dunningrun", "letterdelivery")
    ),
]
OF_FIELDS = {
    "payments_payment_open_item_id_key",
    "payments_payment_entry_id_key",
    "payments_refund_key_key",
    "payments_collection_key_key",
    "payments_bankaccount_iban_key",
    "payments_bankaccount_ledger_account_id_key",
    "payments_linebooking_entry_id_key",
    "payments_matchproposal_line_id_key",
    "payments_linesetaside_line_id_key",
}


@attempts(*TRIES)
def test_a_guard_refuses(book, attempt: Attempt):
    assert_refused(attempt)


def test_each_guard_is_tried(book):
    assert {guard for guard, *_ in TRIES} == guards_of("payments") | OF_FIELDS
