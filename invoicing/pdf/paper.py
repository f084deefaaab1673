"""Letter paper: HTML laid out by xhtml2pdf, long tables by Platypus, in one story; embedded fonts, numbered pages."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any
from xml.sax.saxutils import escape

from django.utils.translation import gettext as _
from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.fonts import addMapping
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, LongTable, NextPageTemplate, Paragraph, Spacer
from xhtml2pdf.builders.printmarks import MarkedCanvas
from xhtml2pdf.config.resources import ResourceAccessPolicy
from xhtml2pdf.context import pisaContext
from xhtml2pdf.default import DEFAULT_PAGE_NAME
from xhtml2pdf.document import pisaStory
from xhtml2pdf.files import cleanFiles
from xhtml2pdf.util import reset_caches
from xhtml2pdf.xhtml2pdf_reportlab import PmlBaseDoc

from invoicing.pdf.logo import HEIGHT_MM, WIDTH_MM
from tenants.errors import OperatorError

FONTS = Path(__file__).resolve().parent.parent / "fonts"
FAMILY = "dejavu"
REGULAR, BOLD = "dejavu-regular", "dejavu-bold"

INK = HexColor("#1f2933")
QUIET = HexColor("#52606d")
RULE = HexColor("#cbd2d9")
TINT = HexColor("#f2f5f8")

LEFT, WIDTH = 25 * mm, 165 * mm  # the text column of DIN 5008
LOGO_WIDTH, LOGO_HEIGHT = WIDTH_MM * mm, HEIGHT_MM * mm
SIZE, SMALL, SMALLEST = 8, 7, 2.5
LEADING = 1.35

ONE_AT_A_TIME = Lock()  # ReportLab keeps fonts and caches in globals

rl_config.invariant = 1  # the same facts give the same bytes
rl_config.warnOnMissingFontGlyphs = 1


class UnprintableText(OperatorError):
    """A text has a character that the embedded fonts cannot draw."""


class LayoutError(Exception):
    """The renderer complained. A document is complete or not made at all."""


@dataclass(frozen=True)
class Paper:
    """What is drawn on every page besides its content."""

    page_label: Callable[[int, int], str]  # page, of pages
    watermark: str = ""
    logo: bytes = b""  # a PNG


def draw(html: str, slots: Mapping[str, Sequence[Flowable]], paper: Paper) -> bytes:
    """Lay out ``html``, with the flowables of ``slots`` where it says ``<pdf:nexttemplate name="slot:...">``.

    Nothing is fetched, neither remote nor a file. Raises ``UnprintableText`` for a character without a glyph, and
    ``LayoutError`` for anything the renderer would only warn about.
    """
    html = unicodedata.normalize("NFC", html)
    refuse_unprintable(html)
    load_fonts()
    policy = ResourceAccessPolicy(allow_remote=False, base_dir=None)
    context = pisaContext()
    context.fontList[FAMILY] = FAMILY
    out = BytesIO()
    try:
        with ONE_AT_A_TIME, complaints_raised():
            pisaStory(html, encoding="utf-8", context=context, resource_policy=policy)
            if context.err or context.warn:
                raise LayoutError("; ".join(str(entry[2]) for entry in context.log))
            build(context, with_slots(context.story, slots), paper, out)
    finally:
        cleanFiles()
        reset_caches()
    return out.getvalue()


def build(context: pisaContext, story: list[Flowable], paper: Paper, out: BytesIO) -> None:
    document = PmlBaseDoc(
        out,
        pagesize=context.pageSize,
        title=context.meta["title"].strip(),
        author=context.meta["author"].strip(),
        lang=context.lang_tag or None,
        allowSplitting=1,
    )
    templates = dict(context.templateList)
    document.addPageTemplates([templates.pop(DEFAULT_PAGE_NAME), *templates.values()])
    document.pisaPositioned = context.positioned
    document.build(story, canvasmaker=numbering(paper))


def with_slots(story: Sequence[Flowable], slots: Mapping[str, Sequence[Flowable]]) -> list[Flowable]:
    """The story with each slot filled; what stands between two slots is kept on one page if it fits.

    ``slot:break`` is filled with nothing: it only says where a page may end.
    """
    filled: list[Flowable] = []
    block: list[Flowable] = []
    for flowable in story:
        name = flowable.action[1] if isinstance(flowable, NextPageTemplate) else ""
        if isinstance(name, str) and name.startswith("slot:"):
            filled += kept_together(block)
            block = []
            if name != "slot:break":
                filled += slots[name.removeprefix("slot:")]
        elif isinstance(flowable, NextPageTemplate):
            filled.append(flowable)
        else:
            block.append(flowable)
    return filled + kept_together(block)


def kept_together(block: list[Flowable]) -> list[Flowable]:
    return [KeepTogether(block)] if len(block) > 1 else block


def numbering(paper: Paper) -> type[MarkedCanvas]:
    """A canvas that knows, when it saves, how many pages there are, so that one pass is enough for "page x of y"."""

    class NumberedCanvas(MarkedCanvas):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "initialFontName": REGULAR})
            self._pages: list[dict[str, Any]] = []

        def setFont(self, psfontname: str, size: float, leading: float | None = None) -> None:
            # Blank cells ask for the renderer's own default, which is not embedded.
            super().setFont(psfontname if psfontname in (REGULAR, BOLD) else REGULAR, size, leading)

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            pages = self._pages
            for page, state in enumerate(pages, start=1):
                self.__dict__.update(state)
                adorn(self, page, len(pages), paper)
                super().showPage()
            super().save()

    return NumberedCanvas


def adorn(canvas: MarkedCanvas, page: int, pages: int, paper: Paper) -> None:
    width, height = A4
    canvas.saveState()
    canvas.setFont(REGULAR, SMALL)
    canvas.setFillColor(QUIET)
    canvas.drawRightString(LEFT + WIDTH, height - 261.5 * mm, paper.page_label(page, pages))
    if page == 1 and paper.logo:
        draw_logo(canvas, paper.logo)
    if page == 1:
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.4)
        for down, length in [(105, 4), (148.5, 6), (210, 4)]:  # DIN 5008 form B: fold, punch, fold
            canvas.line(4 * mm, height - down * mm, (4 + length) * mm, height - down * mm)
    if paper.watermark:
        canvas.translate(width / 2, height / 2)
        canvas.rotate(52)
        canvas.setFont(BOLD, 110 * min(1, 600 / pdfmetrics.stringWidth(paper.watermark, BOLD, 110)))
        canvas.setFillColor(HexColor("#9fb3c8"))
        canvas.setFillAlpha(0.28)
        canvas.drawCentredString(0, -35, paper.watermark)
    canvas.restoreState()


def draw_logo(canvas: MarkedCanvas, logo: bytes) -> None:
    """Above the first line, to the right, no wider or higher than it may be."""
    picture = ImageReader(BytesIO(logo))
    width, height = picture.getSize()
    scale = min(LOGO_WIDTH / width, LOGO_HEIGHT / height)
    top = A4[1] - 8 * mm
    right = LEFT + WIDTH
    canvas.drawImage(picture, right - width * scale, top - height * scale, width * scale, height * scale)


# Fonts


@cache
def load_fonts() -> None:
    pdfmetrics.registerFont(TTFont(REGULAR, FONTS / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont(BOLD, FONTS / "DejaVuSans-Bold.ttf"))
    for italic in (0, 1):
        addMapping(FAMILY, 0, italic, REGULAR)
        addMapping(FAMILY, 1, italic, BOLD)


@cache
def glyphs() -> frozenset[int]:
    load_fonts()
    faces = [pdfmetrics.getFont(name).face for name in (REGULAR, BOLD)]
    return frozenset(faces[0].charToGlyph) & frozenset(faces[1].charToGlyph)


def unprintable(text: str) -> str:
    """The characters of ``text``, in their order, that the documents' fonts cannot draw; usually none."""
    text = unicodedata.normalize("NFC", text)
    return "".join(dict.fromkeys(c for c in text if ord(c) not in glyphs() and c not in "\t\r\n"))


