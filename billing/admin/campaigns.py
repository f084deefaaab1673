"""Price campaigns: what one would do to whom, before it is announced; and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
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
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing import campaigns
from billing.campaigns.reckoning import Figures, figures_of
from billing.kernel.legal_day import Rule, Step
from billing.models import Amendment, Item, PriceCampaign, PriceChange, PriceNotice, Product
from billing.models.catalog import Interval
from tenants import files, transactions
from tenants.admin import figures
from tenants.admin.activities import intent_badge
from tenants.admin.base import MasterAdmin, MasterForm, RecordAdmin, is_key
from tenants.models.visibility import is_bounded

RIGHT = "billing.apply_pricecampaign"
PER_PAGE = 50  # accounts
LEFT = 200  # positions that stay as they are, of all of which there may be many
COLOURS = {
    PriceCampaign.State.DRAFT: "",
    PriceCampaign.State.ANNOUNCED: "info",
    PriceCampaign.State.APPLIED: "success",
    PriceCampaign.State.WITHDRAWN: "danger",
}
CHANGE_COLOURS = {
    PriceChange.State.PENDING: "info",
    PriceChange.State.CHANGED: "success",
    PriceChange.State.SKIPPED: "",
    PriceChange.State.PARKED: "danger",
    PriceChange.State.WITHDRAWN: "warning",
}


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

    def call(self, request: HttpRequest, station: Any, *arguments: Any, **named: Any) -> tuple[bool, Any]:
        return RecordAdmin.call(self, request, station, *arguments, **named)  # type: ignore[arg-type]

    def call_in_steps(self, request: HttpRequest, station: Any, *arguments: Any, **named: Any) -> tuple[bool, Any]:
        return RecordAdmin.call_in_steps(self, request, station, *arguments, **named)  # type: ignore[arg-type]

    def campaign(self, request: HttpRequest, object_id: int) -> PriceCampaign:
        rows = PriceCampaign.objects.visible_to(request.user).select_related(
            "issuer", "author", "product", "price__product", "new_price__product", "price_class", "tenant"
        )
        return get_object_or_404(rows, pk=object_id)


def page_of(campaign: PriceCampaign) -> str:
    return reverse("admin:billing_pricecampaign_change", args=[campaign.pk])


def badge_of(campaign: PriceCampaign) -> SafeString:
    return figures.badge(campaign.get_state_display(), COLOURS[PriceCampaign.State(campaign.state)])


def rule_of(campaign: PriceCampaign) -> str:
    """ "+3 %", "+0,50 € per unit or period", "price of the list"."""
    if campaign.percent is not None:
        return f"{campaign.percent:+f}".rstrip("0").rstrip(".").replace(".", decimal_mark()) + "\N{NO-BREAK SPACE}%"
    if campaign.amount is not None:
        sign = "+" if campaign.amount > 0 else ""
        return gettext("%(amount)s per unit or period") % {
            "amount": sign + figures.unit_price(campaign.amount, campaign.currency)
        }
    return str(campaign.new_price or PriceCampaign.Rule.LIST.label)


def decimal_mark() -> str:
    return "," if get_language() == "de" else "."


def selection_of(campaign: PriceCampaign) -> list[tuple[Any, Any]]:
    """What narrows the choice of contracts."""
    chosen = [
        (_("product"), campaign.product),
        (_("price"), campaign.price),
        (_("price class"), campaign.price_class),
        (_("currency"), campaign.currency),
        (_("account"), campaign.tenant),
        (_("contracts from"), campaign.starts_from and figures.day(campaign.starts_from)),
        (_("contracts before"), campaign.starts_before and figures.day(campaign.starts_before)),
    ]
    return [(name, value) for name, value in chosen if value]


def progress_text(progress: campaigns.Progress) -> str:
    return gettext("%(done)s of %(total)s positions") % {
        "done": figures.number(progress.total - progress.pending),
        "total": figures.number(progress.total),
    }


def row_of(position: campaigns.Position) -> dict[str, Any]:
    """A position of a preview as the page shows it."""
    return {
        "tenant": position.tenant,
        "account": position.account,
        "subscription": position.subscription,
        "contract": position.contract,
        "line": position.line,
        "product": position.product,
        "quantity": figures.number(position.quantity),
        "currency": position.currency,
        "effective_on": position.effective_on,
        "why": campaigns.why(position.steps),
        "prices": prices_of(figures_of(position.terms_before), figures_of(position.terms_after), position.currency),
        "before": position.mrr_before,
        "after": position.mrr_after,
        "changes": position.changes,
        "reason": position.reason,
        "state": "",
    }


def stored_rows(campaign: PriceCampaign) -> Iterable[dict[str, Any]]:
    """The same of what was laid down."""
    rows = campaign.changes.select_related("subscription__tenant", "price_before").order_by(
        "subscription__tenant__tree_id", "subscription__tenant__lft", "subscription__reference", "line"
    )
    for row in rows:
        state = PriceChange.State(row.state)
        yield {
            "tenant": row.subscription.tenant_id,
            "account": str(row.subscription.tenant),
            "subscription": row.subscription_id,
            "contract": row.subscription.reference,
            "line": row.line,
            "product": row.price_before.product_id,
            "quantity": figures.number(row.quantity),
            "currency": row.currency,
            "effective_on": row.effective_on,
            "why": campaigns.why([Step(Rule(rule), date.fromisoformat(day)) for rule, day in row.days]),
            "prices": prices_of(row.tiers_before, row.tiers_after, row.currency),
            "before": row.mrr_before.amount,
            "after": row.mrr_after.amount,
            "changes": state in (PriceChange.State.PENDING, PriceChange.State.CHANGED),
            "reason": row.reason,
            "state": figures.badge(state.label, CHANGE_COLOURS[state]),
        }


def prices_of(before: Figures, after: Figures, currency: str) -> list[tuple[str, str, str]]:
    """The figures that change: up to which quantity, before, afterwards."""
    return [
        (
            gettext("up to %(quantity)s") % {"quantity": figures.number(Decimal(new[0]))} if new[0] else "",
            figures.unit_price(Decimal(old[at]), currency),
            figures.unit_price(Decimal(new[at]), currency),
        )
        for old, new in zip(before, after, strict=False)
        for at in (1, 2)
        if old[at] != new[at]
    ]


def grouped(rows: Iterable[dict[str, Any]], name: str) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return dict(found)


def by_account(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A block per account: its positions, and the sums of each currency."""
    return [
        {
            "tenant": tenant,
            "account": own[0]["account"],
            "rows": own,
            "sums": [sums_of(currency, part) for currency, part in grouped(own, "currency").items()],
        }
        for tenant, own in grouped(rows, "tenant").items()
    ]


