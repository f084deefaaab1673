"""What VIES was asked about VAT ids, and what it said."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import MultipleChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from tenants import intents, vat_inquiries
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped
from tenants.models import Issuer, VatInquiry


@admin.register(VatInquiry)
class VatInquiryAdmin(AccountScoped, RecordAdmin):
    """Each question to VIES; what it is asked again is a question of its own."""

    scope_accounts = ("tenant",)
    list_display = ["wanted_at", "tenant", "vat_id", "progress", "said", "attempts", "due", "trouble"]
    list_select_related = ["tenant", "answer"]
    list_filter = [("state", MultipleChoicesDropdownFilter), ("issuer", RelatedDropdownFilter)]
    search_fields = ["vat_id__startswith"]
    search_accounts = ("tenant",)
    search_help_text = _("VAT id or account")
    fields = [
        ("tenant", "vat_id", "issuer"),
        ("progress", "attempts", "wanted_at", "due"),
        "trouble",
        ("said", "checked_at", "consultation_number"),
        ("told", "requester"),
    ]
    readonly_fields = ["progress", "due", "trouble", "said", "checked_at", "consultation_number", "told", "requester"]
    actions = ["ask_again", "withdraw"]

    @display(description=_("state"), ordering="state")
    def progress(self, inquiry: VatInquiry) -> SafeString:
        return intent_badge(inquiry)

    @display(description=_("answer"))
    def said(self, inquiry: VatInquiry) -> SafeString | str:
        if inquiry.answer is None:
            return figures.EMPTY
        if inquiry.answer.is_valid:
            return figures.badge(gettext("valid"), "success")
        return figures.badge(gettext("not valid"), "danger")

    @display(description=_("next attempt"))
    def due(self, inquiry: VatInquiry) -> Any:
        """Of what is over there is none."""
        return inquiry.next_at if inquiry.state == VatInquiry.State.WAITING else None

    @display(description=_("reason"))
    def trouble(self, inquiry: VatInquiry) -> str:
        return inquiry.reason or figures.EMPTY

    @display(description=_("checked at"))
    def checked_at(self, inquiry: VatInquiry) -> Any:
        return inquiry.answer and inquiry.answer.checked_at

    @display(description=_("consultation number"))
    def consultation_number(self, inquiry: VatInquiry) -> str:
        return (inquiry.answer and inquiry.answer.consultation_number) or figures.EMPTY

    @display(description=_("name and address in the register"))
    def told(self, inquiry: VatInquiry) -> str:
        return (inquiry.answer and inquiry.answer.answer) or figures.EMPTY

    @display(description=_("asked in the name of"))
    def requester(self, inquiry: VatInquiry) -> str:
        return (inquiry.answer and inquiry.answer.requester) or figures.EMPTY

    @admin.action(description=_("Ask VIES again"), permissions=["decide"])
    def ask_again(self, request: HttpRequest, queryset: models.QuerySet[VatInquiry]) -> None:
        accounts: dict[Issuer, set[int]] = defaultdict(set)
        for inquiry in queryset.select_related("issuer"):
            accounts[inquiry.issuer].add(inquiry.tenant_id)
        for issuer, keys in accounts.items():
            worked, count = self.call(request, vat_inquiries.ask_now, issuer, sorted(keys), now=timezone.now())
            if worked:
                self.message_user(request, asked_text(count), messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Withdraw what waits or was given up"), permissions=["decide"])
    def withdraw(self, request: HttpRequest, queryset: models.QuerySet[VatInquiry]) -> None:
        said = gettext("Withdrawn by %(user)s.") % {"user": request.user.get_username()}
        worked, count = self.call(request, intents.withdraw, queryset, reason=said)
        if worked:
            text = ngettext("%(count)d inquiry withdrawn.", "%(count)d inquiries withdrawn.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.change_vatinquiry")


def asked_text(count: int) -> str:
    """About how many accounts VIES will be asked."""
    if not count:
        return gettext(
            "There is nothing to ask: VIES knows VAT ids of other member states with right check digits alone."
        )
    text = ngettext(
        "VIES is asked about %(count)d VAT id; the answer is shown here in a moment.",
        "VIES is asked about %(count)d VAT ids; the answers are shown here in a moment.",
        count,
    )
    return text % {"count": count}
