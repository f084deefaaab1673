"""Tells a payer that a payment did not go through: why, in plain words, and where he can pay."""

from __future__ import annotations

from typing import Final

from babel.numbers import format_currency
from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from payments.models import Collection
from tenants import messages, notifications
from tenants.models import Message
from tenants.responsibility import effective
from tenants.transactions import wake

# Codes of the provider that say something to a payer; the others say too much, or nothing.
REASONS: Final = {
    "authentication_required": gettext_noop("Your bank wants you to confirm the payment yourself."),
    "needs_customer": gettext_noop("Your bank wants you to confirm the payment yourself."),
    "expired_card": gettext_noop("The card has expired."),
    "insufficient_funds": gettext_noop("The account was not covered."),
    "no_method": gettext_noop("No payment method is stored for you."),
    "account_closed": gettext_noop("The bank account is closed."),
    "debit_not_authorized": gettext_noop("The bank does not allow direct debits from this account."),
}
OTHERWISE: Final = gettext_noop("Your bank has refused the payment.")


def reason_of(code: str) -> str:
    """What a code means, in the active language."""
    return _(REASONS.get(code, OTHERWISE))


def tell_payer(collection: Collection, code: str) -> None:
    """Write to those who are told of failed payments at the payer, in the caller's transaction; once per attempt."""
    payer, issuer = collection.payer, collection.issuer
    addresses = notifications.recipients(notifications.Event.PAYMENT_FAILED, [payer])[payer.pk]
    language = effective([payer], issuer)[payer.pk].language or issuer.language
    items = (
        collection.items.filter(amount__gt=0).select_related("open_item__invoice").order_by("open_item__due_on", "pk")
    )
    names = [str(item.open_item) for item in items]
    with translation.override(language):
        amount = format_currency(collection.amount.amount, collection.currency, locale=language)
        subject = _("Payment failed: %(amount)s") % {"amount": amount}
        body = "\n\n".join(
            [
                _("We tried to collect %(amount)s from you. It did not work: %(reason)s")
                % {"amount": amount, "reason": reason_of(code)},
                _("It is about: %(documents)s") % {"documents": ", ".join(names)},
                _("Please pay, or store another payment method, here: %(link)s")
                % {"link": settings.PUBLIC_URL.rstrip("/") + reverse("portal:payments")},
                issuer.name,
            ]
        )
    written = [
        messages.compose(
            messages.key_of(f"payment_failed:{collection.pk}", address),
            issuer=issuer,
            tenant=payer,
            recipient=address,
            subject=subject,
            body=f"{body}\n",
        )
        for address in addresses
    ]
    Message.objects.bulk_create(written, ignore_conflicts=True)
    if written:
        wake("tenants.send_pending")
