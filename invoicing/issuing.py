"""Released draft -> numbered, posted document with its open item, in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of
from invoicing import drafting, former_vat, grouping, parties, posting, refunds_wanted, review, taxation, vat_waiting
from invoicing.kernel.content import chained
from invoicing.kernel.totals import Share, vat_of
from invoicing.kernel.vat import Case
from invoicing.models import BillRun, Invoice, NumberRange, Outcome, VatShare
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.transactions import lock_payers, wake

PREFIXES = {
    Invoice.Kind.INVOICE.value: "RE",
    Invoice.Kind.CREDIT_NOTE.value: "RK",
    Invoice.Kind.CANCELLATION.value: "ST",
}
CHUNK = 500
ZERO = Decimal(0)
BASES = """
    select invoice_id, vat_case, vat_rate, sum(net)
      from (select invoice_id, vat_case, vat_rate, net from invoicing_line where invoice_id = any(%s)
            union all
            select invoice_id, vat_case, vat_rate, -amount from invoicing_allowance where invoice_id = any(%s)) part
     group by invoice_id, vat_case, vat_rate
"""


class Outdated(OperatorError):
    """What a draft was made from has changed since: it must be computed again before it can be issued."""


class DoesNotAddUp(OperatorError):
    """What a draft states in sum is not what its lines and discounts come to."""


@dataclass(frozen=True, slots=True)
class Issuable:
    """A draft that is to get a number."""

    receivable: posting.Receivable
    kind: str
    content_hash: str

    @classmethod
    def of(cls, draft: drafting.Draft) -> Issuable:
        return cls(
            posting.Receivable(
                draft.key, draft.payer.id, draft.currency, draft.due_on, draft.booked_shares, draft.totals.gross
            ),
            draft.kind,
            draft.content_hash,
        )


def issue_released(run: BillRun, *, by: Any = None) -> int:
    """Issue all released drafts of ``run``, in chunks that are all or nothing; returns how many.

    Raises ``Outdated`` naming the first recipient whose master data have changed since; what came before stays issued.
    """
    issued = 0
    while keys := list(
        run.invoices.filter(state=Invoice.State.RELEASED)
        .order_by("payer_id", "id")
        .values_list("id", flat=True)[:CHUNK]
    ):
        issued += issue(keys, by=by)
    return issued


@transaction.atomic
def issue(invoices: Sequence[int], *, by: Any = None) -> int:
    """Issue those of the drafts that are released; returns how many. The others, and issued ones, stay as they are;
    one that shows no VAT by a VAT id that is to be confirmed again is held until it is (``invoicing.vat_waiting``).

    Raises ``Outdated`` naming the recipient whose master data have changed since the draft was made.
    """
    lock_payers(Invoice.objects.filter(pk__in=invoices).payers())
    released = list(
        Invoice.objects.filter(pk__in=invoices, state=Invoice.State.RELEASED)
        .select_for_update(of=("self",))
        .order_by("issuer_id", "issued_on", "id")
    )
    if not released:
        return 0
    issuers = Issuer.objects.in_bulk({invoice.issuer_id for invoice in released})
    issued: list[Invoice] = []
    for issuer_id, of_issuer in groupby(released, key=lambda invoice: invoice.issuer_id):
        own = list(of_issuer)
        issued += vat_waiting.without_pending(issuers[issuer_id], own, _accounts_of(own))
    review.put_on_record(Invoice.State.ISSUED.value, issued, by=by)
    issuables = issuables_of(issued)
    for (issuer_id, issued_on), group in groupby(issued, key=lambda i: (i.issuer_id, i.issued_on)):
        issuer, documents = issuers[issuer_id], list(group)
        check_up_to_date(issuer, documents)
        number(issuer, [issuables[document.pk] for document in documents], on=issued_on)
    _settle_outcomes(released)
    return len(issued)


def issuables_of(invoices: Sequence[Invoice]) -> dict[int, Issuable]:
    """Stored drafts as they are to get a number, by key; two queries. Raises ``DoesNotAddUp``."""
    shares: dict[int, list[Share]] = defaultdict(list)
    for invoice_id, case, rate, base, vat, role in (
        VatShare.objects.filter(invoice__in=invoices)
        .order_by("id")
        .values_list("invoice_id", "vat_case", "vat_rate", "base", "vat", "ledger_role")
    ):
        shares[invoice_id].append(Share(Case(case), rate, base, vat, role))
    check_sums(invoices, shares)
    return {
        i.pk: Issuable(
            posting.Receivable(
                i.pk, i.payer_id, i.currency, i.due_on, tuple(shares[i.pk]), i.gross.amount, i.corrects_id
            ),
            i.kind,
            i.content_hash,
        )
        for i in invoices
    }


def check_sums(invoices: Sequence[Invoice], shares: Mapping[int, Sequence[Share]]) -> None:
    """Add stored drafts up once more: lines and allowances to the VAT shares, and these to net, VAT and gross (BR-CO).

    The VAT of corrections by hand rests on what was given back before, and is not reckoned anew.
    One query. Raises ``DoesNotAddUp`` naming the recipient.
    """
    bases: dict[int, dict[tuple[str, Decimal], Decimal]] = defaultdict(dict)
    keys = [invoice.pk for invoice in invoices]
    with connection.cursor() as cursor:
        cursor.execute(BASES, [keys, keys])
        for key, case, rate, base in cursor.fetchall():
            bases[key][case, rate] = base
    for invoice in invoices:
        own = shares.get(invoice.pk, ())
        net, vat, gross = invoice.net.amount, invoice.vat.amount, invoice.gross.amount
        if (
            bases[invoice.pk] != {(share.case.value, share.rate): share.base for share in own}
            or net != sum((share.base for share in own), ZERO)
            or vat != sum((share.vat for share in own), ZERO)
            or gross != net + vat
            or (invoice.corrects_id is None and any(share.vat != _vat(share, invoice.currency) for share in own))
        ):
            raise DoesNotAddUp(
                _("%(recipient)s: the sums of the draft do not add up. Discard and compute it again.")
                % {"recipient": invoice.parties["buyer"]["reference"]}
            )


def _vat(share: Share, currency: str) -> Decimal:
    return vat_of(share.base, share.rate, places_of(currency))


def number(issuer: Issuer, issuables: Sequence[Issuable], *, on: date) -> None:
    """Post, open and number documents in the caller's transaction; the number ranges are locked last.

    Everything the database checks at commit is checked before that lock is taken, so that it is held briefly.
    """
    if not issuables:
        return
    posting.post_issued(issuer, [issuable.receivable for issuable in issuables], on=on)
    credits = [one.receivable.invoice for one in issuables if one.kind == Invoice.Kind.CREDIT_NOTE]
    if credits:
        refunds_wanted.mark(credits, on=on)
    kinds = sorted({issuable.kind for issuable in issuables})
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("set constraints all deferred")  # as it was: a number is proved once its range has counted it
    ranges = _locked_ranges(issuer, kinds, on.year)
    rows = []
    for kind in kinds:
        key, prefix, following, head = ranges[kind]
        first = following
        for issuable in issuables:
            if issuable.kind == kind:
                text = f"{prefix}{following:05}"
                head = chained(head, text, issuable.content_hash)
                rows.append((issuable.receivable.invoice, key, following, text, head))
                following += 1
        ranges[kind] = (key, prefix, following, head)
        assert following > first
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update {table_of(Invoice)} i
               set state = 'issued', range_id = n.range, sequence = n.sequence, number = n.number, chain_hash = n.chain
              from unnest(%s::bigint[], %s::bigint[], %s::int[], %s::text[], %s::text[])
                   as n(id, range, sequence, number, chain)
             where i.id = n.id
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        cursor.execute(
            f"update {table_of(NumberRange)} r set next_number = n.following, chain_head = n.head"
            " from unnest(%s::bigint[], %s::int[], %s::text[]) as n(id, following, head) where r.id = n.id",
            [
                [ranges[kind][0] for kind in kinds],
                [ranges[kind][2] for kind in kinds],
                [ranges[kind][3] for kind in kinds],
            ],
        )
    wake("invoicing.render_pending")
    wake("invoicing.tell")


def _locked_ranges(issuer: Issuer, kinds: Sequence[str], year: int) -> dict[str, tuple[int, str, int, str]]:
    """By kind: key, prefix, next number and head of the chain of the year's range, locked in key order."""

    def locked() -> dict[str, tuple[int, str, int, str]]:
        return {
            kind: (key, prefix, following, head)
            for kind, key, prefix, following, head in NumberRange.objects.select_for_update(no_key=True)
            .filter(issuer=issuer, kind__in=kinds, year=year)
            .order_by("id")
            .values_list("kind", "id", "prefix", "next_number", "chain_head")
        }

    ranges = locked()
    if len(ranges) < len(kinds):
        NumberRange.objects.bulk_create(
            [
                NumberRange(issuer=issuer, kind=kind, year=year, prefix=f"{PREFIXES[kind]}-{year}-")
                for kind in kinds
                if kind not in ranges
            ],
            ignore_conflicts=True,
        )
        ranges = locked()
    return ranges


