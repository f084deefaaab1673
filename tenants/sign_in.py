"""Signing in beyond the password: attempts that must wait, links by e-mail, and the second factor.

Every function takes the instant. An attempt is counted before it is judged, so that many at once do not slip through.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import pyotp
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import F
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tenants import messages
from tenants.encryption import decrypted, encrypted
from tenants.errors import OperatorError
from tenants.models import Issuer, Lockout, SecondFactor, SignInLink

LINK_LIVES: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(minutes=30)
FORGOTTEN_AFTER: Final = timedelta(hours=24)
FREE: Final = {  # attempts before the first wait of a minute
    Lockout.Kind.NAME: 5,
    Lockout.Kind.ADDRESS: 30,
    Lockout.Kind.CODE: 5,
    Lockout.Kind.LINK: 3,
}
STEP: Final = 30  # seconds that a code of an authenticator lasts
PURPOSE: Final = "second factor"


class TooManyAttempts(OperatorError):
    """The next attempt must wait."""


class WrongCode(OperatorError):
    """The code is not the authenticator's of this moment, or was used before."""


def count_attempt(kind: Lockout.Kind, name: str, *, now: datetime) -> None:
    """Count an attempt under ``name``; raises ``TooManyAttempts`` while it has to wait, and then counts nothing.

    After the free attempts each next one waits twice as long: 1, 2, 4 ... minutes, half an hour at most.
    """
    with transaction.atomic():
        held = _lockout(kind, name, now)
        if held.locked_until and held.locked_until > now:
            minutes = max(1, -(-int((held.locked_until - now).total_seconds()) // 60))
            text = ngettext(
                "Too many attempts. Please try again in a minute.",
                "Too many attempts. Please try again in %(minutes)d minutes.",
                minutes,
            )
            raise TooManyAttempts(text % {"minutes": minutes})
        held.attempts = 1 if now - held.counted_at > FORGOTTEN_AFTER else held.attempts + 1
        held.counted_at = now
        over = held.attempts - FREE[kind]
        held.locked_until = now + min(timedelta(minutes=2 ** min(over, 10)), LONGEST_WAIT) if over >= 0 else None
        held.save()


def forget_attempts(kind: Lockout.Kind, name: str) -> None:
    """What came before a success no longer counts."""
    Lockout.objects.filter(kind=kind, digest=_digest(name)).delete()


def take_back_attempt(kind: Lockout.Kind, name: str) -> None:
    """One attempt was a success: it does not count, those before it do."""
    Lockout.objects.filter(kind=kind, digest=_digest(name), attempts__gt=0).update(
        attempts=F("attempts") - 1, locked_until=None
    )


def _lockout(kind: Lockout.Kind, name: str, now: datetime) -> Lockout:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into tenants_lockout (kind, digest, attempts, counted_at) values (%s, %s, 0, %s)"
            " on conflict (kind, digest) do nothing",
            [kind, _digest(name), now],
        )
    return Lockout.objects.select_for_update().get(kind=kind, digest=_digest(name))


def _digest(text: str) -> str:
    return sha256(text.strip().casefold().encode()).hexdigest()


# Links


def customer_of(email: str) -> Any | None:
    """The customer's user with this address; none if it is unknown, not unique, or staff's."""
    found = list(
        get_user_model().objects.filter(
            email__iexact=email.strip(), is_active=True, is_staff=False, is_superuser=False
        )[:2]
    )
    return found[0] if len(found) == 1 and email.strip() else None


def send_link(user_id: int, *, page: str, language: str, now: datetime) -> bool:
    """Mail a new link that signs the customer's user in; ``page`` ends where the token follows.

    The token exists in the mail alone: neither a message nor the broker ever holds it. Returns whether it was sent.
    """
    user = get_user_model().objects.filter(pk=user_id, is_active=True, is_staff=False).exclude(email="").first()
    issuer = Issuer.objects.order_by("pk").first()
    if user is None or issuer is None:
        return False
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(user=user, digest=_token_digest(token), expires_at=now + LINK_LIVES)
    with translation.override(language):
        subject = _("Your sign-in link")
        body = _(
            "Hello,\n\nthis link signs you in to the customer portal of %(issuer)s:\n\n%(link)s\n\n"
            "It works once and for %(minutes)d minutes. If you did not ask for it, you need do nothing.\n"
        ) % {"issuer": issuer.name, "link": f"{page}{token}/", "minutes": LINK_LIVES // timedelta(minutes=1)}
    return EmailMessage(subject, body, messages.sender_of(issuer), [user.email]).send() == 1


def holder_of(token: str, *, now: datetime) -> Any | None:
    """Whose link it is, as long as it can be used."""
    link = _usable(token, now).select_related("user").first()
    return link.user if link else None


@transaction.atomic
def redeem(token: str, *, now: datetime) -> Any | None:
    """Use a link up and name its user; ``None`` if it is unknown, used or too old, or the user may not sign in."""
    link = _usable(token, now).select_related("user").select_for_update(of=("self",)).first()
    if link is None:
        return None
    SignInLink.objects.filter(user=link.user, used_at=None).update(used_at=now)
    return link.user


def _usable(token: str, now: datetime) -> Any:
    return SignInLink.objects.filter(
        digest=_token_digest(token),
        used_at=None,
        expires_at__gt=now,
        user__is_active=True,
        user__is_staff=False,
        user__is_superuser=False,
    )


def _token_digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


@transaction.atomic
def forget_old(*, now: datetime) -> int:
    """Remove links and counts of attempts that no longer mean anything; returns how many."""
    links, _by_model = SignInLink.objects.filter(expires_at__lt=now - FORGOTTEN_AFTER).delete()
    counts, _by_model = Lockout.objects.filter(counted_at__lt=now - FORGOTTEN_AFTER).delete()
    return links + counts


# The second factor


def has_second_factor(user: Any) -> bool:
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def begin_second_factor(user: Any, *, issuer: str) -> tuple[str, str]:
    """A secret for the user's authenticator, and its address (otpauth) for a QR code. In use once confirmed.

    A secret that waits to be confirmed is shown again; one in use never is.
    """
    with transaction.atomic():
        factor, _is_new = SecondFactor.objects.select_for_update().get_or_create(
            user=user, defaults={"secret": encrypted(pyotp.random_base32(), PURPOSE)}
        )
        if factor.confirmed_at is not None:
            raise WrongCode(_("The second factor is already in use."))
    secret = _opened(factor)
    return secret, pyotp.TOTP(secret).provisioning_uri(name=user.get_username(), issuer_name=issuer)


def confirm_second_factor(user: Any, code: str, *, now: datetime) -> None:
    """Take the second factor into use. Raises ``WrongCode``."""
    _use(user, code, now, is_confirmed=False)


def check_code(user: Any, code: str, *, now: datetime) -> None:
    """Accept ``code`` once. Raises ``WrongCode``, or ``TooManyAttempts`` after several."""
    count_attempt(Lockout.Kind.CODE, str(user.pk), now=now)
    _use(user, code, now, is_confirmed=True)
    forget_attempts(Lockout.Kind.CODE, str(user.pk))


def drop_second_factor(user: Any) -> None:
    """Do without, until it is set up anew."""
    SecondFactor.objects.filter(user=user).delete()


@transaction.atomic
def _use(user: Any, code: str, now: datetime, *, is_confirmed: bool) -> None:
    factor = SecondFactor.objects.select_for_update().filter(user=user).first()
    if factor is None or (factor.confirmed_at is not None) != is_confirmed:
        raise WrongCode(_("There is no second factor to check."))
    current, digits = int(now.timestamp()) // STEP, "".join(code.split()).encode()
    totp = pyotp.TOTP(_opened(factor), interval=STEP)
    for step in (current, current - 1, current + 1):  # a clock may be a little off
        if step > factor.last_step and secrets.compare_digest(totp.generate_otp(step).encode(), digits):
            factor.last_step = step
            factor.confirmed_at = factor.confirmed_at or now
            factor.save()
            return
    raise WrongCode(_("This code is not valid. Please enter the one that your authenticator shows now."))


def _opened(factor: SecondFactor) -> str:
    secret = decrypted(factor.secret, PURPOSE)
    if secret is None:
        raise WrongCode(_("The second factor was set up under another key of this installation; reset it."))
    return secret
