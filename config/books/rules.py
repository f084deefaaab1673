"""Invariants whose breaches one query finds. Figures are compared with figures; nothing here trusts a constraint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of
from config.books.breach import Breach


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold. ``breaches`` selects where it does not; its columns fill in the words."""

    invariant: str
    record: Any
    sentence: Any
    breaches: str


CHARGE: Final = _("charge %(key)s of contract %(contract)s")
DOCUMENT: Final = _("document %(document)s")
RANGE: Final = _("number range %(prefix)s")
RUN: Final = _("bill run %(run)s, payer %(payer)s")
ENTRY: Final = _("journal entry %(key)s")
LINES: Final = """
    invoicing_line l join invoicing_invoice i on i.id = l.invoice_id join billing_charge c on c.id = l.charge_id
"""
NAMED_DOCUMENT: Final = "coalesce(i.number, '#' || i.id) as document"
CHARGES: Final = """
    billing_charge c join billing_item p on p.id = c.item_id join billing_subscription s on s.id = p.subscription_id
"""
NAMED_CHARGE: Final = "c.id as key, s.reference as contract"

DAYS_ONCE: Final = f"""
    select {NAMED_CHARGE}, c.starts_on as day from {CHARGES} join (
        select id, starts_on, max(ends_before) over (
                   partition by item_id, kind order by starts_on, id
                   rows between unbounded preceding and 1 preceding) as charged_before
          from billing_charge where reversed_by_id is null and reverses_id is null) o on o.id = c.id
     where o.charged_before > o.starts_on and c.kind = %s
"""
POSTED: Final = f"""
    select {NAMED_DOCUMENT}, coalesce(e.count, 0) as entries, coalesce(o.count, 0) as items
      from invoicing_invoice i
      left join (select invoice_id, count(*) from invoicing_journalentry where kind = 'issue' group by invoice_id) e
        on e.invoice_id = i.id
      left join (select invoice_id, count(*) from invoicing_openitem where moved_from_id is null group by invoice_id) o
        on o.invoice_id = i.id
"""

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
    # what is charged
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
    # the books
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
            or e.kind = 'issue' and o.invoice_id <> e.invoice_id
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
        "taken over",
        DOCUMENT,
        _("What another payer took over of it is not what an entry closed with the one before: %(amount)s."),
        f"""
        select {NAMED_DOCUMENT}, o.amount
          from invoicing_openitem o
          join invoicing_openitem old on old.id = o.moved_from_id
          join invoicing_invoice i on i.id = o.invoice_id
         where (o.invoice_id, o.currency) <> (old.invoice_id, old.currency) or o.payer_id = old.payer_id
            or not exists (
                select from invoicing_posting p join invoicing_posting c on c.entry_id = p.entry_id
                  join invoicing_journalentry e on e.id = p.entry_id
                 where p.open_item_id = o.id and p.amount = o.amount
                   and c.open_item_id = old.id and c.amount = -o.amount and e.kind = 'transfer')
        """,
    ),
    # runs
    Rule(
        "outcomes",
        RUN,
        _("It is %(state)s with %(counted)s documents; there are %(documents)s, %(undecided)s of them to be decided."),
        """
        with made as (
            select run_id, coalesce(billed_with_id, payer_id) as payer_id,
                   count(*) filter (where state <> 'closed') as documents,
                   count(*) filter (where state in ('draft', 'held', 'released')) as undecided
              from invoicing_invoice where run_id is not null group by 1, 2
        )
        select run_id as run, t.reference as payer, coalesce(o.state, '–') as state,
               coalesce(o.documents, 0) as counted,
               coalesce(m.documents, 0) as documents, coalesce(m.undecided, 0) as undecided
          from invoicing_outcome o full join made m using (run_id, payer_id) join tenants_tenant t on t.id = payer_id
         where o.id is null or o.documents <> coalesce(m.documents, 0)
            or o.state = 'issued' and (o.documents = 0 or m.undecided > 0)
            or o.state = 'proposed' and coalesce(m.undecided, 0) = 0
            or o.state not in ('issued', 'proposed') and o.documents > 0
        """,
    ),
    Rule(
        "outcomes",
        RUN,
        _("The run is finished, and the payer still waits."),
        """
        select o.run_id as run, t.reference as payer
          from invoicing_outcome o
          join invoicing_billrun r on r.id = o.run_id join tenants_tenant t on t.id = o.payer_id
         where o.state = 'pending' and r.state = 'finished'
        """,
    ),
    # what went out
    Rule(
        "file",
        DOCUMENT,
        _("It has %(count)s files of kind %(kind)s; an issued document has one at most, another one none."),
        f"""
        select {NAMED_DOCUMENT}, f.kind, count(*)
          from invoicing_documentfile f join invoicing_invoice i on i.id = f.invoice_id
         group by i.id, f.kind having count(*) > 1 or i.state <> 'issued'
        """,
    ),
    Rule(
        "delivered once",
        DOCUMENT,
        _("It goes %(count)s times to %(recipient)s; an issued document goes once, another one never."),
        f"""
        select {NAMED_DOCUMENT}, lower(d.recipient) as recipient, count(*)
          from invoicing_delivery d join invoicing_invoice i on i.id = d.invoice_id
         group by i.id, d.channel, d.section_id, lower(d.recipient) having count(*) > 1 or i.state <> 'issued'
        """,
    ),
    Rule(
        "delivered once",
        DOCUMENT,
        _("The message to %(recipient)s goes to somebody else, or carries another file."),
        f"""
        select {NAMED_DOCUMENT}, d.recipient
          from invoicing_delivery d join invoicing_invoice i on i.id = d.invoice_id
          join tenants_message m on m.id = d.message_id
         where lower(m.recipient) <> lower(d.recipient)
            or d.section_id is null
               and not exists (select from invoicing_documentfile f
                                where f.invoice_id = i.id and f.file_id = m.file_id)
            or d.section_id is not null
               and not exists (select from invoicing_sectioncopy c join invoicing_section s on s.id = c.section_id
                                where s.id = d.section_id and s.invoice_id = i.id and c.file_id = m.file_id)
        """,
    ),
    Rule(
        "collected once",
        _("collective statement %(key)s"),
        _("Its total is not the sum of its documents, or one of them is another payer's, issuer's or currency's."),
        """
        select s.reference as key
          from invoicing_collectivestatement s
          left join invoicing_statemententry e on e.statement_id = s.id
          left join invoicing_invoice i on i.id = e.invoice_id
         group by s.id
        having s.total is distinct from sum(e.amount)
            or bool_or((i.payer_id, i.issuer_id, i.currency, i.gross, i.state, i.issued_on)
                       is distinct from (s.payer_id, s.issuer_id, s.currency, e.amount, 'issued', s.issued_on))
        """,
    ),
    Rule(
        "credits keep their VAT",
        DOCUMENT,
        _("Line %(position)s gives back %(case)s %(rate)s %%, but its original was charged %(then)s %(former)s %%."),
        f"""
        select distinct {NAMED_DOCUMENT}, l.position, l.vat_case as case, trim_scale(l.vat_rate) as rate,
               o.vat_case as then, trim_scale(o.vat_rate) as former
          from {LINES} join invoicing_line o on o.charge_id = coalesce(c.corrects_id, c.reverses_id)
          left join invoicing_vatshare s
            on s.invoice_id = l.invoice_id and (s.vat_case, s.vat_rate) = (l.vat_case, l.vat_rate)
          left join invoicing_vatshare t
            on t.invoice_id = o.invoice_id and (t.vat_case, t.vat_rate) = (o.vat_case, o.vat_rate)
         where (l.vat_case, l.vat_rate) <> (o.vat_case, o.vat_rate)
            or (s.country, s.ledger_role) <> (t.country, t.ledger_role)
        """,
    ),
    Rule(
        "reminded once",
        _("reminder letter %(key)s"),
        _("It goes %(count)s times to %(recipient)s."),
        """
        select letter_id as key, lower(recipient) as recipient, count(*) from payments_letterdelivery
         group by letter_id, lower(recipient) having count(*) > 1
        """,
    ),
    Rule(
        "reminded once",
        DOCUMENT,
        _("It was reminded of %(count)s times on level %(level)s, or of another payer."),
        f"""
        select {NAMED_DOCUMENT}, r.level, count(*)
          from payments_reminder r join payments_letter l on l.id = r.letter_id
          join invoicing_openitem o on o.id = r.open_item_id join invoicing_invoice i on i.id = o.invoice_id
         group by i.id, r.level
        having count(*) > 1
            or bool_or((l.payer_id, l.currency, l.level) <> (o.payer_id, o.currency, r.level))
        """,
    ),
)

