"""Contested lines: raised, upheld by a credit note, or rejected; meanwhile nobody is reminded of their amount."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of, rounded
from invoicing import correction
from invoicing.correction import NotCorrectable, Wanted
from invoicing.kernel.totals import vat_of
from invoicing.models import Invoice, Line
from payments.models import Dispute
from tenants.errors import OperatorError
from tenants.transactions import lock_payers

ZERO: Final = Decimal(0)
# By item, VAT case and rate: what stands of the document at that rate, and what of its lines is contested.
CONTESTED: Final = """
    select o.id, o.currency, s.vat_rate, s.base + coalesce(k.base, 0), s.vat + coalesce(k.vat, 0),
           (select sum(net) from invoicing_line
             where invoice_id = s.invoice_id and vat_case = s.vat_case and vat_rate = s.vat_rate), s.base, d.contested
      from (select l.invoice_id, l.vat_case, l.vat_rate, sum(l.net + kontor_credited(l.id)) as contested
              from payments_dispute d
              join invoicing_line l on l.id = d.line_id
              join invoicing_invoice i on i.id = l.invoice_id
             where d.state = 'open' and d.raised_on <= %(on)s and i.issuer_id = %(issuer)s
             group by l.invoice_id, l.vat_case, l.vat_rate) d
      join invoicing_openitem o on o.invoice_id = d.invoice_id and o.payer_id = any(%(payers)s)
      join invoicing_vatshare s
        on s.invoice_id = d.invoice_id and s.vat_case = d.vat_case and s.vat_rate = d.vat_rate
      left join lateral (select sum(c.base) as base, sum(c.vat) as vat
                           from invoicing_invoice n join invoicing_vatshare c on c.invoice_id = n.id
                          where n.corrects_id = d.invoice_id and c.vat_case = s.vat_case and c.vat_rate = s.vat_rate
                            and not kontor_is_cancelled(n.id)) k on true
"""


class NotDisputable(OperatorError):
    """The line cannot be contested, or the dispute not be resolved in this way."""


def contested(issuer: int, payers: Sequence[int], *, on: date) -> dict[int, Decimal]:
    """By open item: how much of it is contested on ``on``, VAT included. One query.

    The VAT that goes with the contested net is what its rate's VAT is more than the VAT on the rest, so that both parts
    add up to the document; a discount of the document goes with its lines in proportion.
    """
    found: dict[int, Decimal] = defaultdict(lambda: ZERO)
    with connection.cursor() as cursor:
        cursor.execute(CONTESTED, {"on": on, "issuer": issuer, "payers": list(payers)})
        for item, currency, rate, base, vat, lines, whole, net in cursor.fetchall():
            places = places_of(currency)
            if lines != whole and lines:
                net = rounded(Fraction(net) * Fraction(whole) / Fraction(lines), places)
            found[item] += rounded(net + vat - vat_of(base - net, rate, places), places)
    return dict(found)


@transaction.atomic
def contest(line: int, *, on: date, reason: str) -> Dispute:
    """Note that the payer contests a line of an issued invoice (key). Raises ``NotDisputable``.

    One whose dispute was rejected may be contested again, for a reason of its own: both are kept.
    """
    found = Line.objects.select_related("invoice").get(pk=line)
    document = found.invoice
    words = {"document": document, "line": found.position}
    lock_payers([document.payer_id])
    if not reason.strip():
        raise NotDisputable(_("A dispute needs a reason."))
    if document.state != Invoice.State.ISSUED or document.kind != Invoice.Kind.INVOICE:
        raise NotDisputable(_("%(document)s is no issued invoice: there is nothing to contest.") % words)
    if on < document.issued_on:
        raise NotDisputable(_("%(document)s cannot be contested before it is issued.") % words)
    if document.corrections.filter(kind=Invoice.Kind.CANCELLATION).exists():
        raise NotDisputable(_("%(document)s is cancelled: there is nothing to contest.") % words)
    if not _left(found):
        raise NotDisputable(_("Line %(line)d of %(document)s is credited already.") % words)
    try:
        with transaction.atomic():
            return Dispute.objects.create(line=found, reason=reason.strip(), raised_on=on)
    except IntegrityError as error:
        raise NotDisputable(_("Line %(line)d of %(document)s is disputed already.") % words) from error


def uphold(dispute: int, *, on: date, resolution: str, amount: Decimal | None = None, by: Any = None) -> int | None:
    """The payer is right: credit what is left of the line, or a net ``amount``; returns the key of the credit note.

    ``None`` where the line was credited already. Raises ``NotDisputable``, and as ``correction.credit`` does.
    """
    line = Dispute.objects.select_related("line").get(pk=dispute).line
    wanted = [Wanted(line.position, amount=amount)]
    with suppress(NotCorrectable):  # found again under the lock
        correction.judge_credit(line.invoice_id, wanted, on=on, reason=resolution)
    with transaction.atomic():
        found = _open(dispute)
        note = None
        if _left(found.line):
            note = correction.credit(line.invoice_id, wanted, on=on, reason=resolution, by=by)
        _resolve(found, Dispute.State.UPHELD, on, resolution)
    return note


@transaction.atomic
def reject(dispute: int, *, on: date, resolution: str) -> None:
    """The claim stands, and is reminded of again. Raises ``NotDisputable``."""
    _resolve(_open(dispute), Dispute.State.REJECTED, on, resolution)


def _left(line: Line) -> Decimal:
    return next(one.left for one in correction.creditable(line.invoice) if one.key == line.pk)


def _open(dispute: int) -> Dispute:
    payer = Dispute.objects.values_list("line__invoice__payer_id", flat=True).get(pk=dispute)
    lock_payers([payer])
    found = Dispute.objects.select_for_update(of=("self",)).select_related("line__invoice").get(pk=dispute)
    if found.state != Dispute.State.OPEN:
        raise NotDisputable(_("The dispute is resolved already: %(state)s.") % {"state": found.get_state_display()})
    return found


def _resolve(dispute: Dispute, state: Dispute.State, on: date, resolution: str) -> None:
    if not resolution.strip():
        raise NotDisputable(_("A dispute is resolved with a reason."))
    if on < dispute.raised_on:
        raise NotDisputable(_("A dispute cannot be resolved before it was raised."))
    Dispute.objects.filter(pk=dispute.pk).update(state=state, resolved_on=on, resolution=resolution.strip())
