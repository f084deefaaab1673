"""Secret links to calendars: each is one user's, for one account and all below it, and can be revoked."""

from __future__ import annotations

import secrets
from typing import Final

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare, salted_hmac

from invoicing.models import CalendarFeed
from tenants.models import Tenant
from tenants.transactions import acting

SIGNER: Final = Signer(salt="invoicing.calendar", sep=".")
RIGHT: Final = "billing.view_subscription"


def token_of(feed: CalendarFeed) -> str:
    """What stands in the link: key, trace of the user's password, and secret.

    Signed, so that guessed ones never reach the database. Whoever changes the password closes the links in use.
    """
    return SIGNER.sign(f"{feed.pk}-{_trace(feed.user)}-{feed.nonce}")


def open_feed(user: User, tenant: Tenant) -> CalendarFeed:
    """The user's link for an account: the one that is open, or a new one."""
    with acting(actor=user.get_username(), channel="admin"):
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        feed = CalendarFeed.objects.filter(user=user, tenant=tenant, revoked_at=None).first()
        return feed or CalendarFeed.objects.create(user=user, tenant=tenant, nonce=secrets.token_urlsafe(32))


@transaction.atomic
def revoke(user: User, tenant: Tenant) -> int:
    """Close the user's link for an account for good; returns how many there were."""
    with acting(actor=user.get_username(), channel="admin"):
        return CalendarFeed.objects.filter(user=user, tenant=tenant, revoked_at=None).update(revoked_at=Now())


def feed_of(token: str) -> CalendarFeed | None:
    """The link of a token, if it is open and its user may still see contracts and that account."""
    try:
        key, trace, nonce = SIGNER.unsign(token).split("-", 2)
    except (BadSignature, ValueError):
        return None
    feed = CalendarFeed.objects.filter(pk=key, revoked_at=None).select_related("user", "tenant").first()
    if feed is None or not secrets.compare_digest(feed.nonce, nonce):
        return None
    user = feed.user
    if not constant_time_compare(trace, _trace(user)):
        return None
    if not (user.is_active and user.is_staff and user.has_perm(RIGHT)):
        return None
    return feed if Tenant.objects.visible_to(user).filter(pk=feed.tenant_id).exists() else None


def _trace(user: User) -> str:
    return salted_hmac("invoicing.calendar.password", user.password, algorithm="sha256").hexdigest()[:32]
