"""The portal's menu."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from config.portal.doors import rights_of
from tenants.models import Access

register = template.Library()

PAGES = [
    ("overview", _("Overview"), Access.RIGHTS),
    ("documents", _("Documents"), ("sees_invoices",)),
    ("payments", _("Open items"), ("sees_payments",)),
    ("account_statement", _("Account statement"), ("sees_payments",)),
    ("contracts", _("Contracts"), ("sees_subscriptions",)),
    ("calendar", _("Calendar"), ("sees_invoices", "sees_subscriptions")),
    ("contacts", _("Contacts"), ("changes_contacts",)),
    ("security", _("Second factor"), Access.RIGHTS),
]


@register.simple_tag(takes_context=True)
def portal_links(context: Any) -> list[tuple[str, Any, bool]]:
    """Address and name of the pages that the customer may open, and whether this is it."""
    request = context["request"]
    rights = rights_of(request.user)
    return [
        (reverse(f"portal:{name}"), title, request.path == reverse(f"portal:{name}"))
        for name, title, opening in PAGES
        if rights.intersection(opening)
    ]
