"""What documents say, their numbers, and what corrects them by hand."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import CHARGES, DOCUMENT, LINES, NAMED_DOCUMENT, Rule

RANGE: Final = _("number range %(prefix)s")
# The payer or recipient of a contract may change after a document arose; the activity record says whether it did.
UNCHANGED_SINCE: Final = """
    not exists (select from tenants_activity a
                 where (a."table" = 'tenants_tenant' and a.row = t.id
                        or a."table" = 'billing_subscription' and a.row = s.id)
                   and a.at >= i.created_at and jsonb_exists_any(a.before, array['pay_by_id', 'invoice_to_id']))
"""
# What takes something back goes to whom it was invoiced, and to the one who owes it, whoever has the contract by now.
FOLLOWS_ITS_DOCUMENT: Final = """
    exists (select from invoicing_line k join invoicing_invoice o on o.id = k.invoice_id
             where k.charge_id = coalesce(c.corrects_id, c.reverses_id)
               and (o.recipient_id, o.payer_id) = (i.recipient_id, i.payer_id))
"""

RULES: Final = (
    # what documents say
    Rule(
        "lines",
        DOCUMENT,
        _("Line %(position)s does not say what its charge says."),
        f"""
        select {NAMED_DOCUMENT}, l.position
          from {LINES}
         where (l.net, l.currency, l.starts_on, l.ends_before, l.quantity, l.vat_case, l.currency)
               is distinct from (c.net, c.currency, c.starts_on, c.ends_before, c.quantity, i.vat_case, i.currency)
        """,
    ),
    Rule(
        "lines",
        DOCUMENT,
        _("Line %(position)s belongs to another account, issuer or section: contract %(contract)s."),
        f"""
        select {NAMED_DOCUMENT}, l.position, s.reference as contract
          from invoicing_line l join invoicing_invoice i on i.id = l.invoice_id
          join {CHARGES} on c.id = l.charge_id
          join tenants_tenant t on t.id = s.tenant_id
          left join invoicing_section n on n.id = l.section_id
         where s.issuer_id <> i.issuer_id or n.invoice_id <> i.id or coalesce(n.tenant_id, i.recipient_id) <> t.id
            or not {FOLLOWS_ITS_DOCUMENT}
               and (coalesce(s.pay_by_id, t.pay_by_id, t.id) <> i.payer_id
                or coalesce(s.invoice_to_id, t.invoice_to_id, t.id) <> i.recipient_id
                   and not exists (select from tenants_tenant r
                                    where r.id = i.recipient_id and r.tree_id = t.tree_id
                                      and r.lft <= t.lft and r.rght >= t.rght)) -- the customer in law
               and {UNCHANGED_SINCE}
        """,
    ),
    Rule(
        "corrections",
        DOCUMENT,
        _("Line %(position)s takes something back and does not name the document it corrects."),
        f"""
        select {NAMED_DOCUMENT}, l.position
          from {LINES}
         where i.state = 'issued' and c.net < 0
           and not exists (select from invoicing_line k join invoicing_invoice o on o.id = k.invoice_id
                            where k.charge_id = coalesce(c.corrects_id, c.reverses_id)
                              and (o.state = 'closed' or o.number = l.details -> 'corrects' ->> 'number'))
        """,
    ),
    Rule(
        "corrections",
        DOCUMENT,
        _("Line %(position)s takes something back from others than those invoiced and owing: %(number)s."),
        f"""
        select {NAMED_DOCUMENT}, l.position, o.number
          from {LINES}
          join invoicing_line k on k.charge_id = coalesce(c.corrects_id, c.reverses_id)
          join invoicing_invoice o on o.id = k.invoice_id
         where o.state = 'issued' and (o.recipient_id, o.payer_id) <> (i.recipient_id, i.payer_id)
        """,
    ),
    Rule(
        "parties",
        DOCUMENT,
        _("What the law wants on it is missing (§ 14 (4) UStG): %(missing)s."),
        f"""
        select {NAMED_DOCUMENT}, m.missing
          from invoicing_invoice i cross join lateral (
            select string_agg(side || '.' || field, ', ' order by side, field) as missing
              from (select side, field from unnest(array['seller', 'buyer']) side,
                           unnest(array['name', 'street', 'postcode', 'city', 'country']) field
                     union all select 'buyer', 'vat_id' where i.vat_case = 'AE'
                     union all select 'payer', 'name' where i.payer_id <> i.recipient_id
                     union all select 'seller', case when i.parties -> 'seller' ? 'tax_number' then 'tax_number'
                                                     else 'vat_id' end) wanted
             where coalesce(i.parties -> side ->> field, '') = '') m
         where m.missing is not null
        """,
    ),
    # numbers
    Rule(
        "numbered exactly when issued",
        DOCUMENT,
        _("It is %(state)s; only issued documents have a number, and all of them do."),
        f"""
        select {NAMED_DOCUMENT}, i.state from invoicing_invoice i
         where (i.state = 'issued') <> (num_nulls(i.number, i.sequence, i.range_id) = 0)
            or num_nulls(i.number, i.sequence, i.range_id) in (1, 2)
        """,
    ),
    Rule(
        "numbers",
        DOCUMENT,
        _("Its number is not that of place %(sequence)s in range %(prefix)s of its issuer, kind and year."),
        f"""
        select {NAMED_DOCUMENT}, i.sequence, r.prefix
          from invoicing_invoice i join invoicing_numberrange r on r.id = i.range_id
         where i.number <> r.prefix || lpad(i.sequence::text, greatest(5, length(i.sequence::text)), '0')
            or (i.issuer_id, i.kind, extract(year from i.issued_on)) <> (r.issuer_id, r.kind, r.year)
        """,
    ),
    Rule(
        "numbers without gap",
        RANGE,
        _("After number %(before)s comes number %(sequence)s."),
        """
        select r.prefix, n.before, n.sequence
          from (select range_id, sequence, lag(sequence, 1, 0) over (partition by range_id order by sequence) as before
                  from invoicing_invoice where range_id is not null) n
          join invoicing_numberrange r on r.id = n.range_id
         where n.sequence <> n.before + 1
        """,
    ),
    Rule(
        "numbers without gap",
        RANGE,
        _("Its next number is %(next)s, its last document has number %(last)s."),
        """
        select r.prefix, r.next_number as next, coalesce(n.last, 0) as last
          from invoicing_numberrange r
          left join (select range_id, max(sequence) as last from invoicing_invoice group by range_id) n
            on n.range_id = r.id
         where r.next_number <> coalesce(n.last, 0) + 1
        """,
    ),
    # what was corrected by hand
    Rule(
        "given back by hand",
        DOCUMENT,
        _("Of line %(position)s more was given back than it has: %(credited)s of %(net)s."),
        f"""
        select {NAMED_DOCUMENT}, l.position, l.net, g.net as credited
          from (select id, sum(net) as net
                  from (select c.corrects_id as id, c.net, true as by_hand
                          from invoicing_line c
                         where c.corrects_id is not null
                           and not exists (select from invoicing_invoice s
                                            where s.corrects_id = c.invoice_id and s.kind = 'cancellation')
                         union all
                        select k.id, c.net, false
                          from billing_charge c join invoicing_line k on k.charge_id = c.corrects_id
                         where c.reversed_by_id is null and c.reverses_id is null) part
                 group by id having bool_or(by_hand)) g
          join invoicing_line l on l.id = g.id join invoicing_invoice i on i.id = l.invoice_id
         where g.net * l.net > 0 or abs(g.net) > abs(l.net)
        """,
    ),
    Rule(
        "cancelled",
        DOCUMENT,
        _("It does not negate %(original)s, which it cancels."),
        f"""
        select {NAMED_DOCUMENT}, o.number as original
          from invoicing_invoice i join invoicing_invoice o on o.id = i.corrects_id
         where i.kind = 'cancellation'
           and ((i.net, i.vat, i.gross) is distinct from (-o.net, -o.vat, -o.gross)
                or (select count(*) from invoicing_line l where l.invoice_id = i.id)
                   <> (select count(*) from invoicing_line l where l.invoice_id = o.id))
        """,
    ),
)
