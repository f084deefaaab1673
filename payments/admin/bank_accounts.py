"""Bank accounts whose statements are read, the statements, and the page where a bank's file is taken in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from stdnum import bic as bic_rules
from stdnum import iban as iban_rules
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from invoicing import posting
from invoicing.models import LedgerAccount, Posting
from payments import bank_import, matching, trouble_words
from payments.gateways import bank_csv
from payments.gateways.reading import MAX_BYTES
from payments.models import BankAccount, BankLine, BankStatement
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RecordAdmin
from tenants.encryption import decrypted, encrypted
from tenants.models import Issuer
from tenants.models.visibility import is_bounded, visibility

SHOWN = 200  # lines of a preview
KEPT = "bank_file_looked_at"
KEPT_BYTES = 1024 * 1024  # a larger file is chosen again after it was looked at
ACCOUNT_ROLE = "bank"


class BankAccountForm(MasterForm):
    """With the ledger account as its number: the first bank account takes the issuer's, another one gets its own."""

    ledger_code = forms.CharField(
        label=_("ledger account number"),
        max_length=12,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Empty: the bank account of the issuer's chart."),
    )

    class Meta:
        model = BankAccount
        fields: ClassVar = [
            "issuer", "name", "iban", "bic", "currency", "books_by_itself", "small_difference", "layout", "is_active",
        ]  # fmt: skip

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk:
            self.initial["ledger_code"] = self.instance.ledger_account.code
            for name in ("issuer", "iban", "currency", "ledger_code"):
                if name in self.fields:
                    self.fields[name].disabled = True

    def clean_iban(self) -> str:
        iban = "".join(self.cleaned_data["iban"].split()).upper()
        if not iban_rules.is_valid(iban):
            raise forms.ValidationError(gettext("This is no IBAN: its check digits do not fit."))
        return iban

    def clean_bic(self) -> str:
        bic = "".join(self.cleaned_data["bic"].split()).upper()
        if bic and not bic_rules.is_valid(bic):
            raise forms.ValidationError(gettext("This is no BIC."))
        return bic

    def clean_layout(self) -> Any:
        stored = self.cleaned_data["layout"]
        if not stored:
            return None
        if not isinstance(stored, dict):
            raise forms.ValidationError(gettext("A layout names the columns of the file."))
        try:
            bank_csv.layout_of(stored)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return stored

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        issuer = cleaned.get("issuer")
        if self.instance.pk or issuer is None:
            return cleaned
        code = cleaned.get("ledger_code", "").strip()
        posting.ensure_chart(issuer)
        accounts = LedgerAccount.objects.filter(issuer=issuer)
        found = accounts.filter(code=code).first() if code else accounts.filter(role=ACCOUNT_ROLE).first()
        if found is None and not code:
            raise forms.ValidationError({"ledger_code": gettext("The issuer's chart has no bank account; name one.")})
        if found is not None and BankAccount.objects.filter(ledger_account=found).exists():
            raise forms.ValidationError(
                {"ledger_code": gettext("Another bank account is kept on %(account)s.") % {"account": found}}
            )
        if found is not None and not found.role.startswith(ACCOUNT_ROLE):
            raise forms.ValidationError(
                {"ledger_code": gettext("%(account)s is kept for something else.") % {"account": found}}
            )
        cleaned["found_account"] = found
        return cleaned


