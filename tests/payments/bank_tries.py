"""A statement of a bank with a line that is booked, and what guards refuse of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from invoicing.models import LedgerAccount
from payments.models import BankAccount, BankLine, BankStatement, LineBooking, LineSetAside, MatchProposal, Payment
from tenants.models import File, Issuer
from tests.guards import FROZEN, NO_RIGHT, OVERCREDITED, copy_of

MARCH_2 = date(2026, 3, 2)


def bank_some(issuer: Issuer, payment: Payment) -> None:
    """Two lines of one statement: the first is booked as the payment, the second is set aside."""
    account = BankAccount.objects.create(
        issuer=issuer,
        name="Hausbank",
        iban="DE02120300000000202051",
        ledger_account=LedgerAccount.objects.get(issuer=issuer, role="bank"),
    )
    statement = BankStatement.objects.create(
        bank_account=account,
        identity="a",
        file=File.objects.earliest("pk"),
        file_sha256="0" * 64,
        form="camt",
        is_final=True,
        currency="EUR",
        opening=Decimal(0),
        closing=Decimal(65),
        told=2,
        known=0,
    )
    common = {"statement": statement, "bank_account": account, "booked_on": MARCH_2, "value_on": MARCH_2, "fee": 0}
    booked, aside = (
        BankLine.objects.create(
            **common, position=n, fingerprint=str(n), ordinal=1, entry_key=str(n), currency="EUR", amount=amount
        )
        for n, amount in ((1, Decimal("60.00")), (2, Decimal("5.00")))
    )
    LineBooking.objects.create(line=booked, entry=payment.entry, currency="EUR", amount=Decimal("60.00"))
    MatchProposal.objects.create(line=aside)
    LineSetAside.objects.create(line=aside, reason="Zinsen")


OTHER_LINE = {"position": "3", "fingerprint": "'3'"}
AN_ENTRY = "(select min(id) from invoicing_journalentry)"
LINE_2 = "(select id from payments_bankline where position = 2)"
OF_THE_OTHER = {"line_id": LINE_2, "entry_id": AN_ENTRY}
KEPT = ("bankstatement", "bankline", "linebooking")
ANOTHER = "(select max(id) from invoicing_ledgeraccount)"
TRIES = [
    *((f"payments_{name}_append_only", f"update payments_{name} set currency = 'CHF'", FROZEN) for name in KEPT),
    *((f"payments_{name}_append_only", f"delete from payments_{name}", FROZEN) for name in KEPT),
    *((f"payments_{name}_no_truncate", f"truncate payments_{name} cascade", NO_RIGHT) for name in KEPT),
    ("bank_account_currency", "update payments_bankaccount set currency = 'eur'"),
    ("bank_account_iban_has_its_form", "update payments_bankaccount set iban = 'DE02 1203'"),
    ("bank_account_small_difference", "update payments_bankaccount set small_difference = -1"),
    ("bank_account_small_difference", "update payments_bankaccount set small_difference = 'NaN'::numeric"),
    ("payments_bankaccount_iban_key", copy_of("payments_bankaccount", "true", ledger_account_id=ANOTHER)),
    (
        "payments_bankaccount_ledger_account_id_key",
        copy_of("payments_bankaccount", "true", iban="'DE75512108001245126199'"),
    ),
    ("bank_statement_once", copy_of("payments_bankstatement", "true")),
    ("bank_statement_balances_fit", copy_of("payments_bankstatement", "true", identity="'b'", closing="0.001")),
    ("bank_statement_known_are_told", copy_of("payments_bankstatement", "true", identity="'b'", known="3")),
    ("bank_line_once", copy_of("payments_bankline", "position = 1", position="3")),
    ("bank_line_once_per_position", copy_of("payments_bankline", "position = 1", fingerprint="'3'")),
    ("bank_line_amounts_fit", copy_of("payments_bankline", "position = 1", **OTHER_LINE, amount="0")),
    ("bank_line_amounts_fit", copy_of("payments_bankline", "position = 1", **OTHER_LINE, fee="-1")),
    ("line_booking_amount_fits", copy_of("payments_linebooking", "true", entry_id=AN_ENTRY, amount="0")),
    ("payments_linebooking_within", copy_of("payments_linebooking", "true", entry_id=AN_ENTRY), OVERCREDITED),
    (
        "payments_linebooking_within",
        copy_of("payments_linebooking", "true", **OF_THE_OTHER, amount="-1"),
        OVERCREDITED,
    ),
    (
        "payments_linebooking_within",
        copy_of("payments_linebooking", "true", **OF_THE_OTHER, currency="'CHF'", amount="1"),
        OVERCREDITED,
    ),
    ("payments_linebooking_entry_id_key", copy_of("payments_linebooking", "true", line_id=LINE_2, amount="5")),
    ("payments_matchproposal_line_id_key", copy_of("payments_matchproposal", "true")),
    ("line_set_aside_with_reason", "update payments_linesetaside set reason = ''"),
    ("payments_linesetaside_line_id_key", copy_of("payments_linesetaside", "true")),
]
