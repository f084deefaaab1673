"""What signing in needs beyond a password. Nothing here can be read back: of links and names only hashes are kept."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import Visibility, VisibleQuerySet


class SignInLink(models.Model):
    """A link sent by e-mail that signs a customer's user in once, within minutes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    digest = models.CharField(_("hash of the link"), max_length=64)
    sent_at = models.DateTimeField(_("sent at"), db_default=Now())
    expires_at = models.DateTimeField(_("valid until"))
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("sign-in link")
        verbose_name_plural = _("sign-in links")
        constraints = [models.UniqueConstraint(fields=["digest"], name="sign_in_link_once")]

    def __str__(self) -> str:
        return f"{self.user_id}/{self.pk}"


class Lockout(models.Model):
    """Attempts under one name or from one address: after several, the next must wait, each time longer."""

    class Kind(models.TextChoices):
        NAME = "name", _("name")
        ADDRESS = "address", _("network address")
        CODE = "code", _("second factor")
        LINK = "link", _("sign-in link")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    digest = models.CharField(_("hash of the name or address"), max_length=64)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    counted_at = models.DateTimeField(_("last attempt at"))
    locked_until = models.DateTimeField(_("locked until"), null=True, blank=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("lock-out")
        verbose_name_plural = _("lock-outs")
        constraints = [models.UniqueConstraint(fields=["kind", "digest"], name="lockout_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:8]}"


class SecondFactor(models.Model):
    """A user's authenticator (TOTP, RFC 6238). ``secret`` is encrypted; a step of time is accepted once."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="second_factor", verbose_name=_("user")
    )
    secret = models.CharField(_("encrypted secret"), max_length=200)
    last_step = models.BigIntegerField(_("last step of time used"), default=0)
    confirmed_at = models.DateTimeField(_("in use since"), null=True, blank=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return str(self.user)
