"""Undecided lines -> proposals, and what is certain -> payments, as far as the bank account lets that happen by itself.

All that is known of an issuer is read in a fixed number of statements, whatever the lines are; they are matched in
their order, so that what one settles is not proposed for the next. A second run finds nothing to book.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from billing.kernel.money import places_of, rounded
from invoicing.models import OpenItem
from payments import bank_lines, own_lines, receiving
from payments.kernel.allocation import Claim, Rule, Share
from payments.kernel.matching import Book, Certainty, Document, Line, Match, Matcher, Reason, name_key
from payments.models import BankAccount, BankLine, Collection, MatchProposal, Payment
from tenants.encryption import decrypted, keyed_hashes
from tenants.models import Issuer, Mandate, Tenant

IBAN: Final = "iban"
REMEMBERED: Final = timedelta(days=400)  # documents that are settled are named again by those who pay twice
MOST_LINES: Final = 5_000  # looked at in one go, the oldest first

CLAIMS: Final = """
    select i.number, o.id, o.payer_id, t.tree_id, o.due_on, coalesce(sum(p.amount), 0)
      from invoicing_openitem o
      join invoicing_invoice i on i.id = o.invoice_id
      join tenants_tenant t on t.id = o.payer_id
      left join invoicing_posting p on p.open_item_id = o.id
     where o.issuer_id = %(issuer)s and o.currency = %(currency)s and i.kind = 'invoice'
       and not exists (select from invoicing_openitem m where m.moved_from_id = o.id)
     group by i.number, i.issued_on, o.id, t.tree_id
    having coalesce(sum(p.amount), 0) <> 0 or i.issued_on >= %(since)s
     order by o.due_on, o.id
"""
PAID_FROM: Final = """
    select distinct l.iban_hash, y.payer_id
      from payments_bankline l
      join payments_linebooking b on b.line_id = l.id
      join payments_payment y on y.entry_id = b.entry_id
     where y.issuer_id = %(issuer)s and l.iban_hash = any(%(hashes)s)
       and not exists (select from payments_paymentreturn r where r.payment_id = y.id)
    union
    select distinct a.iban_hash, m.payer_id
      from tenants_mandateaccount a join tenants_mandate m on m.id = a.mandate_id
     where m.issuer_id = %(issuer)s and a.iban_hash = any(%(hashes)s) and a.decision = 'approved'
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did: lines looked at, booked by themselves, proposed, and left unclear."""

    looked_at: int = 0
    booked: int = 0
    proposed: int = 0
    unclear: int = 0


def match(account: BankAccount, *, by: Any = None) -> Result:
    """Book what our own files caused, propose for the other lines, and book of these what the account allows."""
    booked = 0 if account.books_by_itself == BankAccount.Books.NEVER else own_lines.book_all(account, by=by)
    own = booked
    proposals = propose(account)
    for proposal in proposals:
        if books_by_itself(account, proposal) and _book(proposal, by):
            booked += 1
    unclear = sum(1 for one in proposals if one.certainty == Certainty.UNCLEAR)
    return Result(own + len(proposals), booked, own + len(proposals) - booked - unclear, unclear)


@transaction.atomic
def propose(account: BankAccount) -> list[MatchProposal]:
    """What the account's undecided lines may be, written down in place of what was proposed before."""
    list(BankAccount.objects.select_for_update(no_key=True).filter(pk=account.pk).values_list("pk"))
    lines = list(
        account.lines.undecided().select_related("bank_account__issuer").order_by("booked_on", "pk")[:MOST_LINES]
    )
    proposals = _proposals(account, lines)
    MatchProposal.objects.filter(line__bank_account=account).delete()
    return MatchProposal.objects.bulk_create(proposals)


def books_by_itself(account: BankAccount, proposal: MatchProposal) -> bool:
    """Whether the account lets this be booked without a person."""
    if proposal.certainty == Certainty.CERTAIN:
        return account.books_by_itself != BankAccount.Books.NEVER
    named = Reason.NUMBER.value in proposal.reasons and Reason.OTHER_TREE.value not in proposal.reasons
    return (
        account.books_by_itself == BankAccount.Books.NAMED
        and named
        and proposal.certainty == Certainty.LIKELY
        and bool(proposal.shares)
        and _is_all_of(proposal)
    )


