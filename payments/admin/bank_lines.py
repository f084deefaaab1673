"""The in-tray of bank lines: what is proposed, what is unclear, what was done; and the page where one is decided on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, pgettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import display

from billing.kernel.money import places_of, rounded
from invoicing.models import OpenItem
from payments import bank_lines, matching
from payments.kernel.allocation import Rule, Share
from payments.models import BankAccount, BankLine, LineBooking, MatchProposal, Payment
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.models import Tenant

CERTAINTY_COLOURS = {
    MatchProposal.Certainty.UNCLEAR: "danger",
    MatchProposal.Certainty.POSSIBLE: "warning",
    MatchProposal.Certainty.LIKELY: "info",
    MatchProposal.Certainty.CERTAIN: "success",
}
OFFERED = 60  # open items of a payer that the page offers


class StateFilter(DropdownFilter):
    """What waits for a decision, unless something else is asked for; a search looks through all."""

    title = _("state")
    parameter_name = "state"
    all_option = None

    def __init__(self, request: HttpRequest, *arguments: Any) -> None:
        super().__init__(request, *arguments)
        self.otherwise = "all" if request.GET.get("q") else "waiting"

    def value(self) -> str:
        return super().value() or self.otherwise

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            ("waiting", _("waiting")),
            ("proposed", _("proposed")),
            ("unclear", _("unclear")),
            ("booked", _("booked")),
            ("aside", pgettext("bank line", "set aside")),
            ("all", _("all")),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        unclear = MatchProposal.Certainty.UNCLEAR
        match self.value():
            case "waiting":
                return queryset.undecided()
            case "proposed":
                return queryset.undecided().filter(proposal__certainty__gt=unclear)
            case "unclear":
                return queryset.undecided().exclude(proposal__certainty__gt=unclear)
            case "booked":
                return queryset.filter(booked=F("amount"))
            case "aside":
                return queryset.filter(set_aside__isnull=False)
        return queryset


@admin.register(BankLine)
class BankLineAdmin(RecordAdmin):
    list_display = ["booked_on", "name_shown", "purpose_shown", "amount_shown", "match_shown", "state_shown"]
    list_select_related = ["proposal__payer", "set_aside", "bank_account"]
    list_filter = [StateFilter, ("bank_account", RelatedDropdownFilter), ("booked_on", RangeDateFilter)]
    search_fields = ["purpose__icontains", "name__icontains", "end_to_end_id"]
    search_help_text = _("Purpose, name or end-to-end id")
    sortable_by = ["booked_on"]
    list_before_template = "payments/admin/line_states.html"
    actions = ["accept", "match_again"]
    change_form_outer_before_template = "payments/admin/line_tools.html"
    fields = [
        ("booked_on", "value_on", "amount_shown"), "purpose", ("name", "account_shown", "bic"),
        ("end_to_end_id", "mandate", "bank_reference"), ("code", "return_code", "return_text"),
        ("bank_account", "statement"), "bookings_shown",
    ]  # fmt: skip
    readonly_fields = ["amount_shown", "account_shown", "bookings_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BankLine]:
        return super().get_queryset(request).with_booked().select_related("proposal__payer", "set_aside")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in ("statement__id__exact", "bank_account__id__exact") or super().lookup_allowed(
            lookup, value, request
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            chosen = next(spec for spec in shown["cl"].filter_specs if isinstance(spec, StateFilter))
            shown["states"] = [
                (shown["cl"].get_query_string({"state": value}, ["p"]), str(label), value == chosen.value())
                for value, label in chosen.lookup_choices
            ]
            shown["may_import"] = request.user.has_perm("payments.import_bankstatement")
        return response

    # Columns

    @display(description=_("name"))
    def name_shown(self, line: BankLine) -> str:
        return line.name or (f"… {line.iban_tail}" if line.iban_tail else figures.EMPTY)

    @display(description=_("purpose"))
    def purpose_shown(self, line: BankLine) -> SafeString:
        return format_html('<span class="k-clip" title="{}">{}</span>', line.purpose, line.purpose[:80])

    @display(description=_("amount"))
    def amount_shown(self, line: BankLine) -> SafeString:
        return figures.money_cell(line.amount.amount, line.currency)

    @display(description=_("proposal"))
    def match_shown(self, line: BankLine) -> SafeString:
        proposal = getattr(line, "proposal", None)
        if proposal is None or proposal.payer is None:
            return format_html("{}", figures.EMPTY)
        count = len(proposal.shares)
        return format_html(
            '{}<br><span class="k-quiet">{}</span>',
            proposal.payer.name,
            gettext("%(n)d open items") % {"n": count} if count != 1 else gettext("1 open item"),
        )

    @display(description=_("state"))
    def state_shown(self, line: BankLine) -> SafeString:
        if getattr(line, "set_aside", None):
            return figures.badge(pgettext("bank line", "set aside"))
        if vars(line).get("booked") == line.amount.amount:
            return figures.badge(gettext("booked"), "success")
        proposal = getattr(line, "proposal", None)
        if proposal is None:
            return figures.badge(gettext("unclear"), "danger")
        return certainty_badge(proposal)

    @display(description=_("other side's account"))
    def account_shown(self, line: BankLine) -> str:
        return f"… {line.iban_tail}" if line.iban_tail else figures.EMPTY

    @display(description=_("booked as"))
    def bookings_shown(self, line: BankLine) -> SafeString | str:
        rows = [
            (
                reverse("admin:invoicing_journalentry_change", args=[booking.entry_id]),
                booking.entry.get_kind_display(),
                figures.day(booking.entry.booked_on),
                figures.money(booking.amount.amount, booking.currency),
            )
            for booking in LineBooking.objects.filter(line=line).select_related("entry")
        ]
        table = format_html_join(
            "", '<tr><td><a class="k-link" href="{}">{}</a></td><td>{}</td><td class="k-right">{}</td></tr>', rows
        )
        return format_html('<table class="k-table k-narrow">{}</table>', table) if rows else figures.EMPTY

    # Actions of the list

    def has_book_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.book_bankline")

    @admin.action(description=_("Book as proposed"), permissions=["book"])
    def accept(self, request: HttpRequest, queryset: QuerySet[BankLine]) -> None:
        """Book each selected line as it is proposed; lines without a payer are left."""
        lines = list(queryset.filter(proposal__payer__isnull=False))
        self.each(request, lines, accept_proposal, by=request.user)
        if left := queryset.filter(proposal__payer=None).count():
            text = gettext("%(n)d lines have no proposal; decide on each.") % {"n": left}
            self.message_user(request, text, messages.WARNING)

    @admin.action(description=_("Match all that wait again"), permissions=["book"])
    def match_again(self, request: HttpRequest, queryset: QuerySet[BankLine]) -> None:
        keys = set(queryset.values_list("bank_account", flat=True))
        for account in BankAccount.objects.filter(pk__in=keys).select_related("issuer"):
            worked, result = self.call(request, matching.match, account, by=request.user)
            if worked:
                text = gettext(
                    "%(account)s: %(booked)d booked by themselves, %(proposed)d proposed, %(unclear)d unclear."
                )
                facts = {"account": account, "booked": result.booked}
                facts |= {"proposed": result.proposed, "unclear": result.unclear}
                self.message_user(request, text % facts, messages.SUCCESS)

    # One line

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        if object_id.isdigit():
            line = self.get_queryset(request).filter(pk=int(object_id)).first()
            if line is not None:
                context |= self.deciding(request, line)
        return super().change_view(request, object_id, form_url, context)

    def deciding(self, request: HttpRequest, line: BankLine) -> dict[str, Any]:
        """What the page offers to decide: the proposal, the payer's open items or payments, and the next line."""
        proposal = getattr(line, "proposal", None)
        left = rounded(line.amount.amount - vars(line)["booked"], places_of(line.currency))
        reference = request.GET.get("payer", "").strip()
        seen = Tenant.objects.visible_to(request.user)
        payer = seen.filter(reference=reference).first() if reference else proposal and proposal.payer
        waiting = BankLine.objects.visible_to(request.user).undecided()
        following = (
            waiting.filter(bank_account=line.bank_account).exclude(pk=line.pk).order_by("booked_on", "pk").first()
        )
        set_aside = getattr(line, "set_aside", None)
        return {
            "line_left": left,
            "line_left_shown": figures.money(left, line.currency),
            "line_proposal": proposal_of(proposal) if proposal else None,
            "line_payer": payer,
            "payer_wanted": reference,
            "line_items": items_offered(line, payer, proposal) if payer and left > 0 else [],
            "line_payments": payments_offered(line, payer, proposal) if payer and left < 0 else [],
            "line_set_aside": set_aside,
            "line_is_payment": Payment.objects.filter(entry__line_booking__line=line, returns=None).exists(),
            "line_may_book": request.user.has_perm("payments.book_bankline"),
            "line_may_set_aside": request.user.has_perm("payments.set_aside_bankline"),
            "line_next": following and reverse("admin:payments_bankline_change", args=[following.pk]),
        }

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.decide_view)
        return [path("<int:object_id>/decide/", view, name="payments_bankline_decide"), *super().get_urls()]

    def decide_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Book, set aside, put back or take out what a person decides; then go on to the next line."""
        if request.method != "POST":
            raise PermissionDenied
        line = get_object_or_404(self.get_queryset(request), pk=object_id)
        right = "set_aside_bankline" if {"_aside", "_back"} & request.POST.keys() else "book_bankline"
        if not request.user.has_perm(f"payments.{right}"):
            raise PermissionDenied
        worked, text = self.decide(request, line)
        if not worked:
            here = reverse("admin:payments_bankline_change", args=[object_id])
            return HttpResponseRedirect(here)
        self.message_user(request, text, messages.SUCCESS)
        waiting = BankLine.objects.visible_to(request.user).undecided().filter(bank_account=line.bank_account)
        following = waiting.order_by("booked_on", "pk").first()
        if following is not None and "_back" not in request.POST and "_out" not in request.POST:
            return HttpResponseRedirect(reverse("admin:payments_bankline_change", args=[following.pk]))
        return HttpResponseRedirect(reverse("admin:payments_bankline_changelist"))

    def decide(self, request: HttpRequest, line: BankLine) -> tuple[bool, str]:
        told, by = request.POST, request.user
        if "_aside" in told:
            worked, _made = self.call(request, bank_lines.set_aside, line, reason=told.get("reason", ""), by=by)
            return worked, gettext("The line is set aside.")
        if "_back" in told:
            worked, _made = self.call(request, bank_lines.put_back, line)
            return worked, gettext("The line waits again.")
        if "_out" in told:
            how = {"on": timezone.localdate(), "reason": told.get("reason", ""), "by": by}
            worked, _made = self.call(request, bank_lines.take_out, line, **how)
            return worked, gettext("The booking is taken back; the line waits again.")
        payer = get_object_or_404(Tenant.objects.visible_to(by), pk=told.get("payer", "0"))
        if "_return" in told:
            payments = Payment.objects.visible_to(by).filter(pk=told.get("payment") or "0")
            worked, _made = self.call(request, bank_lines.book_return, line, get_object_or_404(payments), by=by)
            return worked, gettext("The payment is returned; what it had settled is open again.")
        proposal = MatchProposal.objects.filter(line=line, payer=payer).first()
        proposed = matching.shares_of(proposal) if proposal else []
        worked, shares = self.call_in_steps(request, shares_told, request, proposed)
        if not worked:
            return False, ""
        worked, _payment = self.call(request, bank_lines.book, line, payer, shares, by=by)
        return worked, gettext("The payment is booked.")


def accept_proposal(line: BankLine, *, by: Any) -> None:
    """Book a line as it is proposed: as a payment, or as the return of one. Raises ``bank_lines.NotBooked``."""
    proposal: MatchProposal = line.proposal
    if proposal.payment is not None:
        bank_lines.book_return(line, proposal.payment, by=by)
    else:
        bank_lines.book(line, proposal.payer_id or 0, matching.shares_of(proposal), by=by)


def certainty_badge(proposal: MatchProposal) -> SafeString:
    certainty = MatchProposal.Certainty(proposal.certainty)
    return figures.badge(certainty.label, CERTAINTY_COLOURS[certainty])


def proposal_of(proposal: MatchProposal) -> dict[str, Any]:
    """A proposal as the page words it."""
    return {
        "badge": certainty_badge(proposal),
        "reasons": [str(MatchProposal.Reason(reason).label) for reason in proposal.reasons],
        "payer": proposal.payer,
    }


def items_offered(line: BankLine, payer: Tenant, proposal: MatchProposal | None) -> list[dict[str, Any]]:
    """What is open of the payer, and of the accounts of its tree that the proposal names; with what is proposed."""
    shares = {one["item"]: one for one in proposal.shares} if proposal and proposal.payer_id == payer.pk else {}
    found = (
        OpenItem.objects.filter(issuer=line.bank_account.issuer_id, currency=line.currency, invoice__isnull=False)
        .with_open_amount()
        .filter(open_amount__gt=0)
        .select_related("invoice", "payer")
        .order_by("due_on", "pk")
    )
    own = list(found.filter(payer=payer)[:OFFERED])
    other = [] if not shares else list(found.filter(pk__in=shares).exclude(payer=payer))
    places = places_of(line.currency)
    rows = []
    for item in [*other, *own]:
        share = shares.get(item.pk)
        rows.append(
            {
                "key": item.pk,
                "document": str(item),
                "url": reverse("admin:invoicing_openitem_change", args=[item.pk]),
                "account": item.payer.name if item.payer_id != payer.pk else "",
                "due_on": figures.day(item.due_on),
                "open": figures.money(item.open_amount, line.currency),
                "plain": f"{rounded(item.open_amount, places):f}",
                "amount": written(Decimal(share["amount"]), places) if share else "",
                "difference": share["difference"] if share else "0",
                "rule": str(Rule(share["rule"])) if share else "",
            }
        )
    return rows


def payments_offered(line: BankLine, payer: Tenant, proposal: MatchProposal | None) -> list[dict[str, Any]]:
    """The payer's payments that can come back."""
    found = Payment.objects.filter(
        payer=payer, issuer=line.bank_account.issuer_id, returns=None, currency=line.currency
    )
    return [
        {
            "key": one.pk,
            "text": " · ".join(
                [figures.day(one.received_on), figures.money(one.amount.amount, one.currency), one.reference]
            ),
            "is_proposed": bool(proposal and proposal.payment_id == one.pk),
        }
        for one in found.order_by("-received_on", "-pk")[:OFFERED]
    ]


