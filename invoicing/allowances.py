"""Discounts of documents: which hold for a draft, what each takes off it, and what corrections give back of them.

What a discount has taken so far, and how many documents it has met, is read from the allowances and lines that stand:
a draft that is discarded, or a document that is cancelled, counts no longer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection

from billing.kernel.discounts import DiscountKind
from billing.kernel.money import plain, rounded
from invoicing.kernel.allowances import DocumentDiscount, allowances
from invoicing.kernel.content import canonical_json
from invoicing.kernel.vat import Case
from invoicing.models import Allowance
from tenants.copying import copy_rows, table_of

ALLOWANCES: Final = table_of(Allowance)
ZERO: Final = Decimal(0)

GRANTS: Final = """
    select g.id, g.subscription_id, coalesce(g.tenant_id, 0), d.reference, d.name_de, d.name_en, d.kind,
           coalesce(d.percent, d.amount), d.currency, d.sequence, coalesce(g.periods, d.periods), d.after_periods,
           d.is_stacked, d.carry_remainder, g.starts_on, g.ends_before
      from billing_grant g join billing_discount d on d.id = g.discount_id
     where d.level = 'document' and (g.subscription_id = any(%s) or g.tenant_id = any(%s))
     order by d.sequence, g.id
"""
# Documents with a fee that a grant covers, and what it has taken off; cancelled ones do not count.
FEE: Final = """
    c.kind = 'fee' and c.reverses_id is null and l.net > 0 and i.kind <> 'cancellation'
    and i.issued_on >= coalesce(g.starts_on, '-infinity') and not kontor_is_cancelled(i.id)
"""
MET: Final = f"""
    select g.id,
           (select count(distinct i.id)
              from billing_item t
              join billing_charge c on c.item_id = t.id
              join invoicing_line l on l.charge_id = c.id
              join invoicing_invoice i on i.id = l.invoice_id
             where t.subscription_id = g.subscription_id and {FEE})
           + (select count(*)
                from invoicing_invoice i
               where i.payer_id = g.tenant_id and (d.kind = 'percent' or i.currency = d.currency)
                 and exists (select from invoicing_line l join billing_charge c on c.id = l.charge_id
                              where l.invoice_id = i.id and {FEE})),
           (select coalesce(sum(a.amount), 0) from invoicing_allowance a where a.grant_id = g.id)
      from billing_grant g join billing_discount d on d.id = g.discount_id
     where g.id = any(%s)
"""
# The allowances that lowered the lines of charges: of their rate, of their contract if granted to one, and of lines
# that give something back those that gave a share of the same document's discount back.
LOWERED: Final = """
    select l.charge_id, a.id, a.grant_id, a.text, a.percent, a.base, a.amount,
           b.base, b.amount
      from invoicing_line l
      join billing_charge c on c.id = l.charge_id
      join billing_item t on t.id = c.item_id
      join invoicing_allowance a on a.invoice_id = l.invoice_id and a.vat_case = l.vat_case and a.vat_rate = l.vat_rate
      left join billing_grant g on g.id = a.grant_id
     cross join lateral (select coalesce(sum(base), 0) as base, coalesce(sum(amount), 0) as amount
                           from invoicing_allowance where corrects_id = a.id) b
     where l.charge_id = any(%s) and coalesce(g.subscription_id, t.subscription_id) = t.subscription_id
       and case when coalesce(c.corrects_id, c.reverses_id) is null then a.corrects_id is null
           else exists (select from invoicing_allowance o join invoicing_line k on k.invoice_id = o.invoice_id
                         where o.id = a.corrects_id and k.charge_id = coalesce(c.corrects_id, c.reverses_id)) end
     order by a.id
