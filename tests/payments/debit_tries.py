"""What debits, transfers, blocks and payment runs cannot be, and what of them stays once it is on its way."""

from __future__ import annotations

from django.db.models.functions import Now

from payments.models import Collection, CollectionBlock, Debit, LeftOut, PaymentRun, Refund, Transfer
from tenants.models import Issuer, Mandate, MandateAccount, Tenant
from tests.guards import FROZEN, NO_RIGHT, copy_of


def debit_some(issuer: Issuer, payer: Tenant) -> None:
    """A debit in the proposed run, somebody left out, a block; a transfer in a run that was released."""
    mandate = Mandate.objects.create(issuer=issuer, payer=payer, reference="M-1", signed_on="2026-01-02")
    account = MandateAccount.objects.create(
        mandate=mandate, number=1, holder="A", iban="x", iban_hash="y", iban_tail="1234"
    )
    run = PaymentRun.objects.get(kind="sepa_debit")
    Debit.objects.create(
        collection=Collection.objects.get(key="KC1"),
        mandate=mandate,
        account=account,
        sequence="FRST",
        collect_on="2026-03-02",
        is_announced=False,
    )
    LeftOut.objects.create(run=run, payer=payer, reason="threshold", currency="EUR", amount=1)
    CollectionBlock.objects.create(tenant=payer, reason="Ratenplan", starts_on="2026-03-02", ends_before="2026-04-01")
    paid = PaymentRun.objects.create(
        issuer=issuer,
        kind="sepa_transfer",
        on="2026-03-02",
        collect_on="2026-03-03",
        state="released",
        released_at=Now(),
    )
    refund = Refund.objects.get(key="KR1")
    Transfer.objects.create(refund=refund, run=paid, holder="A", iban="x", iban_hash="y", iban_tail="1234")


RELEASED = "state = 'released'"
TRIES = [
    ("left_out_once_per_reason", copy_of("payments_leftout", "true")),
    ("left_out_amount_fits", copy_of("payments_leftout", "true", reason="'rhythm'", amount="0.001")),
    ("transfer_account_tail", copy_of("payments_transfer", "true", refund_id="-1", iban_tail="'DE-4'")),
    ("collection_block_names_one", "update payments_collectionblock set tenant_id = null"),
    ("collection_block_ends_after_it_starts", "update payments_collectionblock set ends_before = '2026-03-01'"),
    ("payments_leftout_append_only", "update payments_leftout set amount = 2", FROZEN),
    ("payments_leftout_append_only", "delete from payments_leftout", FROZEN),
    ("payments_debit_kept", "update payments_debit set collect_on = '2026-03-03'", FROZEN),
    ("payments_debit_kept", "update payments_debit set batch = 'x', sequence = 'RCUR'", FROZEN),
    ("payments_debit_kept", "delete from payments_debit", FROZEN),
    ("payments_collectionitem_kept", "update payments_collectionitem set amount = 5", FROZEN),
    ("payments_collectionitem_kept", "delete from payments_collectionitem", FROZEN),
    ("payments_transfer_kept", "update payments_transfer set iban = 'z'", FROZEN),
    ("payments_transfer_kept", "update payments_transfer set run_id = null", FROZEN),
    ("payments_transfer_kept", "delete from payments_transfer", FROZEN),
    ("payments_paymentrun_kept", f"update payments_paymentrun set state = 'proposed' where {RELEASED}", FROZEN),
    ("payments_paymentrun_kept", f"update payments_paymentrun set content_hash = 'x' where {RELEASED}", FROZEN),
    ("payments_paymentrun_kept", f"update payments_paymentrun set file_id = 1 where {RELEASED}", FROZEN),
    ("payments_paymentrun_kept", "update payments_paymentrun set \"on\" = '2026-03-03'", FROZEN),
    ("payments_paymentrun_kept", "delete from payments_paymentrun", FROZEN),
    *(
        (f"payments_{name}_no_truncate", f"truncate payments_{name} cascade", NO_RIGHT)
        for name in ("leftout", "debit", "collectionitem", "transfer", "paymentrun")
    ),
]
