"""The EU's register of VAT ids: the only file that speaks to VIES (REST, ``check-vat-number``).

Three answers: valid, not valid, or none (``Silent``). A busy member state says nothing about an id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _

from tenants import outbound

READ: Final = 20_000  # bytes; an answer has some hundred
REFUSED: Final = {"INVALID_INPUT"}  # no such id can exist
OURS: Final = {"INVALID_REQUESTER_INFO"}
MATCHES: Final = {"VALID": True, "INVALID": False}
HIDDEN: Final = {"", "---"}  # Germany and Spain tell neither name nor address


class Silent(Exception):
    """No answer, for the reason given. ``is_for_all``: there would be none about ids of other states either."""

    def __init__(self, reason: str, *, is_for_all: bool, wait: int | None = None) -> None:
        super().__init__(reason)
        self.is_for_all = is_for_all
        self.wait = wait  # seconds that it asks us to wait


class NotAsked(Exception):
    """Our own VAT id is not accepted: a person must look."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which id, who asks, and what is to be compared; ids as they are written, with their prefix."""

    vat_id: str
    requester: str
    name: str
    street: str
    postcode: str
    city: str


@dataclass(frozen=True, slots=True)
class Answer:
    """``consultation_number`` is the proof that the question was asked, given to requesters with a VAT id alone."""

    is_valid: bool
    consultation_number: str
    name: str
    address: str
    name_matches: bool | None
    address_matches: bool | None
    raw: str


def is_asked() -> bool:
    """Whether an address of VIES is configured."""
    return bool(settings.VIES_URL)


def ask(question: Question) -> Answer:
    """Ask about one id. Raises ``Silent`` or ``NotAsked``."""
    body = json.dumps(_asked(question)).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        heard = outbound.post(
            f"{settings.VIES_URL.rstrip('/')}/check-vat-number",
            body,
            headers,
            to_anyone=True,
            read=READ,
            whole_time=settings.VIES_TIMEOUT,
        )
    except outbound.Unreachable as error:
        raise Silent(_("VIES cannot be reached: %s") % error, is_for_all=True) from error
    told = _told(heard)
    codes = _codes(told)
    if codes & OURS:
        raise NotAsked(_("VIES does not accept %(vat_id)s as the VAT id that asks.") % {"vat_id": question.requester})
    if codes & REFUSED:
        return Answer(False, "", "", "", None, None, heard.text)
    if codes:
        of_all = not all(code.startswith("MS_") for code in codes)
        raise Silent(
            _("VIES gives no answer: %s") % ", ".join(sorted(codes)), is_for_all=of_all, wait=heard.retry_after
        )
    if heard.status != 200 or not isinstance(told.get("valid"), bool):
        raise Silent(_("VIES gives no answer: status %d") % heard.status, is_for_all=True, wait=heard.retry_after)
    return _answer(told, heard.text)


def _asked(question: Question) -> dict[str, str]:
    body = {"countryCode": question.vat_id[:2], "vatNumber": question.vat_id[2:]}
    if question.requester:
        body |= {"requesterMemberStateCode": question.requester[:2], "requesterNumber": question.requester[2:]}
    compared = {
        "traderName": question.name,
        "traderStreet": question.street,
        "traderPostalCode": question.postcode,
        "traderCity": question.city,
    }
    return body | {name: value for name, value in compared.items() if value}


def _told(heard: outbound.Answer) -> dict[str, Any]:
    try:
        told = json.loads(heard.text)
    except (ValueError, RecursionError):  # no JSON, or nested beyond reason
        told = None
    return told if isinstance(told, dict) else {}


def _codes(told: dict[str, Any]) -> set[str]:
    """The codes of what went wrong, in either form in which VIES puts them."""
    wrappers = told.get("errorWrappers")
    codes = {
        wrapper["error"]
        for wrapper in (wrappers if isinstance(wrappers, list) else ())
        if isinstance(wrapper, dict) and isinstance(wrapper.get("error"), str)
    }
    if isinstance(error := told.get("userError"), str) and error not in ("VALID", "INVALID", ""):
        codes.add(error)
    return codes


def _answer(told: dict[str, Any], raw: str) -> Answer:
    def text(name: str) -> str:
        value = told.get(name)
        line = " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else ""
        return "" if line in HIDDEN else line

    places = [MATCHES.get(text(f"trader{part}Match")) for part in ("Street", "PostalCode", "City")]
    asked = [place for place in places if place is not None]
    return Answer(
        is_valid=told["valid"],
        consultation_number=text("requestIdentifier")[:50],
        name=text("name") or text("traderName"),
        address=text("address"),
        name_matches=MATCHES.get(text("traderNameMatch")),
        address_matches=all(asked) if asked else None,
        raw=raw,
    )
