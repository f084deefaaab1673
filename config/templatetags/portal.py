"""The portal's menu."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from config.portal.doors import rights_of

register = template.Library()

PAGES = [
    ("overview", _("Overview"), ""),
    ("documents", _("Documents"), "sees_invoices"),
    ("payments", _("Open items"), "sees_payments"),
    ("contracts", _("Contracts"), "sees_subscriptions"),
    ("contacts", _("Contacts"), "changes_contacts"),
    ("security", _("Second factor"), ""),
]


@register.simple_tag(takes_context=True)
def portal_links(context: Any) -> list[tuple[str, Any, bool]]:
    """Address and name of the pages that the customer may open, and whether this is it."""
    request = context["request"]
    rights = rights_of(request.user)
    return [
        (reverse(f"portal:{name}"), title, request.path == reverse(f"portal:{name}"))
        for name, title, right in PAGES
        if not right or right in rights
    ]