def shares_told(request: HttpRequest, proposed: Sequence[Share] = ()) -> list[Share]:
    """What the page's fields say: an amount for each open item. Raises ``bank_lines.NotBooked`` for what is none.

    An open item outside of the user's bounds is not there.
    """
    known = {one.item: one for one in proposed}
    shares = []
    told: Any = request.POST
    for name, text in told.items():
        match = re.fullmatch(r"item_([0-9]{1,18})", name)
        if not match or not text.strip():
            continue
        key, amount = int(match[1]), amount_of(text)
        if key in known and known[key].amount == amount:
            shares.append(known[key])
        elif amount:
            shares.append(Share(key, amount, Rule.PERSON))
    keys = {share.item for share in shares}
    if OpenItem.objects.visible_to(request.user).filter(pk__in=keys).count() < len(keys):
        raise Http404
    return shares


def amount_of(text: str) -> Decimal:
    """An amount as people write it in their language."""
    plain = "".join(text.split())
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{3})*(,[0-9]{1,4})?|[0-9]+(,[0-9]{1,4})?", plain) and get_language() == "de":
        return Decimal(plain.replace(".", "").replace(",", "."))
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})*(\.[0-9]{1,4})?|[0-9]+(\.[0-9]{1,4})?", plain) and get_language() != "de":
        return Decimal(plain.replace(",", ""))
    raise bank_lines.NotBooked(gettext("“%(text)s” is not an amount.") % {"text": text[:40]})


def written(amount: Decimal, places: int) -> str:
    """An amount as the field has it, in the reader's language."""
    plain = f"{rounded(amount, places):f}"
    return plain.replace(".", ",") if get_language() == "de" else plain
