"""Who is told of what by webhook, what was told, and each attempt with its answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, MultipleChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from tenants import webhooks
from tenants.admin.base import MasterAdmin, MasterForm, RecordInline
from tenants.admin.outgoing import OutgoingAdmin, intent_badge
from tenants.models import WebhookAttempt, WebhookEndpoint, WebhookEvent, WebhookMessage
from tenants.transactions import wake

EVENTS = [(value, label) for value, label in WebhookEvent.choices if value != WebhookEvent.TEST]


class EndpointForm(MasterForm):
    events = forms.MultipleChoiceField(
        label=_("events"), choices=EVENTS, widget=forms.CheckboxSelectMultiple(attrs={"class": "k-checks"})
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if not settings.WEBHOOKS_TO_ANYONE and not url.lower().startswith("https://"):
            raise forms.ValidationError(gettext("The address must begin with https://."))
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(MasterAdmin):
    """The secret is shown once: when the endpoint is entered, and when it is exchanged."""

    form = EndpointForm
    list_display = ["name", "url", "issuer", "wanted", "is_active"]
    list_select_related = ["issuer"]
    list_filter = [("issuer", RelatedDropdownFilter)]
    search_fields = ["name__icontains", "url__icontains"]
    fields = [("name", "issuer"), "url", "events", "is_active"]
    actions = ["send_test", "exchange_secret"]
    change_form_outer_before_template = "tenants/admin/endpoint_tools.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<int:object_id>/test/", view, name="tenants_webhookendpoint_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Send a test to one endpoint."""
        endpoint = get_object_or_404(self.get_queryset(request), pk=object_id)
        if request.method != "POST" or not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        self.send_test(request, WebhookEndpoint.objects.filter(pk=endpoint.pk))
        return HttpResponseRedirect(reverse("admin:tenants_webhookendpoint_change", args=[object_id]))

    @display(description=_("events"))
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(str(WebhookEvent(event).label) for event in endpoint.events)

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            self.tell(request, obj, webhooks.open_endpoint(obj))

    @admin.action(description=_("Send a test"), permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: models.QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            webhooks.send_test(endpoint, now=timezone.now())
        wake("tenants.send_webhooks")
        self.message_user(request, gettext("The answer is shown under webhook messages in a moment."), messages.SUCCESS)

    @admin.action(description=_("Exchange the secret"), permissions=["change"])
    def exchange_secret(self, request: HttpRequest, queryset: models.QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            self.tell(request, endpoint, webhooks.exchange_secret(endpoint, now=timezone.now()))

    def tell(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: str) -> None:
        """Show the secret, this once. It goes with the session, not into any record."""
        self.message_user(
            request,
            gettext("The secret of %(name)s, shown this once: %(secret)s") % {"name": endpoint, "secret": secret},
            messages.WARNING,
        )


class AttemptInline(RecordInline):
    model = WebhookAttempt
    fields = ["at", "status", "milliseconds", "answer"]
    tab = False


@admin.register(WebhookMessage)
class WebhookMessageAdmin(OutgoingAdmin):
    task = "tenants.send_webhooks"
    list_display = ["created_at", "endpoint", "event", "about", "progress", "attempts", "sent_at", "reason"]
    list_select_related = ["endpoint"]
    list_filter = [
        ("state", MultipleChoicesDropdownFilter),
        ("event", ChoicesDropdownFilter),
        ("endpoint", RelatedDropdownFilter),
    ]
    search_fields = ["about__startswith"]
    fields = [("endpoint", "event", "about"), ("progress", "attempts", "next_at", "sent_at"), "reason", "body"]
    readonly_fields = ["progress", "body"]
    inlines = [AttemptInline]

    @display(description=_("state"), ordering="state")
    def progress(self, message: WebhookMessage) -> SafeString:
        return intent_badge(message)

    @display(description=_("payload"))
    def body(self, message: WebhookMessage) -> SafeString:
        return format_html('<code class="k-code">{}</code>', message.payload)