def _accounts_of(invoices: Sequence[Invoice]) -> parties.Accounts:
    return parties.read_accounts({key for invoice in invoices for key in (invoice.recipient_id, invoice.payer_id)})


def is_outdated(draft: Invoice) -> bool:
    """Whether a draft could not be issued as it stands: its parties have changed, or who is invoiced or pays."""
    try:
        check_up_to_date(draft.issuer, [draft])
    except Outdated:
        return True
    return False


def check_up_to_date(issuer: Issuer, invoices: Sequence[Invoice]) -> None:
    """Refuse drafts whose parties are no longer what they were: the release was for what stands in the draft."""
    facts = _accounts_of(invoices)
    seller = parties.seller_of(issuer)
    supplies = taxation.supplies_of([invoice.pk for invoice in invoices])
    for invoice in invoices:
        recipient, payer = facts.accounts[invoice.recipient_id], facts.accounts[invoice.payer_id]
        case, taxed = Case(invoice.vat_case), invoice.parties.get("vat", {})
        check = facts.vat_checks.get(recipient.id)
        if former_vat.marked(invoice.parties):
            if case in parties.RESTS_ON_THE_VAT_ID:
                recipient = replace(recipient, vat_id=invoice.parties["buyer"].get("vat_id", ""))
                check = former_vat.evidence_of(invoice.parties.get("vat_check", {}), None)
        elif own := supplies.get(invoice.pk):
            taxes = taxation.Taxes.of(issuer, on=invoice.issued_on)
            now_taxed = [(rate, taxes.treatment(recipient, facts, sold, day)) for sold, day, rate in own]
            case = next((t.rule.case for rate, t in now_taxed if (t.rate, t.rule.case) != (rate, case)), case)
            taxed = taxation.evidence(taxation.by_rate(treatment for _rate, treatment in now_taxed))
        now = json.loads(parties.parties_of(issuer, seller, recipient, payer, facts, case, taxed, check))
        if now != invoice.parties or case.value != invoice.vat_case:
            raise Outdated(
                _("%(recipient)s: its master data have changed since the draft was made. Discard and compute it again.")
                % {"recipient": recipient.reference}
            )
    for invoice in grouping.misplaced(invoices):
        raise Outdated(
            _("%(recipient)s: who is invoiced or who pays has changed since the draft was made. Compute it again.")
            % {"recipient": facts.accounts[invoice.recipient_id].reference}
        )


def _settle_outcomes(invoices: Iterable[Invoice]) -> None:
    """A payer of whose drafts none is left to decide counts as issued in the run."""
    runs = {invoice.run_id for invoice in invoices if invoice.run_id}
    payers = {invoice.billed_payer for invoice in invoices}
    undecided = Invoice.objects.drafts().filter(run__in=runs).billed_for(payers)
    left = {(invoice.run_id, invoice.billed_payer) for invoice in undecided.only("run", "payer", "billed_with")}
    for run in runs:
        Outcome.objects.filter(
            run=run,
            payer__in=[payer for payer in payers if (run, payer) not in left],
            state=Outcome.State.PROPOSED,
        ).update(state=Outcome.State.ISSUED)
