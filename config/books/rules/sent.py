"""What bill runs settled, and what went out to whom."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import DOCUMENT, LINES, NAMED_DOCUMENT, Rule

RUN: Final = _("bill run %(run)s, payer %(payer)s")

RULES: Final = (
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
