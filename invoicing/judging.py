"""Drafts of e-invoices -> a verdict by the published rules, before they are released; what fails is held, with reasons.

The verdict holds for the content, number aside: a draft has a placeholder for it. Three steps, each of which finds by
itself what a killed worker left: judge, hold what failed, issue what a run issues by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import translation

from invoicing import issuing, review
from invoicing.einvoice import advice, judge
from invoicing.einvoice.facts import DocumentFacts
from invoicing.einvoice.reading import facts_of
from invoicing.einvoice.writing import written
from invoicing.models import Invoice, Verdict
from invoicing.models.invoice import InvoiceQuerySet
from tenants.errors import OperatorError

CHUNK: Final = 50  # drafts of one call to the rules, and what a killed worker has to do again


class BreaksRules(OperatorError):
    """What is to be issued would be no e-invoice in law."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How many drafts were judged, how many of them failed and are held, and how many documents were issued."""

    judged: int = 0
    held: int = 0
    issued: int = 0

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.judged + other.judged, self.held + other.held, self.issued + other.issued)

    def __bool__(self) -> bool:
        return bool(self.judged or self.held or self.issued)


def waiting() -> InvoiceQuerySet:
    """The in-tray: drafts of e-invoices that are to be judged, held or issued by a worker."""
    unjudged = Invoice.objects.drafts().unjudged(judge.VERSION)
    to_settle = Q(state=Invoice.State.DRAFT) & (_failed() | _issues_by_itself())
    return unjudged | Invoice.objects.drafts().electronic().filter(to_settle)


def judge_pending(limit: int = CHUNK) -> Judged:
    """Judge at most ``limit`` drafts, hold what failed, issue what passed and is to be issued by its run.

    Any number of workers may do so at once. Raises ``NotJudged`` if the rules cannot be run.
    """
    judged = _judge_some(limit)
    held = 0
    for draft in Invoice.objects.electronic().filter(_failed(), state=Invoice.State.DRAFT).order_by("pk")[:limit]:
        held += _hold(draft)
    return Judged(judged, held, _issue_some(limit))


def judge_drafts(invoices: Sequence[int]) -> None:
    """Judge drafts at once, in the caller's transaction: of corrections, which are issued as they are written.

    Raises ``BreaksRules`` in plain words if one fails. What is no e-invoice, or judged already, is left alone.
    """
    Verdict.objects.bulk_create(verdicts_on(contents_of(invoices)), ignore_conflicts=True)
    failed = Invoice.objects.filter(pk__in=invoices).electronic().filter(_failed()).order_by("pk").first()
    if failed is not None:
        raise BreaksRules(reason_of(failed))


def contents_of(invoices: Sequence[int]) -> dict[str, DocumentFacts]:
    """By content hash: the facts of those of the drafts (keys) that are still to be judged."""
    drafts = list(Invoice.objects.filter(pk__in=invoices).unjudged(judge.VERSION))
    return dict(zip((d.content_hash for d in drafts), facts_of([d.pk for d in drafts]), strict=True))


def verdicts_on(contents: Mapping[str, DocumentFacts]) -> list[Verdict]:
    """Judge documents by their content, whether or not they are stored; the verdicts are not kept yet."""
    found = judge.findings_apart([written(facts) for facts in contents.values()]) if contents else []
    return [
        _verdict(content_hash, facts, findings)
        for (content_hash, facts), findings in zip(contents.items(), found, strict=True)
    ]


def reason_of(draft: Invoice) -> str:
    """Why a draft failed, one sentence a finding, in the active language; empty if it did not."""
    verdict = Verdict.objects.filter(content_hash=draft.content_hash).order_by("passed", "-pk").first()
    return "" if verdict is None else " ".join(sentence for sentence, _subject in sentences(draft, verdict))


def sentences(draft: Invoice, verdict: Verdict) -> list[tuple[str, advice.Subject]]:
    """Each thing that is wrong, once, in the active language, with the record on which it is put right."""
    names = {"account": draft.parties["buyer"]["reference"], "issuer": draft.parties["seller"]["reference"]}
    findings = [judge.Finding(**finding) for finding in verdict.findings]
    told = {advice.told(finding, **names): advice.advice_on(finding).subject for finding in findings}
    return list(told.items())


@transaction.atomic
def _judge_some(limit: int) -> int:
    drafts = Invoice.objects.drafts().unjudged(judge.VERSION)
    claimed = list(drafts.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("pk")[:limit])
    contents = contents_of([draft.pk for draft in claimed])
    Verdict.objects.bulk_create(verdicts_on(contents), ignore_conflicts=True)
    return len(contents)


def _verdict(content_hash: str, facts: DocumentFacts, found: Sequence[judge.Finding]) -> Verdict:
    own = advice.own_findings(facts)
    findings = [asdict(finding) for finding in [*own, *found]]
    return Verdict(content_hash=content_hash, rules=judge.VERSION, passed=not findings, findings=findings)


def _hold(draft: Invoice) -> int:
    with translation.override(draft.issuer.language):
        reason = reason_of(draft)
    return review.hold(Invoice.objects.filter(pk=draft.pk, state=Invoice.State.DRAFT), reason=reason)


def _issue_some(limit: int) -> int:
    ready = Invoice.objects.electronic().filter(_issues_by_itself(), state=Invoice.State.DRAFT).order_by("pk")
    return _issue(list(ready.values_list("pk", flat=True)[:limit]))


def _issue(drafts: Sequence[int]) -> int:
    """Release and issue drafts of runs that do so by themselves, all or none; if that is refused, each half for itself.

    The one that is refused is held: its parties changed since it was made.
    """
    if not drafts:
        return 0
    still = Invoice.objects.filter(pk__in=drafts, state=Invoice.State.DRAFT)
    try:
        with transaction.atomic():
            review.release(still)
            return issuing.issue(drafts)
    except OperatorError as refusal:
        if len(drafts) > 1:
            middle = len(drafts) // 2
            return _issue(drafts[:middle]) + _issue(drafts[middle:])
        review.hold(still, reason=str(refusal))
        return 0


def _passed() -> Exists:
    return Exists(Verdict.objects.filter(content_hash=OuterRef("content_hash"), passed=True))


def _failed() -> Q:
    """Failed by the rules in force, and passed by no others: what failed before there were these is judged anew."""
    failing = Verdict.objects.filter(content_hash=OuterRef("content_hash"), passed=False, rules=judge.VERSION)
    return Q(Exists(failing)) & ~Q(_passed())


def _issues_by_itself() -> Q:
    return Q(run__issues_by_itself=True) & Q(_passed())
