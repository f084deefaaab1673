"""Who may see which part of the account tree, and who is written to about what."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants.models.issuer import Issuer
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class Access(models.Model):
    """What a customer's user may see and do at one account and, if so stated, at all below; never above or beside."""

    RIGHTS = (
        "sees_invoices",
        "sees_subscriptions",
        "sees_usage",
        "sees_payments",
        "pays",
        "changes_contacts",
        "requests_changes",
    )

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="accesses", verbose_name=_("user"))
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="accesses", verbose_name=_("account"))
    with_descendants = models.BooleanField(_("with all accounts below"), default=True)
    sees_invoices = models.BooleanField(_("sees invoices"), default=False)
    sees_subscriptions = models.BooleanField(_("sees contracts"), default=False)
    sees_usage = models.BooleanField(_("sees usage"), default=False)
    sees_payments = models.BooleanField(
        _("sees payments"), default=False, help_text=_("Open items, statements of account and reminders.")
    )
    pays = models.BooleanField(_("pays"), default=False, help_text=_("Is shown how and to whom to pay."))
    changes_contacts = models.BooleanField(_("changes contact data"), default=False)
    requests_changes = models.BooleanField(
        _("requests changes"), default=False, help_text=_("Asks for changes of contracts, and cancels them in time.")
    )

    visibility = Visibility(accounts=("tenant",))
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("access")
        verbose_name_plural = _("accesses")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "tenant"],
                name="access_once",
                violation_error_message=_("This user already has access to this account."),
            ),
            models.CheckConstraint(
                name="access_grants_something",
                condition=Q(sees_invoices=True)
                | Q(sees_subscriptions=True)
                | Q(sees_usage=True)
                | Q(sees_payments=True)
                | Q(pays=True)
                | Q(changes_contacts=True)
                | Q(requests_changes=True),
                violation_error_message=_("An access grants at least one thing."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} – {self.tenant}"


class StaffScope(models.Model):
    """A bound on what a member of staff sees: an issuer, or an account with all below it. Without any, all is seen."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="staff_scopes", verbose_name=_("user")
    )
    issuer = models.ForeignKey(
        Issuer, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("issuer")
    )
    tenant = models.ForeignKey(
        Tenant, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("account and all below it")
    )

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("staff scope")
        verbose_name_plural = _("staff scopes")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="staff_scope_names_one",
                condition=Q(issuer__isnull=False, tenant=None) | Q(issuer=None, tenant__isnull=False),
                violation_error_message=_("A scope names an issuer or an account, not both."),
            ),
            models.UniqueConstraint(fields=["user", "issuer"], name="staff_scope_issuer_once"),
            models.UniqueConstraint(fields=["user", "tenant"], name="staff_scope_account_once"),
        ]

    def __str__(self) -> str:
        return str(self.issuer or self.tenant)


class NotificationPreference(models.Model):
    """Whether contacts of one role are written to about one event, at an account and below it until another says so.

    Where no account says anything, ``tenants.notifications`` has the default.
    """

    class Event(models.TextChoices):
        INVOICE_ISSUED = "invoice_issued", _("document issued")
        REMINDER = "reminder", _("reminder")
        PAYMENT_FAILED = "payment_failed", _("payment failed")
        CONTRACT_CHANGED = "contract_changed", _("contract changed")
        PRICE_CHANGED = "price_changed", _("price change announced")
        REQUEST_DECIDED = "request_decided", _("request decided")

    class Role(models.TextChoices):
        BILLING = "billing", _("invoices")
        DUNNING = "dunning", _("reminders")
        TECHNICAL = "technical", _("technical contact")
        APPROVER = "approver", _("approves changes")

    tenant = models.ForeignKey(
        Tenant, models.CASCADE, related_name="notification_preferences", verbose_name=_("account")
    )
    event = models.CharField(_("event"), max_length=20, choices=Event)
    role = models.CharField(_("role of the contact"), max_length=10, choices=Role)
    is_wanted = models.BooleanField(_("is written to"), default=True)

    visibility = Visibility(accounts=("tenant",), right="changes_contacts")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification preference")
        verbose_name_plural = _("notification preferences")
        ordering = ["event", "role"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "event", "role"],
                name="notification_preference_once",
                violation_error_message=_("This account has already stated its preference for this event and role."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_event_display()}: {self.get_role_display()}"