def shares_of(proposal: MatchProposal) -> list[Share]:
    """The proposed shares, as the kernel gave them."""
    return [
        Share(
            one["item"], Decimal(one["amount"]), Rule(one["rule"]), Decimal(one["discount"]), Decimal(one["difference"])
        )
        for one in proposal.shares
    ]


def _is_all_of(proposal: MatchProposal) -> bool:
    """Whether all of the line goes to claims that it settles whole."""
    return sum((one.amount for one in shares_of(proposal)), Decimal(0)) == proposal.line.amount.amount and all(
        one["whole"] for one in proposal.shares
    )


def _book(proposal: MatchProposal, by: Any) -> bool:
    """Book one proposal; if the figures have changed meanwhile, it stays a proposal for a person."""
    if proposal.payer_id is None:
        return False
    try:
        with transaction.atomic():
            bank_lines.book(proposal.line, proposal.payer_id, shares_of(proposal), by=by, whole_items=True)
    except (bank_lines.NotBooked, receiving.NotApplied):
        return False
    return True


def _proposals(account: BankAccount, lines: Sequence[BankLine]) -> list[MatchProposal]:
    if not lines:
        return []
    hashes = {line.pk: _hashes(line) for line in lines}
    book = read_book(account, lines, {one for own in hashes.values() for one in own})
    matcher = Matcher(book)
    returned = _returned(account, [line for line in lines if line.is_return and line.amount.amount < 0])
    proposals = []
    for line in lines:
        amount = rounded(line.amount.amount - vars(line)["booked"], places_of(line.currency))
        if amount > 0 and not line.is_return:
            proposals.append(_proposal(line, matcher.match(_plain(line, amount, hashes[line.pk], book)), book))
        elif line.pk in returned:
            payment, is_sure = returned[line.pk]
            certainty = Certainty.LIKELY if is_sure else Certainty.POSSIBLE
            proposals.append(
                MatchProposal(
                    line=line,
                    payer_id=payment.payer_id,
                    payment=payment,
                    certainty=certainty,
                    reasons=[MatchProposal.Reason.RETURN.value],
                )
            )
        else:
            reason = MatchProposal.Reason.RETURN if line.is_return else MatchProposal.Reason.OUTGOING
            proposals.append(MatchProposal(line=line, reasons=[reason.value]))
    return proposals


def _proposal(line: BankLine, match: Match, book: Book) -> MatchProposal:
    left = {claim.item: claim.left for claims in book.claims.values() for claim in claims}
    return MatchProposal(
        line=line,
        payer_id=match.payer,
        certainty=int(match.certainty),
        reasons=[reason.value for reason in match.reasons],
        shares=[
            {
                "item": share.item,
                "amount": f"{share.amount:f}",
                "rule": share.rule.value,
                "discount": f"{share.discount:f}",
                "difference": f"{share.difference:f}",
                "whole": share.amount + share.discount + share.difference == left[share.item],
            }
            for share in match.division.shares
        ],
    )


def _plain(line: BankLine, amount: Decimal, hashes: Iterable[str], book: Book) -> Line:
    known = next((one for one in hashes if one in book.accounts), "")
    return Line(line.pk, amount, line.purpose, line.end_to_end_id, line.mandate, line.name, known)


def _hashes(line: BankLine) -> list[str]:
    """The hashes by which the other side's IBAN may be stored, whichever key made them."""
    if not line.iban:
        return []
    iban = decrypted(line.iban, IBAN)
    return [line.iban_hash] if iban is None else keyed_hashes(iban, IBAN)


