"""The books: what is issued is posted, and each entry balances."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import DOCUMENT, NAMED_DOCUMENT, Rule

ENTRY: Final = _("journal entry %(key)s")
POSTED: Final = f"""
    select {NAMED_DOCUMENT}, coalesce(e.count, 0) as entries, coalesce(o.count, 0) as items
      from invoicing_invoice i
      left join (select invoice_id, count(*) from invoicing_journalentry where kind = 'issue' group by invoice_id) e
        on e.invoice_id = i.id
      left join (select invoice_id, count(*) from invoicing_openitem where moved_from_id is null group by invoice_id) o
        on o.invoice_id = i.id
"""

RULES: Final = (
    Rule(
        "issued and posted",
        DOCUMENT,
        _("It is issued and has %(entries)s journal entries and %(items)s open items instead of one each."),
        f"{POSTED} where i.state = 'issued' and (e.count is distinct from 1 or o.count is distinct from 1)",
    ),
    Rule(
        "issued and posted",
        DOCUMENT,
        _("It is not issued, and has %(entries)s journal entries and %(items)s open items."),
        f"{POSTED} where i.state <> 'issued' and (e.count > 0 or o.count > 0)",
    ),
    Rule(
        "issued and posted",
        DOCUMENT,
        _("Its journal entry or open item differs from it in issuer, payer, day, currency or amount."),
        f"""
        select {NAMED_DOCUMENT}
          from invoicing_invoice i
          join invoicing_journalentry e on e.invoice_id = i.id and e.kind = 'issue'
          join invoicing_openitem o on o.invoice_id = i.id and o.moved_from_id is null
         where (e.issuer_id, e.booked_on, o.payer_id, o.due_on, o.currency, o.amount)
               <> (i.issuer_id, i.issued_on, i.payer_id, i.due_on, i.currency, i.gross)
        """,
    ),
    Rule(
        "entries balance",
        ENTRY,
        _("Its postings in %(currency)s add up to %(sum)s instead of nothing."),
        """
        select entry_id as key, currency, sum(amount) from invoicing_posting
         group by entry_id, currency having sum(amount) <> 0
        """,
    ),
    Rule(
        "entries balance",
        ENTRY,
        _("It has no postings."),
        """
        select e.id as key from invoicing_journalentry e
         where not exists (select from invoicing_posting p where p.entry_id = e.id)
        """,
    ),
    Rule(
        "receivables",
        ENTRY,
        _("A posting on account %(account)s and the open item it names, or does not name, do not go together."),
        """
        select p.entry_id as key, a.code as account
          from invoicing_posting p
          join invoicing_journalentry e on e.id = p.entry_id
          join invoicing_ledgeraccount a on a.id = p.account_id
          left join invoicing_openitem o on o.id = p.open_item_id
         where (a.role = 'receivables') <> (o.id is not null) or o.currency <> p.currency or a.issuer_id <> e.issuer_id
            or o.issuer_id <> e.issuer_id
            or e.kind = 'issue' and o.id is not null and o.invoice_id is distinct from e.invoice_id
        """,
    ),
    Rule(
        "receivables",
        DOCUMENT,
        _("Its open item of %(amount)s was opened with postings of %(posted)s."),
        f"""
        select {NAMED_DOCUMENT}, o.amount, coalesce(b.posted, 0) as posted
          from invoicing_openitem o
          join invoicing_invoice i on i.id = o.invoice_id
          left join (select p.open_item_id, sum(p.amount) as posted
                       from invoicing_posting p join invoicing_journalentry e on e.id = p.entry_id
                      where e.kind = 'issue' and p.open_item_id is not null group by p.open_item_id) b
            on b.open_item_id = o.id
         where o.moved_from_id is null and o.amount <> coalesce(b.posted, 0)
        """,
    ),
    Rule(
        "receivables",
        _("open item %(key)s"),
        _("It is a credit of %(amount)s by a payment, and was opened with postings of %(posted)s."),
        """
        select o.id as key, o.amount, coalesce(b.posted, 0) as posted
          from invoicing_openitem o
          left join (select p.open_item_id, sum(p.amount) as posted
                       from invoicing_posting p join invoicing_journalentry e on e.id = p.entry_id
                      where e.kind = 'payment' and p.open_item_id is not null group by p.open_item_id) b
            on b.open_item_id = o.id
         where o.invoice_id is null and o.moved_from_id is null and o.amount <> coalesce(b.posted, 0)
        """,
    ),
    Rule(
        "taken over",
        DOCUMENT,
        _("What another payer took over of it is not what an entry closed with the one before: %(amount)s."),
        """
        select coalesce(i.number, o.reference) as document, o.amount
          from invoicing_openitem o
          join invoicing_openitem old on old.id = o.moved_from_id
          left join invoicing_invoice i on i.id = o.invoice_id
         where (o.issuer_id, o.invoice_id, o.reference, o.currency)
               is distinct from (old.issuer_id, old.invoice_id, old.reference, old.currency)
            or o.payer_id = old.payer_id
            or not exists (
                select from invoicing_posting p join invoicing_posting c on c.entry_id = p.entry_id
                  join invoicing_journalentry e on e.id = p.entry_id
                 where p.open_item_id = o.id and p.amount = o.amount
                   and c.open_item_id = old.id and c.amount = -o.amount and e.kind = 'transfer')
        """,
    ),
)