@admin.register(BankAccount)
class BankAccountAdmin(MasterAdmin):
    form = BankAccountForm
    list_display = ["name", "issuer", "iban_shown", "books_by_itself", "undecided", "is_active"]
    list_select_related = ["issuer"]
    search_fields = ["name__icontains", "iban__endswith"]
    search_help_text = _("Name, or the end of the IBAN")
    sortable_by = ()
    fieldsets = [
        (None, {"fields": ["issuer", "name", ("iban", "bic"), ("currency", "ledger_code")]}),
        (_("Matching"), {"fields": ["books_by_itself", "small_difference"]}),
        (_("Files"), {"fields": ["layout", "is_active"]}),
    ]
    change_form_outer_before_template = "payments/admin/bank_account_tools.html"

    def save_model(self, request: HttpRequest, obj: BankAccount, form: Any, change: bool) -> None:
        if not change:
            obj.ledger_account = form.cleaned_data["found_account"] or LedgerAccount.objects.create(
                issuer=obj.issuer,
                role=f"{ACCOUNT_ROLE}_{obj.iban[-8:]}",
                code=form.cleaned_data["ledger_code"].strip(),
                name=obj.name,
            )
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("IBAN"))
    def iban_shown(self, account: BankAccount) -> str:
        return f"… {account.iban[-4:]}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BankAccount]:
        waiting = (
            BankLine.objects.undecided()
            .filter(bank_account=OuterRef("pk"))
            .order_by()
            .values("bank_account")
            .annotate(n=Count("pk"))
            .values("n")
        )
        return super().get_queryset(request).annotate(waiting=Coalesce(Subquery(waiting), 0))

    @display(description=_("undecided lines"))
    def undecided(self, account: Any) -> SafeString:
        url = f"{reverse('admin:payments_bankline_changelist')}?bank_account__id__exact={account.pk}"
        return format_html('<a class="k-link" href="{}">{}</a>', url, figures.number(account.waiting))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        if object_id.isdigit():
            account = self.get_queryset(request).filter(pk=int(object_id)).first()
            if account is not None and request.method == "GET":
                context |= {
                    "reconciliation": reconciliation(account),
                    "gap_notes": [note for _account, note in gap_notes([account])],
                }
        return super().change_view(request, object_id, form_url, context)


def reconciliation(account: BankAccount) -> list[tuple[str, str]]:
    """What the books say is at the bank, what the bank says, and what is not booked yet."""
    booked = Posting.objects.filter(account=account.ledger_account_id).aggregate(s=Sum("amount"))["s"] or Decimal(0)
    closing = account.statements.filter(is_final=True, closing__isnull=False).order_by("-ends_on", "-pk").first()
    waiting = account.lines.undecided().aggregate(s=Sum("amount"))["s"] or Decimal(0)
    aside = account.lines.filter(set_aside__isnull=False).aggregate(s=Sum("amount"))["s"] or Decimal(0)
    rows = [
        (gettext("booked on the ledger account"), figures.money(booked, account.currency)),
        (gettext("lines not decided on yet"), figures.money(waiting, account.currency)),
        (gettext("lines set aside"), figures.money(aside, account.currency)),
    ]
    first = account.statements.filter(is_final=True, opening__isnull=False).order_by("ends_on", "pk").first()
    if closing is not None and first is not None:
        told = closing.closing.amount
        missing = told - first.opening.amount - booked - waiting - aside
        rows += [
            (gettext("opening balance of the first statement"), figures.money(first.opening.amount, account.currency)),
            (
                gettext("closing balance of %(day)s") % {"day": figures.day(closing.ends_on)},
                figures.money(told, account.currency),
            ),
            (gettext("difference that nothing explains"), figures.money(missing, account.currency)),
        ]
    return rows


def gap_notes(accounts: Sequence[BankAccount]) -> list[tuple[BankAccount, str]]:
    """Statements that lack, as sentences, in the order of the accounts."""
    keys = [account.pk for account in accounts]
    numbers, gaps = bank_import.missing_numbers(keys), bank_import.gaps(keys)
    return [
        (account, note)
        for account in accounts
        for note in [*number_notes(numbers[account.pk]), *balance_notes(account, gaps[account.pk])]
    ]


def number_notes(missing: Iterable[tuple[int, int, int]]) -> list[str]:
    return [
        gettext("%(year)s: statements %(first)s to %(last)s are missing.")
        % {"year": year, "first": first, "last": last}
        if first != last
        else gettext("%(year)s: statement %(first)s is missing.") % {"year": year, "first": first}
        for year, first, last in missing
    ]


def balance_notes(account: BankAccount, gaps: Iterable[tuple[BankStatement, BankStatement, Decimal]]) -> list[str]:
    return [
        gettext("Statement %(after)s of %(day)s opens with %(difference)s more or less than %(before)s closed with.")
        % {
            "after": after,
            "day": figures.day(after.ends_on),
            "difference": figures.money(abs(difference), account.currency),
            "before": before,
        }
        for before, after, difference in gaps
    ]


