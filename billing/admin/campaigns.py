"""Price campaigns: what one would do to whom, before it is announced; and what became of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing import campaigns
from billing.admin.campaign_page import (
    badge_of,
    by_account,
    currency_block,
    grouped,
    named,
    named_rows,
    page_of,
    progress_text,
    row_of,
    rule_of,
    selection_of,
    stored_rows,
)
from billing.models import Amendment, PriceCampaign, PriceChange
from tenants import transactions
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, is_key
from tenants.models.visibility import is_bounded

RIGHT = "billing.apply_pricecampaign"
PER_PAGE = 50  # accounts
LEFT = 200  # positions that stay as they are, of all of which there may be many


class CampaignForm(MasterForm):
    """Leaves no currency out unless one is chosen, and says which letters the reason stands in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "reason" in self.fields:
            text = _("Stands in the amendments, and in letters in the issuer's language.")
            self.fields["reason"].help_text = text
        if "currency" in self.fields:
            widget = self.fields["currency"].widget
            widget.choices = [("", gettext("all currencies")), *list(widget.choices)[1:]]


@admin.register(PriceCampaign)
class PriceCampaignAdmin(MasterAdmin):
    form = CampaignForm
    list_display = ["name", "issuer", "new_prices", "wanted_on", "announced_on", "state_badge", "positions", "parked"]
    list_select_related = ["issuer"]
    list_filter = [("state", ChoicesDropdownFilter), ("issuer", RelatedDropdownFilter)]
    search_fields = ["name__icontains"]
    autocomplete_fields = ["product", "price", "new_price", "tenant"]
    fieldsets = [
        (None, {"fields": [("name", "issuer"), "reason"]}),
        (_("From when"), {"fields": [("wanted_on", "notice_days"), ("within_term", "may_terminate")]}),
        (_("New price"), {"fields": ["rule", ("percent", "amount"), "new_price"]}),
        (
            _("Which contracts"),
            {
                "fields": [
                    ("product", "price"),
                    ("price_class", "currency"),
                    "tenant",
                    ("starts_from", "starts_before"),
                ],
                "description": _("What is left empty excludes nothing."),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        counted = Count("changes", filter=~Q(changes__state=PriceChange.State.SKIPPED))
        parked = Count("changes", filter=Q(changes__state=PriceChange.State.PARKED))
        return super().get_queryset(request).annotate(position_count=counted, parked_count=parked)

    @display(description=_("new price"))
    def new_prices(self, campaign: PriceCampaign) -> str:
        return rule_of(campaign)

    @display(description=_("state"), ordering="state")
    def state_badge(self, campaign: PriceCampaign) -> SafeString:
        return badge_of(campaign)

    @display(description=_("positions"))
    def positions(self, campaign: Any) -> SafeString:
        return figures.figure_cell(
            figures.number(campaign.position_count) if campaign.position_count else figures.EMPTY
        )

    @display(description=_("parked"))
    def parked(self, campaign: Any) -> SafeString:
        if not campaign.parked_count:
            return figures.figure_cell(figures.EMPTY)
        return format_html('<span class="k-amount k-negative">{}</span>', campaign.parked_count)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or obj.state == PriceCampaign.State.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or obj.state == PriceCampaign.State.DRAFT)

    def save_model(self, request: HttpRequest, obj: PriceCampaign, form: Any, change: bool) -> None:
        if not change:
            obj.author = request.user  # type: ignore[assignment]
            obj.channel = Amendment.Channel.ADMIN
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: PriceCampaign, post_url_continue: Any = None) -> HttpResponse:
        """On to the preview."""
        return HttpResponseRedirect(page_of(obj))

    def response_change(self, request: HttpRequest, obj: PriceCampaign) -> HttpResponse:
        return HttpResponseRedirect(page_of(obj))

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:object_id>/terms/", wrap(self.terms_view), name="billing_pricecampaign_terms"),
            path("<int:object_id>/progress/", wrap(self.progress_view), name="billing_pricecampaign_progress"),
            path("<int:object_id>/<slug:verb>/do/", wrap(self.do_view), name="billing_pricecampaign_do"),
            *super().get_urls(),
        ]

    def terms_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The form of a draft."""
        campaign = self.campaign(request, object_id)
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        return self.changeform_view(request, str(object_id), "", {"title": campaign.name})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """The campaign's page: of a draft, what it would do if it were announced today."""
        if not self.has_view_permission(request) or is_bounded(request.user):
            raise PermissionDenied
        if not is_key(object_id):
            raise Http404
        campaign = self.campaign(request, int(object_id))
        is_draft = campaign.state == PriceCampaign.State.DRAFT
        today = timezone.localdate()
        shown = campaigns.preview(campaign, on=today).positions if is_draft else None
        rows = [row_of(one) for one in shown] if shown is not None else list(stored_rows(campaign))
        changing = [row for row in rows if row["changes"]]
        progress = campaigns.progress(campaign)
        page = Paginator(by_account(changing), PER_PAGE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": campaign,
            "title": campaign.name,
            "campaign": campaign,
            "state": badge_of(campaign),
            "rule": rule_of(campaign),
            "selection": selection_of(campaign),
            "announced_on": campaign.announced_on or today,
            "is_draft": is_draft,
            "is_running": campaign.state == PriceCampaign.State.ANNOUNCED,
            "progress": progress,
            "progress_text": progress_text(progress),
            "progress_url": reverse("admin:billing_pricecampaign_progress", args=[campaign.pk]),
            "seal": campaigns.seal(shown) if shown is not None else "",
            "positions": len(changing),
            "currencies": [currency_block(code, own) for code, own in sorted(grouped(changing, "currency").items())],
            "page": named(list(page)),
            "pages": page,
            "left": named_rows([row for row in rows if not row["changes"]][:LEFT]),
            "left_count": len(rows) - len(changing),
            "letters": campaign.notices.count(),
            "letters_url": f"{reverse('admin:billing_pricenotice_changelist')}?campaign__id__exact={campaign.pk}",
            "may_apply": request.user.has_perm(RIGHT),
            "may_edit": self.has_change_permission(request, campaign),
            "do": {
                verb: reverse("admin:billing_pricecampaign_do", args=[campaign.pk, verb])
                for verb in ("announce", "resume", "withdraw")
            },
        }
        return TemplateResponse(request, "billing/admin/campaign.html", context)

    def progress_view(self, request: HttpRequest, object_id: int) -> JsonResponse:
        """How far the campaign is, for the page's own script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        campaign = self.campaign(request, object_id)
        progress = campaigns.progress(campaign)
        response = JsonResponse(
            {
                "percent": progress.percent,
                "text": progress_text(progress),
                "finished": campaign.state != PriceCampaign.State.ANNOUNCED,
            }
        )
        response["Cache-Control"] = "no-store"
        return response

    def do_view(self, request: HttpRequest, object_id: int, verb: str) -> HttpResponseBase:
        """Announce, go on, or withdraw: POST only, with the right to."""
        works = {"announce": self.announce, "resume": self.resume, "withdraw": self.withdraw}
        if verb not in works:
            raise Http404
        if request.method != "POST" or not request.user.has_perm(RIGHT):
            raise PermissionDenied
        campaign = self.campaign(request, object_id)
        works[verb](request, campaign)
        return HttpResponseRedirect(page_of(campaign))

    def announce(self, request: HttpRequest, campaign: PriceCampaign) -> None:
        """Lay down what was seen, and wake a worker that writes it."""
        worked, _announced = self.call(
            request,
            campaigns.announce,
            campaign,
            on=timezone.localdate(),
            by=request.user,
            channel=Amendment.Channel.ADMIN,
            seen=request.POST.get("seen", ""),
        )
        if worked:
            transactions.wake("billing.apply_campaign", campaign_id=campaign.pk)
            self.message_user(request, gettext("The campaign is announced; its amendments are being written."))

    def resume(self, request: HttpRequest, campaign: PriceCampaign) -> None:
        """Wake a worker for a campaign that stands still: nothing is done twice."""
        transactions.wake("billing.apply_campaign", campaign_id=campaign.pk)
        self.message_user(request, gettext("A worker was told to go on with the campaign."), messages.SUCCESS)

    def withdraw(self, request: HttpRequest, campaign: PriceCampaign) -> None:
        worked, refused = self.call_in_steps(
            request,
            campaigns.withdraw,
            campaign,
            on=timezone.localdate(),
            reason=request.POST.get("why", ""),
            by=request.user,
            channel=Amendment.Channel.ADMIN,
        )
        if worked:
            for reason in refused:
                self.message_user(request, reason, messages.WARNING)
            self.message_user(request, gettext("The campaign is withdrawn."), messages.SUCCESS)

    def campaign(self, request: HttpRequest, object_id: int) -> PriceCampaign:
        rows = PriceCampaign.objects.visible_to(request.user).select_related(
            "issuer", "author", "product", "price__product", "new_price__product", "price_class", "tenant"
        )
        return get_object_or_404(rows, pk=object_id)
