"""What payers are told of their debits: day and amount beforehand (pre-notification), and that one came back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from babel.dates import format_date
from babel.numbers import format_currency
from django.utils import translation
from django.utils.translation import gettext as _

from payments.gateways.return_reasons import ends_mandate, reason_of
from payments.models import Collection, Debit
from tenants import messages, notifications
from tenants.models import Creditor, Issuer, Message
from tenants.responsibility import effective
from tenants.transactions import wake

DAYS: Final = {"de": "dd.MM.yyyy", "en": "d MMM yyyy"}


def announce(issuer: Issuer, creditor: Creditor, debits: Sequence[Debit]) -> list[tuple[Debit, Message]]:
    """Write the pre-notifications of ``debits``, in the caller's transaction; each with its first message.

    A payer without any address is not named: somebody has to write to him by post.
    """
    payers = {debit.collection.payer_id: debit.collection.payer for debit in debits}
    to = notifications.recipients(notifications.Event.INVOICE_ISSUED, payers.values())
    settings = effective(payers.values(), issuer)
    firsts, written = [], []
    for debit in debits:
        payer = debit.collection.payer
        with translation.override(settings[payer.pk].language):
            subject, body = notice(issuer, creditor, debit)
        mails = [
            messages.compose(
                messages.key_of(f"debit:{debit.collection_id}", address),
                issuer=issuer,
                tenant=payer,
                recipient=address,
                subject=subject,
                body=body,
            )
            for address in to[payer.pk]
        ]
        written += mails
        firsts += [(debit, mail) for mail in mails[:1]]
    Message.objects.bulk_create(written)
    if written:
        wake("tenants.send_pending")
    return firsts


def notice(issuer: Issuer, creditor: Creditor, debit: Debit) -> tuple[str, str]:
    """Subject and text of a pre-notification, in the active language."""
    one = debit.collection
    words = {
        "amount": _money(one.amount.amount, one.currency),
        "day": _day(debit.collect_on),
        "tail": debit.account.iban_tail,
        "creditor": creditor.identifier,
        "mandate": debit.mandate.reference,
    }
    lines = [
        f"{item.open_item}: {_money(item.amount.amount, one.currency)}"
        for item in one.items.select_related("open_item__invoice").order_by("open_item__due_on", "pk")
    ]
    paragraphs = [
        _("Dear Sir or Madam,"),
        _("on %(day)s we will collect %(amount)s by SEPA direct debit from your account that ends in %(tail)s.")
        % words,
        _("Creditor identifier %(creditor)s, mandate %(mandate)s.") % words,
        "\n".join([_("It is for:"), *lines]),
        _("Please see to it that the account is covered on that day."),
        issuer.name,
    ]
    return _("Direct debit of %(amount)s on %(day)s") % words, "\n\n".join(paragraphs) + "\n"


def tell_returned(collection: Collection, code: str) -> None:
    """Tell a payer that the bank returned a debit, why, and what to do; in the caller's transaction, once per debit."""
    payer, issuer = collection.payer, collection.issuer
    to = notifications.recipients(notifications.Event.PAYMENT_FAILED, [payer])[payer.pk]
    with translation.override(effective([payer], issuer)[payer.pk].language):
        subject, body = returned_note(issuer, collection, code)
    written = [
        messages.compose(
            messages.key_of(f"debit_returned:{collection.pk}", address),
            issuer=issuer,
            tenant=payer,
            recipient=address,
            subject=subject,
            body=body,
        )
        for address in to
    ]
    Message.objects.bulk_create(written, ignore_conflicts=True)
    if written:
        wake("tenants.send_pending")


def returned_note(issuer: Issuer, collection: Collection, code: str) -> tuple[str, str]:
    """Subject and text that tell of a returned debit, in the active language."""
    debit = Debit.objects.select_related("mandate").get(collection=collection)
    words = {
        "amount": _money(collection.amount.amount, collection.currency),
        "day": _day(debit.collect_on),
        "reason": reason_of(code),
        "name": issuer.name,
        "iban": " ".join(issuer.iban[at : at + 4] for at in range(0, len(issuer.iban), 4)),
        "documents": debit.purpose or collection.key,
        "mandate": debit.mandate.reference,
    }
    paragraphs = [
        _("Dear Sir or Madam,"),
        _("your bank has returned our direct debit of %(amount)s of %(day)s: %(reason)s") % words,
        _("We will not collect it again by ourselves. Please transfer %(amount)s to %(name)s, IBAN %(iban)s.") % words,
        _("Reference: %(documents)s") % words,
    ]
    if ends_mandate(code):
        paragraphs.append(
            _("We no longer use the mandate %(mandate)s. For direct debits please give us a new one.") % words
        )
    return _("Direct debit of %(amount)s was returned") % words, "\n\n".join([*paragraphs, issuer.name]) + "\n"


def _money(amount: Decimal, currency: str) -> str:
    return str(format_currency(amount, currency, locale=_language()))


def _day(day: date) -> str:
    return str(format_date(day, DAYS[_language()], locale=_language()))


def _language() -> str:
    return "de" if (translation.get_language() or "en").startswith("de") else "en"
