"""One section of a consolidated document, for those it concerns: its lines alone, no VAT, no claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from invoicing.einvoice.facts import DocumentFacts, PartyFacts, SectionFacts
from invoicing.pdf import paper
from invoicing.pdf.document import title_of
from invoicing.pdf.letter import heading_context, letter_context, sheet
from invoicing.pdf.lines import lines_table
from invoicing.pdf.style import PLAIN, Style
from invoicing.pdf.wording import Wording


def render(facts: DocumentFacts, section: SectionFacts, to: PartyFacts, style: Style = PLAIN) -> bytes:
    """The copy in the document's language, addressed to the account of the section; nothing of other sections."""
    alone = replace(facts, sections=(section,), vat=facts.vat[:1], contracts=())
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        html = render_to_string("invoicing/section_copy.html", context_of(facts, section, to, wording, style))
        return paper.draw(html, {"lines": lines_table(alone, wording, style.colour)}, sheet(style, _("COPY")))


def cover_note(facts: DocumentFacts, section: SectionFacts) -> tuple[str, str]:
    """Subject and plain text of the e-mail that brings the copy, in the document's language."""
    with translation.override(facts.language):
        wording = Wording(facts.language, facts.currency, facts.places)
        said = {
            "facts": facts,
            "title": title_of(facts.kind),
            "number": facts.number,
            "section": section.tenant_name,
            "on": wording.day(facts.issued_on),
        }
        subject = render_to_string("invoicing/mail/section_copy_subject.txt", said)
        return " ".join(subject.split()), render_to_string("invoicing/mail/section_copy_body.txt", said)


def context_of(
    facts: DocumentFacts, section: SectionFacts, to: PartyFacts, wording: Wording, style: Style
) -> dict[str, Any]:
    named = {"title": title_of(facts.kind), "number": facts.number or "", "day": wording.day(facts.issued_on)}
    heading = _("Copy of a section of %(title)s %(number)s") % named
    opening = _("For your information: your part of %(title)s %(number)s of %(day)s, which went to %(buyer)s.")
    info = [
        (_("Date"), named["day"]),
        (_("Customer no."), section.tenant_reference),
        (_("Your order"), facts.po_number),
        (_("Your project"), section.project_code),
    ]
    return {
        **letter_context(facts.seller, to, wording, style),
        **heading_context(facts.seller, heading, heading, info),
        "opening": opening % {**named, "buyer": facts.buyer.name},
        "total": wording.money(section.net),
        "note": _(
            "This copy is no invoice. It shows no VAT, does not entitle to deduct input tax, and nothing is to be paid"
            " on it."
        ),
    }
