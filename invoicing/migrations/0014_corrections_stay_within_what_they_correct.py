"""What is given back by hand never exceeds what it corrects; a cancellation negates its document exactly.

The row that is corrected is locked first, so that two corrections at once are reckoned one after the other.
"""

from importlib import import_module

from django.db import migrations

guards = import_module("invoicing.migrations.0002_guards")

AFTER = """
create function kontor_is_cancelled(document bigint) returns boolean language plpgsql as $$
begin
    return exists (select from invoicing_invoice where corrects_id = document and kind = 'cancellation');
end $$;

create function kontor_credited_by_hand(line bigint) returns numeric language plpgsql as $$
-- Net given back of a line by documents that stand; 0 or of the other sign.
begin
    return (select coalesce(sum(l.net), 0) from invoicing_line l
             where l.corrects_id = line and not kontor_is_cancelled(l.invoice_id));
end $$;

create function kontor_credited(line bigint) returns numeric language plpgsql as $$
-- As above, with what its contract gave back.
begin
    return kontor_credited_by_hand(line)
           + (select coalesce(sum(c.net), 0) from invoicing_line l join billing_charge c on c.corrects_id = l.charge_id
               where l.id = line and c.reversed_by_id is null and c.reverses_id is null);
end $$;

create function kontor_credit_within_line() returns trigger language plpgsql as $$
declare
    line record;
    document record;
    original record;
    remaining numeric;
begin
    select * into line from invoicing_line where id = new.corrects_id for no key update;
    select * into original from invoicing_invoice where id = line.invoice_id;
    select * into document from invoicing_invoice where id = new.invoice_id;
    remaining := line.net + kontor_credited(line.id);
    if tg_op = 'UPDATE' and old.corrects_id = new.corrects_id then
        remaining := remaining - old.net;
    end if;
    if document.corrects_id is distinct from original.id
       or (new.vat_case, new.vat_rate, new.currency)
          is distinct from (line.vat_case, line.vat_rate, line.currency)
       or new.net * line.net > 0 or remaining * line.net < 0 or abs(new.net) > abs(remaining) then
        raise exception 'line % of document %: % cannot be given back, % is left',
            line.position, original.number, -new.net, remaining
            using errcode = 'KO004', hint = 'A line is credited at most once, at the rates of its own document.';
    end if;
    return new;
end $$;

create function kontor_document_correctable() returns trigger language plpgsql as $$
declare
    original record;
begin
    select * into original from invoicing_invoice where id = new.corrects_id for no key update;
    if original.state <> 'issued' or original.kind = 'cancellation' or original.id = new.id
       or (new.issuer_id, new.payer_id, new.recipient_id, new.currency)
          is distinct from (original.issuer_id, original.payer_id, original.recipient_id, original.currency)
       or new.kind = 'credit_note' and (original.kind <> 'invoice' or kontor_is_cancelled(original.id)) then
        raise exception 'document % cannot be corrected by this one', coalesce(original.number, original.id::text)
            using errcode = 'KO004';
    end if;
    if new.kind = 'cancellation'
       and exists (select from invoicing_line where invoice_id = original.id and kontor_credited(id) <> 0) then
        raise exception 'document % is credited in part: it cannot be cancelled', original.number
            using errcode = 'KO004';
    end if;
    return new;
end $$;

create function kontor_charge_given_back_once() returns trigger language plpgsql as $$
declare
    line record;
begin
    select * into line from invoicing_line
     where charge_id = coalesce(new.corrects_id, new.reverses_id) for no key update;
    if line.id is not null and kontor_credited_by_hand(line.id) <> 0
       and (new.reverses_id is not null or line.net + kontor_credited(line.id) + new.net < 0) then
        raise exception 'charge % is credited by hand: it cannot be given back again', line.charge_id
            using errcode = 'KO004';
    end if;
    return new;
end $$;

create function kontor_cancellation_negates() returns trigger language plpgsql as $$
begin
    if exists (select from invoicing_invoice o where o.id = new.corrects_id
                and (o.net, o.vat, o.gross) is distinct from (-new.net, -new.vat, -new.gross))
       or exists (select from (select vat_case, vat_rate, base, vat from invoicing_vatshare
                                where invoice_id = new.corrects_id
                               union all
                               select vat_case, vat_rate, base, vat from invoicing_vatshare
                                where invoice_id = new.id) both_sides
                   group by vat_case, vat_rate having sum(base) <> 0 or sum(vat) <> 0)
       or exists (select from invoicing_line l
                   where l.invoice_id = new.corrects_id
                     and not exists (select from invoicing_line c left join billing_charge r on r.id = c.charge_id
                                      where c.invoice_id = new.id and c.net = -l.net
                                        and (r.reverses_id = l.charge_id or c.corrects_id = l.id))) then
        raise exception 'cancellation % does not negate its document', new.number using errcode = 'KO004';
    end if;
    return null;
end $$;
"""
BEFORE = """
drop function kontor_cancellation_negates();
drop function kontor_charge_given_back_once();
drop function kontor_document_correctable();
drop function kontor_credit_within_line();
drop function kontor_credited(bigint);
drop function kontor_credited_by_hand(bigint);
drop function kontor_is_cancelled(bigint);
"""


def checked(name: str, table: str, when: str, condition: str, function: str) -> migrations.RunSQL:
    """For the few rows that meet the condition: the others pay nothing for it."""
    return migrations.RunSQL(
        f"create trigger {name} {when} on {table} for each row when ({condition}) execute function {function}()",
        f"drop trigger {name} on {table}",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("invoicing", "0013_documents_are_corrected_by_hand"),
        ("billing", "0003_reversals_name_what_they_undo"),
    ]

    operations = [
        migrations.RunSQL(AFTER, BEFORE),
        checked(
            "credit_within_line",
            "invoicing_line",
            "before insert or update",
            "new.corrects_id is not null",
            "kontor_credit_within_line",
        ),
        checked(
            "document_correctable",
            "invoicing_invoice",
            "before insert or update of corrects_id, kind, issuer_id, payer_id, recipient_id, currency",
            "new.corrects_id is not null",
            "kontor_document_correctable",
        ),
        checked(
            "charge_given_back_once",
            "billing_charge",
            "before insert",
            "new.corrects_id is not null or new.reverses_id is not null",
            "kontor_charge_given_back_once",
        ),
        guards.deferred(
            "cancellation_negates",
            "invoicing_invoice",
            "after insert or update of state",
            "kontor_cancellation_negates",
            "when (new.state = 'issued' and new.kind = 'cancellation')",
        ),
    ]
