"""Attempts to collect and what became of them; what a payment provider holds for us is what our rows say."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import Rule

COLLECTION: Final = _("collection attempt %(key)s")

RULES: Final = (
    Rule(
        "collections",
        COLLECTION,
        _("It is %(outcome)s, and its payment is missing, or of another payer, currency or amount."),
        """
        select c.key, c.outcome
          from payments_collection c
          left join payments_payment y on y.id = c.payment_id
         where (c.outcome in ('succeeded', 'returned')) <> (y.id is not null)
            or (y.issuer_id, y.payer_id, y.currency, y.amount) <> (c.issuer_id, c.payer_id, c.currency, c.amount)
        """,
    ),
    Rule(
        "collections",
        COLLECTION,
        _("It is %(outcome)s, and its items say otherwise, or do not add up to %(amount)s."),
        """
        select c.key, c.outcome, c.amount
          from payments_collection c
          left join (select collection_id, bool_or(is_unsettled) as some, bool_and(is_unsettled) as every,
                            sum(amount) as sum
                       from payments_collectionitem group by collection_id) i on i.collection_id = c.id
         where i.sum is distinct from c.amount or i.some <> i.every
            or i.some <> (c.outcome in ('pending', 'sent', 'processing', 'customer'))
        """,
    ),
    Rule(
        "refunds",
        _("payment %(key)s"),
        _("Of %(amount)s, %(back)s went back by way of the provider."),
        """
        select y.id as key, y.amount, sum(f.amount) as back
          from payments_payment y
          join payments_providerrefund p on p.payment_id = y.id
          join payments_refund f on f.id = p.refund_id and f.state <> 'withdrawn'
         group by y.id having sum(f.amount) > y.amount
        """,
    ),
    Rule(
        "provider",
        _("issuer %(issuer)s"),
        _("The ledger has %(booked)s %(currency)s with the payment provider, the payments %(told)s."),
        """
        with booked as (
            select a.issuer_id, p.currency, sum(p.amount) as amount
              from invoicing_posting p join invoicing_ledgeraccount a on a.id = p.account_id
             where a.role = 'provider_clearing' group by a.issuer_id, p.currency
        ), told as (
            select issuer_id, currency, sum(amount) as amount from (
                select issuer_id, currency, amount from payments_payment where source = 'provider'
                union all
                select y.issuer_id, r.currency, -r.amount
                  from payments_paymentreturn r join payments_payment y on y.id = r.payment_id
                 where y.source = 'provider'
                union all
                select issuer_id, currency, -amount from payments_refund
                 where method = 'provider' and state = 'done'
                union all
                select a.issuer_id, o.currency, -o.charges - case when o.arrival_id is null then 0 else o.amount end
                  from payments_providerpayout o join payments_provideraccount a on a.id = o.account_id
            ) moved group by issuer_id, currency
        )
        select i.reference as issuer, coalesce(b.currency, t.currency) as currency,
               coalesce(b.amount, 0) as booked, coalesce(t.amount, 0) as told
          from booked b full join told t on t.issuer_id = b.issuer_id and t.currency = b.currency
          join tenants_issuer i on i.id = coalesce(b.issuer_id, t.issuer_id)
         where coalesce(b.amount, 0) <> coalesce(t.amount, 0)
        """,
    ),
)
