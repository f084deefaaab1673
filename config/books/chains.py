"""The chain of hashes through each number range, up to the head that the range keeps."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from django.utils.translation import gettext

from config.books.breach import Breach
from invoicing.kernel.content import chained
from invoicing.models import NumberRange


def chains_hold() -> Iterator[Breach]:
    """Each link follows from the one before, the number and the content hash; the last one is the head of its range.

    After a broken link it goes on from what is stored, so that one forged document is one breach.
    """
    heads = dict(NumberRange.objects.values_list("id", "chain_head"))
    prefixes = dict(NumberRange.objects.values_list("id", "prefix"))
    last: dict[int, str] = dict.fromkeys(heads, "")
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "select range_id, number, content_hash, chain_hash from invoicing_invoice"
            " where range_id is not null order by range_id, sequence"
        )
        for key, number, content, chain in cursor:
            if chain != chained(last[key], number, content):
                yield Breach(
                    "chain", number, gettext("Its hash does not follow from the document before it in the range.")
                )
            last[key] = chain
    for key, head in heads.items():
        if head != last[key]:
            yield Breach("chain", prefixes[key], gettext("The range keeps another hash than its last document."))
