"""Print one document of SECTIONS times four lines: ``python -m tests.bench.large_document 1250``.

Says how many lines and pages, the size of the PDF in MB, the seconds and the peak memory of the process in MiB.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from io import BytesIO

import django


def main(sections: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    from pypdf import PdfReader

    from invoicing.pdf import render
    from tests import facts

    document = facts.consolidated(sections, 4)
    began = time.monotonic()
    made = render(document)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pages = len(PdfReader(BytesIO(made)).pages)
    print(sections * 4, pages, len(made) / 1e6, round(seconds, 1), round(peak))


if __name__ == "__main__":
    main(int(sys.argv[1]))