def read_book(account: BankAccount, lines: Sequence[BankLine], hashes: set[str]) -> Book:
    """What is known of the account's issuer that may concern these lines; seven questions."""
    scope: dict[str, Any] = {
        "issuer": account.issuer_id,
        "currency": account.currency,
        "since": min(line.booked_on for line in lines) - REMEMBERED,
        "hashes": list(hashes),
    }
    places = places_of(account.currency)
    documents: dict[str, Document] = {}
    claims: dict[int, list[Claim]] = defaultdict(list)
    trees: dict[int, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(CLAIMS, scope)
        for number, item, payer, tree, due_on, left in cursor.fetchall():
            claim = Claim(item, due_on, rounded(left, places)) if left > 0 else None
            documents[number] = Document(number, payer, tree, claim)
            trees[payer] = tree
            if claim:
                claims[payer].append(claim)
        cursor.execute(PAID_FROM, scope)
        accounts: dict[str, set[int]] = defaultdict(set)
        for mark, payer in cursor.fetchall():
            accounts[mark].add(payer)
    payers = set(trees) | {one for own in accounts.values() for one in own}
    names: dict[str, set[int]] = defaultdict(set)
    customers: dict[str, int] = {}
    for key, reference, name, tree in Tenant.objects.filter(pk__in=payers).values_list(
        "pk", "reference", "name", "tree_id"
    ):
        trees[key] = tree
        names[name_key(name)].add(key)
        if len(reference) > 3 and any(sign.isdigit() for sign in reference):
            customers[reference] = key
    return Book(
        documents=documents,
        claims=claims,
        trees=trees,
        accounts={mark: frozenset(own) for mark, own in accounts.items()},
        mandates=_mandates(account, {line.mandate for line in lines if line.mandate}),
        names={mark: frozenset(own) for mark, own in names.items()},
        customers=customers,
        collections=_collections(account, {line.end_to_end_id for line in lines if line.end_to_end_id}),
        small_difference=account.small_difference,
    )


def claims_of(issuer: Issuer, payer: int, currency: str) -> list[Claim]:
    """What is open of the payer's documents, those due first, first."""
    rows = (
        OpenItem.objects.filter(issuer=issuer, payer=payer, currency=currency, invoice__isnull=False)
        .with_open_amount()
        .filter(open_amount__gt=0)
        .order_by("due_on", "pk")
        .values_list("pk", "due_on", "open_amount")
    )
    return [Claim(item, due_on, rounded(left, places_of(currency))) for item, due_on, left in rows]


def _mandates(account: BankAccount, references: set[str]) -> Mapping[str, int]:
    return dict(
        Mandate.objects.filter(issuer=account.issuer_id, reference__in=references).values_list("reference", "payer")
    )


def _collections(account: BankAccount, keys: set[str]) -> Mapping[str, int]:
    return dict(Collection.objects.filter(issuer=account.issuer_id, key__in=keys).values_list("key", "payer"))


def _returned(account: BankAccount, lines: Sequence[BankLine]) -> dict[int, tuple[Payment, bool]]:
    """By returned line: the payment that comes back, and whether our own end-to-end id says so."""
    if not lines:
        return {}
    ids = {line.end_to_end_id for line in lines if line.end_to_end_id}
    open_payments = Payment.objects.filter(issuer=account.issuer_id, currency=account.currency, returns=None)
    by_key = {
        one.collection.key: one for one in open_payments.filter(collection__key__in=ids).select_related("collection")
    }
    by_id: dict[str, list[Payment]] = defaultdict(list)
    by_hash: dict[str, list[Payment]] = defaultdict(list)
    earlier = (
        BankLine.objects.filter(bank_account=account, bookings__entry__payment__returns=None)
        .filter(bookings__entry__payment__isnull=False)
        .filter(iban_hash__in={line.iban_hash for line in lines if line.iban_hash})
        .order_by("-booked_on", "-pk")
        .values_list("iban_hash", "end_to_end_id", "bookings__entry__payment")
    )
    rows = list(earlier)
    payments = open_payments.in_bulk([key for _mark, _own, key in rows])
    for mark, own, key in rows:
        if key in payments:
            by_hash[mark].append(payments[key])
            if own:
                by_id[own].append(payments[key])
    found: dict[int, tuple[Payment, bool]] = {}
    taken: set[int] = set()
    for line in lines:
        fitting = [by_key[line.end_to_end_id]] if line.end_to_end_id in by_key else []
        is_sure = bool(fitting)
        fitting = fitting or by_id.get(line.end_to_end_id, []) or by_hash.get(line.iban_hash, [])
        wanted = -line.amount.amount - line.fee.amount
        for payment in fitting:
            if payment.pk not in taken and (is_sure or payment.amount.amount == wanted):
                found[line.pk] = (payment, is_sure or line.end_to_end_id in by_id)
                taken.add(payment.pk)
                break
    return found