def refuse_unprintable(text: str) -> None:
    if missing := unprintable(text):
        around = text[max(0, text.index(missing[0]) - 20) :][:40] if missing[0] in text else ""
        raise UnprintableText(
            _("The character %(character)s (U+%(code)s) in “%(text)s” is missing from the font of the documents.")
            % {"character": missing[0], "code": f"{ord(missing[0]):04X}", "text": around}
        )


# Tables and texts for the slots

BASE = ParagraphStyle(
    "base", fontName=REGULAR, fontSize=SIZE, leading=SIZE * 1.3, textColor=INK, alignment=TA_LEFT, splitLongWords=1
)
HEADING = ParagraphStyle("heading", fontName=BOLD, fontSize=9.5, leading=13, spaceAfter=2)


def rich(text: str, details: Sequence[str] = ()) -> Paragraph:
    """A cell of plain ``text`` with small grey ``details`` below it; neither is read as markup."""
    for part in (text, *details):
        refuse_unprintable(part)
    lines = [markup_free(text)]
    lines += [f'<font size="{SMALL}" color="#52606d">{markup_free(detail)}</font>' for detail in details]
    return Paragraph("<br/>".join(lines), BASE)


ASIDE = ParagraphStyle("aside", BASE, fontSize=SMALL, leading=SMALL * 1.3, textColor=HexColor("#52606d"), leftIndent=9)


def aside(text: str) -> Paragraph:
    """A cell of small grey ``text``, set in: what belongs to the row above; not read as markup."""
    refuse_unprintable(text)
    return Paragraph(markup_free(text), ASIDE)


def markup_free(text: str) -> str:
    return escape(unicodedata.normalize("NFC", " ".join(text.split())))


