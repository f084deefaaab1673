"""Direct debits and refunds by transfer: under the mandate of that payer, in a run with its file, within the credit."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import Rule

RULES: Final = (
    Rule(
        "debits",
        _("direct debit %(key)s"),
        _("Its mandate is another payer's or issuer's, or its bank account belongs to another mandate."),
        """
        select c.key
          from payments_debit d
          join payments_collection c on c.id = d.collection_id
          join tenants_mandate m on m.id = d.mandate_id
          join tenants_mandateaccount a on a.id = d.account_id
         where (m.payer_id, m.issuer_id, a.mandate_id) <> (c.payer_id, c.issuer_id, m.id)
            or a.decision is distinct from 'approved'
        """,
    ),
    Rule(
        "payment runs",
        _("payment run KTR-%(key)s"),
        _("It is %(state)s without its file or hash, or one of its payments does not go with that."),
        """
        select r.id as key, r.state
          from payments_paymentrun r
         where r.kind in ('sepa_debit', 'sepa_transfer')
           and (r.state in ('released', 'sent', 'settled') and (r.file_id is null or r.content_hash = '')
                or r.state = 'discarded' and exists (select from payments_collection c
                                                      where c.run_id = r.id and c.outcome <> 'discarded')
                or r.state = 'settled' and exists (select from payments_collection c where c.run_id = r.id
                                                    and c.outcome in ('pending', 'sent', 'processing', 'customer'))
                or r.state in ('released', 'sent', 'settled')
                   and exists (select from payments_collection c join payments_debit d on d.collection_id = c.id
                                where c.run_id = r.id and c.outcome <> 'discarded' and d.batch is null))
        """,
    ),
    Rule(
        "refunds",
        _("refund %(key)s"),
        _("Its journal entry does not say what it says: %(amount)s out of this credit."),
        """
        select f.key, f.amount
          from payments_refund f
         where f.method = 'sepa_transfer'
           and (f.state = 'done' and f.entry_id is null
                or f.entry_id is not null
                   and not exists (select from invoicing_posting p join invoicing_openitem o on o.id = p.open_item_id
                                    where p.entry_id = f.entry_id and p.amount = f.amount and o.payer_id = f.payer_id
                                      and p.currency = f.currency))
        """,
    ),
    Rule(
        "refunds",
        _("open item %(key)s"),
        _("More was paid back than it was a credit: %(left)s is open of it now."),
        """
        select o.id as key, sum(p.amount) as left
          from invoicing_openitem o
          join invoicing_posting p on p.open_item_id = o.id
         where o.amount < 0 and exists (select from payments_refund f where f.open_item_id = o.id)
         group by o.id having sum(p.amount) > 0
        """,
    ),
)
