"""What each section of a consolidated document comes to with its part of the VAT: the parts add up to the document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeVar

from invoicing.kernel.totals import Share
from invoicing.kernel.vat import Case

ZERO: Final = Decimal(0)
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class SectionAmount:
    """A section's part of a document's net (less allowances on the whole) and of its VAT."""

    net: Decimal
    vat: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.vat


def section_amounts(
    lines: Iterable[tuple[Section, Case, Decimal, Decimal]], shares: Iterable[Share], places: int
) -> dict[Section, SectionAmount]:
    """Split each VAT share among the sections of its lines, given as (section, category, rate, net).

    By largest remainder on the nets, so that nets and VAT of all sections add up to those of the document.
    """
    bases: dict[tuple[Case, Decimal], dict[Section, Decimal]] = {}
    found: dict[Section, SectionAmount] = {}
    for section, case, rate, net in lines:
        of_rate = bases.setdefault((case, rate), {})
        of_rate[section] = of_rate.get(section, ZERO) + net
        found.setdefault(section, SectionAmount(ZERO, ZERO))
    for share in shares:
        of_rate = bases.get((share.case, share.rate), {})
        nets = _apportioned(share.base, of_rate.values(), Fraction(1), places)
        vats = _apportioned(share.vat, of_rate.values(), Fraction(share.rate) / 100, places)
        for section, net, vat in zip(of_rate, nets, vats, strict=True):
            found[section] = SectionAmount(found[section].net + net, found[section].vat + vat)
    return found


def open_parts(gross: Mapping[Section, Decimal], left: Decimal, places: int) -> dict[Section, Decimal]:
    """What is left open of a document, shared out among its sections by what each comes to; the parts add up to it.

    So one payment of the whole settles every section, and one of a part settles the same part of each.
    """
    whole = Fraction(sum(gross.values(), ZERO))
    exact = [Fraction(part) * Fraction(left) / whole if whole else Fraction(0) for part in gross.values()]
    return dict(zip(gross, largest_remainder(left, exact, places), strict=True))


def _apportioned(total: Decimal, weights: Iterable[Decimal], factor: Fraction, places: int) -> list[Decimal]:
    """``weights`` times ``factor``, made to add up to ``total``; in proportion to them where that is another sum
    altogether (an allowance on the whole, the rest of a credit)."""
    exact = [Fraction(weight) * factor for weight in weights]
    whole = sum(exact, Fraction(0))
    if whole and abs(whole - Fraction(total)) * 10**places > 1:
        exact = [part * Fraction(total) / whole for part in exact]
    return largest_remainder(total, exact, places)


def largest_remainder(total: Decimal, exact: Sequence[Fraction], places: int) -> list[Decimal]:
    """Round parts to ``places`` so that they add up to ``total``: each one down, and a minor unit more for those with
    the largest remainders (of equal ones the first), or one less for those with the smallest.
    """
    scaled = [part * 10**places for part in exact]
    parts = [part.numerator // part.denominator for part in scaled]
    left = int(total.scaleb(places)) - sum(parts)
    order = sorted(range(len(parts)), key=lambda n: (parts[n] - scaled[n], n))
    for n in order[:left] if left >= 0 else order[left:]:
        parts[n] += 1 if left > 0 else -1
    return [Decimal(part).scaleb(-places) for part in parts]
