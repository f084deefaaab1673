"""What is charged: each day of a position once, and given back at most as it was charged."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import CHARGE, CHARGES, Rule

NAMED_CHARGE: Final = "c.id as key, s.reference as contract"
DAYS_ONCE: Final = f"""
    select {NAMED_CHARGE}, c.starts_on as day from {CHARGES} join (
        select id, starts_on, max(ends_before) over (
                   partition by item_id, kind, addition order by starts_on, id
                   rows between unbounded preceding and 1 preceding) as charged_before
          from billing_charge where reversed_by_id is null and reverses_id is null) o on o.id = c.id
     where o.charged_before > o.starts_on and c.kind = %s
"""

RULES: Final = (
    Rule(
        "days charged once",
        CHARGE,
        _("From %(day)s on it charges days of its position that another fee charges, too."),
        DAYS_ONCE.replace("%s", "'fee'"),
    ),
    Rule(
        "days credited once",
        CHARGE,
        _("From %(day)s on it gives back days of its position that another credit gives back, too."),
        DAYS_ONCE.replace("%s", "'credit'"),
    ),
    Rule(
        "positions once",
        _("contract %(contract)s"),
        _("Two of its positions have the same price on %(day)s."),
        """
        select s.reference as contract, p.starts_on as day
          from (select subscription_id, starts_on, max(coalesce(ends_before, 'infinity')) over (
                           partition by subscription_id, price_id order by starts_on, id
                           rows between unbounded preceding and 1 preceding) as covered_before
                  from billing_item where starts_on < coalesce(ends_before, 'infinity')) p
          join billing_subscription s on s.id = p.subscription_id
         where p.covered_before > p.starts_on
        """,
    ),
    Rule(
        "usage charged once",
        _("contract %(contract)s"),
        _("It and %(other)s charge the usage of %(account)s by the meter %(meter)s on the same days."),
        """
        with metered as materialized (
            select s.reference, s.tenant_id, p.meter_id, i.id, i.starts_on,
                   least(coalesce(i.ends_before, 'infinity'), s.ends_before) as ends_before
              from billing_item i join billing_product p on p.id = i.product_id and p.meter_id is not null
              join billing_subscription s on s.id = i.subscription_id
             where i.starts_on < coalesce(i.ends_before, 'infinity'))
        select i.reference as contract, o.reference as other, t.reference as account,
               a.reference || '/' || m.reference as meter
          from metered i
          join metered o on (o.tenant_id, o.meter_id) = (i.tenant_id, i.meter_id) and o.id > i.id
           and i.starts_on < o.ends_before and o.starts_on < i.ends_before
          join tenants_tenant t on t.id = i.tenant_id
          join billing_meter m on m.id = i.meter_id join billing_application a on a.id = m.application_id
        """,
    ),
    Rule(
        "usage adds up",
        CHARGE,
        _("The fees of its period do not add up to the usage that the latest of them was reckoned from."),
        f"""
        select {NAMED_CHARGE} from {CHARGES} join (
            select max(id) as id, sum(quantity) as quantity, sum(net) as net
              from billing_charge
             where kind = 'fee' and reversed_by_id is null and reverses_id is null and jsonb_exists(trace, 'usage')
             group by item_id, starts_on) o on o.id = c.id
         where (o.quantity <> round((c.trace ->> 'quantity')::numeric, 4)
                or o.net <> (c.trace ->> 'net')::numeric + coalesce((c.trace ->> 'booked')::numeric, 0))
           and not exists (select from billing_charge r  -- undone since: the next run charges it anew
                            where r.item_id = c.item_id and r.starts_on = c.starts_on and r.reverses_id is not null
                              and r.id > c.id)
        """,
    ),
    Rule(
        "charge",
        CHARGE,
        _("Its amount, days or currency cannot be: a fee is not negative, a credit not positive."),
        f"""
        select {NAMED_CHARGE} from {CHARGES}
         where c.reverses_id is null and (c.kind = 'fee' and c.net < 0 or c.kind = 'credit' and c.net > 0)
            or c.net = 'NaN' or c.ends_before <= c.starts_on or c.currency <> s.currency
        """,
    ),
    Rule(
        "trace",
        CHARGE,
        _("Its trace does not end in its amount."),
        f"""
        select {NAMED_CHARGE} from {CHARGES}
         where case when c.trace ->> 'net' ~ '^-?[0-9]+([.][0-9]+)?$' then (c.trace ->> 'net')::numeric end
               is distinct from c.net
        """,
    ),
    Rule(
        "charged and on a document",
        CHARGE,
        _("It stands on no document: it would never be billed."),
        f"""
        select {NAMED_CHARGE} from {CHARGES}
         where not exists (select from invoicing_line l where l.charge_id = c.id)
        """,
    ),
    Rule(
        "credits",
        CHARGE,
        _("A credit names a standing fee of its position and lies inside its days; this one does not."),
        f"""
        select {NAMED_CHARGE} from {CHARGES} left join billing_charge f on f.id = c.corrects_id
         where c.kind = 'credit' and c.reverses_id is null
           and (f.id is null or f.kind <> 'fee' or f.reverses_id is not null or f.item_id <> c.item_id
                or f.currency <> c.currency or c.starts_on < f.starts_on or c.ends_before > f.ends_before
                or c.reversed_by_id is null and f.reversed_by_id is not null)
            or c.corrects_id is not null and (c.kind <> 'credit' or c.reverses_id is not null)
        """,
    ),
    Rule(
        "credits",
        CHARGE,
        _("More was given back than was charged: %(credited)s of %(net)s."),
        f"""
        select {NAMED_CHARGE}, c.net, -o.credited as credited from {CHARGES} join (
            select corrects_id, sum(net) as credited from billing_charge
             where corrects_id is not null and reversed_by_id is null group by corrects_id) o on o.corrects_id = c.id
         where c.net + o.credited < 0
        """,
    ),
    Rule(
        "reversals",
        CHARGE,
        _("It and the charge that undoes it do not name each other, or do not cancel out."),
        f"""
        select {NAMED_CHARGE} from {CHARGES} join (
            select o.id from billing_charge r join billing_charge o on o.id = r.reverses_id
             where o.reversed_by_id is distinct from r.id or r.reversed_by_id is not null or o.kind = r.kind
                or (o.item_id, o.starts_on, o.ends_before, o.currency, o.quantity, o.net)
                   <> (r.item_id, r.starts_on, r.ends_before, r.currency, r.quantity, -r.net)
            union
            select o.id from billing_charge o left join billing_charge r on r.id = o.reversed_by_id
             where o.reversed_by_id is not null and r.reverses_id is distinct from o.id) o on o.id = c.id
        """,
    ),
)