AMOUNTS: Final = (
    ("billing_charge", "net"),
    ("invoicing_invoice", "net"),
    ("invoicing_invoice", "vat"),
    ("invoicing_invoice", "gross"),
    ("invoicing_line", "net"),
    ("invoicing_section", "net"),
    ("invoicing_vatshare", "base"),
    ("invoicing_vatshare", "vat"),
    ("invoicing_openitem", "amount"),
    ("invoicing_posting", "amount"),
    ("payments_letter", "total"),
    ("payments_reminder", "open"),
)


def breaches_of(rule: Rule) -> Iterator[Breach]:
    for found in rows_of(rule.breaches):
        yield Breach(rule.invariant, str(rule.record) % found, str(rule.sentence) % found)


def amounts_fit_their_currency() -> Iterator[Breach]:
    """No amount is finer than the minor unit of its currency, none is NaN, and every currency is one."""
    places: dict[str, int] = {}
    tables = sorted({table for table, _column in AMOUNTS})
    for row in list(rows_of(" union ".join(f"select currency from {table}" for table in tables))):
        try:
            places[row["currency"]] = places_of(row["currency"])
        except ValueError:
            yield Breach("amounts", row["currency"], gettext("This is no currency that is known."))
    for table, column in AMOUNTS:
        found = rows_of(
            f"select id, {column} as amount, a.currency from {table} a"
            " join unnest(%s::text[], %s::int[]) as u(currency, places) on u.currency = a.currency"
            f" where {column} <> round({column}, u.places) or {column} = 'NaN'",
            [list(places), list(places.values())],
        )
        for row in found:
            yield Breach(
                "amounts",
                f"{table} {row['id']}",
                gettext("%(amount)s is no amount of %(currency)s in column %(column)s.") % (row | {"column": column}),
            )


def rows_of(query: str, parameters: list[Any] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a query by the names of their columns, from a cursor on the server."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        names: list[str] = []
        for row in cursor:
            names = names or [column.name for column in cursor.description]
            yield dict(zip(names, row, strict=True))
