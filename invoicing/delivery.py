"""Documents with a PDF -> e-mails to those who receive invoices; each document once per recipient.

Decided once, when the PDF is there: whether the account wants mail is asked then and recorded, so that switching it on
does not send the documents of earlier years. A document without any address waits, in sight of operators, for one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from invoicing import pdf, section_copies
from invoicing.einvoice.facts import DocumentFacts
from invoicing.models import Delivery, DocumentFile, Invoice
from tenants import messages, notifications
from tenants.errors import OperatorError
from tenants.models import Contact, File, Message, Tenant
from tenants.responsibility import Settings, effective
from tenants.transactions import wake

CHUNK = 200
PDF = DocumentFile.Kind.PDF.value


class NotDeliverable(OperatorError):
    """A document cannot be sent by mail."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of some documents: mails written, documents whose account wants none, those without an address."""

    mails: int = 0
    not_wanted: int = 0
    without_address: int = 0

    def __add__(self, other: Decided) -> Decided:
        return Decided(
            self.mails + other.mails,
            self.not_wanted + other.not_wanted,
            self.without_address + other.without_address,
        )


def undelivered() -> QuerySet[Invoice]:
    """The in-tray: issued documents with a PDF for which nothing was decided yet."""
    return Invoice.objects.issued().printed().filter(~Exists(Delivery.objects.filter(invoice=OuterRef("pk"))))


def without_address() -> QuerySet[Invoice]:
    """Those of the in-tray of which neither the recipient nor any account above has an address for invoices."""
    return undelivered().filter(~_reachable())


def with_address() -> QuerySet[Invoice]:
    """Those of the in-tray that somebody can be written about; whether the account wants it is asked by ``deliver``."""
    return undelivered().filter(_reachable())


def _reachable() -> Q:
    """The recipient, or an account above it, has an address: its own or a billing contact's."""
    line = Tenant.objects.filter(
        tree_id=OuterRef("recipient__tree_id"),
        lft__lte=OuterRef("recipient__lft"),
        rght__gte=OuterRef("recipient__rght"),
    )
    contacts = Contact.objects.filter(
        tenant__tree_id=OuterRef("recipient__tree_id"),
        tenant__lft__lte=OuterRef("recipient__lft"),
        tenant__rght__gte=OuterRef("recipient__rght"),
        is_billing=True,
    )
    return Q(Exists(line.exclude(email=""))) | Q(Exists(contacts.exclude(email="")))


def deliver_pending(*, on_chunk: Callable[[Decided], None] | None = None) -> Decided:
    """Write the mails of everything in the in-tray, in chunks. Any number of processes may do so at once."""
    total, after = Decided(), 0
    while True:
        decided, after = _chunk(after)
        if after == 0:
            return total
        total += decided
        if on_chunk:
            on_chunk(decided)


@transaction.atomic
def deliver(invoices: Sequence[int]) -> Decided:
    """Write the mails of those of these documents for which nothing was decided yet."""
    return _decide(_locked(undelivered().filter(pk__in=invoices)))


@transaction.atomic
def send_anyway(invoices: Sequence[int]) -> int:
    """Mail documents because a person asks for it, also where the account wants none; nobody gets a second one.

    Returns how many mails were written. Raises ``NotDeliverable`` naming the documents that have no PDF or no address;
    then none is written.
    """
    documents = _locked(Invoice.objects.issued().printed().filter(pk__in=invoices), skip=False)
    missing = Invoice.objects.filter(pk__in=set(invoices) - {document.pk for document in documents})
    if missing:
        raise NotDeliverable(_("No PDF yet: %(documents)s") % {"documents": ", ".join(map(str, missing))})
    to = _recipients(documents)
    unreachable = [document for document in documents if not to[document.recipient_id]]
    if unreachable:
        raise NotDeliverable(_("No e-mail address: %(documents)s") % {"documents": ", ".join(map(str, unreachable))})
    return _write(documents, to)


@transaction.atomic
def _chunk(after: int) -> tuple[Decided, int]:
    documents = _locked(undelivered().filter(pk__gt=after), limit=CHUNK)
    if not documents:
        return Decided(), 0
    return _decide(documents), documents[-1].pk


def _locked(documents: QuerySet[Invoice], *, skip: bool = True, limit: int | None = None) -> list[Invoice]:
    claimed = documents.select_for_update(skip_locked=skip, no_key=True, of=("self",))
    return list(claimed.select_related("issuer", "recipient").order_by("pk")[:limit])


