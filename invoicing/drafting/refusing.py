"""What no document may be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.charging import Proposal, Proposed
from invoicing import parties
from invoicing.drafting.draft import Draft
from invoicing.parties import Accounts
from tenants.errors import OperatorError
from tenants.models import Issuer


class BeyondBounds(OperatorError):
    """An amount or a number of periods that the issuer wants a person to look at first."""


class InvoicesItself(OperatorError):
    """An issuer would invoice the account that operates it, or a part of that."""


class NotOverYet(OperatorError):
    """Usage would be invoiced before its period is over."""


# What is neither Latin nor usual punctuation; of these the documents' font lacks some (all others it has).
UNUSUAL = re.compile("[^\x20-\x7e\xa0-\u017f\u2010-\u2015\u2018-\u201e\u2020-\u2022\u2026\u20ac\u2122]")


def refuse_itself(issuer: Issuer, drafts: Sequence[Draft], facts: Accounts) -> None:
    """Raises ``InvoicesItself``: nobody owes VAT, or anything else, to itself."""
    for draft in drafts if issuer.operated_by_id else ():
        if issuer.operated_by_id in (draft.recipient.id, parties.entity_of(draft.recipient, facts).id):
            raise InvoicesItself(
                _("%(account)s belongs to who operates the issuer %(issuer)s, which cannot invoice itself.")
                % {"account": draft.recipient.reference, "issuer": issuer.reference}
            )


def refuse_not_over(charges: Sequence[Proposed], *, issue_on: date) -> None:
    """Raises ``NotOverYet``: what is used in a period is known when it is over, so not on an earlier invoice date."""
    for charge in charges:
        if "usage" in charge.due.trace and charge.due.period.last_day > issue_on:
            raise NotOverYet(
                _(
                    "Contract %(contract)s: the period of its usage ends on %(last_day)s, after the invoice date"
                    " (%(issue_on)s). Bill through an earlier day, or with a later invoice date."
                )
                % {
                    "contract": charge.position.contract.reference,
                    "last_day": date_format(charge.due.period.last_day, "SHORT_DATE_FORMAT"),
                    "issue_on": date_format(issue_on, "SHORT_DATE_FORMAT"),
                }
            )


def refuse_beyond_bounds(issuer: Issuer, proposal: Proposal, drafts: Sequence[Draft]) -> None:
    """Raises ``BeyondBounds`` for what is more likely a slip than a bill; raising the issuer's bound lets it pass."""
    for draft in drafts:
        if abs(draft.totals.gross) > issuer.largest_document:
            raise BeyondBounds(
                _(
                    "%(payer)s: a document of %(gross)s %(currency)s is above the largest that %(issuer)s allows"
                    " (%(bound)s)."
                )
                % {
                    "payer": draft.payer.reference,
                    "gross": f"{draft.totals.gross:f}",
                    "currency": draft.currency,
                    "issuer": issuer.reference,
                    "bound": f"{issuer.largest_document.normalize():f}",
                }
            )
    periods = Counter(charge.due.item for charge in proposal.charges)
    for charge in proposal.charges:
        if periods[charge.due.item] > issuer.most_periods:
            raise BeyondBounds(
                _(
                    "Contract %(contract)s: %(periods)d periods are due at once, more than the %(bound)d that"
                    " %(issuer)s allows. If another system billed them, say so in the contract."
                )
                % {
                    "contract": charge.position.contract.reference,
                    "periods": periods[charge.due.item],
                    "bound": issuer.most_periods,
                    "issuer": issuer.reference,
                }
            )


def refuse_unprintable(draft: Draft) -> None:
    """Raises ``UnprintableText``: what is issued cannot be changed, so that it can be drawn must be known before."""
    names = [text for section in draft.sections for text in (section.name, section.project_code)]
    texts = [draft.po_number, *names, *(line.text for line in draft.lines), *(one.text for one in draft.lowered)]
    records = [draft.parties, *(line.details for line in draft.lines)]
    if UNUSUAL.search("".join([*texts, *records])):
        from invoicing.pdf import paper  # here: the PDF makers take long to load, and are seldom asked

        for text in [*texts, *(leaf for record in records for leaf in _leaves(json.loads(record)))]:
            paper.refuse_unprintable(text)


def _leaves(value: Any) -> Iterator[str]:
    """The texts in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
