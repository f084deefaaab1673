"""Books what the kernel finds due, as the charging station does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from billing.kernel.charges import Booked, Due, ItemTerms, due_less_booked
from invoicing.kernel.totals import Totals, totals
from invoicing.kernel.vat import Case as Vat

UNTAXED = Decimal(0)


class Books:
    """What stands booked, by item; keys of charges count up."""

    def __init__(self) -> None:
        self.standing: dict[int, list[Booked]] = defaultdict(list)
        self.nets: dict[int, Decimal] = {}
        self.last_key = 0

    def run(self, terms: ItemTerms, through: date) -> list[Due]:
        """Find what is due of an item, and book it."""
        found = due_less_booked(terms, self.standing[terms.key], through)
        for due in found:
            self.last_key += 1
            self.nets[self.last_key] = due.net
            if due.reverses is None:
                booked = Booked(self.last_key, due.kind, due.period, due.net, due.corrects)
                self.standing[terms.key].append(booked)
            else:
                self.standing[terms.key] = [one for one in self.standing[terms.key] if one.key != due.reverses]
        return found


def taxed(nets: Sequence[Decimal], rate: Decimal, places: int) -> Totals:
    """Totals of a document whose lines all have one rate."""
    return totals([(Vat.STANDARD, rate, net) for net in nets], places)


def net_of(nets: Sequence[Decimal], places: int) -> Decimal:
    """The net of a document with these lines."""
    return taxed(nets, UNTAXED, places).net
