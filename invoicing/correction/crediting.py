"""Credit notes by hand: parts of chosen lines given back, VAT at the rates of the document they correct."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of, rounded
from billing.models import Charge
from invoicing import allowances, book_vat
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
from invoicing.kernel import credits
from invoicing.kernel.totals import Share, Totals, total_of, vat_of
from invoicing.kernel.vat import Case
from invoicing.models import Allowance, BookVat, Invoice, Line, Section, VatShare
from invoicing.review import LookAgain
from tenants.copying import new_keys, table_of
from tenants.transactions import lock_payers

ZERO: Final = Decimal(0)
INVOICES: Final = table_of(Invoice)
CHARGE_AND_CONTRACT: Final = ("charge", "charge__item__subscription")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to give back of the line at ``position``: a net amount, a quantity, or a percentage of the line; all that is
    left if none is given.
    """

    position: int
    amount: Decimal | None = None
    quantity: Decimal | None = None
    percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Creditable:
    """A line of an issued document: its net, and what is left of it to give back; both negative for a credit."""

    key: int
    position: int
    section: int | None
    text: str
    quantity: Decimal
    unit: str
    case: str
    rate: Decimal
    contract: str
    starts_on: date
    ends_before: date
    net: Decimal
    left: Decimal

    @property
    def last_day(self) -> date:
        return self.ends_before - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Part:
    """What is given back of a line: ``net`` as it stands on the credit note, below zero for a fee."""

    line: Creditable
    quantity: Decimal
    unit: str
    net: Decimal


def creditable(invoice: Invoice) -> list[Creditable]:
    """The lines of an issued document with what is left of each."""
    places = places_of(invoice.currency)
    with connection.cursor() as cursor:
        cursor.execute(
            "select id, position, section_id, text, quantity, unit, vat_case, vat_rate,"
            " coalesce(details->>'contract', ''), starts_on, ends_before, net, net + kontor_credited(id)"
            " from invoicing_line where invoice_id = %s order by position",
            [invoice.pk],
        )
        return [
            Creditable(*line[:-2], *(rounded(figure, places) for figure in line[-2:])) for line in cursor.fetchall()
        ]


def credit(
    invoice: int,
    wanted: Sequence[Wanted],
    *,
    on: date,
    reason: str,
    by: Any = None,
    seen: str | None = None,
    approved: bool = False,
) -> int:
    """Write a credit note dated ``on`` for parts of an issued invoice (key); returns its key.

    Numbered and posted in one transaction; its credit settles what is open of the invoice first. Charges stay as they
    are. ``seen`` is the content hash of what the person looked at.
    Raises ``NotCorrectable``, ``NeedsApproval`` above the issuer's limit unless ``approved``, and ``LookAgain``.
    """
    judge_credit(invoice, wanted, on=on, reason=reason)
    with transaction.atomic():
        key = draft(invoice, wanted, on=on, reason=reason)
        if seen is not None and seal([key])[key] != seen:
            raise LookAgain(_("The document would no longer be what you looked at. Nothing was changed; look again."))
        if not approved:
            limits.refuse_above([key])
        issue([key], on=on, action="credited", reason=reason, by=by)
    return key


def judge_credit(invoice: int, wanted: Sequence[Wanted], *, on: date, reason: str) -> None:
    """Judge what ``credit`` would write, for whoever is about to call it inside a transaction. Raises as it does."""
    judge_ahead([invoice], lambda: [draft(invoice, wanted, on=on, reason=reason)])


