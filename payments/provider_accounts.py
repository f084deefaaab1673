"""Accounts at payment providers: entered with their keys, which are encrypted and never shown again."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from payments.gateways.stripe_api import Access
from payments.models import ProviderAccount
from tenants.copying import table_of
from tenants.encryption import decrypted, encrypted
from tenants.errors import OperatorError
from tenants.models import Issuer
from tenants.transactions import record

PURPOSE: Final = "payment provider"
OVERLAP: Final = timedelta(hours=24)  # for which the secret of webhooks before an exchange still counts
SECRET_KEY: Final = re.compile(r"(sk|rk)_(test|live)_\w{1,200}")
PUBLISHABLE_KEY: Final = re.compile(r"pk_(test|live)_\w{1,190}")
WEBHOOK_SECRET: Final = re.compile(r"whsec_[\w+/=]{1,200}")


class WrongKey(OperatorError):
    """What was entered is no key of Stripe's, or does not go with the others."""


class NoAccess(OperatorError):
    """The key to the account at the provider cannot be read, or there is no such account."""


@transaction.atomic
def open_account(
    issuer: Issuer,
    *,
    name: str,
    secret_key: str,
    webhook_secret: str = "",
    publishable_key: str = "",
    by: Any = None,
) -> ProviderAccount:
    """Enter an issuer's account; whether it moves real money follows from its key. Raises ``WrongKey``."""
    is_live = _is_live(secret_key, webhook_secret, publishable_key)
    try:
        with transaction.atomic():
            account = ProviderAccount.objects.create(
                issuer=issuer,
                name=name.strip(),
                is_live=is_live,
                publishable_key=publishable_key.strip(),
                secret_key=encrypted(secret_key.strip(), PURPOSE),
                webhook_secret=_sealed(webhook_secret),
            )
    except IntegrityError as error:
        raise WrongKey(_("%(issuer)s has an active account at Stripe already.") % {"issuer": issuer}) from error
    record(table_of(ProviderAccount), account.pk, "keys", {"secret_key": "entered"}, by=by)
    return account


@transaction.atomic
def exchange_keys(
    account: ProviderAccount,
    *,
    now: datetime,
    secret_key: str = "",
    webhook_secret: str = "",
    publishable_key: str = "",
    by: Any = None,
) -> None:
    """Exchange what is given; the rest stays. A new secret of webhooks counts beside the old one for a day.

    The record names which were exchanged, never a value. Raises ``WrongKey``, also for keys of the other mode: what
    payers saved there is not known here.
    """
    fresh = ProviderAccount.objects.select_for_update().get(pk=account.pk)
    known = access_of(fresh).secret_key if not secret_key.strip() else secret_key
    if _is_live(known, webhook_secret, publishable_key or fresh.publishable_key) != fresh.is_live:
        raise WrongKey(_("This key belongs to the other mode, test or real money. Enter it as an account of its own."))
    exchanged = {}
    if secret_key.strip():
        fresh.secret_key = encrypted(secret_key.strip(), PURPOSE)
        exchanged["secret_key"] = "exchanged"
    if webhook_secret.strip():
        fresh.old_webhook_secret, fresh.old_webhook_secret_until = fresh.webhook_secret, now + OVERLAP
        fresh.webhook_secret = _sealed(webhook_secret)
        exchanged["webhook_secret"] = "exchanged"
    if publishable_key.strip():
        fresh.publishable_key = publishable_key.strip()
    fresh.save()
    if exchanged:
        record(table_of(ProviderAccount), fresh.pk, "keys", exchanged, by=by)


def access_of(account: ProviderAccount) -> Access:
    """The key to call Stripe with. Raises ``NoAccess`` where no key of this installation reads it."""
    secret_key = decrypted(account.secret_key, PURPOSE)
    if secret_key is None:
        raise NoAccess(
            _("The key to %(account)s was encrypted with another key of this installation: enter it anew.")
            % {"account": account}
        )
    return Access(secret_key)


def webhook_secrets(account: ProviderAccount, *, now: datetime) -> list[str]:
    """Those that count now, the latest first."""
    tokens = [account.webhook_secret]
    if account.old_webhook_secret_until and account.old_webhook_secret_until > now:
        tokens.append(account.old_webhook_secret)
    return [secret for token in tokens if token and (secret := decrypted(token, PURPOSE))]


def account_of(issuer: Issuer) -> ProviderAccount | None:
    """The account by which the issuer takes payments now."""
    return ProviderAccount.objects.filter(issuer=issuer, is_active=True).first()


def required(issuer: Issuer) -> ProviderAccount:
    """As ``account_of``. Raises ``NoAccess`` where there is none."""
    account = account_of(issuer)
    if account is None:
        raise NoAccess(_("%(issuer)s has no account at a payment provider.") % {"issuer": issuer})
    return account


def _sealed(webhook_secret: str) -> str:
    return encrypted(webhook_secret.strip(), PURPOSE) if webhook_secret.strip() else ""


def _is_live(secret_key: str, webhook_secret: str, publishable_key: str) -> bool:
    """Whether the keys are for real money. Raises ``WrongKey`` without repeating what was entered."""
    secret = SECRET_KEY.fullmatch(secret_key.strip())
    if secret is None:
        raise WrongKey(_("This is no secret key of Stripe: it begins with sk_test_, sk_live_, rk_test_ or rk_live_."))
    if webhook_secret.strip() and not WEBHOOK_SECRET.fullmatch(webhook_secret.strip()):
        raise WrongKey(_("This is no secret of webhooks: it begins with whsec_."))
    if publishable_key.strip():
        publishable = PUBLISHABLE_KEY.fullmatch(publishable_key.strip())
        if publishable is None:
            raise WrongKey(_("This is no publishable key of Stripe: it begins with pk_test_ or pk_live_."))
        if publishable[1] != secret[2]:
            raise WrongKey(_("One key is for tests, the other one for real money."))
    return secret[2] == "live"
