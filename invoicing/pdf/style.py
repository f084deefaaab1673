"""How an issuer's letters look and what it says in its own words, as plain data; and where that is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from invoicing.kernel.letter_texts import filled
from invoicing.models import Letterhead, LetterText
from tenants import files
from tenants.models import File


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of one kind of letter with their placeholders; what is empty is said as usual."""

    opening: str = ""
    closing: str = ""
    mail_subject: str = ""
    mail_body: str = ""

    def paragraphs(self, values: Mapping[str, str]) -> dict[str, list[str]]:
        """Introduction and closing as a letter shows them: lines, an empty one between paragraphs."""
        return {
            "own_opening": [line.strip() for line in filled(self.opening, values).splitlines()],
            "own_closing": [line.strip() for line in filled(self.closing, values).splitlines()],
        }

    def mail(self, values: Mapping[str, str], subject: str, body: str) -> tuple[str, str]:
        """Subject and text of the e-mail: the issuer's own, else those given."""
        own = " ".join(filled(self.mail_subject, values).split())
        return own or " ".join(subject.split()), filled(self.mail_body, values).replace("\r\n", "\n") or body


@dataclass(frozen=True, slots=True)
class Style:
    """Of all letters of one issuer. ``logo`` is a PNG without transparency; an empty column of the foot is as usual."""

    colour: str = Letterhead.COLOUR
    logo: bytes = b""
    foot: tuple[str, str, str, str] = ("", "", "", "")
    words: Mapping[tuple[str, str], Words] = field(default_factory=dict)  # by kind and language

    def said(self, kind: str, language: str) -> Words:
        return self.words.get((kind, language), NOTHING)


NOTHING = Words()
PLAIN = Style()


def style_of(issuer: int) -> Style:
    """The style of an issuer (key). Raises ``DamagedFile`` if its logo is gone."""
    return styles_of([issuer])[issuer]


def styles_of(issuers: Iterable[int]) -> dict[int, Style]:
    """By issuer (key); two queries however many they are."""
    wanted = set(issuers)
    words: dict[int, dict[tuple[str, str], Words]] = defaultdict(dict)
    for text in LetterText.objects.filter(issuer__in=wanted):
        words[text.issuer_id][text.kind, text.language] = words_of(text)
    heads = {head.issuer_id: head for head in Letterhead.objects.filter(issuer__in=wanted).select_related("logo")}
    return {
        issuer: style(heads[issuer], words[issuer]) if issuer in heads else Style(words=words[issuer])
        for issuer in wanted
    }


def words_of(text: LetterText) -> Words:
    return Words(text.opening, text.closing, text.mail_subject, text.mail_body)


def style(head: Letterhead, words: Mapping[tuple[str, str], Words], logo: bytes | None = None) -> Style:
    """A letterhead, kept or only entered, as plain data; ``logo`` is shown instead of the one it has."""
    if logo is None:
        logo = files.read(head.logo) if head.logo else b""
    return Style(head.colour, logo, (head.foot_1, head.foot_2, head.foot_3, head.foot_4), words)


def keep_logo(issuer: int, logo: bytes) -> File:
    """The file of a normalised logo; one that the issuer had before is the same file again."""
    digest = sha256(logo).hexdigest()
    known = File.objects.filter(sha256=digest, path__startswith=f"logos/{issuer}/").first()
    return known or files.store(f"logos/{issuer}/logo.png", logo, content_type="image/png")
