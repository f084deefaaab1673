"""Documents that one payer pays for several recipients -> a collective statement: one amount, one payment reference.

A document stands on one statement at most. Those of one issuer, payer, invoice date, currency and way of collection
share one, as soon as no draft of that run waits for a decision any more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import translation

from billing.kernel.money import places_of, rounded
from invoicing.einvoice.facts import Collection
from invoicing.einvoice.reading import party_facts
from invoicing.models import CollectiveStatement, Invoice, StatementDelivery, StatementEntry
from invoicing.pdf import collective, troubles
from invoicing.pdf.style import style_of
from tenants import files, messages, notifications
from tenants.copying import new_keys, table_of
from tenants.models import Issuer, Message, Tenant
from tenants.responsibility import effective
from tenants.transactions import lock_payers, wake

CHUNK: Final = 200  # statements of one transaction
STATEMENTS = table_of(CollectiveStatement)

# Documents older than a week are not collected any more: whoever pays them was told otherwise. Drafts hold a statement
# up for a day, not for good.
GROUPS: Final = """
    select i.issuer_id, i.payer_id, i.issued_on, i.currency, i.collection
      from invoicing_invoice i join invoicing_journalentry e on e.invoice_id = i.id and e.kind = 'issue'
     where i.payer_id <> i.recipient_id and i.state = 'issued' and i.issued_on > current_date - 400
       and e.created_at > statement_timestamp() - interval '7 days'
       and not exists (select from invoicing_statemententry s where s.invoice_id = i.id)
       and (e.created_at < statement_timestamp() - interval '1 day'
            or not exists (select from invoicing_invoice d
                            where d.run_id = i.run_id and d.payer_id = i.payer_id
                              and d.state in ('draft', 'held', 'released')))
     group by 1, 2, 3, 4, 5 order by 2, 1, 3, 4, 5 limit %s
