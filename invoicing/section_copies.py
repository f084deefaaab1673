"""Sections of consolidated documents -> copies for the contacts of their own accounts, without the other sections.

That a copy is wanted is decided together with the delivery of the document, so that a contact who comes later gets no
copies of earlier years; the copy is printed and mailed afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from invoicing.einvoice.facts import PartyFacts
from invoicing.einvoice.reading import facts_of
from invoicing.models import Delivery, Invoice, Section, SectionCopy
from invoicing.pdf import section_copy, troubles
from invoicing.pdf.style import style_of
from tenants import files, messages
from tenants.models import Contact, Message, Tenant
from tenants.transactions import wake


def decide(documents: Sequence[Invoice]) -> int:
    """Note the copies that contacts of the sections' accounts want, in the caller's transaction; returns how many."""
    readers = Contact.objects.filter(tenant=OuterRef("tenant_id"), receives_sections=True).exclude(email="")
    wanted = Section.objects.filter(Exists(readers), invoice__in=documents, copy=None)
    copies = [SectionCopy(section=section) for section in wanted.order_by("pk")]
    SectionCopy.objects.bulk_create(copies)
    if copies:
        wake("invoicing.collect")
    return len(copies)


def unprinted() -> QuerySet[SectionCopy]:
    """The in-tray: copies without a file, but for those that failed a short while ago."""
    return troubles.rested(SectionCopy.objects.filter(file=None))


def print_pending(*, limit: int = 10**9) -> int:
    """Make the copies that are wanted and write their mails; returns how many. One's trouble stops no other."""
    return troubles.work_off(
        unprinted().select_related("section__invoice__issuer", "section__tenant"), _print, limit=limit
    )


def render(section: Section) -> bytes:
    """The PDF of a section of a document in any state."""
    (facts,) = facts_of([section.invoice_id])
    return section_copy.render(
        facts, facts.sections[section.position - 1], _reader(section.tenant), style_of(section.invoice.issuer_id)
    )


def _print(copy: SectionCopy) -> None:
    section = copy.section
    invoice, account = section.invoice, section.tenant
    (facts,) = facts_of([invoice.pk])
    own = facts.sections[section.position - 1]
    assert own.tenant_reference == account.reference
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{invoice.number}-{section.position}")
    file = files.store(
        f"documents/{invoice.issuer_id}/{invoice.issued_on:%Y}/sections/{name}.pdf",
        section_copy.render(facts, own, _reader(account), style_of(invoice.issuer_id)),
        content_type="application/pdf",
    )
    SectionCopy.objects.filter(pk=copy.pk).update(file=file)
    subject, body = section_copy.cover_note(facts, own)
    with translation.override(invoice.language):
        title = _("Copy of a section")
    readers = Contact.objects.filter(tenant=account, receives_sections=True).values_list("email", flat=True)
    written = [
        messages.compose(
            messages.key_of(f"section:{section.pk}", address),
            issuer=invoice.issuer,
            tenant=account,
            recipient=address,
            subject=subject,
            body=body,
            file=file,
            file_name=re.sub(r"[^\w.-]+", "-", f"{title}-{invoice.number}-{section.position}") + ".pdf",
        )
        for address in messages.addresses(readers, otherwise="")
    ]
    Message.objects.bulk_create(written)
    Delivery.objects.bulk_create(
        [
            Delivery(invoice=invoice, section=section, recipient=message.recipient, message=message)
            for message in written
        ]
    )
    if written:
        wake("tenants.send_pending")


def _reader(account: Tenant) -> PartyFacts:
    return PartyFacts(
        name=account.name,
        street=account.street,
        postcode=account.postcode,
        city=account.city,
        country=account.country,
        reference=account.reference,
    )