SEAMS = ".-/_"  # where a word may be broken that is too wide for its line


def plain(text: str, width: float = WIDTH, font: str = REGULAR, size: float = SIZE) -> str:
    """``text`` broken into lines that fit ``width``, for a cell that is drawn as a string.

    A word that is wider is broken at its last seam that fits, such as behind the @ of an address, else anywhere.
    """
    refuse_unprintable(text)
    load_fonts()
    words = unicodedata.normalize("NFC", " ".join(text.split()))
    lines: list[str] = []
    for line in simpleSplit(words, font, size, width):
        while pdfmetrics.stringWidth(line, font, size) > width:
            fits = next(n for n in range(len(line), 0, -1) if pdfmetrics.stringWidth(line[:n], font, size) <= width)
            fits = line.find("@", 0, fits) + 1 or max(line.rfind(seam, 0, fits) for seam in SEAMS) + 1 or fits
            lines.append(line[:fits])
            line = line[fits:]
        lines.append(line)
    return "\n".join(lines)


def one_line(text: str, width: float, font: str = REGULAR, size: float = SIZE) -> str:
    """``text``, cut off with an ellipsis where it is wider than ``width``: for what is printed in full elsewhere."""
    refuse_unprintable(text)
    load_fonts()
    shown = unicodedata.normalize("NFC", " ".join(text.split()))
    if pdfmetrics.stringWidth(shown, font, size) <= width:
        return shown
    while pdfmetrics.stringWidth(f"{shown} …", font, size) > width:
        shown = shown[:-1].rstrip()
    return f"{shown} …"


def fitted(
    columns: Sequence[tuple[Sequence[str], float]], height: float, *, largest: float, font: str = REGULAR
) -> tuple[float, list[list[str]]]:
    """Break columns of texts, given with their widths, into lines at the largest size at which none is too high."""
    size = largest
    while True:
        broken = [
            [line for text in texts for line in plain(text, width, font, size).split("\n")] for texts, width in columns
        ]
        if size <= SMALLEST or max(map(len, broken)) * size * LEADING <= height:
            return size, broken
        size -= 0.25


@dataclass
class Grid:
    """Rows for one long table with a head that repeats on every page."""

    head: Sequence[str]
    widths: Sequence[float]
    right_from: int  # columns from here on are set to the right
    colour: str  # of the head
    rows: list[Sequence[Any]] = field(default_factory=list)
    commands: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, cells: Sequence[Any], *, bold: bool = False, tint: bool = False, rule: bool = True) -> None:
        """Append a row; ``rule`` draws the hairline below it."""
        self.rows.append(cells)
        row = len(self.rows)  # the head is row 0
        if bold:
            self.commands.append(("FONTNAME", (0, row), (-1, row), BOLD))
        if tint:
            self.commands.append(("BACKGROUND", (0, row), (-1, row), TINT))
        if not rule:
            self.commands.append(("LINEBELOW", (0, row), (-1, row), 0, TINT))

    def stay_with_previous(self) -> None:
        """Keep the last row on the page of the row before it."""
        row = len(self.rows)
        self.commands.append(("NOSPLIT", (0, row - 1), (0, row)))

    def table(self) -> LongTable:
        head = [plain(text, width - 5, BOLD, SMALL) for text, width in zip(self.head, self.widths, strict=True)]
        return LongTable(
            [head, *self.rows],
            colWidths=list(self.widths),
            repeatRows=1,
            hAlign="LEFT",
            style=[
                ("FONT", (0, 0), (-1, -1), REGULAR, SIZE, SIZE * 1.3),
                ("FONT", (0, 0), (-1, 0), BOLD, SMALL, SMALL * 1.3),
                ("TEXTCOLOR", (0, 0), (-1, 0), HexColor(self.colour)),
                ("TEXTCOLOR", (0, 1), (-1, -1), INK),
                ("ALIGN", (self.right_from, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.9, HexColor(self.colour)),
                ("LINEBELOW", (0, 1), (-1, -1), 0.3, RULE),
                ("TOPPADDING", (0, 0), (-1, -1), 2.2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3.2),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 5),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                *self.commands,
            ],
        )


def headed(text: str, table: Flowable, colour: str) -> list[Flowable]:
    """A table under a heading that does not stay behind at the foot of a page."""
    refuse_unprintable(text)
    heading = ParagraphStyle("coloured", HEADING, textColor=HexColor(colour))
    return [Spacer(1, 12), CondPageBreak(30 * mm), Paragraph(markup_free(text), heading), table]


# Complaints


@contextmanager
def complaints_raised() -> Iterator[None]:
    """Turn what the renderer would only log into ``LayoutError``: a dropped frame is a document with a hole."""
    complaints: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    collect = Collect(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("xhtml2pdf", "reportlab")]
    for logger in loggers:
        logger.addHandler(collect)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(collect)
    if complaints:
        raise LayoutError("; ".join(complaints))
