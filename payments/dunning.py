"""Overdue items -> reminders: a level per item, a letter per payer, level and currency, its PDF and its mails.

A reminder of an item and level exists once, under the payer's lock, so that a second run of the day finds nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _

from billing.kernel.money import places_of, rounded
from invoicing import parties
from invoicing.einvoice.facts import PartyFacts
from invoicing.pdf import troubles
from invoicing.pdf.style import style_of
from payments import disputes
from payments import letter as letters
from payments.kernel.reminders import Due, Item, Left, Level, decide
from payments.models import DunningLevel, DunningPolicy, DunningRun, Letter, LetterDelivery, Reminder
from tenants import files, messages, notifications
from tenants.models import Issuer, Message, Tenant
from tenants.responsibility import effective
from tenants.transactions import lock_payers, wake

PATIENCE = timedelta(minutes=10)  # after which a letter without a file is no longer just waiting for a worker
CHUNK = 500  # payers of one transaction
DEFAULT_LEVELS: Final = (Level(0, 3, 7), Level(1, 10, 7), Level(2, 10, 7), Level(3, 10, 10))


@dataclass(frozen=True, slots=True)
class Policy:
    """An issuer's policy as it is read: its levels in order."""

    levels: tuple[Level, ...] = DEFAULT_LEVELS
    threshold: Decimal = Decimal(0)
    reminds_collected: bool = False


@dataclass(slots=True)
class Policies:
    """An issuer's policies: the standard one, and all by their names."""

    standard: Policy = field(default_factory=Policy)
    named: dict[str, Policy] = field(default_factory=dict)

    def of(self, name: str) -> Policy:
        """The one that an account names; the standard one where it names none, or none of this issuer."""
        return self.named.get(name, self.standard)


@dataclass(slots=True)
class Proposal:
    """What some payers are to be reminded of: letters by payer, and why other overdue items are left alone.

    ``documents`` names the document of each item, ``payers`` the payer.
    """

    letters: list[tuple[int, Due]] = field(default_factory=list)
    left: dict[int, Left] = field(default_factory=dict)
    documents: dict[int, str] = field(default_factory=dict)
    payers: dict[int, int] = field(default_factory=dict)


def ensure_policy(issuer: Issuer) -> DunningPolicy:
    """The issuer's standard policy, made if there is none. Staff may change it: it is never overwritten."""
    with transaction.atomic():
        with translation.override(issuer.language):
            policy, is_new = DunningPolicy.objects.get_or_create(
                issuer=issuer, is_standard=True, defaults={"name": _("Standard")}
            )
        if is_new:
            DunningLevel.objects.bulk_create(
                [
                    DunningLevel(
                        policy=policy, level=step.number, days_after=step.days_after, days_to_pay=step.days_to_pay
                    )
                    for step in DEFAULT_LEVELS
                ]
            )
    return policy


def policies_of(issuer: Issuer) -> Policies:
    """How the issuer reminds: its own policies, or the default while it has none. Two queries."""
    found = Policies()
    for stored in DunningPolicy.objects.filter(issuer=issuer).prefetch_related("levels"):
        levels = tuple(Level(step.level, step.days_after, step.days_to_pay) for step in stored.levels.all())
        policy = Policy(levels, stored.threshold, stored.reminds_collected)
        found.named[stored.name] = policy
        if stored.is_standard:
            found.standard = policy
    return found


def remind(issuer: Issuer, *, on: date, on_chunk: Callable[[Proposal], None] | None = None) -> DunningRun:
    """Write the reminders that are due on ``on``, a day in the issuer's zone; joins the run of that day if any.

    The letters' files and mails are made by ``write_letters``.
    """
    ensure_policy(issuer)
    policies = policies_of(issuer)
    run, _is_new = DunningRun.objects.get_or_create(issuer=issuer, on=on)
    for payers in _chunks(_payers_in_arrears(issuer, on)):
        with transaction.atomic():
            lock_payers(payers)
            proposal = propose(issuer, payers, on=on, policies=policies)
            _write(run, proposal)
        if on_chunk:
            on_chunk(proposal)
    return run


def rehearse(issuer: Issuer, *, on: date) -> Iterator[Proposal]:
    """Say chunk by chunk what ``remind`` would do; writes nothing."""
    policies = policies_of(issuer)
    for payers in _chunks(_payers_in_arrears(issuer, on)):
        yield propose(issuer, payers, on=on, policies=policies)


