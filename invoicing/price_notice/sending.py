"""Each letter about new prices: its file, made once, and its e-mails to who is invoiced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, repeat, zip_longest
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation

from billing.kernel.money import places_of
from billing.models import Item, Price, PriceChange, PriceNotice
from billing.models.catalog import Interval
from invoicing import parties
from invoicing.einvoice.facts import PartyFacts
from invoicing.pdf import troubles
from invoicing.pdf.style import style_of
from invoicing.price_notice.letter import NoticeFacts, PriceFacts, cover_note, file_title, render
from tenants import entities, files, messages, notifications
from tenants.models import Message, Tenant
from tenants.responsibility import lines_of
from tenants.transactions import wake

PATIENCE = timedelta(minutes=10)  # after which a letter without a file is no longer just waiting for a worker
PARTY = ("reference", "name", "street", "postcode", "city", "country", "vat_id")
UNIT_PRICE, FLAT_AMOUNT = 1, 2  # places in what a change keeps of a tier


def unwritten() -> QuerySet[PriceNotice]:
    """Letters without a file."""
    return PriceNotice.objects.filter(file=None)


def waiting() -> QuerySet[PriceNotice]:
    """The in-tray: letters without a file, but for those that failed a short while ago."""
    return troubles.rested(unwritten())


def without_address() -> QuerySet[PriceNotice]:
    """Letters that went to nobody by mail, because the account has no address: to be printed and posted."""
    sent = PriceNotice.messages.through.objects.filter(pricenotice=OuterRef("pk"))
    return PriceNotice.objects.exclude(file=None).filter(~Exists(sent))


def overdue(now: datetime) -> QuerySet[PriceNotice]:
    """Letters of campaigns long since made that have no file yet: something is in the way."""
    return unwritten().filter(campaign__created_at__lt=now - PATIENCE)


def write_notices(*, limit: int, on_each: Callable[[], None] | None = None) -> int:
    """Make the files and mails of at most ``limit`` letters; returns how many. Any number of processes may do so.

    One letter's trouble stops no other: it is logged, stays without a file, and rests before it is tried again.
    """
    tray = waiting().select_related("campaign__issuer", "tenant__invoice_to")
    return troubles.work_off(tray, _write, limit=limit, on_each=on_each)


def facts_of(notice: PriceNotice) -> NoticeFacts:
    """A letter as plain data; the reason, written in the issuer's language, stands in letters of that language."""
    changes = (
        notice.changes.select_related("subscription", "price_before__product")
        .prefetch_related("price_before__tiers")
        .order_by("effective_on", "subscription__reference", "line")
    )
    opened = Item.objects.filter(amendment__price_change__notice=notice).values_list("amendment", "interval")
    intervals: dict[int | None, str] = dict(opened)
    with translation.override(notice.language):
        prices = tuple(
            fact
            for change in changes
            for fact in _prices(change, Interval(intervals[change.amendment_id]).label, notice.language)
        )
    recipients = recipients_of(notice)
    customer = recipients[0] if len(recipients) == 1 else notice.tenant
    return NoticeFacts(
        written_on=notice.written_on,
        language=notice.language,
        seller=PartyFacts(**parties.seller_of(notice.campaign.issuer)),
        customer=PartyFacts(**{name: getattr(customer, name) for name in PARTY}),
        account="" if customer == notice.tenant else f"{notice.tenant.reference} {notice.tenant.name}",
        reason=notice.campaign.reason if notice.language == notice.campaign.issuer.language else "",
        may_terminate=notice.campaign.may_terminate,
        prices=prices,
    )


def recipients_of(notice: PriceNotice) -> list[Tenant]:
    """Who is invoiced for the contracts of a letter, each once, in tree order: to whom it is written."""
    contracts = [
        change.subscription
        for change in notice.changes.select_related("subscription__invoice_to", "subscription__tenant__invoice_to")
    ]
    wanted = {one.pk: one.invoice_to or one.tenant.invoice_to or one.tenant for one in contracts}
    lines = lines_of([*(one.tenant for one in contracts), *wanted.values()])
    found = {
        account.pk: account
        for one in contracts
        for account in [entities.recipient_of(lines[one.tenant_id], lines[wanted[one.pk].pk])]
    }
    return sorted(found.values(), key=lambda account: (account.tree_id, account.lft)) or [notice.tenant]


def _packages(price: Price) -> Iterator[Decimal | None]:
    """How many units each tier sells together, in the order of the tiers."""
    for tier in price.tiers.all():
        yield tier.package_size or (price.package_size if price.model == Price.Model.PACKAGE else None)


def _prices(change: PriceChange, interval: Any, language: str) -> Iterator[PriceFacts]:
    """The figures of a price, tier by tier; those that stay (an amount of nothing) are left out."""
    product = change.price_before.product
    assert change.effective_on is not None
    packages = chain(_packages(change.price_before), repeat(None))
    tiers = zip_longest(change.tiers_before, change.tiers_after, fillvalue=["", "0", "0"])
    for (old, new), package in zip(tiers, packages, strict=False):
        for at in UNIT_PRICE, FLAT_AMOUNT:
            if old[at] != new[at]:
                yield PriceFacts(
                    contract=change.subscription.reference,
                    product=product.name_de if language == "de" else product.name_en,
                    interval=str(interval),
                    is_per_unit=at == UNIT_PRICE,
                    up_to=new[0],
                    effective_on=change.effective_on,
                    currency=change.currency,
                    places=places_of(change.currency),
                    before=Decimal(old[at]),
                    after=Decimal(new[at]),
                    package=package,
                )


def _write(notice: PriceNotice) -> None:
    """The file and the mails of a locked letter."""
    issuer, facts = notice.campaign.issuer, facts_of(notice)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", notice.tenant.reference)
    file = files.store(
        f"price-notices/{issuer.pk}/{notice.written_on:%Y}/{notice.written_on.isoformat()}-{name}-{notice.pk}.pdf",
        render(facts, style_of(issuer.pk)),
        content_type="application/pdf",
    )
    PriceNotice.objects.filter(pk=notice.pk).update(file=file)
    subject, body = cover_note(facts)
    written = [
        messages.compose(
            messages.key_of(f"price-notice:{notice.pk}", address),
            issuer=issuer,
            tenant=notice.tenant,
            recipient=address,
            subject=subject,
            body=body,
            file=file,
            file_name=re.sub(r"[^\w.-]+", "-", f"{file_title(facts)}-{notice.written_on.isoformat()}") + ".pdf",
        )
        for address in _addresses(notice)
    ]
    notice.messages.set(Message.objects.bulk_create(written))
    if written:
        wake("tenants.send_pending")


def _addresses(notice: PriceNotice) -> list[str]:
    """Those who want to be told of prices at each recipient, by preference and role; each address once."""
    found = notifications.recipients(notifications.Event.PRICE_CHANGED, recipients_of(notice))
    return messages.addresses((address for of_account in found.values() for address in of_account), otherwise="")
