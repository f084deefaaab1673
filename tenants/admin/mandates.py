"""Mandates for SEPA direct debit. An IBAN is shown while it is typed in, and never again: its last four signs are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from stdnum.eu import at_02
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from tenants import files, mandate_import, mandates
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm, RecordAdmin
from tenants.admin.scope import AccountScoped
from tenants.errors import OperatorError
from tenants.import_rows import CHANGED, NEW, UNCHANGED
from tenants.mandates import Bank
from tenants.models import Creditor, Issuer, Mandate, MandateAccount, Tenant

Decision = MandateAccount.Decision
DECISION_COLOURS = {Decision.APPROVED: "success", Decision.REFUSED: "danger"}
LARGEST_FILE = 5_000_000


class CreditorForm(MasterForm):
    def clean_identifier(self) -> str:
        stated = "".join(self.cleaned_data["identifier"].split()).upper()
        if not at_02.is_valid(stated):
            raise forms.ValidationError(gettext("The check digits of the creditor identifier are wrong."))
        return stated


@admin.register(Creditor)
class CreditorAdmin(MasterAdmin):
    """How an issuer collects by direct debit, and up to what one person pays alone."""

    form = CreditorForm
    list_display = ["identifier", "issuer", "prenotification_days", "days_ahead", "releases_by_itself"]
    list_select_related = ["issuer"]
    fieldsets = [
        (None, {"fields": [("issuer", "identifier"), ("prenotification_days", "days_ahead"), "releases_by_itself"]}),
        (_("Four eyes"), {"fields": [("run_limit", "refund_limit"), "checks_bank_details"]}),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whoever releases runs or enters bank details does not say what nobody else need look at."""
        given, user = super().get_readonly_fields(request, obj), request.user
        acts = any(user.has_perm(right) for right in ("payments.release_paymentrun", "tenants.add_mandate"))
        bounds = ["run_limit", "refund_limit", "checks_bank_details"]
        return [*given, *bounds] if acts and not user.is_superuser else given