def propose(issuer: Issuer, payers: Sequence[int], *, on: date, policies: Policies) -> Proposal:
    """What ``payers`` (tenant keys) are to be reminded of on ``on``; writes nothing."""
    proposal = Proposal()
    items: dict[int, list[Item]] = defaultdict(list)
    for payer, number, item in _read_items(issuer, payers, on):
        items[payer].append(item)
        proposal.documents[item.key] = number
        proposal.payers[item.key] = payer
    written = set(
        Letter.objects.filter(run__issuer=issuer, run__on=on, payer__in=payers).values_list(
            "payer_id", "level", "currency"
        )
    )
    settings = effective(Tenant.objects.filter(pk__in=list(items)), issuer)
    for payer, of_payer in items.items():
        policy = policies.of(settings[payer].dunning_policy)
        decision = decide(of_payer, policy.levels, on, threshold=policy.threshold, collected=policy.reminds_collected)
        proposal.left |= decision.left
        for due in decision.letters:
            if (payer, due.level.number, due.currency) in written:  # what turned up since then has its turn tomorrow
                proposal.left |= dict.fromkeys((item.key for item in due.items), Left.NOT_YET)
            else:
                proposal.letters.append((payer, due))
    return proposal


def _payers_in_arrears(issuer: Issuer, on: date) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct i.payer_id
              from invoicing_openitem i
              join invoicing_invoice d on d.id = i.invoice_id
             where d.issuer_id = %s and i.due_on < %s
               and (select sum(p.amount) from invoicing_posting p where p.open_item_id = i.id) > 0
             order by i.payer_id
            """,
            [issuer.pk, on],
        )
        return [row[0] for row in cursor.fetchall()]


def _read_items(issuer: Issuer, payers: Sequence[int], on: date) -> Iterator[tuple[int, str, Item]]:
    """Everything open with the payers, credits and money not applied yet included: payer, what it is, item."""
    contested = disputes.contested(issuer.pk, payers, on=on)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select i.payer_id, coalesce(d.number, i.reference), i.id, i.currency, i.due_on, o.open, r.level, r.sent_on,
                   exists (select from payments_dunningblock b
                            where (b.open_item_id = i.id or b.tenant_id = i.payer_id)
                              and b.starts_on <= %(on)s and (b.ends_before is null or b.ends_before > %(on)s)),
                   coalesce(d.collection <> 'invoice', false),
                   exists (select from payments_collectionitem c where c.open_item_id = i.id and c.is_unsettled)
              from invoicing_openitem i
              left join invoicing_invoice d on d.id = i.invoice_id
             cross join lateral (select sum(p.amount) as open from invoicing_posting p where p.open_item_id = i.id) o
              left join lateral (select r.level, l.sent_on
                                   from payments_reminder r join payments_letter l on l.id = r.letter_id
                                  where r.open_item_id = i.id order by r.level desc limit 1) r on true
             where i.payer_id = any(%(payers)s) and i.issuer_id = %(issuer)s and o.open <> 0
               and coalesce(d.issued_on, i.due_on) <= %(on)s
             order by i.payer_id, i.due_on, i.id
            """,
            {"on": on, "payers": list(payers), "issuer": issuer.pk},
        )
        for row in cursor.fetchall():
            payer, number, key, currency, due_on, amount, level, sent_on, is_blocked, is_collected, is_under_way = row
            yield (
                payer,
                number,
                Item(
                    key,
                    currency,
                    due_on,
                    rounded(amount, places_of(currency)),
                    None if level is None else (level, sent_on),
                    is_blocked=is_blocked,
                    is_collected=is_collected,
                    is_under_way=is_under_way,
                    disputed=contested.get(key, Decimal(0)),
                ),
            )


def _write(run: DunningRun, proposal: Proposal) -> None:
    """Letters and reminders, in the caller's transaction, under the payers' locks."""
    if not proposal.letters:
        return
    payers = Tenant.objects.in_bulk({payer for payer, _due in proposal.letters})
    settings = effective(payers.values(), run.issuer)
    seller = parties.seller_of(run.issuer)
    written = Letter.objects.bulk_create(
        [
            Letter(
                run=run,
                payer_id=payer,
                level=due.level.number,
                sent_on=run.on,
                pay_by=due.pay_by,
                language=settings[payer].language,
                currency=due.currency,
                total=due.total,
                parties={"seller": seller, "payer": _party(payers[payer])},
            )
            for payer, due in proposal.letters
        ]
    )
    Reminder.objects.bulk_create(
        [
            Reminder(
                open_item_id=item.key, level=due.level.number, letter=letter, currency=due.currency, open=item.open
            )
            for letter, (_payer, due) in zip(written, proposal.letters, strict=True)
            for item in due.items
        ]
    )
    wake("payments.write_letters")