def draft(invoice: int, wanted: Sequence[Wanted], *, on: date, reason: str) -> int:
    """Write the credit note as a draft, in the caller's transaction, which must issue or undo it; returns its key.

    Takes the payer's lock. Raises ``NotCorrectable`` naming the line.
    """
    refuse_without_reason(reason)
    lock_payers(list(Invoice.objects.filter(pk=invoice).values_list("payer_id", flat=True)))
    original = Invoice.objects.get(pk=invoice)
    _refuse_kind(original)
    refuse_before(original, on)
    parts = _parts(original, wanted)
    lowered = _lowered(original, parts)
    given = [
        *((part.line.case, part.line.rate, part.net) for part in parts),
        *((one.case.value, one.rate, -one.amount) for one in lowered),
    ]
    total = _totals(original, given, _earlier(original))
    if total.gross >= 0:
        raise NotCorrectable(_("The credit note would give nothing back."))
    key = new_keys(**{INVOICES: 1})[INVOICES][0]
    _write(original, key, parts, total, on=on, reason=reason)
    allowances.write([(key, original.currency, lowered)])
    _write_book_vat(original, key, total)
    seal([key])
    return key


def _refuse_kind(original: Invoice) -> None:
    if original.state != Invoice.State.ISSUED:
        raise NotCorrectable(_("Only issued documents are corrected; a draft is discarded."))
    if original.kind != Invoice.Kind.INVOICE:
        raise NotCorrectable(
            _("%(document)s is no invoice: there is nothing on it to give back.") % {"document": original}
        )
    if cancellation := original.corrections.filter(kind=Invoice.Kind.CANCELLATION).first():
        raise NotCorrectable(
            _("%(document)s is cancelled already, by %(other)s.") % {"document": original, "other": cancellation}
        )


def _parts(original: Invoice, wanted: Sequence[Wanted]) -> list[Part]:
    lines = {line.position: line for line in creditable(original)}
    if not wanted:
        raise NotCorrectable(_("No line of %(document)s is chosen.") % {"document": original})
    if len({one.position for one in wanted}) < len(wanted):
        raise NotCorrectable(_("A line of %(document)s is chosen twice.") % {"document": original})
    parts = []
    for one in sorted(wanted, key=lambda one: one.position):
        line = lines.get(one.position)
        if line is None:
            raise NotCorrectable(_("%(document)s has no line %(line)d.") % {"document": original, "line": one.position})
        parts.append(_part(original, line, one))
    return parts


def _part(original: Invoice, line: Creditable, wanted: Wanted) -> Part:
    places = places_of(original.currency)
    words = {"document": original, "line": line.position, "currency": original.currency}
    size, left = abs(line.net), abs(line.left)
    quantity, unit = Decimal(1), "C62"
    if wanted.amount is not None:
        given = wanted.amount
        if given <= left and given != rounded(given, places):
            raise NotCorrectable(_("Line %(line)d of %(document)s: the amount has too many decimals.") % words)
    elif wanted.quantity is not None:
        if not 0 < wanted.quantity <= line.quantity:
            raise NotCorrectable(
                _("Line %(line)d of %(document)s: the quantity must be above 0 and at most %(quantity)s.")
                % {**words, "quantity": f"{line.quantity.normalize():f}"}
            )
        given = rounded(Fraction(size) * Fraction(wanted.quantity) / Fraction(line.quantity), places)
        quantity, unit = wanted.quantity, line.unit
    elif wanted.percent is not None:
        if not 0 < wanted.percent <= 100:
            raise NotCorrectable(
                _("Line %(line)d of %(document)s: the percentage must be above 0 and at most 100.") % words
            )
        given = rounded(Fraction(size) * Fraction(wanted.percent) / 100, places)
    else:
        given = left
        if left == size:
            quantity, unit = line.quantity, line.unit
    if not 0 < given <= left:
        raise NotCorrectable(
            _(
                "Line %(line)d of %(document)s: %(given)s %(currency)s cannot be given back, %(left)s %(currency)s net"
                " is left of it."
            )
            % {**words, "given": f"{given:f}", "left": f"{left:f}"}
        )
    return Part(line, quantity, unit, -given if line.net > 0 else given)


