"""One row of each record of debits, transfers and bank statements, for tests of pages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from invoicing.models import LedgerAccount, OpenItem
from payments.models import (
    BankAccount,
    BankLine,
    BankStatement,
    Collection,
    CollectionBlock,
    CollectionItem,
    Debit,
    LeftOut,
    LineBooking,
    LineSetAside,
    MatchProposal,
    Payment,
    PaymentRun,
    Refund,
    Transfer,
)
from tenants import files
from tenants.models import Creditor, Issuer, Mandate, MandateAccount, Tenant

MARCH_5 = date(2026, 3, 5)


def use_banks(issuer: Issuer, payer: Tenant, serial: int) -> None:
    """A mandate and a run that proposes a debit, a refund by transfer, and a statement of three lines."""
    Creditor.objects.create(issuer=issuer, identifier="DE98ZZZ09999999999")
    mandate = Mandate.objects.create(issuer=issuer, payer=payer, reference=f"M-{serial}", signed_on=MARCH_5)
    owner = {"holder": "Café", "iban": "x", "iban_hash": "y", "iban_tail": "1234"}
    account = MandateAccount.objects.create(mandate=mandate, number=1, **owner)
    run = PaymentRun.objects.create(issuer=issuer, kind="sepa_debit", on=MARCH_5, collect_on=MARCH_5)
    collection = Collection.objects.create(
        issuer=issuer, payer=payer, run=run, method="sepa_debit", key=f"kd-{serial}", currency="EUR", amount=10
    )
    claim = OpenItem.objects.filter(invoice__issuer=issuer, amount__gt=0).latest("pk")
    CollectionItem.objects.create(collection=collection, open_item=claim, currency="EUR", amount=10)
    Debit.objects.create(
        collection=collection, mandate=mandate, account=account, sequence="FRST", collect_on=MARCH_5, is_announced=False
    )
    LeftOut.objects.create(run=run, payer=payer, reason="threshold", currency="EUR", amount=1)
    CollectionBlock.objects.create(tenant=payer, reason="Ratenplan", starts_on=MARCH_5)
    payment = Payment.objects.filter(issuer=issuer).latest("pk")
    refund = Refund.objects.create(
        issuer=issuer,
        payer=payer,
        open_item=OpenItem.objects.get(pk=payment.open_item_id),
        method="sepa_transfer",
        key=f"kt-{serial}",
        currency="EUR",
        amount=Decimal("5.00"),
        grounds="Umzug",
    )
    Transfer.objects.create(refund=refund, **owner)
    tell_statement(issuer, payment, serial)


def tell_statement(issuer: Issuer, payment: Payment, serial: int) -> None:
    """Three lines: booked, set aside, and one that waits with a proposal."""
    account = BankAccount.objects.create(
        issuer=issuer,
        name=f"Hausbank {serial}",
        iban=f"DE0212030000000020{serial:04}",
        ledger_account=LedgerAccount.objects.get(issuer=issuer, role="bank"),
    )
    file = files.store(f"bank/{serial}.xml", b"<Document/>", content_type="application/xml")
    statement = BankStatement.objects.create(
        bank_account=account,
        identity=str(serial),
        file=file,
        file_sha256=file.sha256,
        form="camt",
        is_final=True,
        number=str(serial),
        ends_on=MARCH_5,
        currency="EUR",
        opening=Decimal(0),
        closing=Decimal("164.00"),
        told=3,
        known=0,
    )
    booked, aside, waits = (
        BankLine.objects.create(
            statement=statement,
            bank_account=account,
            position=n,
            fingerprint=str(n),
            ordinal=1,
            entry_key=str(n),
            booked_on=MARCH_5,
            value_on=MARCH_5,
            currency="EUR",
            fee=0,
            amount=amount,
            purpose="RE-1",
            name="Café",
        )
        for n, amount in ((1, Decimal("119.00")), (2, Decimal("5.00")), (3, Decimal("40.00")))
    )
    LineBooking.objects.create(line=booked, entry=payment.entry, currency="EUR", amount=Decimal("119.00"))
    LineSetAside.objects.create(line=aside, reason="Zinsen")
    MatchProposal.objects.create(line=waits, payer=payment.payer, certainty=2, reasons=["name"])
