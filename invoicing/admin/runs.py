"""Bill runs: start one, watch it, look at what it proposes, release and issue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Max, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldBooleanSwitchWidget

from invoicing import bill_run, issuing, review, vat_warnings
from invoicing.admin import billing_now, corrections, run_figures
from invoicing.admin.documents import drafts_of, why_parked
from invoicing.models import BillRun, Invoice, Outcome
from tenants import transactions
from tenants.admin import figures
from tenants.admin.base import AskingForm, RecordAdmin, is_key
from tenants.admin.scope import AccountScoped
from tenants.models import Issuer

PER_PAGE = 50


OUTCOME_COLOURS = {
    Outcome.State.PENDING: "info",
    Outcome.State.PROPOSED: "info",
    Outcome.State.ISSUED: "success",
    Outcome.State.PARKED: "danger",
    Outcome.State.SKIPPED: "warning",
}


FAR_APART = timedelta(days=62)


class StartForm(AskingForm):
    """What a run is for; today is proposed."""

    issuer = forms.ModelChoiceField(Issuer.objects.all(), label=_("issuer"), widget=UnfoldAdminSelectWidget)
    through = forms.DateField(
        label=_("charged through"),
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("What is due up to and including this day is billed."),
    )
    issue_on = forms.DateField(
        label=_("invoice date"), widget=UnfoldAdminSingleDateWidget, help_text=_("The date on the documents.")
    )
    issues_by_itself = forms.BooleanField(
        label=_("issue at once"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Number, post and send the documents without looking at them first."),
    )

    def oddities(self) -> list[str]:
        """Days that lie far apart, and an invoice date before that of a document with a number."""
        issuer, through, issue_on = (self.cleaned_data[name] for name in ("issuer", "through", "issue_on"))
        days = {"through": figures.day(through), "issue_on": figures.day(issue_on)}
        odd = []
        if abs(through - issue_on) > FAR_APART:
            odd.append(
                gettext("What is due through %(through)s would be invoiced on %(issue_on)s, more than two months off.")
                % days
            )
        last = issuer.invoices.issued().aggregate(Max("issued_on"))["issued_on__max"]
        if last and issue_on < last:
            odd.append(
                gettext("The invoice date %(issue_on)s lies before %(last)s, that of the last issued document.")
                % {**days, "last": figures.day(last)}
            )
        return odd


@dataclass(frozen=True, slots=True)
class Button:
    """Something that can be done with a run: one POST, one station, one permission."""

    verb: str
    permission: str
    work: Callable[[BillRunAdmin, HttpRequest, BillRun], None]


def outcomes_of_run(**conditions: Any) -> Any:
    return (
        Outcome.objects.filter(run=OuterRef("pk"), **conditions)
        .order_by()
        .values("run")
        .annotate(n=Count("pk"))
        .values("n")
    )


@admin.register(BillRun)
class BillRunAdmin(RecordAdmin):
    list_display = [
        "name",
        "issuer",
        "payers",
        "through",
        "progress_bar",
        "documents",
        "parked",
        "release",
        "started_by",
        "started_at",
    ]
    list_select_related = ["issuer", "payer", "started_by"]
    list_filter = [("state", ChoicesDropdownFilter), ("issuer", RelatedDropdownFilter)]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> Any:
        made = (
            Outcome.objects.filter(run=OuterRef("pk")).order_by().values("run").annotate(n=Sum("documents")).values("n")
        )
        return (
            super()
            .get_queryset(request)
            .annotate(
                pending_count=Coalesce(Subquery(outcomes_of_run(state=Outcome.State.PENDING)), 0),
                parked_count=Coalesce(Subquery(outcomes_of_run(state=Outcome.State.PARKED)), 0),
                payer_count=Coalesce(Subquery(outcomes_of_run()), 0),
                document_count=Coalesce(Subquery(made), 0),
            )
        )

    @display(description=_("invoice date"), ordering="issue_on")
    def name(self, run: BillRun) -> str:
        return figures.day(run.issue_on)

    @display(description=_("payers"))
    def payers(self, run: BillRun) -> str:
        return str(run.payer) if run.payer else gettext("all")

    @display(description=_("progress"))
    def progress_bar(self, run: Any) -> SafeString:
        done = run.payer_count - run.pending_count
        share = 100 if not run.payer_count else done * 100 // run.payer_count
        return format_html(
            '<span class="k-progress"><span class="k-bar"><span style="width:{}%"></span></span>'
            ' <span class="k-quiet">{}/{}</span></span>',
            share,
            done,
            run.payer_count,
        )

    @display(description=_("documents"))
    def documents(self, run: Any) -> SafeString:
        return figures.figure_cell(figures.number(run.document_count))

    @display(description=_("parked"))
    def parked(self, run: Any) -> SafeString:
        if not run.parked_count:
            return figures.figure_cell(figures.EMPTY)
        return format_html('<span class="k-amount k-negative">{}</span>', run.parked_count)

    @display(description=_("release"))
    def release(self, run: BillRun) -> str:
        return gettext("by itself") if run.issues_by_itself else gettext("by a person")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("invoicing.start_billrun")

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("bill/<int:payer>/", wrap(self.bill_payer_view), name="invoicing_billrun_bill_payer"),
            path("<int:object_id>/progress/", wrap(self.progress_view), name="invoicing_billrun_progress"),
            path("<int:object_id>/cancel/", wrap(self.cancel_view), name="invoicing_billrun_cancel"),
            path("<int:object_id>/<slug:verb>/do/", wrap(self.do_view), name="invoicing_billrun_do"),
            *super().get_urls(),
        ]

    def cancel_view(self, request: HttpRequest, object_id: int) -> HttpResponseBase:
        """Cancel all documents of the run."""
        return corrections.cancel_run_view(self, request, object_id)

    # Start

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        """The form that starts a run. Issuing at once needs the right to issue, too."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = StartForm(request.POST or None, initial=self.proposed_start())
        if not request.user.has_perm("invoicing.issue_invoice"):
            del form.fields["issues_by_itself"]
        if request.method == "POST" and form.is_valid():
            worked, run = self.call(request, self.start, by=request.user, **form.cleaned_data)
            if worked:
                return HttpResponseRedirect(reverse("admin:invoicing_billrun_change", args=[run.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Start a bill run"),
            "explanation": gettext(
                "Everything that is due is reckoned and laid out as drafts for you to look at. Nothing is numbered,"
                " booked or sent before you release and issue it."
            ),
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "invoicing/admin/start_run.html", context)

    def bill_payer_view(self, request: HttpRequest, payer: int) -> HttpResponseBase:
        """Bill one payer now, once it is said what that comprises."""
        return billing_now.view(self, request, payer)

    def start(self, *, issues_by_itself: bool = False, **chosen: Any) -> BillRun:
        """Open the run and wake a worker for it."""
        bill_run.refuse_slips(through=chosen["through"], issue_on=chosen["issue_on"], today=timezone.localdate())
        run = bill_run.start(issues_by_itself=issues_by_itself, **chosen)
        transactions.wake("invoicing.bill", run_id=run.pk)
        return run

    def proposed_start(self) -> dict[str, Any]:
        today = timezone.localdate()
        issuers = list(Issuer.objects.all()[:2])
        return {"issuer": issuers[0] if len(issuers) == 1 else None, "through": today, "issue_on": today}

    # Watch and decide

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """The run's page. It has no form of its own: what is done goes through ``do_view``."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not is_key(object_id):
            raise Http404
        run = get_object_or_404(self.get_queryset(request), pk=object_id)
        context = {
            **self.admin_site.each_context(request),
            **self.page(request, run),
            "opts": self.opts,
            "original": run,
            "title": gettext("Bill run of %(day)s") % {"day": figures.day(run.issue_on)},
        }
        return TemplateResponse(request, "invoicing/admin/run.html", context)

    def page(self, request: HttpRequest, run: BillRun) -> dict[str, Any]:
        progress = bill_run.progress(run)
        flags = {(flag.payer, flag.currency): flag for flag in review.compare(run)}
        drafts = (
            Invoice.objects.filter(run=run)
            .select_related("payer", "recipient")
            .order_by("payer__tree_id", "payer__lft", "id")
        )
        chosen = request.GET.get("only", "")
        if chosen in Invoice.State.values:
            drafts = drafts.filter(state=chosen)
        elif chosen in ("new", "changed"):
            drafts = drafts.filter(payer_id__in=[payer for (payer, _c), flag in flags.items() if flag.kind == chosen])
        page = Paginator(drafts, PER_PAGE).get_page(request.GET.get("p"))
        totals = review.totals(run)
        return {
            "run": run,
            "is_running": run.state == BillRun.State.RUNNING and progress.pending > 0,
            "progress": progress,
            "percent": run_figures.percent_done(progress),
            "progress_url": reverse("admin:invoicing_billrun_progress", args=[run.pk]),
            "currencies": run_figures.by_currency(totals),
            "sizes": run_figures.sizes(run),
            "page": page,
            "rows": [run_figures.row_of(invoice, flags.get((invoice.payer_id, invoice.currency))) for invoice in page],
            "only": chosen,
            "states": [(state, Invoice.State(state).label) for state in ("draft", "held", "released", "issued")],
            "flag_counts": run_figures.flag_counts(flags.values()),
            "has_flags": bool(flags),
            "gone": run_figures.gone(flags.values()),
            "parked": run.outcomes.filter(state=Outcome.State.PARKED).select_related("payer")[:200],
            "skipped": run.outcomes.filter(
                Q(state=Outcome.State.SKIPPED) | Q(state=Outcome.State.NOTHING_DUE) & ~Q(reason="")
            ).select_related("payer")[:200],
            "decisions": [run_figures.decision_of(activity) for activity in review.decisions(run)[:PER_PAGE]],
            "may": {button.verb: request.user.has_perm(button.permission) for button in BUTTONS},
            "counts": run_figures.state_counts(totals),
            "seen": review.seal(undecided(run).order_by().values_list("content_hash", flat=True)),
            "path": request.get_full_path(),
            "on_check_digits": vat_warnings.on_check_digits(run),
            "charged": [run_figures.charged_row(one) for one in vat_warnings.of_run(run)],
        }

    def progress_view(self, request: HttpRequest, object_id: int) -> JsonResponse:
        """Where the run stands, for the page's own script."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(BillRun.objects.visible_to(request.user), pk=object_id)
        progress = bill_run.progress(run)
        is_running = run.state == BillRun.State.RUNNING
        response = JsonResponse(
            {
                "percent": run_figures.percent_done(progress),
                "text": run_figures.progress_text(progress),
                "documents": progress.documents,
                "parked": progress.parked,
                "finished": not is_running or not progress.pending,
            }
        )
        response["Cache-Control"] = "no-store"
        return response

    def do_view(self, request: HttpRequest, object_id: int, verb: str) -> HttpResponseBase:
        """One decision about a run: POST only, with the verb's own permission."""
        button = next((button for button in BUTTONS if button.verb == verb), None)
        if button is None:
            raise Http404
        if request.method != "POST" or not request.user.has_perm(button.permission):
            raise PermissionDenied
        run = get_object_or_404(BillRun.objects.visible_to(request.user), pk=object_id)
        button.work(self, request, run)
        return HttpResponseRedirect(reverse("admin:invoicing_billrun_change", args=[run.pk]))

    def chosen(self, request: HttpRequest, run: BillRun) -> Any:
        """The drafts ticked on the page, or ``None`` with a message if none is."""
        keys = request.POST.getlist("invoice")
        if not keys:
            self.message_user(request, gettext("No document is selected."), messages.WARNING)
            return None
        return drafts_of(run, keys)

    def release_all(self, request: HttpRequest, run: BillRun) -> None:
        drafts = undecided(run)
        text = ngettext("%d document released.", "%d documents released.", drafts.count())
        self.decided(request, text, review.release, drafts, seen=request.POST.get("seen", ""))

    def release_chosen(self, request: HttpRequest, run: BillRun) -> None:
        drafts = self.chosen(request, run)
        if drafts is not None:
            self.decided(
                request,
                ngettext("%d document released.", "%d documents released.", drafts.count()),
                review.release,
                drafts,
            )

    def hold_chosen(self, request: HttpRequest, run: BillRun) -> None:
        reason = request.POST.get("hold_reason", "").strip()
        drafts = self.chosen(request, run)
        if drafts is None:
            return
        if not reason:
            self.message_user(request, gettext("Say why the documents are held back."), messages.WARNING)
            return
        text = ngettext("%d document held back.", "%d documents held back.", drafts.count())
        self.decided(request, text, review.hold, drafts, reason=reason)

    def set_aside_chosen(self, request: HttpRequest, run: BillRun) -> None:
        """Discard drafts; their payers wait in the run until somebody lets it bill them again."""
        drafts = self.chosen(request, run)
        if drafts is None:
            return
        text = ngettext("%d document discarded.", "%d documents discarded.", drafts.count())
        self.decided(request, text, review.discard, drafts, waits_for=why_parked(request))

    def discard_chosen(self, request: HttpRequest, run: BillRun) -> None:
        drafts = self.chosen(request, run)
        if drafts is None:
            return
        text = ngettext(
            "%d document discarded and computed again.", "%d documents discarded and computed again.", drafts.count()
        )
        self.decided(request, text, review.discard, drafts)
        transactions.wake("invoicing.bill", run_id=run.pk)

    def decided(self, request: HttpRequest, text: str, station: Callable[..., int], drafts: Any, **named: Any) -> None:
        worked, count = self.call(request, station, drafts, by=request.user, **named)
        if worked:
            self.message_user(request, text % count, messages.SUCCESS)

    def issue_released(self, request: HttpRequest, run: BillRun) -> None:
        worked, count = self.call_in_steps(request, issuing.issue_released, run, by=request.user)
        if worked:
            text = ngettext("%d document issued.", "%d documents issued.", count)
            self.message_user(request, text % count, messages.SUCCESS)

    def try_parked(self, request: HttpRequest, run: BillRun) -> None:
        """Bill the parked payers once more, now that what was wrong is mended."""
        parked = list(run.outcomes.filter(state=Outcome.State.PARKED).values_list("payer_id", flat=True))
        worked, count = self.call(request, review.again, run, parked)
        if worked:
            transactions.wake("invoicing.bill", run_id=run.pk)
            text = ngettext("%d payer is billed again.", "%d payers are billed again.", count)
            self.message_user(request, text % count, messages.SUCCESS)

    def resume(self, request: HttpRequest, run: BillRun) -> None:
        """Wake a worker for a run that stands still: nothing is done twice."""
        transactions.wake("invoicing.bill", run_id=run.pk)
        self.message_user(request, gettext("A worker was told to go on with the run."), messages.SUCCESS)


BUTTONS = [
    Button("release-all", "invoicing.release_invoice", BillRunAdmin.release_all),
    Button("release", "invoicing.release_invoice", BillRunAdmin.release_chosen),
    Button("hold", "invoicing.release_invoice", BillRunAdmin.hold_chosen),
    Button("set-aside", "invoicing.discard_invoice", BillRunAdmin.set_aside_chosen),
    Button("discard", "invoicing.discard_invoice", BillRunAdmin.discard_chosen),
    Button("issue", "invoicing.issue_invoice", BillRunAdmin.issue_released),
    Button("again", "invoicing.start_billrun", BillRunAdmin.try_parked),
    Button("resume", "invoicing.start_billrun", BillRunAdmin.resume),
]


def undecided(run: BillRun) -> Any:
    """What "release all" is about."""
    return drafts_of(run).filter(state=Invoice.State.DRAFT)


@admin.register(Outcome)
class OutcomeAdmin(AccountScoped, RecordAdmin):
    """Every payer of every run, to search through."""

    scope_accounts = ("payer",)
    list_display = ["run", "payer", "result", "documents", "lines", "reason"]
    list_select_related = ["run__issuer", "payer"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["run__issuer__reference__iexact"]
    search_accounts = ("payer",)
    search_help_text = _("Account")
    ordering = ["-run_id", "payer_id"]

    @display(description=_("outcome"), ordering="state")
    def result(self, outcome: Outcome) -> SafeString:
        return figures.badge(outcome.get_state_display(), OUTCOME_COLOURS.get(Outcome.State(outcome.state), ""))
