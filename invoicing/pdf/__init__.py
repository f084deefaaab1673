"""Documents as PDF: facts in, bytes out; and each issued document's file, made once."""

from invoicing.einvoice.reading import facts_of
from invoicing.pdf.document import cover_note, render, title_of
from invoicing.pdf.filing import overdue, preview, render_document, render_pending, waiting
from invoicing.pdf.paper import UnprintableText, unprintable
from invoicing.pdf.style import style_of, styles_of

__all__ = [
    "UnprintableText",
    "cover_note",
    "facts_of",
    "overdue",
    "preview",
    "render",
    "render_document",
    "render_pending",
    "style_of",
    "styles_of",
    "title_of",
    "unprintable",
    "waiting",
]
