"""What should be known of a bank's file that was read nevertheless, as sentences in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

SENTENCES: Final = {
    "balances_differ": _("The balances do not add up: %(difference)s %(currency)s are missing or too much."),
    "details_differ": _("The payments of booking %(entry)s do not add up to it; it is taken as one sum."),
    "other_currency": _("Booking %(entry)s is in %(currency)s, not in the account's currency; it is left out."),
    "no_such_day": _("Line %(line)s has a day that is in no calendar; the last one of its month is taken."),
    "page_follows": _("The file is not the last page of its message; another one follows."),
}


def told(code: str, facts: Mapping[str, str]) -> str:
    """The sentence for a trouble, as ``Trouble`` or a stored statement has it."""
    return str(SENTENCES[code]) % facts if code in SENTENCES else code