def _party(payer: Tenant) -> dict[str, str]:
    names = ("reference", "name", "street", "postcode", "city", "country", "vat_id")
    return {name: getattr(payer, name) for name in names}


# Letters


def unwritten() -> QuerySet[Letter]:
    """Letters without a file."""
    return Letter.objects.filter(file=None)


def waiting() -> QuerySet[Letter]:
    """The in-tray: letters without a file, but for those that failed a short while ago."""
    return troubles.rested(unwritten())


def without_address() -> QuerySet[Letter]:
    """Letters that went to nobody by mail, because the payer has no address: to be printed and posted."""
    return Letter.objects.exclude(file=None).filter(~Exists(LetterDelivery.objects.filter(letter=OuterRef("pk"))))


def overdue(now: datetime) -> QuerySet[Letter]:
    """Letters that should have had their file by ``now``: something is in the way, and somebody has to look."""
    return unwritten().filter(run__started_at__lt=now - PATIENCE)


def to_post(today: date) -> QuerySet[Letter]:
    """Letters without an address that are new enough to be worth the post."""
    return without_address().filter(sent_on__gt=today - timedelta(days=30))


def write_letters(*, limit: int, on_each: Callable[[], None] | None = None) -> int:
    """Make the files and mails of at most ``limit`` letters; returns how many. Any number of processes may do so.

    One letter's trouble stops no other: it is logged, stays without a file, and rests before it is tried again.
    """
    return troubles.work_off(
        waiting().select_related("run__issuer", "payer"), _write_letter, limit=limit, on_each=on_each
    )


def facts_of(letter: Letter) -> letters.ReminderFacts:
    """A letter as plain data."""
    places = places_of(letter.currency)
    issuer = letter.run.issuer
    policy = policies_of(issuer).of(effective([letter.payer], issuer)[letter.payer_id].dunning_policy)
    last = max((step.number for step in policy.levels), default=0)
    reminders = letter.reminders.select_related("open_item__invoice").order_by("open_item__due_on", "open_item_id")
    return letters.ReminderFacts(
        level=letter.level,
        is_last=letter.level >= last,
        written_on=letter.sent_on,
        pay_by=letter.pay_by,
        currency=letter.currency,
        places=places,
        language=letter.language,
        seller=_facts(letter.parties["seller"]),
        payer=_facts(letter.parties["payer"]),
        items=tuple(
            letters.OverdueFacts(
                number=document.number or "",
                issued_on=document.issued_on,
                due_on=reminder.open_item.due_on,
                days_overdue=(letter.sent_on - reminder.open_item.due_on).days,
                total=rounded(reminder.open_item.amount.amount, places),
                open=rounded(reminder.open.amount, places),
            )
            for reminder in reminders
            if (document := reminder.open_item.invoice)  # a payment is a credit: nobody is reminded of it
        ),
    )


def _write_letter(letter: Letter) -> None:
    """The file and the mails of a locked letter."""
    issuer, facts = letter.run.issuer, facts_of(letter)
    style = style_of(issuer.pk)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", letter.payer.reference)
    file = files.store(
        f"reminders/{issuer.pk}/{letter.sent_on:%Y}/{letter.sent_on.isoformat()}-{name}-{letter.pk}.pdf",
        letters.render(facts, style),
        content_type="application/pdf",
    )
    Letter.objects.filter(pk=letter.pk).update(file=file)
    subject, body = letters.cover_note(facts, style)
    with translation.override(letter.language):
        title = letters.title_of(facts.level, is_last=facts.is_last)
    to = notifications.recipients(notifications.Event.REMINDER, [letter.payer])[letter.payer_id]
    written = [
        messages.compose(
            messages.key_of(f"letter:{letter.pk}", address),
            issuer=issuer,
            tenant=letter.payer,
            recipient=address,
            subject=subject,
            body=body,
            file=file,
            file_name=re.sub(r"[^\w.-]+", "-", f"{title}-{letter.sent_on.isoformat()}") + ".pdf",
        )
        for address in to
    ]
    Message.objects.bulk_create(written)
    LetterDelivery.objects.bulk_create(
        [LetterDelivery(letter=letter, recipient=message.recipient, message=message) for message in written]
    )
    if written:
        wake("tenants.send_pending")


def _facts(party: dict[str, str]) -> PartyFacts:
    return PartyFacts(**party)


def _chunks(payers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (payers[at : at + CHUNK] for at in range(0, len(payers), CHUNK))
