"""Facts -> the XML of their format."""

from __future__ import annotations

from invoicing.einvoice.cii import write_cii
from invoicing.einvoice.facts import DocumentFacts
from invoicing.einvoice.ubl import write_ubl


def written(facts: DocumentFacts) -> bytes:
    """The e-invoice: UBL where the format says so, else CII. Equal facts give equal bytes."""
    return write_ubl(facts) if facts.format == "xrechnung_ubl" else write_cii(facts)
