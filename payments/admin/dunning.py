"""How we remind, whom we do not, and the letters that went out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from payments import dunning
from payments.models import (
    DunningBlock,
    DunningLevel,
    DunningPolicy,
    DunningRun,
    Letter,
    LetterDelivery,
    Reminder,
)
from tenants import files
from tenants.admin import figures
from tenants.admin.base import AskingForm, MasterAdmin, MasterForm, RecordAdmin, RecordInline, RowsInline
from tenants.admin.outgoing import intent_badge
from tenants.admin.scope import AccountScoped
from tenants.models import Issuer, Tenant

NAMED = 5  # accounts that a refusal names
LEVEL_NAMES = {0: _("Payment reminder")}
LEVEL_COLOURS = {0: "info", 1: "warning", 2: "danger", 3: "danger"}


def stage_badge(level: int) -> SafeString:
    """A level as people call it: the friendly reminder has a name, the others their number."""
    return figures.badge(LEVEL_NAMES.get(level) or gettext("level %d") % level, LEVEL_COLOURS[level])


class LevelInline(RowsInline):
    model = DunningLevel
    fields = ["level", "days_after", "days_to_pay"]
    tab = False
    max_num = 4


class PolicyForm(MasterForm):
    """Keeps the name that accounts name, unless another issuer has a policy of that name."""

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        before = self.initial.get("name")
        if not before or name == before:
            return name
        naming = Tenant.objects.filter(dunning_policy=before).order_by("sort_name", "pk")
        if naming and not DunningPolicy.objects.filter(name=before).exclude(pk=self.instance.pk).exists():
            accounts = ", ".join(naming.values_list("reference", flat=True)[:NAMED])
            raise forms.ValidationError(
                ngettext(
                    "%(count)d account names this policy (%(accounts)s): choose another one there first.",
                    "%(count)d accounts name this policy (such as %(accounts)s): choose another one there first.",
                    naming.count(),
                )
                % {"count": naming.count(), "accounts": accounts}
            )
        return name


@admin.register(DunningPolicy)
class DunningPolicyAdmin(MasterAdmin):
    form = PolicyForm
    list_display = ["name", "issuer", "is_standard", "threshold_shown", "reminds_collected"]
    list_select_related = ["issuer"]
    inlines = [LevelInline]
    fields = [("name", "issuer"), ("threshold", "reminds_collected"), "is_standard"]

    @display(description=_("smallest amount"))
    def threshold_shown(self, policy: DunningPolicy) -> SafeString:
        return figures.figure_cell(figures.number(policy.threshold))


@admin.register(DunningBlock)
class DunningBlockAdmin(AccountScoped, MasterAdmin):
    scope_accounts = ("tenant", "open_item__payer")
    list_display = ["blocked", "reason", "starts_on", "ends_before"]
    list_select_related = ["tenant", "open_item__invoice"]
    search_accounts = ("tenant",)
    search_fields = ["open_item__invoice__number__startswith"]
    autocomplete_fields = ["tenant", "open_item"]
    fields = [("tenant", "open_item"), "reason", ("starts_on", "ends_before")]

    @display(description=_("payer or document"))
    def blocked(self, block: DunningBlock) -> str:
        return str(block.tenant or (block.open_item and block.open_item.invoice))


class LetterInline(RecordInline):
    model = Letter
    fields = ["payer", "stage", "total_shown", "pay_by"]
    readonly_fields = ["stage", "total_shown"]
    tab = False
    per_page = 50
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Letter]:
        return super().get_queryset(request).select_related("payer")

    @display(description=_("level"))
    def stage(self, letter: Letter) -> SafeString:
        return stage_badge(letter.level)

    @display(description=_("total"))
    def total_shown(self, letter: Letter) -> SafeString:
        return figures.money_cell(letter.total.amount, letter.currency)


class StartForm(AskingForm):
    issuer = forms.ModelChoiceField(Issuer.objects.all(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    on = forms.DateField(
        label=_("day"),
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("What is overdue on this day is reminded, one letter per payer and level."),
    )

    def oddities(self) -> list[str]:
        """Letters are sent today whatever day they bear."""
        on = self.cleaned_data["on"]
        if on <= timezone.localdate():
            return []
        return [
            gettext("%(day)s lies in the future; the letters would bear this date and be sent today.")
            % {"day": figures.day(on)}
        ]


@admin.register(DunningRun)
class DunningRunAdmin(RecordAdmin):
    list_display = ["on", "issuer", "letters", "started_at"]
    list_select_related = ["issuer"]
    list_filter = [("issuer", RelatedDropdownFilter)]
    inlines = [LetterInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DunningRun]:
        return super().get_queryset(request).annotate(letter_count=Count("letters"))

    @display(description=_("letters"))
    def letters(self, run: Any) -> SafeString:
        return figures.figure_cell(figures.number(run.letter_count))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.start_dunningrun")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        """The form that starts a dunning run."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        issuers = list(Issuer.objects.all()[:2])
        only = issuers[0] if len(issuers) == 1 else None
        form = StartForm(request.POST or None, initial={"issuer": only, "on": timezone.localdate()})
        if request.method == "POST" and form.is_valid():
            worked, run = self.call(request, dunning.remind, form.cleaned_data["issuer"], on=form.cleaned_data["on"])
            if worked:
                self.message_user(request, gettext("The dunning run is done."), messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:payments_dunningrun_change", args=[run.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Start a dunning run"),
            "explanation": gettext(
                "The reminders are written and sent at once, without a draft to look at. Whom you do not want to remind"
                " needs a dunning block first; the open items show what is overdue."
            ),
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "invoicing/admin/start_run.html", context)


