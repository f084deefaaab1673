"""Documents as PDF: facts in, bytes out; and each issued document's file, made once."""

from invoicing.pdf.document import render

__all__ = ["render"]
