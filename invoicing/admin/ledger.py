"""The books as far as invoices fill them: open items, journal, accounts, number ranges."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, DecimalField, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from invoicing import credit_balance
from invoicing.models import JournalEntry, LedgerAccount, NumberRange, OpenItem, Posting, RefundRequest
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, RecordAdmin, RecordInline
from tenants.admin.scope import AccountScoped
from tenants.models import Issuer, Tenant


def with_open_amount(items: QuerySet[OpenItem]) -> QuerySet[OpenItem]:
    """What is still open of each: the sum of the postings that name it."""
    return items.with_open_amount()


class OpenFilter(DropdownFilter):
    """What is open, unless something else is asked for; a search looks through all."""

    title = _("state")
    parameter_name = "state"
    all_option = None

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        super().__init__(request, *arguments)
        self.otherwise = "all" if request.GET.get("q") else "open"

    def value(self) -> str:
        return super().value() or self.otherwise

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("open", _("open")), ("overdue", _("overdue")), ("settled", _("settled")), ("all", _("all"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "open":
            return queryset.exclude(open_amount=0)
        if self.value() == "overdue":
            return queryset.filter(open_amount__gt=0, due_on__lt=timezone.localdate())
        if self.value() == "settled":
            return queryset.filter(open_amount=0)
        return queryset


@admin.register(OpenItem)
class OpenItemAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer",)
    list_display = ["document", "payer", "due_on", "overdue", "amount_shown", "open_shown"]
    list_select_related = ["invoice", "payer"]
    list_filter = [OpenFilter, ("due_on", RangeDateFilter)]
    search_fields = ["invoice__number__startswith"]
    search_accounts = ("payer",)
    search_help_text = _("Number of the document, or the account")
    ordering = ["due_on", "id"]
    sortable_by = ["due_on"]
    list_before_template = "invoicing/admin/open_sums.html"
    actions = ["set_off"]
    change_form_outer_before_template = "invoicing/admin/open_item_tools.html"
    fields = ["document_link", "payer_link", ("due_on", "overdue"), ("amount_shown", "open_shown"), "postings_shown"]
    readonly_fields = ["document_link", "payer_link", "overdue", "amount_shown", "open_shown", "postings_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OpenItem]:
        return with_open_amount(super().get_queryset(request).select_related("invoice", "payer"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        """The list, headed by the sums of what it leaves; not where it leaves so much that summing takes long."""
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            shown["states"] = state_chips(shown["cl"])
            if not shown["cl"].paginator.is_capped:
                shown["sums"] = open_sums(shown["cl"].queryset, timezone.localdate())
        return response

    # Credits

    @admin.action(description=_("Set credits of the payers off"), permissions=["offset"])
    def set_off(self, request: HttpRequest, queryset: QuerySet[OpenItem]) -> None:
        """The credits of each payer of the selected items go to what is due first."""
        pairs = sorted(set(queryset.values_list("issuer_id", "payer_id")))
        issuers = Issuer.objects.in_bulk({issuer for issuer, _payer in pairs})
        payers = Tenant.objects.in_bulk({payer for _issuer, payer in pairs})
        for issuer, payer in pairs:
            worked, uses = self.call(
                request,
                credit_balance.apply,
                issuers[issuer],
                payers[payer],
                on=timezone.localdate(),
                by=request.user,
            )
            for use in uses if worked else ():
                text = gettext("%(credit)s: %(amount)s set off against %(claim)s.") % {
                    "credit": use.credit.document,
                    "amount": figures.money(use.amount, use.credit.currency),
                    "claim": use.claim.document,
                }
                self.message_user(request, text, messages.SUCCESS)

    def has_offset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("invoicing.offset_openitem")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.refund_view)
        return [path("<int:object_id>/refund/", view, name="invoicing_openitem_refund"), *super().get_urls()]

    def refund_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Note that the payer wants this credit paid out, or that it does not any more."""
        if request.method != "POST" or not self.has_offset_permission(request):
            raise PermissionDenied
        item = get_object_or_404(self.get_queryset(request), pk=object_id)
        if "_withdraw" in request.POST:
            worked, _answer = self.call(request, credit_balance.withdraw_refund, item.pk)
            text = gettext("The refund is no longer wanted; the credit can be set off again.")
        else:
            reason = request.POST.get("refund_reason", "")
            worked, _answer = self.call(
                request, credit_balance.want_refund, item.pk, on=timezone.localdate(), reason=reason
            )
            text = gettext("The refund is noted; the credit is not set off any more.")
        if worked:
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:invoicing_openitem_change", args=[object_id]))

    @display(description=_("document"))
    def document(self, item: OpenItem) -> str:
        return str(item)

    @display(description=_("document"))
    def document_link(self, item: OpenItem) -> SafeString | str:
        if item.invoice_id is None:
            return item.reference
        return format_html(
            '<a class="k-link" href="{}">{}</a>',
            reverse("admin:invoicing_invoice_change", args=[item.invoice_id]),
            item.invoice,
        )

    @display(description=_("payer"))
    def payer_link(self, item: OpenItem) -> SafeString:
        return format_html('<a class="k-link" href="{}">{}</a>', reverse("account", args=[item.payer_id]), item.payer)

    @display(description=_("overdue"))
    def overdue(self, item: Any) -> SafeString:
        days = (timezone.localdate() - item.due_on).days
        if days <= 0 or item.open_amount <= 0:
            return figures.figure_cell(figures.EMPTY)
        colour = "k-negative" if days > 14 else "k-late"
        return format_html('<span class="k-amount {}">{}</span>', colour, ngettext("%d day", "%d days", days) % days)

    @display(description=_("amount"))
    def amount_shown(self, item: OpenItem) -> SafeString:
        return figures.money_cell(item.amount.amount, item.currency)

    @display(description=_("open"))
    def open_shown(self, item: Any) -> SafeString:
        return figures.money_cell(item.open_amount, item.currency)

    @display(description=_("postings"))
    def postings_shown(self, item: OpenItem) -> SafeString:
        rows = (
            (
                figures.day(posting.entry.booked_on),
                reverse("admin:invoicing_journalentry_change", args=[posting.entry_id]),
                posting.entry.get_kind_display(),
                payment_link(posting.entry),
                figures.money(posting.amount.amount, posting.currency),
            )
            for posting in item.postings.select_related("entry")
        )
        row = '<tr><td>{}</td><td><a class="k-link" href="{}">{}</a></td><td>{}</td><td class="k-right">{}</td></tr>'
        return format_html('<table class="k-table k-narrow">{}</table>', format_html_join("", row, rows))