"""


@dataclass(frozen=True, slots=True)
class Group:
    """What the documents of one statement have in common."""

    issuer: int
    payer: int
    issued_on: date
    currency: str
    collection: str


def waiting() -> list[Group]:
    """Some of the groups of issued documents that are to be collected."""
    with connection.cursor() as cursor:
        cursor.execute(GROUPS, [CHUNK])
        return [Group(*row) for row in cursor.fetchall()]


def collect_pending() -> int:
    """Write the statements that are due; returns how many. A second call, or another process, finds nothing."""
    made = 0
    while groups := waiting():
        written = _collect(groups)
        if not written:  # another process has them
            break
        made += written
    return made


@transaction.atomic
def _collect(groups: Sequence[Group]) -> int:
    lock_payers(sorted({group.payer for group in groups}))
    found = _documents(groups)
    languages = _languages(found)
    keys = new_keys(**{STATEMENTS: len(found)})[STATEMENTS]
    statements, entries = [], []
    for (group, documents), key in zip(found.items(), keys, strict=True):
        statements.append(_statement(group, key, documents, languages[group.issuer, group.payer]))
        entries += [
            StatementEntry(
                statement_id=key,
                invoice=document,
                position=position,
                currency=group.currency,
                amount=document.gross.amount,
            )
            for position, document in enumerate(documents, 1)
        ]
    CollectiveStatement.objects.bulk_create(statements)
    StatementEntry.objects.bulk_create(entries)
    if statements:
        wake("invoicing.collect")
    return len(statements)


def _documents(groups: Sequence[Group]) -> dict[Group, list[Invoice]]:
    """The documents of each group that stand on no statement yet, in the order of their recipients in the trees."""
    documents = (
        Invoice.objects.issued()
        .filter(
            payer__in={group.payer for group in groups},
            issued_on__in={group.issued_on for group in groups},
            statement_entry=None,
        )
        .select_related("payer")
        .order_by("recipient__tree_id", "recipient__lft", "pk")
    )
    found: dict[Group, list[Invoice]] = {group: [] for group in groups}
    for document in documents:
        group = Group(document.issuer_id, document.payer_id, document.issued_on, document.currency, document.collection)
        if group in found:
            found[group].append(document)
    return {group: members for group, members in found.items() if members}


def _languages(found: dict[Group, list[Invoice]]) -> dict[tuple[int, int], str]:
    """By issuer and payer: the language in force."""
    payers: dict[int, dict[int, Tenant]] = defaultdict(dict)
    for group, documents in found.items():
        payers[group.issuer][group.payer] = documents[0].payer
    issuers = Issuer.objects.in_bulk(payers)
    return {
        (issuer, payer): settings.language
        for issuer, of_issuer in payers.items()
        for payer, settings in effective(of_issuer.values(), issuers[issuer]).items()
    }


def _statement(group: Group, key: int, documents: Sequence[Invoice], language: str) -> CollectiveStatement:
    parties = documents[0].parties
    return CollectiveStatement(
        pk=key,
        issuer_id=group.issuer,
        payer_id=group.payer,
        reference=f"SA-{group.issued_on.year}-{key:05}",
        issued_on=group.issued_on,
        due_on=min(document.due_on for document in documents),
        language=language,
        currency=group.currency,
        collection=group.collection,
        total=sum((document.gross.amount for document in documents), Decimal(0)),
        parties={"seller": parties["seller"], "payer": parties.get("payer", parties["buyer"])},
    )


def unprinted() -> QuerySet[CollectiveStatement]:
    """The in-tray: statements without a file, but for those that failed a short while ago."""
    return troubles.rested(CollectiveStatement.objects.filter(file=None))


def print_pending(*, limit: int = 10**9) -> int:
    """Make the files of statements that have none and write the mails to their payers; returns how many.

    One statement's trouble stops no other: it is logged and rests before it is tried again.
    """
    return troubles.work_off(unprinted().select_related("issuer", "payer"), _print, limit=limit)


def facts_of(statement: CollectiveStatement) -> collective.StatementFacts:
    """A statement as plain data."""
    places = places_of(statement.currency)
    entries = statement.entries.select_related("invoice").order_by("position")
    return collective.StatementFacts(
        reference=statement.reference,
        issued_on=statement.issued_on,
        due_on=statement.due_on,
        language=statement.language,
        currency=statement.currency,
        places=places,
        collection=Collection(statement.collection),
        seller=party_facts(statement.parties["seller"]),
        payer=party_facts(statement.parties["payer"]),
        entries=tuple(
            collective.CollectedFacts(
                number=entry.invoice.number or "",
                recipient=entry.invoice.parties["buyer"]["name"],
                issued_on=entry.invoice.issued_on,
                due_on=entry.invoice.due_on,
                amount=rounded(entry.amount.amount, places),
            )
            for entry in entries
        ),
        total=rounded(statement.total.amount, places),
    )


def _print(statement: CollectiveStatement) -> None:
    """The file and the mails of a locked statement; a payer who wants no mail finds it with its account."""
    facts, style = facts_of(statement), style_of(statement.issuer_id)
    file = files.store(
        f"statements/{statement.issuer_id}/{statement.issued_on:%Y}/{statement.reference}.pdf",
        collective.render(facts, style),
        content_type="application/pdf",
    )
    CollectiveStatement.objects.filter(pk=statement.pk).update(file=file)
    payer = statement.payer
    if not effective([payer], statement.issuer)[payer.pk].auto_mail:
        return
    subject, body = collective.cover_note(facts, style)
    with translation.override(statement.language):
        title = collective.title()
    written = [
        messages.compose(
            messages.key_of(f"statement:{statement.pk}", address),
            issuer=statement.issuer,
            tenant=payer,
            recipient=address,
            subject=subject,
            body=body,
            file=file,
            file_name=re.sub(r"[^\w.-]+", "-", f"{title}-{statement.reference}") + ".pdf",
        )
        for address in notifications.recipients(notifications.Event.INVOICE_ISSUED, [payer])[payer.pk]
    ]
    Message.objects.bulk_create(written)
    StatementDelivery.objects.bulk_create(
        [StatementDelivery(statement=statement, recipient=message.recipient, message=message) for message in written]
    )
    if written:
        wake("tenants.send_pending")
