"""Money that came in: all of it is applied, returned, paid back or a credit of its payer; bank lines stand once."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import Rule

PAYMENT: Final = _("payment %(key)s")
ALLOCATION: Final = _("allocation %(key)s")
LINE: Final = _("bank line %(key)s")

# The open items a payment's credit stood on, one after the other, as other payers took it over.
HELD: Final = """
    with recursive held (payment, item) as (
        select y.id, y.open_item_id from payments_payment y
        union all
        select h.payment, o.id from held h join invoicing_openitem o on o.moved_from_id = h.item
    )
"""

RULES: Final = (
    Rule(
        "payments",
        PAYMENT,
        _("Its journal entry or its credit differs from it in issuer, payer, currency or amount."),
        """
        select y.id as key
          from payments_payment y
          join invoicing_openitem o on o.id = y.open_item_id
          join invoicing_journalentry e on e.id = y.entry_id
         where (o.issuer_id, o.payer_id, o.currency, o.amount, e.issuer_id, e.kind)
               <> (y.issuer_id, y.payer_id, y.currency, -y.amount, y.issuer_id, 'payment')
            or not exists (select from invoicing_posting p
                            where p.entry_id = e.id and p.open_item_id = o.id and p.amount = -y.amount)
        """,
    ),
    Rule(
        "payments",
        ALLOCATION,
        _("Its journal entry does not say what it says: %(amount)s."),
        f"""
        {HELD}
        select a.id as key, a.amount
          from payments_allocation a
          join invoicing_journalentry e on e.id = a.entry_id
         where e.kind <> case when a.amount > 0 then 'allocation' else 'deallocation' end
            or not exists (select from invoicing_posting p
                            where p.entry_id = e.id and p.open_item_id = a.open_item_id and p.amount = -a.amount)
            or not exists (select from invoicing_posting p join held h on h.item = p.open_item_id
                            where p.entry_id = e.id and h.payment = a.payment_id and p.amount = a.amount)
        """,
    ),
    Rule(
        "payments",
        _("journal entry %(key)s"),
        _("It applies money, and no allocation says so."),
        """
        select e.id as key from invoicing_journalentry e
         where e.kind in ('allocation', 'deallocation')
           and not exists (select from payments_allocation a where a.entry_id = e.id)
        """,
    ),
    Rule(
        "payments",
        PAYMENT,
        _("Of %(amount)s, %(applied)s is applied, %(returned)s returned and %(refunded)s paid back; %(rest)s is left."),
        f"""
        {HELD}
        select * from (
            select y.id as key, y.amount,
                   coalesce((select sum(a.amount) from payments_allocation a where a.payment_id = y.id), 0) as applied,
                   coalesce((select sum(r.amount) from payments_paymentreturn r where r.payment_id = y.id), 0)
                       as returned,
                   coalesce((select sum(p.amount) from held h
                               join invoicing_posting p on p.open_item_id = h.item
                               join invoicing_journalentry e on e.id = p.entry_id
                              where h.payment = y.id and e.kind not in
                                    ('payment', 'allocation', 'deallocation', 'payment_return', 'transfer')), 0)
                       as refunded,
                   -coalesce((select sum(p.amount) from held h join invoicing_posting p on p.open_item_id = h.item
                               where h.payment = y.id), 0) as rest
              from payments_payment y) sums
         where amount - applied - returned - refunded <> rest or rest < 0
        """,
    ),
    Rule(
        "payments",
        ALLOCATION,
        _("It undoes %(undone)s by %(amount)s."),
        """
        select a.id as key, a.amount, o.amount as undone
          from payments_allocation a join payments_allocation o on o.id = a.reverses_id
         where a.amount <> -o.amount or a.payment_id <> o.payment_id or o.reverses_id is not null
        """,
    ),
    Rule(
        "bank",
        LINE,
        _("It is over %(amount)s and booked with %(booked)s."),
        """
        select l.id as key, l.amount, sum(b.amount) as booked
          from payments_bankline l join payments_linebooking b on b.line_id = l.id
         group by l.id having sum(b.amount) * sign(l.amount) < 0 or abs(sum(b.amount)) > abs(l.amount)
        """,
    ),
    Rule(
        "bank",
        LINE,
        _("Its booking of %(amount)s is not what its journal entry moves at the bank."),
        """
        select b.line_id as key, b.amount
          from payments_linebooking b
          join payments_bankline l on l.id = b.line_id
          join payments_bankaccount k on k.id = l.bank_account_id
         where b.currency <> l.currency
            or b.amount <> coalesce((select sum(p.amount) from invoicing_posting p
                                      where p.entry_id = b.entry_id and p.account_id = k.ledger_account_id), 0)
        """,
    ),
    Rule(
        "bank",
        _("journal entry %(key)s"),
        _("It moves %(amount)s at the bank, and no line of a statement says so."),
        """
        select p.entry_id as key, p.amount
          from invoicing_posting p
          join payments_bankaccount k on k.ledger_account_id = p.account_id
         where not exists (select from payments_linebooking b where b.entry_id = p.entry_id)
        """,
    ),
    Rule(
        "bank",
        LINE,
        _("It is set aside, and booked."),
        """
        select s.line_id as key from payments_linesetaside s
         where (select sum(b.amount) from payments_linebooking b where b.line_id = s.line_id) <> 0
        """,
    ),
)
