"""Whether a VAT id counts by its form and its check digits. Whether it is in force, VIES says (``vat_inquiries``)."""

from dataclasses import dataclass

from django.utils.translation import gettext
from stdnum import get_cc_module
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

PREFIXES = {"GR": "EL", "MC": "FR"}  # where the ids of a country do not begin with its ISO code; Monaco has French ids
MEMBER_STATES = frozenset(code.upper() for code in vat.MEMBER_STATES if code != "xi")


@dataclass(frozen=True, slots=True)
class Answer:
    """``is_valid``: it counts as a VAT id of an EU member state. ``reason`` says in the active language why not."""

    vat_id: str
    is_valid: bool
    reason: str = ""


def check(vat_id: str, country: str) -> Answer:
    """Check the digits of ``vat_id`` for a party in ``country`` (ISO code); for NL either rule (mod 11, mod 97) does.

    An id of a country outside the EU is no VAT id in the sense of the reverse charge and never counts; if that
    country's own rule says that it is mistyped, the reason says so.
    """
    written = compact(vat_id)
    if not written:
        return Answer("", False, gettext("no VAT id"))
    if country in MEMBER_STATES or country == "MC" or (country == "GB" and written.startswith("XI")):
        prefix = PREFIXES.get(country, "XI" if country == "GB" else country)
        if not written.startswith(prefix):
            return Answer(written, False, gettext("the VAT id does not begin with %(prefix)s") % {"prefix": prefix})
        if not vat.is_valid(written):
            return Answer(written, False, gettext("the check digits of the VAT id are wrong"))
        return Answer(written, True)
    module = get_cc_module(country.lower(), "vat") if country else None
    if module:
        try:
            module.validate(written)
        except ValidationError:
            return Answer(written, False, gettext("the tax id does not fit the country's rule"))
    return Answer(written, False, gettext("not a VAT id of an EU member state"))


def compact(vat_id: str) -> str:
    """As it is stored and printed: capitals, without blanks, points and hyphens."""
    return "".join(character for character in vat_id.upper() if character not in " .-\u00a0")