def sums_of(currency: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    before, after = (sum((row[name] for row in rows), Decimal(0)) for name in ("before", "after"))
    return {
        "currency": currency,
        "before": figures.money(before, currency),
        "after": figures.money(after, currency),
        "difference": figures.money_cell(after - before, currency),
    }


def currency_block(currency: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals of a currency, and how the difference builds up by the months in which prices change."""
    by_month: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        by_month[row["effective_on"].replace(day=1)] += row["after"] - row["before"]
    reached, steps = Decimal(0), []
    for month, change in sorted(by_month.items()):
        reached += change
        steps.append((month, reached))
    highest = max((abs(value) for _month, value in steps), default=Decimal(0)) or Decimal(1)
    return {
        **sums_of(currency, rows),
        "total": figures.money(reached, currency),
        "positions": len(rows),
        "contracts": len({row["subscription"] for row in rows}),
        "accounts": len({row["tenant"] for row in rows}),
        "months": [
            {
                "label": date_format(month, "M y"),
                "amount": figures.money(value, currency),
                "height": int(abs(value) * 100 / highest),
            }
            for month, value in steps[-24:]
        ],
    }


def named(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named_rows([row for block in blocks for row in block["rows"]])
    return blocks


def named_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a page with the names of their products, their figures and their links, in place."""
    german = get_language() == "de"
    products = Product.objects.in_bulk({row["product"] for row in rows})
    items = Item.objects.filter(subscription__in={row["subscription"] for row in rows}).order_by("starts_on")
    intervals = {(key, line): word for key, line, word in items.values_list("subscription", "line", "interval")}
    for row in rows:
        product = products[row["product"]]
        row["product_name"] = product.name_de if german else product.name_en
        row["interval"] = Interval(intervals[row["subscription"], row["line"]]).label
        row["url"] = reverse("admin:billing_subscription_change", args=[row["subscription"]])
        row["day"] = figures.day(row["effective_on"])
        row |= {
            "before_shown": figures.money(row["before"], row["currency"]),
            "after_shown": figures.money(row["after"], row["currency"]),
            "difference": figures.money_cell(row["after"] - row["before"], row["currency"]),
        }
    return rows


@admin.register(PriceNotice)
class PriceNoticeAdmin(RecordAdmin):
    """The letters of campaigns, as they were sent."""

    list_display = ["written_on", "campaign", "tenant", "language", "mails", "pdf"]
    list_select_related = ["campaign", "tenant"]
    list_filter = [("campaign", RelatedDropdownFilter)]
    search_fields = ["tenant__reference__startswith"]
    search_accounts = ("tenant",)
    fields = [("campaign", "tenant"), ("written_on", "language"), ("mails", "pdf")]
    readonly_fields = ["mails", "pdf"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("messages")

    @display(description=_("e-mail"))
    def mails(self, notice: PriceNotice) -> SafeString:
        sent = notice.messages.all()
        if not sent:
            return format_html("{}", gettext("no e-mail address: to be posted") if notice.file_id else figures.EMPTY)
        return format_html("{} {}", intent_badge(sent[0]), ", ".join(one.recipient for one in sent))

    @display(description="PDF")
    def pdf(self, notice: PriceNotice) -> SafeString:
        if notice.file_id is None:
            return format_html("{}", figures.EMPTY)
        return format_html(
            '<a class="k-link" href="{}">PDF</a>', reverse("admin:billing_pricenotice_pdf", args=[notice.pk])
        )

    def get_urls(self) -> list[Any]:
        return [
            path("<int:object_id>/pdf/", self.admin_site.admin_view(self.pdf_view), name="billing_pricenotice_pdf"),
            *super().get_urls(),
        ]

    def pdf_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The letter as it was sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        notice: PriceNotice = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        if notice.file is None:
            raise Http404
        worked, content = self.call_in_steps(request, files.read, notice.file)
        if not worked:
            return HttpResponseRedirect(reverse("admin:billing_pricenotice_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'inline; filename="{notice.written_on.isoformat()}-{notice.pk}.pdf"'
        response["Cache-Control"] = "no-store"
        return response
