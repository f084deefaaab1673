"""Payment runs: proposed, looked at, released, brought to the bank, discarded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from payments import collection, refunds
from payments.admin import run_facts
from payments.models import Collection, PaymentRun, Transfer
from tenants.admin import figures
from tenants.admin.base import RecordAdmin
from tenants.models import Approval, Issuer

DEBITS = PaymentRun.Kind.SEPA_DEBIT
TRANSFERS = PaymentRun.Kind.SEPA_TRANSFER
STATE_COLOURS = {"proposed": "info", "released": "warning", "sent": "primary", "settled": "success", "discarded": ""}


class ProposeForm(forms.Form):
    """What is to be proposed: debits of payers, or transfers of the refunds that were agreed to."""

    issuer = forms.ModelChoiceField(Issuer.objects.none(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    kind = forms.ChoiceField(
        label=_("kind"),
        choices=[(DEBITS.value, DEBITS.label), (TRANSFERS.value, TRANSFERS.label)],
        widget=UnfoldAdminSelectWidget,
    )
    on = forms.DateField(
        label=_("day"),
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("What is due by then, and within the bank days that the issuer looks ahead."),
    )

    def __init__(self, request: HttpRequest, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        issuers = Issuer.objects.visible_to(request.user)
        self.fields["issuer"].queryset = issuers
        if issuers.count() == 1:
            self.fields["issuer"].initial = issuers.get()


def sum_of_debits() -> QuerySet[Any]:
    """What the run of the outer query collects."""
    standing = Collection.objects.filter(run=OuterRef("pk")).exclude(outcome="discarded").order_by().values("run")
    return standing.annotate(sum=Sum("amount")).values("sum")


def sum_of_transfers() -> QuerySet[Any]:
    """What the run of the outer query pays."""
    standing = Transfer.objects.filter(run=OuterRef("pk")).exclude(refund__state="withdrawn").order_by().values("run")
    return standing.annotate(sum=Sum("refund__amount")).values("sum")


@admin.register(PaymentRun)
class PaymentRunAdmin(RecordAdmin):
    list_display = ["name", "issuer", "kind", "on", "collect_on", "payments", "sum_shown", "settled_bar", "progress"]
    list_select_related = ["issuer"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("issuer", RelatedDropdownFilter),
    ]
    sortable_by = ()
    change_form_outer_before_template = "payments/admin/payment_run.html"
    fields = [
        ("issuer", "kind", "progress"),
        ("on", "collect_on", "sum_shown"),
        ("made_by", "released_by", "released_at", "sent_at"),
        "content_hash",
    ]
    readonly_fields = ["progress", "sum_shown"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentRun]:
        standing = ~Q(collections__outcome="discarded")
        return (
            super()
            .get_queryset(request)
            .annotate(
                debit_count=Count("collections", filter=standing, distinct=True),
                settled_count=Count("collections", filter=Q(collections__settled_on__isnull=False), distinct=True),
                transfer_count=Count("transfers", distinct=True),
                total=Coalesce(Subquery(sum_of_debits()), Subquery(sum_of_transfers())),
            )
        )

    @display(description=_("run"))
    def name(self, run: PaymentRun) -> str:
        return f"KTR-{run.pk}"

    @display(description=_("payments"))
    def payments(self, run: Any) -> SafeString:
        return figures.figure_cell(figures.number(run.debit_count + run.transfer_count))

    @display(description=_("total"))
    def sum_shown(self, run: Any) -> SafeString:
        return figures.money_cell(run.total or Decimal(0), run_facts.EUROS)

    @display(description=_("settled"))
    def settled_bar(self, run: Any) -> SafeString:
        if run.kind == TRANSFERS or not run.debit_count:
            return figures.figure_cell(figures.EMPTY)
        return figures.figure_cell(f"{run.settled_count}/{run.debit_count}")

    @display(description=_("state"))
    def progress(self, run: PaymentRun) -> SafeString:
        return figures.badge(run.get_state_display(), STATE_COLOURS[run.state])

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:object_id>/do/", wrap(self.do_view), name="payments_paymentrun_do"),
            path("<int:object_id>/file/", wrap(self.file_view), name="payments_paymentrun_file"),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.add_paymentrun")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        """The form that proposes a run."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ProposeForm(request, request.POST or None, initial={"on": timezone.localdate(), "kind": DEBITS.value})
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            station = collection.propose if given["kind"] == DEBITS else refunds.propose
            worked, run = self.call_in_steps(request, station, given["issuer"], on=given["on"], by=request.user)
            if worked and run is None:
                self.message_user(request, gettext("No refund waits to be paid."), messages.INFO)
            elif worked:
                return HttpResponseRedirect(reverse("admin:payments_paymentrun_change", args=[run.pk]))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Propose a payment run"),
            "explanation": gettext(
                "Nothing is collected or paid yet: the run is shown with the reasons for whom it leaves out, and waits"
                " to be released."
            ),
            "form": form,
            "verb": gettext("Propose"),
        }
        return TemplateResponse(request, "tenants/admin/enter.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        context = dict(extra_context or {})
        run = self.get_queryset(request).filter(pk=int(object_id)).first() if object_id.isdigit() else None
        if run is not None:
            context |= self.facts(request, run)
        return super().change_view(request, object_id, form_url, context)

    def facts(self, request: HttpRequest, run: PaymentRun) -> dict[str, Any]:
        """All that the page of a run shows, and what the user may do with it."""
        user = request.user
        approval = Approval.objects.filter(table=PaymentRun._meta.db_table, row=run.pk, decision=None).first()
        may_release = user.has_perm("payments.release_paymentrun")
        context: dict[str, Any] = {
            "is_transfer": run.kind == TRANSFERS,
            "may_release": may_release and run.state == "proposed",
            "may_change": user.has_perm("payments.add_paymentrun") and run.state == "proposed",
            "may_discard": (user.has_perm("payments.add_paymentrun") and run.state == "proposed")
            or (may_release and run.state == "released"),
            "may_send": may_release and run.state == "released",
            "may_load": may_release and run.file_id is not None,
            "approval": approval,
            "is_own_approval": approval is not None and approval.requested_by_id == user.pk,
            "may_decide": approval is not None
            and approval.requested_by_id != user.pk
            and user.has_perm("tenants.decide_approval"),
        }
        return context | (
            run_facts.transfers(request, run) if run.kind == TRANSFERS else run_facts.debits(request, run)
        )

    def do_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """One POST, one station, one right: release, ask, approve, send, take out, discard."""
        run = get_object_or_404(self.get_queryset(request), pk=object_id)
        page = HttpResponseRedirect(reverse("admin:payments_paymentrun_change", args=[object_id]))
        if request.method != "POST":
            return page
        verb = next((name for name in VERBS if f"_{name}" in request.POST), "")
        if not verb:
            raise Http404
        permission = VERBS[verb]
        if verb == "discard" and run.state == "released":
            permission = "payments.release_paymentrun"
        if permission and not request.user.has_perm(permission):
            raise PermissionDenied
        getattr(self, f"_do_{verb}")(request, run)
        return page

    def _say(self, request: HttpRequest, worked: bool, text: str) -> None:
        if worked:
            self.message_user(request, text, messages.SUCCESS)

    def _do_release(self, request: HttpRequest, run: PaymentRun) -> None:
        station = refunds.release if run.kind == TRANSFERS else collection.release
        how = {"now": timezone.now(), "by": request.user, "seen": request.POST.get("seen", "")}
        worked, _run = self.call(request, station, run.pk, **how)
        self._say(request, worked, gettext("The file is written. Load it down and bring it to the bank."))

    def _do_ask(self, request: HttpRequest, run: PaymentRun) -> None:
        how = {"reason": request.POST.get("reason", ""), "by": request.user, "seen": request.POST.get("seen", "")}
        worked, _approval = self.call(request, collection.request, run.pk, **how)
        self._say(request, worked, gettext("Another person is asked to approve the run."))

    def _do_approve(self, request: HttpRequest, run: PaymentRun) -> None:
        worked, done = self.call(
            request, collection.approve, _approval_of(run).pk, now=timezone.now(), by=request.user, note=""
        )
        if worked and not done:
            text = gettext("The run is no longer what was asked for: the approval has lapsed, nothing is released.")
            self.message_user(request, text, messages.WARNING)
        self._say(request, worked and done, gettext("Approved: the file is written."))

    def _do_refuse(self, request: HttpRequest, run: PaymentRun) -> None:
        approval = _approval_of(run)
        if approval.requested_by_id != request.user.pk and not request.user.has_perm("tenants.decide_approval"):
            raise PermissionDenied
        note = request.POST.get("reason", "")
        worked, _none = self.call(request, collection.refuse, approval.pk, by=request.user, note=note)
        self._say(request, worked, gettext("The run is not approved; it waits."))

    def _do_send(self, request: HttpRequest, run: PaymentRun) -> None:
        station = refunds.mark_sent if run.kind == TRANSFERS else collection.mark_sent
        worked, _none = self.call(request, station, run.pk, now=timezone.now(), by=request.user)
        self._say(request, worked, gettext("The run is with the bank."))

    def _do_discard(self, request: HttpRequest, run: PaymentRun) -> None:
        station = refunds.discard if run.kind == TRANSFERS else collection.discard
        worked, _none = self.call(request, station, run.pk, reason=request.POST.get("reason", ""), by=request.user)
        self._say(request, worked, gettext("The run is discarded; what it held can be proposed again."))

    def _do_take_out(self, request: HttpRequest, run: PaymentRun) -> None:
        keys = [int(key) for key in request.POST.getlist("debit") if key.isdigit()]
        self._take_out(request, run, keys)

    def _do_update(self, request: HttpRequest, run: PaymentRun) -> None:
        self._take_out(request, run, None)

    def _take_out(self, request: HttpRequest, run: PaymentRun, keys: list[int] | None) -> None:
        how = {"now": timezone.now(), "collections": keys, "by": request.user}
        worked, count = self.call(request, collection.take_out, run.pk, **how)
        if worked:
            text = ngettext("%(count)d debit was taken out.", "%(count)d debits were taken out.", count)
            self.message_user(request, text % {"count": count}, messages.SUCCESS)

    def file_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """The file as it was written, for who may release runs: it holds bank details. Each load is on record."""
        if not request.user.has_perm("payments.release_paymentrun"):
            raise PermissionDenied
        run = get_object_or_404(self.get_queryset(request).select_related("file"), pk=object_id)
        if run.file is None or run.state == "discarded":
            raise Http404
        worked, content = self.call(request, collection.load, run.pk, by=request.user)
        if not worked:
            return HttpResponseRedirect(reverse("admin:payments_paymentrun_change", args=[object_id]))
        response = HttpResponse(content, content_type="application/xml")
        response["Content-Disposition"] = f'attachment; filename="KTR-{run.pk}.xml"'
        response["Cache-Control"] = "no-store"
        return response


VERBS = {
    "release": "payments.release_paymentrun",
    "ask": "payments.add_paymentrun",
    "approve": "tenants.decide_approval",
    "refuse": "",
    "send": "payments.release_paymentrun",
    "discard": "payments.add_paymentrun",
    "take_out": "payments.add_paymentrun",
    "update": "payments.add_paymentrun",
}


def _approval_of(run: PaymentRun) -> Approval:
    return get_object_or_404(Approval, table=PaymentRun._meta.db_table, row=run.pk, decision=None)