def _lowered(original: Invoice, parts: Sequence[Part]) -> list[allowances.DraftAllowance]:
    """The share of the document's discounts that goes back with the lines."""
    rows = Line.objects.filter(pk__in=[part.line.key for part in parts])
    known = {key: (charge, contract) for key, charge, contract in rows.values_list("pk", *CHARGE_AND_CONTRACT)}
    covered = [
        allowances.Covered(
            known[part.line.key][1], Case(part.line.case), part.line.rate, part.net, known[part.line.key][0]
        )
        for part in parts
    ]
    return allowances.read([], [], [charge for charge, _contract in known.values()]).of_draft(
        covered,
        payer=original.payer_id,
        issue_on=original.issued_on,
        currency=original.currency,
        language=original.language,
        places=places_of(original.currency),
    )


def reckoned(note: Invoice) -> Totals:
    """What the VAT shares of a credit note by hand must be, by its lines and what was given back before it.

    Raises ``NotCorrectable`` if its lines give back more than is left.
    """
    assert note.corrects is not None
    given = [
        (case, rate, rounded(net, places_of(note.currency)))
        for case, rate, net in [
            *Line.objects.filter(invoice=note).values_list("vat_case", "vat_rate", "net"),
            *((case, rate, -part) for case, rate, part in _allowed(note)),
        ]
    ]
    return _totals(note.corrects, given, _earlier(note.corrects, before=note.pk))


def _allowed(note: Invoice) -> Iterable[tuple[str, Decimal, Decimal]]:
    return Allowance.objects.filter(invoice=note).values_list("vat_case", "vat_rate", "amount")


def _totals(
    original: Invoice,
    given: Sequence[tuple[str, Decimal, Decimal]],
    earlier: dict[tuple[str, Decimal], list[credits.Credit]],
) -> Totals:
    """VAT at the rates of then on ``given``, nets by case and rate, discounts taken off; the credit that leaves nothing
    of a rate takes what rounding left over.
    """
    places = places_of(original.currency)
    nets: dict[tuple[str, Decimal], Decimal] = defaultdict(lambda: ZERO)
    for case, percent, net in given:
        nets[case, percent] += net
    shares = []
    for share in VatShare.objects.filter(invoice=original).order_by("-vat_rate", "vat_case"):
        rate = (share.vat_case, share.vat_rate)
        if rate not in nets:
            continue
        sign = -1 if share.base.amount < 0 else 1
        whole = credits.Creditable(sign * share.base.amount, rate[1], sign * share.vat.amount)
        before = [_signed(one, sign) for one in earlier.get(rate, ())]
        try:
            one = _signed(credits.credit(whole, rounded(-sign * nets[rate], places), before, places), sign)
        except ValueError as error:
            raise NotCorrectable(
                _("%(document)s: of what is taxed at %(rate)s percent less is left than would be given back.")
                % {"document": original, "rate": f"{rate[1].normalize():f}"}
            ) from error
        shares.append(Share(Case(rate[0]), rate[1], rounded(-one.net, places), rounded(-one.vat, places)))
    return total_of(shares)


def _signed(credit: credits.Credit, sign: int) -> credits.Credit:
    return credits.Credit(sign * credit.lines, sign * credit.discount, sign * credit.net, sign * credit.vat)


def _earlier(original: Invoice, before: int | None = None) -> dict[tuple[str, Decimal], list[credits.Credit]]:
    """What was given back before, by VAT case and rate: by credit notes that stand, and by contract.

    With ``before``, the key of a document, as it was when that one arose.
    """
    found: dict[tuple[str, Decimal], list[credits.Credit]] = defaultdict(list)
    then = Q() if before is None else Q(pk__lt=before)
    cancelled = Invoice.objects.filter(then, corrects=OuterRef("pk"), kind=Invoice.Kind.CANCELLATION)
    standing = original.corrections.filter(then, ~Exists(cancelled), kind=Invoice.Kind.CREDIT_NOTE)
    for case, rate, base, vat in VatShare.objects.filter(invoice__in=standing).values_list(
        "vat_case", "vat_rate", "base", "vat"
    ):
        found[case, rate].append(credits.Credit(-base, ZERO, -base, -vat))
    places = places_of(original.currency)
    by_contract = Charge.objects.filter(corrects__line__invoice=original, reverses=None)
    by_contract = (
        by_contract.filter(reversed_by=None)
        if before is None
        else by_contract.filter(
            Q(reversed_by=None) | Q(reversed_by__line__invoice__gt=before), line__invoice__lt=before
        )
    )
    nets: dict[tuple[str, Decimal], Decimal] = defaultdict(lambda: ZERO)
    for case, rate, net in by_contract.values_list("corrects__line__vat_case", "corrects__line__vat_rate", "net"):
        nets[case, rate] -= net
    documents = by_contract.values("line__invoice")
    for case, rate, amount in Allowance.objects.filter(corrects__invoice=original, invoice__in=documents).values_list(
        "vat_case", "vat_rate", "amount"
    ):
        nets[case, rate] += amount
    for (case, rate), net in nets.items():
        found[case, rate].append(credits.Credit(net, ZERO, net, vat_of(net, rate, places)))
    return found