class ReminderInline(RecordInline):
    model = Reminder
    fields = ["document", "due", "stage", "open_shown"]
    readonly_fields = ["document", "due", "stage", "open_shown"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reminder]:
        return super().get_queryset(request).select_related("open_item__invoice")

    @display(description=_("document"))
    def document(self, reminder: Reminder) -> str:
        return str(reminder.open_item.invoice)

    @display(description=_("due"))
    def due(self, reminder: Reminder) -> str:
        return figures.day(reminder.open_item.due_on)

    @display(description=_("level"))
    def stage(self, reminder: Reminder) -> SafeString:
        return stage_badge(reminder.level)

    @display(description=_("open"))
    def open_shown(self, reminder: Reminder) -> SafeString:
        return figures.money_cell(reminder.open.amount, reminder.currency)


class LetterDeliveryInline(RecordInline):
    model = LetterDelivery
    fields = ["recipient", "progress", "sent", "trouble"]
    readonly_fields = ["progress", "sent", "trouble"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[LetterDelivery]:
        return super().get_queryset(request).select_related("message")

    @display(description=_("state"))
    def progress(self, delivery: LetterDelivery) -> SafeString:
        return intent_badge(delivery.message)

    @display(description=_("sent at"))
    def sent(self, delivery: LetterDelivery) -> str:
        return figures.instant(delivery.message.sent_at)

    @display(description=_("reason"))
    def trouble(self, delivery: LetterDelivery) -> str:
        return delivery.message.reason


class LevelFilter(DropdownFilter):
    title = _("level")
    parameter_name = "level"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [(str(level), LEVEL_NAMES.get(level, level)) for level in range(4)]

    def queryset(self, request: Any, queryset: Any) -> Any:
        level = dict(self.lookup_choices).get(self.value() or "")
        return queryset.filter(level=level) if level else queryset


class PaperFilter(DropdownFilter):
    """Letters that did not go out by mail."""

    title = _("PDF and mail")
    parameter_name = "paper"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("missing", _("no PDF could be made")), ("to_post", _("no e-mail address, of the last 30 days"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "missing":
            return queryset.filter(pk__in=dunning.overdue(timezone.now()).values("pk"))
        if self.value() == "to_post":
            return queryset.filter(pk__in=dunning.to_post(timezone.localdate()).values("pk"))
        return queryset


@admin.register(Letter)
class LetterAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer",)
    list_display = ["sent_on", "payer", "stage", "total_shown", "pay_by", "pdf"]
    list_select_related = ["payer"]
    list_filter = [LevelFilter, PaperFilter]
    search_fields = ["payer__reference__startswith"]
    search_accounts = ("payer",)
    search_help_text = _("Account")
    inlines = [ReminderInline, LetterDeliveryInline]
    fields = [("payer", "stage"), ("sent_on", "pay_by"), ("total_shown", "pdf")]
    readonly_fields = ["stage", "total_shown", "pdf"]

    @display(description=_("level"), ordering="level")
    def stage(self, letter: Letter) -> SafeString:
        return stage_badge(letter.level)

    @display(description=_("total"))
    def total_shown(self, letter: Letter) -> SafeString:
        return figures.money_cell(letter.total.amount, letter.currency)

    @display(description="PDF")
    def pdf(self, letter: Letter) -> SafeString:
        if letter.file_id is None:
            return format_html("{}", figures.EMPTY)
        return format_html(
            '<a class="k-link" href="{}">PDF</a>', reverse("admin:payments_letter_pdf", args=[letter.pk])
        )

    def get_urls(self) -> list[Any]:
        return [
            path("<int:object_id>/pdf/", self.admin_site.admin_view(self.pdf_view), name="payments_letter_pdf"),
            *super().get_urls(),
        ]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The letter as it was sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        letter: Letter = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        if letter.file is None:
            raise Http404
        worked, content = self.call_in_steps(request, files.read, letter.file)
        if not worked:
            return HttpResponseRedirect(reverse("admin:payments_letter_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'inline; filename="{letter.sent_on.isoformat()}-{letter.pk}.pdf"'
        response["Cache-Control"] = "no-store"
        return response
