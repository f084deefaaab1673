"""Rows of corrections: copied from what they correct, amounts negated, then hashed as they are stored and issued."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from django.db import connection, models
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from djmoney.models.fields import MoneyField

from invoicing import drafting, issuing, judging, review, stored
from invoicing.models import Invoice, Verdict
from tenants.copying import table_of
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.transactions import record, rehearsal


class NotCorrectable(OperatorError):
    """The document cannot be corrected in this way."""


def copy_negated(model: type[models.Model], join: str, arguments: Sequence[Any], values: Mapping[str, str]) -> None:
    """Copy rows of ``model``, called t in ``join``; ``values`` gives SQL for other columns, all amounts are negated.

    ``arguments`` are those of ``values``, in the order of the table's columns, then those of ``join``. Columns that the
    database fills by itself are left to it.
    """
    columns: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        name = str(field.column)
        if name in values:
            columns[name] = values[name]
        elif isinstance(field, MoneyField):
            columns[name] = f"-t.{name}"
        elif not field.primary_key and not (field.db_default is not models.NOT_PROVIDED and name.endswith("_at")):
            columns[name] = f"t.{name}"
    table = table_of(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f"insert into {table} ({', '.join(columns)}) select {', '.join(columns.values())} from {table} t {join}",
            list(arguments),
        )


def seal(drafts: Sequence[int]) -> dict[int, str]:
    """Write the content hashes of drafts (keys) as they are stored; returns them by key."""
    hashes = {
        key: stored.content_hash(document) for documents in stored.chunks(drafts) for key, document in documents.items()
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"update {table_of(Invoice)} i set content_hash = n.hash"
            " from unnest(%s::bigint[], %s::text[]) as n(id, hash) where i.id = n.id",
            [list(hashes), list(hashes.values())],
        )
    return hashes


def judge_ahead(invoices: Sequence[int], write: Callable[[], Sequence[int]]) -> None:
    """Judge what ``write`` will draft to correct e-invoices (keys), while no payer is locked: it takes a second.

    The drafts are written, read and undone; a verdict that they pass stays, and ``issue`` finds it by their content.
    Inside a transaction of the caller's, or with nothing electronic among ``invoices``, it does nothing.
    """
    if connection.in_atomic_block or not Invoice.objects.filter(pk__in=invoices).electronic().exists():
        return
    with rehearsal():
        contents = judging.contents_of(write())
    passed = [verdict for verdict in judging.verdicts_on(contents) if verdict.passed]
    Verdict.objects.bulk_create(passed, ignore_conflicts=True)


def issue(drafts: Sequence[int], *, on: date, action: str, reason: str, by: Any) -> None:
    """Number and post drafts of corrections, in the caller's transaction; their documents' records say so.

    Raises ``BreaksRules`` for an e-invoice that breaks the rules: it is judged here and now, unless it was ahead.
    """
    judging.judge_drafts(drafts)
    documents = list(Invoice.objects.filter(pk__in=drafts).order_by("issuer_id", "pk"))
    issuables = issuing.issuables_of(documents)
    review.put_on_record(Invoice.State.ISSUED.value, documents, by=by, reason=reason)
    for document in documents:
        assert document.corrects_id is not None
        record(table_of(Invoice), document.corrects_id, action, {"document": document.pk}, by=by, reason=reason)
    issuers = Issuer.objects.in_bulk({document.issuer_id for document in documents})
    for key, issuer in issuers.items():
        issuing.number(issuer, [issuables[one.pk] for one in documents if one.issuer_id == key], on=on)


def refuse_without_reason(reason: str) -> None:
    """Raises ``NotCorrectable`` for no reason, and ``UnprintableText``: the document names it."""
    if not reason.strip():
        raise NotCorrectable(_("A correction needs a reason."))
    if drafting.UNUSUAL.search(reason):
        from invoicing.pdf import paper  # here: the PDF makers take long to load, and are seldom asked

        paper.refuse_unprintable(reason)


def refuse_before(original: Invoice, on: date) -> None:
    """Raises ``NotCorrectable`` for a correction dated before its document."""
    if on < original.issued_on:
        raise NotCorrectable(
            _("%(document)s is of %(day)s: its correction cannot be dated before that day.")
            % {"document": original, "day": date_format(original.issued_on, "SHORT_DATE_FORMAT")}
        )


def refuse_ahead(original_day: date, on: date, *, today: date) -> None:
    """Raises ``NotCorrectable`` for a correction dated after ``today`` or, if that is later, its document's own day."""
    latest = max(today, original_day)
    if on > latest:
        raise NotCorrectable(
            _(
                "The document date %(day)s lies ahead: a document that corrects another is dated %(latest)s at the"
                " latest."
            )
            % {"day": date_format(on, "SHORT_DATE_FORMAT"), "latest": date_format(latest, "SHORT_DATE_FORMAT")}
        )