def _decide(documents: Sequence[Invoice]) -> Decided:
    """Decide about locked documents, reading again what another process may have decided just before."""
    decided_before = set(Delivery.objects.filter(invoice__in=documents).values_list("invoice_id", flat=True))
    documents = [document for document in documents if document.pk not in decided_before]
    settings = _settings(documents)
    to = _recipients(documents)
    wanted = [document for document in documents if settings[document.pk].auto_mail]
    unwanted = [document for document in documents if not settings[document.pk].auto_mail]
    reachable = [document for document in wanted if to[document.recipient_id]]
    Delivery.objects.bulk_create([Delivery(invoice=d, channel=Delivery.Channel.NONE) for d in unwanted])
    mails = _write(reachable, to)
    section_copies.decide([*unwanted, *reachable])
    return Decided(mails, len(unwanted), len(documents) - len(unwanted) - len(reachable))


def _settings(documents: Sequence[Invoice]) -> dict[int, Settings]:
    """By document: what is in force for its recipient today, by itself or by inheritance."""
    by_issuer: dict[int, list[Invoice]] = defaultdict(list)
    for document in documents:
        by_issuer[document.issuer_id].append(document)
    found: dict[int, Settings] = {}
    for group in by_issuer.values():
        settings = effective({document.recipient for document in group}, group[0].issuer)
        found |= {document.pk: settings[document.recipient_id] for document in group}
    return found


def _recipients(documents: Sequence[Invoice]) -> dict[int, list[str]]:
    """By tenant: who is written to about documents."""
    return notifications.recipients(notifications.Event.INVOICE_ISSUED, {document.recipient for document in documents})


def _write(documents: Sequence[Invoice], to: dict[int, list[str]]) -> int:
    """Deliveries and their messages, in the caller's transaction; who has one keeps it. Returns how many are new."""
    if not documents:
        return 0
    known = Delivery.objects.filter(invoice__in=documents, section=None).values_list("invoice_id", "recipient")
    had = {(document, address.lower()) for document, address in known}  # as the keys of messages are made
    made = DocumentFile.objects.filter(invoice__in=documents).select_related("file")
    files: dict[tuple[int, str], File] = {(kept.invoice_id, kept.kind): kept.file for kept in made}
    beside = {
        key for key, one in _settings([d for d in documents if is_xml_alone(d.format)]).items() if one.pdf_beside_xml
    }
    styles = pdf.styles_of(document.issuer_id for document in documents)
    written: list[tuple[Invoice, Message]] = []
    further: list[tuple[Message, File, str]] = []
    for document, facts in zip(documents, pdf.facts_of([document.pk for document in documents]), strict=True):
        subject, body = pdf.cover_note(facts, styles[document.issuer_id])
        for address in to[document.recipient_id]:
            if (document.pk, address.lower()) not in had:
                message = messages.compose(
                    messages.key_of(f"invoice:{document.pk}", address),
                    issuer=document.issuer,
                    tenant=document.recipient,
                    recipient=address,
                    subject=subject,
                    body=body,
                    file=files[document.pk, what_is_sent(facts)],
                    file_name=file_name(facts, what_is_sent(facts)),
                )
                written.append((document, message))
                if document.pk in beside:
                    further.append((message, files[document.pk, PDF], file_name(facts, PDF)))
    Message.objects.bulk_create([message for _document, message in written])
    messages.enclose(further)
    Delivery.objects.bulk_create(
        [Delivery(invoice=document, recipient=message.recipient, message=message) for document, message in written]
    )
    if written:
        wake("tenants.send_pending")
    return len(written)


def what_is_sent(facts: DocumentFacts) -> str:
    """Which file goes out: of an XRechnung its XML, which is the invoice; else the PDF, with its XML inside if any."""
    return DocumentFile.Kind.XML.value if is_xml_alone(facts.format) else PDF


def is_xml_alone(form: str) -> bool:
    """Whether the XML of this format is the invoice by itself, and a PDF no more than a way to read it."""
    return form.startswith("xrechnung")


def file_name(facts: DocumentFacts, kind: str) -> str:
    """What an attachment is called, in the document's language: Rechnung-RE-2026-00001.pdf."""
    with translation.override(facts.language):
        title = pdf.title_of(facts.kind)
    return re.sub(r"[^\w.-]+", "-", f"{title}-{facts.number}") + f".{kind}"