def _write(original: Invoice, key: int, parts: Sequence[Part], total: Totals, *, on: date, reason: str) -> None:
    copy_negated(
        Invoice,
        "where t.id = %s",
        [key, original.pk, on, on, total.net, total.vat, total.gross, reason, original.pk],
        {
            "id": "%s",
            "run_id": "null",
            "kind": "'credit_note'",
            "corrects_id": "%s",
            "state": "'draft'",
            "range_id": "null",
            "sequence": "null",
            "number": "null",
            "issued_on": "%s",
            "due_on": "%s",
            "net": "%s",
            "vat": "%s",
            "gross": "%s",
            "content_hash": "''",
            "chain_hash": "''",
            "reason": "%s",
        },
    )
    nets: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for part in parts:
        if part.line.section is not None:
            nets[part.line.section] += part.net
    copied: dict[int, int] = {}
    for section, net in nets.items():
        copy_negated(Section, "where t.id = %s", [key, net, section], {"invoice_id": "%s", "net": "%s"})
        tenant = Section.objects.values_list("tenant_id").filter(pk=section)
        copied[section] = Section.objects.values_list("pk", flat=True).get(invoice=key, tenant__in=tenant)
    known = dict(Line.objects.filter(pk__in=[part.line.key for part in parts]).values_list("pk", "details"))
    named = {"number": original.number, "issued_on": original.issued_on.isoformat()}
    Line.objects.bulk_create(
        [
            Line(
                invoice_id=key,
                section_id=copied.get(part.line.section) if part.line.section is not None else None,
                corrects_id=part.line.key,
                position=position,
                text=part.line.text,
                quantity=part.quantity,
                unit=part.unit,
                starts_on=starts_on,
                ends_before=ends_before,
                vat_case=part.line.case,
                vat_rate=part.line.rate,
                currency=original.currency,
                net=part.net,
                details={**known[part.line.key], "corrects": named, "reason": reason},
            )
            for position, (part, (starts_on, ends_before)) in enumerate(_with_days(parts), 1)
        ]
    )
    taxed = {(one.vat_case, one.vat_rate): one for one in VatShare.objects.filter(invoice=original)}
    shares = []
    for share in total.shares:
        one = taxed[share.case.value, share.rate]  # taxed as then: rule, reason, country and accounts
        one.pk, one.invoice_id, one.base, one.vat = None, key, share.base, share.vat
        shares.append(one)
    VatShare.objects.bulk_create(shares)


def _write_book_vat(original: Invoice, key: int, total: Totals) -> None:
    """In the issuer's currency at the rate of the document that it corrects."""
    kept = BookVat.objects.filter(invoice=original).first()
    if kept is not None:
        places = places_of(kept.currency)
        net, vat = (book_vat.converted(amount, kept.rate, places) for amount in (total.net, total.vat))
        rate = book_vat.Rate(kept.rate, kept.rate_on, kept.source)
        book_vat.write([(key, book_vat.InBooks(kept.currency, net, vat, rate))])


def _with_days(parts: Sequence[Part]) -> list[tuple[Part, tuple[date, date]]]:
    lines = Line.objects.in_bulk([part.line.key for part in parts])
    return [(part, (lines[part.line.key].starts_on, lines[part.line.key].ends_before)) for part in parts]