class BankForm(forms.Form):
    """A bank account as the payer stated it."""

    holder = forms.CharField(label=_("account holder"), max_length=70, widget=UnfoldAdminTextInputWidget)
    iban = forms.CharField(
        label=_("IBAN"), max_length=42, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    bic = forms.CharField(
        label=_("BIC"),
        max_length=11,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Needed outside of the European Economic Area only."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                cleaned["bank"] = mandates.checked(Bank(cleaned["holder"], cleaned["iban"], cleaned["bic"]))
            except OperatorError as refusal:
                raise forms.ValidationError(str(refusal)) from None
        return cleaned


class MandateForm(BankForm):
    """A mandate that a payer has signed."""

    issuer = forms.ModelChoiceField(Issuer.objects.none(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    payer = forms.CharField(
        label=_("payer"), max_length=60, widget=UnfoldAdminTextInputWidget, help_text=_("reference of the account")
    )
    reference = forms.RegexField(
        label=_("mandate reference"), regex=mandates.REFERENCE, max_length=35, widget=UnfoldAdminTextInputWidget
    )
    scheme = forms.ChoiceField(label=_("scheme"), choices=Mandate.Scheme.choices, widget=UnfoldAdminSelectWidget)
    is_one_off = forms.BooleanField(label=_("for one debit only"), required=False, widget=UnfoldBooleanSwitchWidget)
    signed_on = forms.DateField(label=_("signed on"), widget=UnfoldAdminSingleDateWidget)
    original_reference = forms.CharField(
        label=_("reference with the creditor before"),
        required=False,
        max_length=35,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("where it was taken over"),
    )
    original_creditor = forms.CharField(
        label=_("creditor identifier before"), required=False, max_length=35, widget=UnfoldAdminTextInputWidget
    )
    field_order = ["issuer", "payer", "reference", "signed_on", "scheme", "is_one_off", "holder", "iban", "bic"]

    def __init__(self, request: HttpRequest, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = request.user
        issuers = Issuer.objects.visible_to(request.user).filter(creditor__isnull=False)
        self.fields["issuer"].queryset = issuers
        if issuers.count() == 1:
            self.fields["issuer"].initial = issuers.get()

    def clean_payer(self) -> Tenant:
        found = Tenant.objects.visible_to(self.user).filter(reference=self.cleaned_data["payer"].strip()).first()
        if found is None:
            raise forms.ValidationError(gettext("There is no account of this reference."))
        return found


class MandateFileForm(forms.Form):
    """A file of mandates; first it is only compared."""

    issuer = forms.ModelChoiceField(Issuer.objects.none(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    file = forms.FileField(label=_("file"), widget=UnfoldAdminFileFieldWidget)
    takes_in = forms.BooleanField(
        label=_("take it in"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("If off, you only see what the file would change. It is not kept: choose it again to take it in."),
    )

    def __init__(self, request: HttpRequest, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        issuers = Issuer.objects.visible_to(request.user).filter(creditor__isnull=False)
        self.fields["issuer"].queryset = issuers
        if issuers.count() == 1:
            self.fields["issuer"].initial = issuers.get()

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError(gettext("The file is larger than 5 MB."))
        return file


class StateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("standing", _("stands")), ("waiting", _("bank details to approve")), ("revoked", _("revoked"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        match self.value():
            case "standing":
                return queryset.filter(revoked_on=None)
            case "waiting":
                return queryset.filter(revoked_on=None, accounts__decision=None).distinct()
            case "revoked":
                return queryset.filter(revoked_on__isnull=False)
        return queryset


@admin.register(Mandate)
class MandateAdmin(AccountScoped, RecordAdmin):
    scope_accounts = ("payer",)
    list_display = ["reference", "payer", "issuer", "scheme", "account", "signed_on", "progress"]
    list_select_related = ["payer", "issuer"]
    list_filter = [StateFilter, ("scheme", ChoicesDropdownFilter), ("issuer", RelatedDropdownFilter)]
    search_fields = ["reference__startswith"]
    search_accounts = ("payer",)
    search_help_text = _("Mandate reference, or the account")
    list_before_template = "tenants/admin/mandate_ways.html"
    change_form_outer_before_template = "tenants/admin/mandate_tools.html"
    fields = [
        ("reference", "progress"),
        ("payer", "issuer"),
        ("scheme", "is_one_off", "signed_on"),
        ("original_reference", "original_creditor"),
        ("revoked_on", "revocation"),
        "created_at",
    ]
    readonly_fields = ["progress"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mandate]:
        accounts = MandateAccount.objects.filter(mandate=OuterRef("pk")).order_by("-number")
        return (
            super()
            .get_queryset(request)
            .annotate(
                tail=Subquery(accounts.filter(decision=Decision.APPROVED).values("iban_tail")[:1]),
                waits=Subquery(accounts.filter(decision=None).values("iban_tail")[:1]),
            )
        )

    @display(description=_("IBAN ends in"))
    def account(self, mandate: Any) -> str:
        return f"…{mandate.tail}" if mandate.tail else figures.EMPTY

    @display(description=_("state"))
    def progress(self, mandate: Any) -> SafeString:
        if mandate.revoked_on is not None:
            return figures.badge(gettext("revoked"), "danger")
        if mandate.waits:
            return figures.badge(gettext("bank details to approve"), "warning")
        return figures.badge(gettext("stands"), "success")

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("import/", wrap(self.import_view), name="tenants_mandate_import"),
            path("<int:object_id>/paper/", wrap(self.paper_view), name="tenants_mandate_paper"),
            path("<int:object_id>/do/", wrap(self.do_view), name="tenants_mandate_do"),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("tenants.add_mandate")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        may = request.user.has_perm("tenants.import_mandate")
        return super().changelist_view(request, (extra_context or {}) | {"may_import": may})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        """The form in which a signed mandate is entered."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        payer = request.GET.get("payer", "")
        form = MandateForm(request, request.POST or None, initial={"payer": payer})
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            named = {name: given[name] for name in ("reference", "signed_on", "scheme", "is_one_off")}
            named |= {name: given[name].strip() for name in ("original_reference", "original_creditor")}
            worked, made = self.call(
                request,
                mandates.enter,
                given["issuer"],
                given["payer"],
                given["bank"],
                on=timezone.localdate(),
                by=request.user,
                **named,
            )
            if worked:
                self.message_user(request, gettext("The mandate is entered."), messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:tenants_mandate_change", args=[made.pk]))
        explanation = gettext(
            "The IBAN is kept encrypted and never shown again. Where the issuer wants it, another person approves the"
            " bank details before anything is collected."
        )
        return self._form(request, gettext("Enter a mandate"), explanation, form, gettext("Enter"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        mandate = self.get_queryset(request).filter(pk=int(object_id)).first() if object_id.isdigit() else None
        if mandate is not None:
            user = request.user
            may_approve = user.has_perm("tenants.approve_mandate")
            context |= {
                "account_rows": [
                    {
                        "key": one.pk,
                        "number": one.number,
                        "holder": one.holder,
                        "tail": one.iban_tail,
                        "bic": one.bic or figures.EMPTY,
                        "entered": f"{one.entered_by or ''} {figures.instant(one.entered_at)}".strip(),
                        "decided": f"{one.decided_by or ''} {figures.instant(one.decided_at)}".strip(),
                        "state": figures.badge(
                            one.get_decision_display() or gettext("to be approved"),
                            DECISION_COLOURS[Decision(one.decision)] if one.decision else "warning",
                        ),
                        "may_decide": one.decision is None and may_approve and one.entered_by_id != user.pk,
                    }
                    for one in mandate.accounts.select_related("entered_by", "decided_by")
                ],
                "bank_form": BankForm(),
                "may_change": user.has_perm("tenants.add_mandate") and mandate.revoked_on is None,
                "may_revoke": user.has_perm("tenants.revoke_mandate") and mandate.revoked_on is None,
            }
        return super().change_view(request, object_id, form_url, context)

    def do_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Change or decide about the bank account, revoke, keep the paper: each with its right."""
        mandate = get_object_or_404(self.get_queryset(request), pk=object_id)
        back = HttpResponseRedirect(reverse("admin:tenants_mandate_change", args=[object_id]))
        if request.method != "POST":
            return back
        if key := request.POST.get("_approve") or request.POST.get("_refuse"):
            return self._decide(request, mandate, key) or back
        if "_revoke" in request.POST:
            self._may(request, "tenants.revoke_mandate")
            reason = request.POST.get("reason", "")
            worked, _none = self.call(request, mandates.revoke, mandate.pk, on=timezone.localdate(), reason=reason)
            text = gettext("The mandate is revoked: nothing is collected under it any more.")
        elif "_paper" in request.POST:
            self._may(request, "tenants.add_mandate")
            paper = request.FILES.get("paper")
            content = paper.read(mandates.LARGEST_PAPER + 1) if paper else b""
            kind = paper.content_type if paper else ""
            worked, _none = self.call(request, mandates.keep_paper, mandate.pk, content, content_type=kind)
            text = gettext("The signed paper is kept.")
        else:
            self._may(request, "tenants.add_mandate")
            form = BankForm(request.POST)
            if not form.is_valid():
                self.message_user(
                    request, " ".join(text for found in form.errors.values() for text in found), messages.ERROR
                )
                return back
            bank = form.cleaned_data["bank"]
            worked, made = self.call(request, mandates.change_account, mandate.pk, bank, by=request.user)
            text = gettext("The bank account is entered.") if made else gettext("It is the bank account already.")
        if worked:
            self.message_user(request, text, messages.SUCCESS)
        return back

    def _decide(self, request: HttpRequest, mandate: Mandate, key: str) -> HttpResponseBase | None:
        self._may(request, "tenants.approve_mandate")
        account = mandate.accounts.filter(pk=int(key)).first() if key.isdigit() else None
        if account is None:
            raise Http404
        approves = "_approve" in request.POST
        if self.call(request, mandates.decide, account.pk, approves=approves, by=request.user)[0]:
            text = gettext("The bank account is approved.") if approves else gettext("The bank account is refused.")
            self.message_user(request, text, messages.SUCCESS)
        return None

    def _may(self, request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied

    def paper_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The signed paper, for who enters or approves mandates: an IBAN may stand on it."""
        if not any(request.user.has_perm(f"tenants.{right}_mandate") for right in ("add", "approve")):
            raise PermissionDenied
        mandate = get_object_or_404(self.get_queryset(request).select_related("paper"), pk=object_id)
        if mandate.paper is None:
            raise Http404
        worked, content = self.call_in_steps(request, files.read, mandate.paper)
        if not worked:
            return HttpResponseRedirect(reverse("admin:tenants_mandate_change", args=[object_id]))
        response = HttpResponse(content, content_type=mandate.paper.content_type)
        response["Content-Disposition"] = f'attachment; filename="mandate-{mandate.pk}"'
        response["Cache-Control"] = "no-store"
        return response

    def import_view(self, request: HttpRequest) -> HttpResponseBase:
        """A file of mandates: compared, and taken in when the switch is on. Neither it nor its rows are kept."""
        self._may(request, "tenants.import_mandate")
        form = MandateFileForm(request, request.POST or None, request.FILES or None)
        taken = None
        if request.method == "POST" and form.is_valid():
            issuer, file = form.cleaned_data["issuer"], form.cleaned_data["file"]
            content, today = file.read(), timezone.localdate()
            if form.cleaned_data["takes_in"]:
                worked, taken = self.call(
                    request,
                    mandate_import.take_in,
                    issuer,
                    content,
                    file_name=file.name,
                    on=today,
                    by=request.user,
                )
                if worked:
                    count = taken.count(NEW) + taken.count(CHANGED)
                    text = ngettext("%(count)d row was taken in.", "%(count)d rows were taken in.", count)
                    self.message_user(request, text % {"count": count}, messages.SUCCESS)
                    return HttpResponseRedirect(reverse("admin:tenants_mandate_changelist"))
            else:
                _worked, taken = self.call(request, mandate_import.look, issuer, content, on=today)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Import: %(kind)s") % {"kind": gettext("mandates")},
            "form": form,
            "columns": mandate_import.COLUMNS,
            "taken": taken,
            "rows": [row for row in taken.rows if row.told][:200] if taken else [],
            "counts": {state: taken.count(state) for state in (NEW, CHANGED, UNCHANGED)} if taken else {},
        }
        return TemplateResponse(request, "tenants/admin/mandate_import.html", context)

    def _form(self, request: HttpRequest, title: str, explanation: str, form: Any, verb: str) -> HttpResponseBase:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "explanation": explanation,
            "form": form,
            "verb": verb,
        }
        return TemplateResponse(request, "tenants/admin/enter.html", context)
