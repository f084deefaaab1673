"""One adapter per kind of case: words in, calls of the kernels, figures out."""

from tests.conformance.adapters import dates, documents, proration, rating, stories  # noqa: F401 - each marks its kinds
