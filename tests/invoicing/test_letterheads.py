"""An issuer's letters: its logo, colour, foot and own words on each of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image, ImageCms
from pypdf import PdfReader

from invoicing import delivery, pdf
from invoicing.kernel.colours import contrast_on_white
from invoicing.kernel.letter_texts import filled, unknown
from invoicing.models import Letterhead, LetterText
from invoicing.pdf import collective, logo, samples, section_copy
from invoicing.pdf.style import PLAIN, Style, Words, keep_logo, style_of
from payments import letter
from tenants import files
from tenants.models import Message
from tests import facts
from tests.builders import make_issuer, make_tenant
from tests.invoicing.test_delivery import bill_one
from tests.invoicing.test_pdf import words_of

HOSTILE = "<b>fett</b> {{ seller.iban }} &amp; {number}"


def picture(mode: str = "RGBA", size: tuple[int, int] = (1200, 200), form: str = "PNG", **options) -> bytes:
    out = BytesIO()
    Image.new(mode, size, {"RGBA": (200, 30, 60, 128), "CMYK": (0, 255, 255, 0)}.get(mode, 90)).save(
        out, form, **options
    )
    return out.getvalue()


STYLE = Style(
    colour="#7a1f3d",
    logo=logo.normalised(picture()),
    foot=("", "", "Eigene Spalte\nmit zwei Zeilen", ""),
    words={
        ("invoice", "de"): Words(
            "Guten Tag {customer},\n\nVertrag {contract}: {gross} bis {due_on}.", "Danke! " + HOSTILE
        ),
        ("credit_note", "de"): Words("Zu {original}: {net}"),
        ("statement", "de"): Words("Alles zusammen {total}", "", "Aufstellung {number}\nBcc: x", "Bis {due_on}"),
        ("reminder", "de"): Words("Stufe {level}, {number}", "Bis {due_on}", "Mahnung {level}", "{total} {issuer}"),
    },
)


def images_of(content: bytes) -> list[list[str]]:
    """By page."""
    return [
        [str(part.get_object()["/ColorSpace"]) for part in page["/Resources"].get("/XObject", {}).values()]
        for page in PdfReader(BytesIO(content)).pages
    ]


# Kernel


@pytest.mark.parametrize(
    ("colour", "contrast"), [("#000000", "21.00"), ("#ffffff", "1.00"), ("#767676", "4.54"), ("#1b4965", "9.60")]
)
def test_contrast_is_that_of_wcag(colour, contrast):
    assert round(contrast_on_white(colour), 2) == Decimal(contrast)


def test_placeholders_are_named_and_filled_once():
    assert unknown("{number} {foo} { x } {{gross}} {foo}", "invoice") == ["foo", " x "]
    assert unknown("{level}", "invoice") == ["level"] and unknown("{level}", "reminder") == []
    assert filled("{a} {b} {c", {"a": "{b}", "b": "2"}) == "{b} 2 {c"


# Logo


@pytest.mark.parametrize(
    "upload",
    [
        picture(),
        picture("RGB"),
        picture("L", form="JPEG"),
        picture("CMYK", form="JPEG"),
        picture("P"),
        picture("RGB", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    ],
)
def test_a_logo_becomes_small_opaque_and_plain(upload):
    made = logo.normalised(upload)
    with Image.open(BytesIO(made)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert image.width <= 709 and image.height <= 154
        assert image.size == (709, 118)
        assert "icc_profile" not in image.info
    assert logo.normalised(upload) == made


def test_what_shines_through_stands_on_white():
    with Image.open(BytesIO(logo.normalised(picture()))) as image:
        assert image.getpixel((5, 5)) == (227, 142, 157)


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"", "weder ein PNG noch"),
        (picture()[:200], "beschädigt"),
        (b"x" * 5_000_001, "5 MB"),
        (picture("L", (7000, 7000)), "40 Megapixel"),
        (picture("RGB", form="GIF"), "weder"),
    ],
)
def test_what_is_no_logo_is_refused(upload, said):
    with pytest.raises(logo.NotALogo, match=said):
        logo.normalised(upload)


# Letters


def letters(style: Style) -> dict[str, bytes]:
    consolidated = facts.consolidated(2, 2)
    return {
        "document": pdf.render(facts.make_document(), style),
        "section copy": section_copy.render(consolidated, consolidated.sections[0], facts.BUYER, style),
        "reminder": letter.render(facts.make_reminder(), style),
    }


def test_every_letter_has_the_logo_on_its_first_page_and_the_own_foot():
    for name, made in letters(STYLE).items():
        assert images_of(made)[0] == ["/DeviceRGB"], name
        assert all(not images for images in images_of(made)[1:]), name
        assert "Eigene Spalte mit zwei Zeilen" in words_of(made), name
        assert b"Interpolate true" not in made, name


def test_a_logo_costs_little_and_equal_style_gives_equal_bytes():
    noisy = BytesIO()
    Image.effect_noise((709, 154), 90).convert("RGB").save(noisy, "PNG")
    style = replace(STYLE, logo=logo.normalised(noisy.getvalue()))
    plain, made = pdf.render(facts.make_document()), pdf.render(facts.make_document(), style)
    assert len(made) - len(plain) < 450_000
    assert pdf.render(facts.make_document(), style) == made


def test_the_law_keeps_its_particulars_whatever_the_foot_says():
    bare = Style(foot=("Wir", "und", "sonst", "nichts"))
    said = words_of(pdf.render(facts.make_document(), bare))
    foot = said[said.rindex("Wir") - 200 :]
    for particular in ("Beispiel Telefonie GmbH", "Hauptstraße 1", "88326 Aulendorf", "DE812415868", "77/123/45678"):
        assert particular in foot


def test_own_words_are_text_with_values_and_nothing_else():
    said = words_of(pdf.render(facts.make_document(), STYLE))
    assert "Guten Tag Café Zentral GmbH, Vertrag V01-00001: 675,44 EUR bis 15.02.2026." in said
    assert "Danke! <b>fett</b> {{ seller.iban }} &amp; R2026-000001" in said
    assert "Wir berechnen Ihnen" not in said


def test_a_correction_names_its_original_whatever_is_said():
    said = words_of(pdf.render(facts.credit_note(), STYLE))
    assert "korrigiert die Rechnung R2026-000007 vom 01.09.2026. Zu R2026-000007: -" in said


def test_reminders_and_their_mails_speak_the_own_words():
    said = words_of(letter.render(facts.make_reminder(level=2), STYLE))
    assert "Stufe 2, " in said and "Bis " in said
    assert letter.cover_note(facts.make_reminder(level=2), STYLE)[0] == "Mahnung 2"
    assert letter.cover_note(facts.make_reminder(level=2), STYLE)[1].endswith("EUR Beispiel Telefonie GmbH")
    assert letter.cover_note(facts.make_reminder(level=0), STYLE) == letter.cover_note(facts.make_reminder(level=0))


def test_a_subject_stays_in_one_line(db):
    statement = samples.statement(make_issuer(), "de", on=facts.make_document().issued_on)
    subject, body = collective.cover_note(statement, STYLE)
    assert subject == "Aufstellung S-0007 Bcc: x"
    assert body == "Bis 15.02.2026"
    said = words_of(collective.render(statement, STYLE))
    assert "Alles zusammen 307,02 EUR" in said and "Eigene Spalte" in said


# What is kept


@pytest.mark.django_db
def test_documents_and_mails_take_what_their_issuer_keeps(tmp_path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    invoice = bill_one(make_tenant())
    kept = keep_logo(invoice.issuer_id, STYLE.logo)
    assert keep_logo(invoice.issuer_id, STYLE.logo) == kept
    Letterhead.objects.create(issuer=invoice.issuer, colour="#7a1f3d", logo=kept, foot_2="Zeile")
    LetterText.objects.create(
        issuer=invoice.issuer, kind="invoice", language="de", opening="Hallo {customer}", mail_subject="Neu: {number}"
    )
    made = pdf.render_document(invoice.pk)
    style = style_of(invoice.issuer_id)
    assert (style.logo, style.foot[1], style.colour) == (STYLE.logo, "Zeile", "#7a1f3d")

    first = files.read(made)
    assert first == pdf.render(*pdf.facts_of([invoice.pk]), style)
    Letterhead.objects.update(colour="#000000")
    assert files.read(pdf.render_document(invoice.pk)) == first  # made once
    assert pdf.preview(invoice.pk) != first
    delivery.deliver([invoice.pk])
    assert Message.objects.get().subject == f"Neu: {invoice.number}"
    assert style_of(make_issuer().pk) == PLAIN