"""


@dataclass(slots=True)
class Granted:
    """A discount of documents as granted, how many documents it has met, and what it has taken off them."""

    key: int
    contract: int | None
    payer: int  # 0 where it is granted to a contract
    reference: str
    name_de: str
    name_en: str
    kind: str
    value: Decimal
    currency: str
    sequence: int
    documents: int | None
    after_documents: int
    is_stacked: bool
    carries: bool
    starts_on: date | None
    ends_before: date | None
    met: int = 0
    taken: Decimal = ZERO

    def in_force(self, issue_on: date, currency: str) -> bool:
        """Whether it is one of a document of that day and currency, if it has anything left."""
        return (
            (self.starts_on is None or self.starts_on <= issue_on)
            and (self.ends_before is None or issue_on < self.ends_before)
            and (self.kind == DiscountKind.PERCENT or self.currency == currency)
        )

    def for_next(self, applies_to: Collection[int]) -> DocumentDiscount | None:
        """The discount as the next document that it meets has it, ``None`` if it has nothing of it."""
        ordinal = self.met + 1 - self.after_documents
        holds = ordinal >= 1 and (self.documents is None or ordinal <= self.documents)
        if self.carries:
            times = ordinal if self.documents is None else min(ordinal, self.documents)
            if times < 1 or self.value * times <= self.taken:
                return None
            return self._terms(self.value * times, applies_to, used=self.taken)
        return self._terms(self.value, applies_to) if holds else None

    def _terms(self, value: Decimal, applies_to: Collection[int], used: Decimal = ZERO) -> DocumentDiscount:
        return DocumentDiscount(
            DiscountKind(self.kind),
            value,
            self.sequence,
            used,
            self.carries,
            applies_to,
            str(self.key),
            stacked=self.is_stacked,
        )


@dataclass(slots=True)
class Lowered:
    """An allowance that stands on a document, with the lines' net and the amount that were given back of it so far."""

    key: int
    grant: int | None
    text: str
    percent: Decimal | None
    base: Decimal
    amount: Decimal
    base_back: Decimal
    back: Decimal


@dataclass(frozen=True, slots=True)
class DraftAllowance:
    """An allowance as it will be printed."""

    grant: int | None
    corrects: int | None
    text: str
    percent: Decimal | None
    case: Case
    rate: Decimal
    base: Decimal
    amount: Decimal
    trace: str  # canonical JSON


@dataclass(frozen=True, slots=True)
class Covered:
    """A line as discounts see it; ``corrects``: the charge that it gives back, or part of it."""

    contract: int
    case: Case
    rate: Decimal
    net: Decimal
    corrects: int | None = None


@dataclass(slots=True)
class Discounts:
    """The discounts that the documents of a chunk may have; drafts are to be made one after the other."""

    granted: list[Granted] = field(default_factory=list)
    lowered: Mapping[int, Sequence[Lowered]] = field(default_factory=dict)  # by the charge that was lowered

    @property
    def are_none(self) -> bool:
        return not self.granted and not self.lowered

    def of_draft(
        self, lines: Sequence[Covered], *, payer: int, issue_on: date, currency: str, language: str, places: int
    ) -> list[DraftAllowance]:
        """What is taken off a document of these lines: what corrections give back first, then each discount in turn.

        Discounts that have met the document count it.
        """
        back = list(self._given_back([line for line in lines if line.corrects is not None], places))
        fresh = [line for line in lines if line.corrects is None]
        return back + self._taken_off(fresh, payer, issue_on, currency, language, places)

    def _given_back(self, lines: Iterable[Covered], places: int) -> Iterator[DraftAllowance]:
        """The share of each allowance that goes with the nets given back; the last one takes what rounding left."""
        nets: dict[int, Decimal] = defaultdict(lambda: ZERO)
        found: dict[int, tuple[Lowered, Covered]] = {}
        for line in lines:
            for one in self.lowered.get(line.corrects or 0, ()):
                nets[one.key] += line.net
                found[one.key] = (one, line)
        for key, (one, line) in found.items():
            base = one.base_back + nets[key]
            back = -rounded(Fraction(one.amount) * Fraction(-base) / Fraction(one.base), places)
            amount = back - one.back
            trace = {"v": 1, "of": [plain(one.amount), plain(one.base)], "back": plain(-back), "net": plain(amount)}
            one.base_back, one.back = base, back
            if nets[key]:
                yield DraftAllowance(
                    one.grant,
                    key,
                    one.text,
                    one.percent,
                    line.case,
                    line.rate,
                    nets[key],
                    amount,
                    canonical_json(trace),
                )

    def _taken_off(
        self, lines: Sequence[Covered], payer: int, issue_on: date, currency: str, language: str, places: int
    ) -> list[DraftAllowance]:
        contracts = {line.contract for line in lines if line.net > 0}
        met = [
            one
            for one in self.granted
            if one.in_force(issue_on, currency) and (one.contract in contracts or (contracts and one.payer == payer))
        ]
        if not met:
            return []
        alone = {one.contract for one in met if one.contract is not None}
        nets: dict[tuple[int | None, Case, Decimal], Decimal] = defaultdict(lambda: ZERO)
        for line in lines:
            nets[line.contract if line.contract in alone else None, line.case, line.rate] += line.net
        bases = sorted(nets, key=lambda base: (-base[2], base[1].value, base[0] or 0))
        discounts = {
            str(one.key): terms
            for one in met
            if (terms := one.for_next([n for n, base in enumerate(bases) if one.contract in (None, base[0])]))
        }
        by_key = {str(one.key): one for one in met}
        for one in met:
            one.met += 1
        found = []
        left = [nets[base] for base in bases]
        for allowance in allowances(left, list(discounts.values()), places):
            one = by_key[allowance.discount.key]
            one.taken += allowance.amount
            parts: dict[tuple[Case, Decimal], list[Decimal]] = {}
            for n, (_contract, case, rate) in enumerate(bases):
                if allowance.shares[n]:
                    sums = parts.setdefault((case, rate), [ZERO, ZERO])
                    sums[0] += left[n]
                    sums[1] += allowance.shares[n]
            left = [base - share for base, share in zip(left, allowance.shares, strict=True)]
            for (case, rate), (base, amount) in parts.items():
                trace = {
                    "v": 1,
                    "discount": [one.kind, plain(one.value), one.reference, str(one.key)],
                    "document": str(one.met),
                    "of": plain(allowance.amount),
                    "net": plain(amount),
                }
                if one.is_stacked:
                    trace["stacked"] = "1"
                text = one.name_de if language == "de" else one.name_en
                percent = one.value if one.kind == DiscountKind.PERCENT else None
                found.append(
                    DraftAllowance(one.key, None, text, percent, case, rate, base, amount, canonical_json(trace))
                )
        return found