def payment_link(entry: JournalEntry) -> SafeString | str:
    """From a booking to the payment it is of; nothing where it is of none."""
    kinds = JournalEntry.Kind
    of = {kinds.PAYMENT: "entry", kinds.RETURN: "returns__entry"}
    of |= dict.fromkeys((kinds.ALLOCATION, kinds.DEALLOCATION), "allocations__entry")
    if entry.kind not in of:
        return ""
    url = f"{reverse('admin:payments_payment_changelist')}?{of[JournalEntry.Kind(entry.kind)]}__id__exact={entry.pk}"
    return format_html('<a class="k-link" href="{}">{}</a>', url, gettext("Payment"))


@admin.register(RefundRequest)
class RefundRequestAdmin(AccountScoped, RecordAdmin):
    """Credits that payers want paid out; they are withdrawn on the page of the open item."""

    scope_accounts = ("open_item__payer",)
    list_display = ["document", "payer", "wanted_on", "left", "reason"]
    list_select_related = ["open_item__invoice", "open_item__payer"]
    search_fields = ["open_item__invoice__number__startswith"]
    search_accounts = ("open_item__payer",)
    sortable_by = ()
    fields = ["document", "payer", "wanted_on", "reason"]
    readonly_fields = ["document", "payer"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RefundRequest]:
        return super().get_queryset(request).annotate(open_amount=Sum("open_item__postings__amount"))

    @display(description=_("document"))
    def document(self, wanted: RefundRequest) -> SafeString:
        url = reverse("admin:invoicing_openitem_change", args=[wanted.open_item_id])
        return format_html('<a class="k-link" href="{}">{}</a>', url, wanted.open_item)

    @display(description=_("payer"))
    def payer(self, wanted: RefundRequest) -> str:
        return str(wanted.open_item.payer)

    @display(description=_("credit balance"))
    def left(self, wanted: Any) -> SafeString:
        return figures.money_cell(-wanted.open_amount, wanted.open_item.currency)


def state_chips(changes: Any) -> list[tuple[str, str, bool]]:
    """The choices of the filter by state: address, label, and whether it is chosen."""
    chosen = next(spec for spec in changes.filter_specs if isinstance(spec, OpenFilter))
    return [
        (changes.get_query_string({"state": value}, ["p"]), str(label), value == chosen.value())
        for value, label in chosen.lookup_choices
    ]


def open_sums(items: QuerySet[Any], today: date) -> list[dict[str, str]]:
    """Per currency: how many of the items are open, their sum, and how much of it is overdue."""
    is_late = Q(open_amount__gt=0, due_on__lt=today)
    sums = (
        items.exclude(open_amount=0)
        .order_by()
        .values_list("currency")
        .annotate(count=Count("pk"), left=Sum("open_amount"), late=Sum("open_amount", filter=is_late))
        .order_by("-count")
    )
    return [
        {
            "currency": currency,
            "count": count,
            "open": figures.money(left, currency),
            "overdue": figures.money(late, currency) if late else "",
        }
        for currency, count, left, late in sums
    ]


