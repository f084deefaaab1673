"""What documents look like: a small picture of the first page of each kind, in both languages, and what it says.

Renew with ``RENEW_GOLDEN=1 .venv/bin/python -m pytest tests/invoicing/test_pictures.py`` and look at each picture.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw

from invoicing import price_notice
from invoicing.einvoice.facts import Collection
from invoicing.pdf import account, collective, logo, proforma, quote, render, section_copy
from invoicing.pdf.style import Style, Words
from payments import letter
from tests import facts
from tests.invoicing.test_pdf import pages_of
from tests.invoicing.test_price_notice import make_facts

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "pictures"
DPI = 50
FAINT = 48  # of 255: what two versions of the rasteriser may differ by
SPECKS = 60  # pixels of a page that may differ by more
D = Decimal
DAY = date(2026, 2, 11)


def mark() -> bytes:
    image = Image.new("RGBA", (700, 150), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((0, 0, 149, 149), fill=(122, 31, 61, 255))
    pen.rectangle((180, 50, 699, 100), fill=(200, 120, 40, 255))
    out = BytesIO()
    image.save(out, "PNG")
    return logo.normalised(out.getvalue())


STYLE = Style(
    colour="#7a1f3d",
    logo=mark(),
    foot=("", "", "Montag bis Freitag\n8 bis 17 Uhr", ""),
    words={
        ("invoice", "de"): Words("Guten Tag {customer},\n\nwir berechnen für {contract}:", "Vielen Dank!\n{issuer}"),
        ("invoice", "en"): Words("Dear {customer},\n\nfor {contract} we charge:", "Thank you!\n{issuer}"),
    },
)


def statement(language: str) -> collective.StatementFacts:
    entries = tuple(
        collective.CollectedFacts(f"R2026-00000{n}", f"Filiale {n} GmbH", DAY, date(2026, 2, 25), D("119.00"))
        for n in (1, 2, 3)
    )
    return collective.StatementFacts(
        "S-2026-1", DAY, date(2026, 2, 25), language, "EUR", 2, Collection.INVOICE, facts.SELLER, facts.BUYER, entries,
        D("357.00"),
    )  # fmt: skip


def movements(language: str) -> account.AccountFacts:
    rows = (
        account.MovementFacts(DAY, "R2026-000001", "", D("-119.00")),
        account.MovementFacts(DAY, "R2026-000002", "", D("50.00")),
    )
    return account.AccountFacts(
        date(2026, 1, 1), DAY, language, "EUR", 2, facts.SELLER, facts.BUYER, D("0.00"), rows, D("-69.00"), False
    )


def offer(language: str) -> quote.QuoteFacts:
    change = {"de": ("Andere Menge", "Menge: 3"), "en": ("Other quantity", "Quantity: 3")}[language]
    line = quote.QuotedFacts("Telefonie-Connector", D(3), "C62", DAY, date(2026, 2, 28), D("54.00"))
    return quote.QuoteFacts(
        DAY, date(2026, 3, 13), language, "EUR", 2, facts.SELLER, facts.BUYER, "V-1", change, DAY, (line,), DAY,
        D("18.00"), (D("56.00"), D("84.00")), (D("672.00"), D("1008.00")),
    )  # fmt: skip


def copied(language: str) -> bytes:
    document = facts.consolidated(2, 2, language=language)
    return section_copy.render(document, document.sections[0], facts.BUYER, STYLE)


KINDS: dict[str, Callable[[str], bytes]] = {
    "invoice": lambda language: render(facts.make_document(language=language)),
    "invoice_in_style": lambda language: render(facts.make_document(language=language), STYLE),
    "draft": lambda language: render(facts.make_document(language=language, number=None)),
    "consolidated": lambda language: render(facts.consolidated(3, 2, language=language)),
    "credit_note": lambda language: render(facts.credit_note(language=language)),
    "cancellation": lambda language: render(facts.cancellation(language=language)),
    "reverse_charge": lambda language: render(facts.reverse_charge(language=language)),
    "section_copy": copied,
    "collective_statement": lambda language: collective.render(statement(language), STYLE),
    "account_statement": lambda language: account.render(movements(language), STYLE),
    "price_notice": lambda language: price_notice.render(make_facts(language=language), STYLE),
    "payment_reminder": lambda language: letter.render(facts.make_reminder(level=0, language=language), STYLE),
    "final_reminder": lambda language: letter.render(
        facts.make_reminder(level=3, is_last=True, language=language), STYLE
    ),
    "pro_forma": lambda language: proforma.render(facts.make_document(language=language, number=None), STYLE),
    "quote": lambda language: quote.render(offer(language), STYLE),
}


def first_page(content: bytes, folder: Path) -> Image.Image:
    """In grey levels of the palette, as it is kept."""
    (folder / "page.pdf").write_bytes(content)
    command = ["pdftoppm", "-r", str(DPI), "-png", "-singlefile", str(folder / "page.pdf"), str(folder / "page")]
    subprocess.run(command, check=True, timeout=60)
    with Image.open(folder / "page.png") as image:
        return image.convert("RGB").quantize(32, dither=Image.Dither.NONE)


def differing(one: Image.Image, other: Image.Image) -> int:
    """How many pixels are clearly others."""
    assert one.size == other.size
    apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).convert("L")
    return sum(apart.point(lambda level: 255 if level > FAINT else 0).histogram()[255:])


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm (poppler-utils) is not installed")
@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_document_looks_as_it_did(kind, language, tmp_path):
    made = KINDS[kind](language)
    shown = first_page(made, tmp_path)
    said = "\n\n".join(pages_of(made)) + "\n"
    picture, text = (GOLDEN / f"{kind}_{language}.{ending}" for ending in ("png", "txt"))
    if "RENEW_GOLDEN" in os.environ:
        GOLDEN.mkdir(exist_ok=True)
        shown.save(picture, optimize=True)
        text.write_text(said, encoding="utf-8")
    assert said == text.read_text(encoding="utf-8")
    with Image.open(picture) as kept:
        assert differing(shown, kept) <= SPECKS


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm (poppler-utils) is not installed")
def test_another_picture_is_noticed(tmp_path):
    with Image.open(GOLDEN / "invoice_de.png") as kept:
        for other in (
            render(facts.make_document(buyer=replace(facts.BUYER, name="Café Nord GmbH"))),
            render(facts.make_document(), Style(logo=mark())),
        ):
            assert differing(first_page(other, tmp_path), kept) > SPECKS