def read(contracts: Collection[int], payers: Collection[int], corrected: Collection[int]) -> Discounts:
    """The discounts of documents of these contracts and payers, and of what ``corrected`` charges stand on.

    One query; up to three where there are any.
    """
    with connection.cursor() as cursor:
        cursor.execute(GRANTS, [list(contracts), list(payers)])
        granted = {row[0]: Granted(*row) for row in cursor.fetchall()}
        if granted:
            cursor.execute(MET, [list(granted)])
            for key, met, taken in cursor.fetchall():
                granted[key].met, granted[key].taken = met, taken
        lowered: dict[int, list[Lowered]] = defaultdict(list)
        if corrected:
            cursor.execute(LOWERED, [list(corrected)])
            known: dict[int, Lowered] = {}
            for charge, key, *rest in cursor.fetchall():
                lowered[charge].append(known.setdefault(key, Lowered(key, *rest)))
    return Discounts(list(granted.values()), lowered)


def deviations(rows: Sequence[tuple[Any, ...]], places: int) -> Iterator[tuple[str, str, str]]:
    """Text, amount and what follows from its trace, of the discounts among a stored document's allowances that do not
    come out. Rows are those of ``invoicing.stored``.
    """
    discounts: dict[tuple[str, ...], list[Any]] = {}
    for _position, text, _percent, _case, _rate, base, amount, trace, _currency in rows:
        told = json.loads(trace)
        if "discount" in told:
            found = discounts.setdefault((*told["discount"], told["document"]), [text, told, ZERO, ZERO])
            found[2] += abs(base)
            found[3] += abs(amount)
    for (kind, value, *_key), (text, told, base, amount) in discounts.items():
        wanted = Decimal(told["of"])
        if kind == DiscountKind.PERCENT and "stacked" not in told:
            wanted = rounded(Fraction(base) * Fraction(value) / 100, places)
        if wanted != amount:
            yield text, plain(amount), plain(wanted)


def write(rows: Sequence[tuple[int, str, Sequence[DraftAllowance]]]) -> None:
    """Store the allowances of drafts, given as (document, currency, allowances), in the caller's transaction."""
    stored = [
        (
            document,
            position,
            one.grant,
            one.corrects,
            one.text,
            one.percent,
            one.case.value,
            one.rate,
            currency,
            one.base,
            one.amount,
            one.trace,
        )
        for document, currency, allowed in rows
        for position, one in enumerate(allowed, 1)
    ]
    if stored:
        copy_rows(
            ALLOWANCES,
            (
                "invoice_id",
                "position",
                "grant_id",
                "corrects_id",
                "text",
                "percent",
                "vat_case",
                "vat_rate",
                "currency",
                "base",
                "amount",
                "trace",
            ),
            stored,
        )
