"""Cancellations: a document of their own that negates another one exactly and undoes its charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from billing import reversal
from invoicing.correction import limits
from invoicing.correction.drafts import (
    NotCorrectable,
    copy_negated,
    issue,
    judge_ahead,
    refuse_before,
    refuse_without_reason,
    seal,
)
from invoicing.models import Allowance, BookVat, Invoice, Line, Section, VatShare
from invoicing.review import LookAgain
from tenants.copying import new_keys, table_of
from tenants.errors import OperatorError
from tenants.transactions import lock_payers

INVOICES: Final = table_of(Invoice)
PARTS: Final[Mapping[type[Model], Mapping[str, str]]] = {VatShare: {}, Allowance: {"corrects_id": "t.id"}, BookVat: {}}
OLD_AND_NEW: Final = "join unnest(%s::bigint[], %s::bigint[]) as n(old, new)"
# Documents that gave back something of a document's lines and stand: by hand, by contract, or by undoing a charge.
CREDITED_BY: Final = """
    select i.id, i.number, i.state, i.kind, c.number,
           (select string_agg(distinct coalesce(d.number, '#' || d.id), ', ')
              from (select cl.invoice_id
                      from invoicing_line l join invoicing_line cl on cl.corrects_id = l.id
                     where l.invoice_id = i.id and not kontor_is_cancelled(cl.invoice_id)
                    union
                    select cl.invoice_id
                      from invoicing_line l
                      join billing_charge g on g.corrects_id = l.charge_id
                                           and g.reversed_by_id is null and g.reverses_id is null
                      join invoicing_line cl on cl.charge_id = g.id
                     where l.invoice_id = i.id
                    union
                    select cl.invoice_id
                      from invoicing_line l
                      join billing_charge g on g.id = l.charge_id
                      join invoicing_line cl on cl.charge_id = g.reversed_by_id
                     where l.invoice_id = i.id) part
              join invoicing_invoice d on d.id = part.invoice_id)
      from invoicing_invoice i
      left join invoicing_invoice c on c.corrects_id = i.id and c.kind = 'cancellation'
     where i.id = any(%s)
"""


def why_not(invoices: Sequence[int]) -> dict[int, OperatorError]:
    """By document: why it cannot be cancelled; those that can are left out. One query."""
    with connection.cursor() as cursor:
        cursor.execute(CREDITED_BY, [list(invoices)])
        found = {key: _refusal(*row) for key, *row in cursor.fetchall()}
    return {key: refusal for key, refusal in found.items() if refusal is not None}


def cancellable(invoice: Invoice) -> bool:
    """Whether the document can be cancelled."""
    return not why_not([invoice.pk])


def _refusal(
    number: str | None, state: str, kind: str, cancelled_by: str | None, credited_by: str | None
) -> NotCorrectable | None:
    if state != Invoice.State.ISSUED:
        return NotCorrectable(_("Only issued documents are cancelled; a draft is discarded."))
    words = {"document": number, "other": cancelled_by or credited_by}
    if cancelled_by:
        return NotCorrectable(_("%(document)s is cancelled already, by %(other)s.") % words)
    if kind == Invoice.Kind.CANCELLATION:
        return NotCorrectable(
            _("%(document)s is a cancellation: it is not cancelled, the days are billed anew.") % words
        )
    if credited_by:
        return NotCorrectable(
            _(
                "%(document)s was corrected by %(other)s: it is no longer whole. Cancel %(other)s first, or give back"
                " the rest by a credit note."
            )
            % words
        )
    return None


def cancel(
    invoices: Sequence[int], *, on: date, reason: str, by: Any = None, seen: str | None = None, approved: bool = False
) -> list[int]:
    """Cancel issued documents (keys), all or none, by documents dated ``on``; returns the keys of these, in order.

    Numbered and posted in one transaction. The open item of each is settled by its cancellation; what was paid stays
    as a credit balance. ``seen`` is the content hash of what the person looked at, of one document.
    Raises ``NotCorrectable``, ``NeedsApproval`` above the issuer's limit unless ``approved``, and ``LookAgain``.
    """
    judge_ahead(invoices, lambda: draft(invoices, on=on, reason=reason))
    with transaction.atomic():
        drafts = draft(invoices, on=on, reason=reason)
        if seen is not None and list(seal(drafts).values()) != [seen]:
            raise LookAgain(_("The document would no longer be what you looked at. Nothing was changed; look again."))
        if not approved:
            limits.refuse_above(drafts)
        issue(drafts, on=on, action="cancelled", reason=reason, by=by)
    return drafts


def draft(invoices: Sequence[int], *, on: date, reason: str) -> list[int]:
    """Write the cancellations of documents (keys) as drafts, in the caller's transaction, which must issue or undo
    them; returns their keys. Takes the payers' locks. Raises ``NotCorrectable``.
    """
    refuse_without_reason(reason)
    wanted = sorted(set(invoices))
    lock_payers(list(Invoice.objects.filter(pk__in=wanted).values_list("payer_id", flat=True)))
    for refusal in why_not(wanted).values():
        raise refusal
    for original in Invoice.objects.filter(pk__in=wanted):
        refuse_before(original, on)
    charges = Line.objects.filter(invoice__in=wanted, charge__isnull=False).order_by("pk")
    reversal.reverse(list(charges.values_list("charge_id", flat=True)))
    keys = new_keys(**{INVOICES: len(wanted)})[INVOICES]
    pairs = [wanted, keys]
    copy_negated(
        Invoice,
        f"{OLD_AND_NEW} on n.old = t.id",
        [on, on, on, reason, *pairs],
        {
            "id": "n.new",
            "run_id": "null",
            "kind": "'cancellation'",
            "corrects_id": "n.old",
            "state": "'draft'",
            "range_id": "null",
            "sequence": "null",
            "number": "null",
            "issued_on": "%s",
            "due_on": "case when t.gross < 0 then %s + (t.due_on - t.issued_on) else %s end",
            "content_hash": "''",
            "chain_hash": "''",
            "reason": "%s",
        },
    )
    copy_negated(Section, f"{OLD_AND_NEW} on n.old = t.invoice_id", pairs, {"invoice_id": "n.new"})
    copy_negated(
        Line,
        f"{OLD_AND_NEW} on n.old = t.invoice_id"
        f" join {INVOICES} o on o.id = n.old"
        " left join billing_charge r on r.reverses_id = t.charge_id"
        " left join invoicing_section os on os.id = t.section_id"
        " left join invoicing_section s on s.invoice_id = n.new and s.tenant_id = os.tenant_id",
        [reason, *pairs],
        {
            "invoice_id": "n.new",
            "section_id": "s.id",
            "charge_id": "r.id",
            "corrects_id": "case when t.charge_id is null then t.id end",
            "details": "t.details || jsonb_build_object('reason', %s::text, 'corrects', jsonb_build_object("
            "'number', o.number, 'issued_on', o.issued_on::text))",
        },
    )
    for part, values in PARTS.items():
        copy_negated(part, f"{OLD_AND_NEW} on n.old = t.invoice_id", pairs, {"invoice_id": "n.new", **values})
    seal(keys)
    return keys
