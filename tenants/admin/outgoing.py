"""The messages on their way: what waits, failed or came back; sent again or withdrawn by a person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, MultipleChoicesDropdownFilter
from unfold.decorators import display

from tenants import intents
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.admin.scope import AccountScoped
from tenants.models import Intent, Message
from tenants.transactions import wake

INTENT_COLOURS = {
    Intent.State.DONE: "success",
    Intent.State.WAITING: "info",
    Intent.State.WORKING: "info",
    Intent.State.UNKNOWN: "danger",
    Intent.State.PARKED: "danger",
    Intent.State.WITHDRAWN: "",
}


def intent_badge(intent: Intent) -> SafeString:
    return figures.badge(intent.get_state_display(), INTENT_COLOURS[Intent.State(intent.state)])


class OutgoingAdmin(RecordAdmin):
    """Messages that workers send: ``task`` is the one that is woken for them."""

    task: str
    actions = ["send_again", "withdraw"]

    @admin.action(description=_("Send again what failed or is unknown"), permissions=["decide"])
    def send_again(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """A person has looked: whether it may arrive twice is decided here, never by a worker."""

        def station() -> int:
            wake(self.task)
            return intents.release(queryset, now=timezone.now())

        worked, count = self.call(request, station)
        if worked:
            text = ngettext("%(count)d message is sent again.", "%(count)d messages are sent again.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Withdraw what is not sent"), permissions=["decide"])
    def withdraw(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        said = gettext("Withdrawn by %(user)s.") % {"user": request.user.get_username()}
        worked, count = self.call(request, intents.withdraw, queryset, reason=said)
        if worked:
            text = ngettext("%(count)d message withdrawn.", "%(count)d messages withdrawn.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"tenants.{get_permission_codename('change', self.opts)}")


class BouncedFilter(DropdownFilter):
    """Mails that another server sent back."""

    title = _("came back")
    parameter_name = "paper"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("came_back", _("came back"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(bounced_at__isnull=False) if self.value() == "came_back" else queryset


@admin.register(Message)
class MessageAdmin(AccountScoped, OutgoingAdmin):
    task = "tenants.send_pending"
    scope_accounts = ("tenant",)
    list_display = ["created_at", "recipient", "subject", "tenant", "progress", "attempts", "sent_at", "trouble"]
    list_select_related = ["tenant"]
    list_filter = [("state", MultipleChoicesDropdownFilter), BouncedFilter]
    search_fields = ["recipient__startswith", "subject__startswith"]
    search_accounts = ("tenant",)
    fieldsets = [
        (None, {"fields": [("progress", "attempts", "next_at", "sent_at"), "reason", ("bounced_at", "bounce")]}),
        (
            _("Message"),
            {"fields": ["tenant", ("sender", "recipient"), "subject", "body", ("file_name", "further", "message_id")]},
        ),
    ]
    readonly_fields = ["progress", "further"]

    @display(description=_("state"), ordering="state")
    def progress(self, message: Message) -> SafeString:
        return figures.badge(_("came back"), "danger") if message.bounced_at else intent_badge(message)

    @display(description=_("further attachments"))
    def further(self, message: Message) -> str:
        return ", ".join(message.attachments.values_list("file_name", flat=True)) or "–"

    @display(description=_("reason"))
    def trouble(self, message: Message) -> str:
        return message.bounce or message.reason