class FileForm(forms.Form):
    """A bank's file, and the account where the file does not name it."""

    file = forms.FileField(
        label=_("bank file"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("camt.052, .053 or .054, MT940, or a CSV file of the bank; what it is shows by itself."),
    )
    account = forms.ModelChoiceField(
        BankAccount.objects.none(),
        label=_("bank account"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Needed only where the file does not name the account."),
    )

    kept = forms.CharField(required=False, widget=forms.HiddenInput)  # a file that was looked at, encrypted
    kept_name = forms.CharField(required=False, widget=forms.HiddenInput, max_length=200)

    def __init__(self, accounts: QuerySet[BankAccount], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["account"].queryset = accounts

    def content(self) -> tuple[bytes, str] | None:
        """The bytes and the name of the file, chosen now or looked at before."""
        file = self.cleaned_data["file"]
        if file is not None:
            return file.read(), file.name
        text = decrypted(self.cleaned_data["kept"], KEPT) if self.cleaned_data["kept"] else None
        return None if text is None else (text.encode("latin-1"), self.cleaned_data["kept_name"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("file") and not cleaned.get("kept") and "file" not in self.errors:
            self.add_error("file", gettext("Choose a file."))
        return cleaned

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file is not None and file.size > MAX_BYTES:
            raise forms.ValidationError(
                gettext("The file is larger than %(limit)d MB.") % {"limit": MAX_BYTES // 2**20}
            )
        return file


def balance_cell(balance: Any, currency: str) -> SafeString:
    """A balance as the bank told it; nothing where it told none."""
    return figures.money_cell(None if balance is None else balance.amount, currency)


@admin.register(BankStatement)
class BankStatementAdmin(RecordAdmin):
    list_display = [
        "name_shown", "bank_account", "starts_on", "ends_on", "opening_shown", "closing_shown", "counted", "noted",
        "imported_at",
    ]  # fmt: skip
    list_select_related = ["bank_account"]
    list_filter = [("bank_account", RelatedDropdownFilter)]
    search_fields = ["number", "reference__startswith", "file_name__startswith"]
    sortable_by = ()
    list_before_template = "payments/admin/statement_ways.html"
    fields = [
        ("bank_account", "number", "reference"), ("starts_on", "ends_on", "form"), ("opening_shown", "closing_shown"),
        "counted", "troubles_shown", ("file_name", "by", "imported_at"), "lines_shown",
    ]  # fmt: skip
    readonly_fields = ["opening_shown", "closing_shown", "counted", "troubles_shown", "lines_shown"]

    @display(description=_("statement"))
    def name_shown(self, statement: BankStatement) -> str:
        return str(statement)

    @display(description=_("opening balance"))
    def opening_shown(self, statement: BankStatement) -> SafeString:
        return balance_cell(statement.opening, statement.currency)

    @display(description=_("closing balance"))
    def closing_shown(self, statement: BankStatement) -> SafeString:
        return balance_cell(statement.closing, statement.currency)

    @display(description=_("bank lines"))
    def counted(self, statement: BankStatement) -> str:
        return gettext("%(told)d, of them %(known)d known before") % {"told": statement.told, "known": statement.known}

    @display(description=_("to be noted"))
    def noted(self, statement: BankStatement) -> SafeString:
        if not statement.troubles:
            return format_html("{}", figures.EMPTY)
        return figures.badge(figures.number(len(statement.troubles)), "warning")

    @display(description=_("to be noted"))
    def troubles_shown(self, statement: BankStatement) -> SafeString | str:
        told = [(trouble_words.told(one["code"], one["facts"]),) for one in statement.troubles]
        return format_html_join(format_html("<br>"), "{}", told) or figures.EMPTY

    @display(description=_("bank lines"))
    def lines_shown(self, statement: BankStatement) -> SafeString:
        url = f"{reverse('admin:payments_bankline_changelist')}?state=all&statement__id__exact={statement.pk}"
        return format_html('<a class="k-link" href="{}">{}</a>', url, gettext("Show its new lines"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        may = request.user.has_perm("payments.import_bankstatement")
        return super().changelist_view(request, (extra_context or {}) | {"may_import": may, **gaps_of(request)})

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("import/", wrap(self.import_view), name="payments_bankstatement_import"),
            path("<int:object_id>/file/", wrap(self.file_view), name="payments_bankstatement_file"),
            *super().get_urls(),
        ]

    def import_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show what a file holds; taken in, it is matched at once."""
        if not request.user.has_perm("payments.import_bankstatement"):
            raise PermissionDenied
        accounts = accounts_of(request)
        form = FileForm(accounts, request.POST or None, request.FILES or None)
        told: list[bank_import.Told] = []
        if request.method == "POST" and form.is_valid():
            content = form.content()
            if content is None:
                return HttpResponseRedirect(request.path)
            data, name = content
            how = {"account": form.cleaned_data["account"], "issuers": issuers_of(request)}
            if "_preview" in request.POST:
                _worked, told = self.call_in_steps(request, bank_import.preview, data, name, **how)
                kept = encrypted(data.decode("latin-1"), KEPT) if len(data) <= KEPT_BYTES else ""
                form = FileForm(accounts, initial={**how, "kept": kept, "kept_name": name if kept else ""})
            else:
                worked, told = self.call(request, bank_import.take_in, data, name, by=request.user, **how)
                if worked:
                    self.report(request, told)
                    return HttpResponseRedirect(reverse("admin:payments_bankline_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Take in a bank file"),
            "form": form,
            "told": [preview_of(one) for one in told or ()],
            "kept_name": form.initial.get("kept_name", ""),
            "has_accounts": accounts.exists(),
        }
        return TemplateResponse(request, "payments/admin/bank_file.html", context)

    def report(self, request: HttpRequest, told: list[bank_import.Told]) -> None:
        """Match what came in, and say what became of it."""
        for one in told:
            if one.is_known:
                text = gettext("%(account)s: this statement was taken in before.") % {"account": one.account}
                self.message_user(request, text, messages.INFO)
        for account in {one.account.pk: one.account for one in told if not one.is_known}.values():
            worked, result = self.call(request, matching.match, account, by=request.user)
            if worked:
                text = gettext(
                    "%(account)s: %(booked)d booked by themselves, %(proposed)d proposed, %(unclear)d unclear."
                )
                facts = {"account": account, "booked": result.booked}
                facts |= {"proposed": result.proposed, "unclear": result.unclear}
                self.message_user(request, text % facts, messages.SUCCESS)

    def file_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The file as it came, for who may take files in."""
        if not request.user.has_perm("payments.import_bankstatement"):
            raise PermissionDenied
        statement = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        worked, content = self.call_in_steps(request, bank_import.stored_file, statement)
        if not worked:
            return HttpResponseRedirect(reverse("admin:payments_bankstatement_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="statement-{statement.pk}"'
        response["Cache-Control"] = "no-store"
        return response


def preview_of(told: bank_import.Told) -> dict[str, Any]:
    """One statement of a file as the page shows it before it is taken in."""
    statement = told.statement
    lines = [
        {
            "day": figures.day(line.booked_on),
            "name": line.name,
            "purpose": bank_import.masked(line.purpose)[:140],
            "amount": figures.money_cell(line.amount, line.currency),
        }
        for line in told.fresh[:SHOWN]
    ]
    count = len(told.fresh)
    return {
        "account": told.account,
        "is_known": told.is_known,
        "number": statement.number or statement.reference,
        "days": f"{figures.day(statement.starts_on)} – {figures.day(statement.ends_on)}",
        "opening": figures.money(statement.opening, told.account.currency),
        "closing": figures.money(statement.closing, told.account.currency),
        "fresh": ngettext("%(n)d new line", "%(n)d new lines", count) % {"n": count},
        "known": told.known,
        "more": max(0, count - SHOWN),
        "lines": lines,
        "troubles": [trouble_words.told(one.code, one.facts) for one in statement.troubles],
    }


def accounts_of(request: HttpRequest) -> QuerySet[BankAccount]:
    """The bank accounts that the user may take files in for."""
    return BankAccount.objects.visible_to(request.user).filter(is_active=True)


def issuers_of(request: HttpRequest) -> QuerySet[Issuer] | None:
    """The issuers within the user's bounds; ``None`` for all of them."""
    return Issuer.objects.filter(visibility(Issuer, request.user)) if is_bounded(request.user) else None


def gaps_of(request: HttpRequest) -> dict[str, Any]:
    return {"gap_notes": gap_notes(list(accounts_of(request).order_by("name")[:20]))[:20]}
