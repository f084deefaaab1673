"""Whose money a line of a statement is, and what it was paid for: a proposal with its reasons and how sure it is."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Final

from payments.kernel.allocation import NOTHING, Claim, Division, divide

# What scanners and typists take for one another, brought to one sign.
ALIKE: Final = str.maketrans("OILSBZ", "011582")
FOLDED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "AE", "Ö": "OE", "Ü": "UE"})
LEGAL_FORMS: Final = frozenset(
    "GMBH MBH CO KG KGAA AG SE UG OHG GBR EK EV EG PARTG INC LTD LLC SARL SA BV NV LIMITED HAFTUNGSBESCHRAENKT".split()
)
SHORTEST: Final = 6  # signs of a number that may stand without its prefix; a shorter one is found by accident


class Certainty(IntEnum):
    """How sure a proposal is."""

    UNCLEAR = 0
    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


class Reason(StrEnum):
    """What speaks for a proposal, or against it."""

    NUMBER = "number"
    NUMBER_ALIKE = "number_alike"
    END_TO_END = "end_to_end"
    MANDATE = "mandate"
    ACCOUNT = "account"
    CUSTOMER = "customer"
    NAME = "name"
    AMOUNT_ALONE = "amount_alone"
    OTHER_PAYER = "other_payer"
    OTHER_TREE = "other_tree"
    SEVERAL_FIT = "several_fit"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Document:
    """A number that a purpose may name: its payer, that payer's account tree, and what is open of it, if anything."""

    number: str
    payer: int
    tree: int
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a line; ``account`` is the keyed hash of the other side's IBAN."""

    key: int
    amount: Decimal
    purpose: str
    end_to_end_id: str = ""
    mandate: str = ""
    name: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Whose line it is and how it would be divided. Without a payer nobody is proposed."""

    payer: int | None = None
    division: Division = field(default_factory=Division)
    certainty: Certainty = Certainty.UNCLEAR
    reasons: tuple[Reason, ...] = ()
    named: tuple[str, ...] = ()


def squeezed(text: str) -> str:
    """Capitals and digits alone, umlauts written out."""
    return "".join(sign for sign in _upper(text) if sign.isascii() and sign.isalnum())


def name_key(name: str) -> str:
    """A name as it is compared: without legal form, umlauts, signs and blanks."""
    words = re.findall(r"[A-Z0-9]+", re.sub(r"\.(?=[A-Za-z])|(?<=[a-zA-Z])\.", "", _upper(name)))
    return "".join(word for word in words if word not in LEGAL_FORMS) or "".join(words)


def _upper(text: str) -> str:
    return unicodedata.normalize("NFKD", text.translate(FOLDED)).upper()


class Numbers:
    """Finds known numbers in what people write: with blanks inside, small letters, no prefix, or signs misread."""

    def __init__(self, known: Iterable[str]) -> None:
        self._whole: dict[str, set[str]] = defaultdict(set)
        self._alike: dict[str, set[str]] = defaultdict(set)
        self._loose: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for number in known:
            whole = squeezed(number)
            if not whole:
                continue
            self._whole[whole].add(number)
            self._alike[whole.translate(ALIKE)].add(number)
            bare = re.sub(r"^[A-Z]+", "", whole)
            if bare != whole and len(bare) >= SHORTEST:
                self._whole[bare].add(number)
                self._alike[bare.translate(ALIKE)].add(number)
            groups = tuple(group.lstrip("0") or "0" for group in re.findall(r"[0-9]+", _upper(number)))
            if len(groups) > 1:
                self._loose[groups].add(number)
        self._lengths = sorted({len(key) for key in self._whole}, reverse=True)
        self._groups = sorted({len(key) for key in self._loose}, reverse=True)

    def found_in(self, text: str) -> tuple[list[str], bool]:
        """The known numbers that ``text`` names, in its order, and whether each stands there as it is."""
        upper = _upper(text)
        exact = self._scan(upper, self._whole)
        loose = self._scan_groups(upper)
        alike = [] if exact or loose else self._scan(upper, self._alike)
        found = list(dict.fromkeys([*exact, *loose, *alike]))
        return found, not alike

    def _scan(self, text: str, known: Mapping[str, set[str]]) -> list[str]:
        signs = [(place, sign) for place, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
        plain = "".join(sign for _place, sign in signs)
        if known is self._alike:
            plain = plain.translate(ALIKE)
        found: list[str] = []
        start = 0
        while start < len(plain):
            for length in self._lengths:
                end = start + length
                numbers = known.get(plain[start:end]) if end <= len(plain) else None
                if numbers and len(numbers) == 1 and _stands_alone(signs, start, end):
                    found += numbers
                    start = end - 1
                    break
            start += 1
        return found

    def _scan_groups(self, text: str) -> list[str]:
        """Numbers written without their leading zeros: “RE 2026/17” for RE-2026-00017."""
        groups = [(match.start(), match.end(), match[0].lstrip("0") or "0") for match in re.finditer(r"[0-9]+", text)]
        found: list[str] = []
        for size in self._groups:
            for start in range(len(groups) - size + 1):
                some = groups[start : start + size]
                joined = all(re.fullmatch(r"\s?[-/._]\s?", text[one[1] : two[0]]) for one, two in pairwise(some))
                numbers = self._loose.get(tuple(group for _s, _e, group in some), set()) if joined else set()
                if len(numbers) == 1:
                    found += numbers
        return found


def _stands_alone(signs: Sequence[tuple[int, str]], start: int, end: int) -> bool:
    """Whether the stretch is no part of a longer word or number; what is divided by a blank or sign is no part."""
    before = signs[start - 1] if start else None
    after = signs[end] if end < len(signs) else None
    first, last = signs[start], signs[end - 1]
    if before and before[0] == first[0] - 1 and before[1].isdigit() == first[1].isdigit():
        return False
    return not (after and after[0] == last[0] + 1 and after[1].isdigit() == last[1].isdigit())


@dataclass(frozen=True, slots=True)
class Book:
    """What an issuer knows when lines come in: documents, claims, and who paid from where before."""

    documents: Mapping[str, Document]
    claims: Mapping[int, Sequence[Claim]]  # by payer
    trees: Mapping[int, int]  # the account tree of each payer
    accounts: Mapping[str, frozenset[int]]
    mandates: Mapping[str, int]
    names: Mapping[str, frozenset[int]]
    customers: Mapping[str, int]
    collections: Mapping[str, int]  # end-to-end id of ours -> payer
    small_difference: Decimal = NOTHING


class Matcher:
    """Matches lines against one book, in their order: what one line settles is not open to the next."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._numbers = Numbers(book.documents)
        self._customers = Numbers(book.customers)
        self._left = {claim.item: claim for claims in book.claims.values() for claim in claims}

    def match(self, line: Line) -> Match:
        """A proposal for money that came in (above zero)."""
        text = f"{line.purpose} {line.end_to_end_id}"
        named, stand_as_they_are = self._numbers.found_in(text)
        documents = [self._book.documents[number] for number in named]
        payers, reasons = self._payers(line, text)
        if documents:
            match = self._by_reference(line, documents, payers, reasons, stand_as_they_are)
        elif len(payers) == 1:
            match = self._by_payer(line, next(iter(payers)), reasons)
        else:
            match = self._by_amount(line, payers, reasons)
        for share in match.division.shares:
            self._settle(share.item, share.amount + share.discount + share.difference)
        return match

    def _payers(self, line: Line, text: str) -> tuple[set[int], list[Reason]]:
        """Who it may be from, by the surest sign there is."""
        book = self._book
        customers = {book.customers[one] for one in self._customers.found_in(text)[0]}
        collection, mandate = book.collections.get(line.end_to_end_id), book.mandates.get(line.mandate)
        signs = (
            (Reason.END_TO_END, {collection} if collection is not None else set()),
            (Reason.MANDATE, {mandate} if mandate is not None else set()),
            (Reason.ACCOUNT, set(book.accounts.get(line.account, ())) if line.account else set()),
            (Reason.CUSTOMER, customers),
            (Reason.NAME, set(book.names.get(name_key(line.name), ())) if line.name else set()),
        )
        for reason, payers in signs:
            if payers:
                return payers, [reason]
        return set(), []

    def _by_reference(
        self,
        line: Line,
        documents: Sequence[Document],
        payers: set[int],
        reasons: Sequence[Reason],
        stand_as_they_are: bool,
    ) -> Match:
        told = [Reason.NUMBER if stand_as_they_are else Reason.NUMBER_ALIKE, *reasons]
        named = tuple(document.number for document in documents)
        trees = {document.tree for document in documents}
        owners = [document.payer for document in documents]
        payer = next((owner for owner in owners if owner in payers), owners[0])
        if len(trees) > 1:
            return Match(payer, Division(unapplied=line.amount), Certainty.UNCLEAR, (*told, Reason.OTHER_TREE), named)
        if payers and not payers & set(owners):
            known = {self._book.trees.get(one) for one in payers}
            if trees <= known and len(payers) == 1:
                payer = next(iter(payers))  # another account of the same tree pays
            else:
                told.append(Reason.OTHER_PAYER)
        claims = [self._left[one.claim.item] for one in documents if one.claim and one.claim.item in self._left]
        if not claims:
            return Match(payer, Division(unapplied=line.amount), Certainty.POSSIBLE, (*told, Reason.SETTLED), named)
        division = divide(line.amount, claims, [claim.item for claim in claims], self._book.small_difference)
        agrees = bool(payers) and Reason.OTHER_PAYER not in told
        if division.fits and stand_as_they_are:
            certainty = Certainty.CERTAIN if agrees else Certainty.LIKELY
        else:
            certainty = Certainty.LIKELY if agrees else Certainty.POSSIBLE
        return Match(payer, division, certainty, tuple(told), named)

    def _by_payer(self, line: Line, payer: int, reasons: Sequence[Reason]) -> Match:
        claims = [self._left[one.item] for one in self._book.claims.get(payer, ()) if one.item in self._left]
        division = divide(line.amount, claims) if claims else Division(unapplied=line.amount)
        told = tuple(reasons) if division.is_only else (*reasons, Reason.SEVERAL_FIT)
        sure = division.fits and division.is_only
        return Match(payer, division, Certainty.LIKELY if sure else Certainty.POSSIBLE, told)

    def _by_amount(self, line: Line, payers: set[int], reasons: Sequence[Reason]) -> Match:
        """Nobody or several are known: one claim of just this amount, if there is but one."""
        fitting = [
            (payer, self._left[claim.item])
            for payer, claims in self._book.claims.items()
            if not payers or payer in payers
            for claim in claims
            if claim.item in self._left and self._left[claim.item].left == line.amount
        ]
        if len(fitting) != 1:
            return Match(None, Division(unapplied=line.amount), Certainty.UNCLEAR, tuple(reasons))
        payer, claim = fitting[0]
        division = divide(line.amount, [claim])
        return Match(payer, division, Certainty.POSSIBLE, (*reasons, Reason.AMOUNT_ALONE))

    def _settle(self, item: int, amount: Decimal) -> None:
        claim = self._left.pop(item)
        if claim.left > amount:
            self._left[item] = Claim(item, claim.due_on, claim.left - amount)