class PostingInline(RecordInline):
    model = Posting
    fields = ["account", "debit", "credit", "open_item_shown"]
    readonly_fields = ["debit", "credit", "open_item_shown"]
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Posting]:
        return super().get_queryset(request).select_related("account", "open_item__invoice")

    @display(description=_("debit"))
    def debit(self, posting: Posting) -> SafeString:
        return side(posting, 1)

    @display(description=_("credit"))
    def credit(self, posting: Posting) -> SafeString:
        return side(posting, -1)

    @display(description=_("open item"))
    def open_item_shown(self, posting: Posting) -> str:
        return str(posting.open_item) if posting.open_item else ""


def side(posting: Posting, sign: int) -> SafeString:
    """The amount if it stands on this side: debit is above zero."""
    amount = posting.amount.amount * sign
    return figures.money_cell(amount, posting.currency) if amount > 0 else figures.figure_cell("")


def entries_of(accounts: QuerySet[Any]) -> QuerySet[Any]:
    """The keys of entries that name an open item of ``accounts``."""
    return Posting.objects.filter(open_item__payer__in=accounts).order_by().values("entry")


@admin.register(JournalEntry)
class JournalEntryAdmin(AccountScoped, RecordAdmin):
    """An entry belongs to the accounts whose open items it names."""

    list_display = ["document", "booked_on", "kind", "issuer", "total"]
    list_filter = [("kind", ChoicesDropdownFilter), ("issuer", RelatedDropdownFilter), ("booked_on", RangeDateFilter)]
    search_fields = ["invoice__number__startswith"]
    sortable_by = ()
    inlines = [PostingInline]
    fields = [("booked_on", "kind"), ("document", "issuer"), "created_at"]
    readonly_fields = ["document"]

    def in_scope(self, accounts: QuerySet[Any]) -> Q:
        return Q(pk__in=entries_of(accounts))

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """With what names it, and its sum."""
        debits = (
            Posting.objects.filter(entry=OuterRef("pk"), amount__gt=0)
            .order_by()
            .values("entry")
            .annotate(s=Sum("amount"))
            .values("s")
        )
        currency = Posting.objects.filter(entry=OuterRef("pk")).order_by("id").values("currency")[:1]
        return (
            super()
            .get_queryset(request)
            .select_related("issuer", "invoice")
            .annotate(debits=Subquery(debits, output_field=DecimalField()), code=Subquery(currency))
        )

    @display(description=_("document"))
    def document(self, entry: JournalEntry) -> str:
        return str(entry.invoice or figures.EMPTY)

    @display(description=_("amount"))
    def total(self, entry: Any) -> SafeString:
        return figures.money_cell(entry.debits, entry.code or "EUR")


@admin.register(Posting)
class PostingAdmin(AccountScoped, RecordAdmin):
    """A posting on an open item belongs to its payer; what stands against it, to the accounts of the entry."""

    list_display = ["entry", "booked_on", "account", "debit", "credit", "document"]
    list_select_related = ["entry__invoice", "account"]
    list_filter = [("account", RelatedDropdownFilter)]
    search_fields = ["entry__invoice__number__startswith"]
    ordering = ["-id"]
    sortable_by = ()

    def in_scope(self, accounts: QuerySet[Any]) -> Q:
        return Q(open_item__payer__in=accounts) | Q(open_item=None, entry__in=entries_of(accounts))

    @display(description=_("booked on"))
    def booked_on(self, posting: Posting) -> str:
        return figures.day(posting.entry.booked_on)

    @display(description=_("debit"))
    def debit(self, posting: Posting) -> SafeString:
        return side(posting, 1)

    @display(description=_("credit"))
    def credit(self, posting: Posting) -> SafeString:
        return side(posting, -1)

    @display(description=_("document"))
    def document(self, posting: Posting) -> str:
        return str(posting.entry.invoice or figures.EMPTY)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(MasterAdmin):
    """An account's number and name are the bookkeeper's; what is booked on it is the product's."""

    list_display = ["code", "name", "role", "issuer"]
    list_select_related = ["issuer"]
    list_filter = [("issuer", RelatedDropdownFilter)]
    search_fields = ["code__startswith", "name__icontains"]
    fields = [("code", "name"), ("role", "issuer")]
    readonly_fields = ["role", "issuer"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(NumberRange)
class NumberRangeAdmin(RecordAdmin):
    list_display = ["prefix", "issuer", "kind", "year", "next_number"]
    list_select_related = ["issuer"]
    list_filter = [("issuer", RelatedDropdownFilter), ("kind", ChoicesDropdownFilter)]
