from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.issuer import LANGUAGES
from tenants.models.tenant import Tenant
from tenants.models.visibility import Visibility, VisibleQuerySet


class Contact(models.Model):
    """A person at a customer, whom we write to by role."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="contacts", verbose_name=_("account"))
    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, blank=True)
    is_billing = models.BooleanField(_("receives invoices"), default=False)
    receives_sections = models.BooleanField(
        _("receives copies of its section"),
        default=False,
        db_default=False,
        help_text=_("Of a consolidated invoice that goes to an account above, the part of this account alone."),
    )
    is_dunning = models.BooleanField(_("receives reminders"), default=False)
    is_technical = models.BooleanField(_("technical contact"), default=False)
    is_approver = models.BooleanField(_("approves changes"), default=False)

    visibility = Visibility(accounts=("tenant",), right="changes_contacts")
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
