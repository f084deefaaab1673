"""The account tree on one page, and the pages on which accounts are moved, merged, split and closed."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from billing.admin.amendments import AccountField
from config import restructuring
from config.restructuring import RIGHT
from tenants.admin import figures
from tenants.admin.accounts import STATUS_COLOURS, setting_text
from tenants.admin.base import is_key
from tenants.errors import OperatorError
from tenants.models import Access, NotificationPreference, Tenant, TreeChange
from tenants.models.tenant import TenantQuerySet

AT_ONCE = 200  # children that are shown before somebody asks for more
FOUND = 50

TITLES = {
    TreeChange.Kind.MOVE: _("Move %(account)s"),
    TreeChange.Kind.MERGE: _("Merge %(account)s into another account"),
    TreeChange.Kind.SPLIT: _("Split %(account)s"),
    TreeChange.Kind.CLOSE: _("Close %(account)s"),
}
VERBS = {
    TreeChange.Kind.MOVE: _("Move"),
    TreeChange.Kind.MERGE: _("Merge"),
    TreeChange.Kind.SPLIT: _("Split"),
    TreeChange.Kind.CLOSE: _("Close"),
}


class TooEarly(OperatorError):
    """A planned change is made on its day, not before."""


# The tree


def seen_by(request: HttpRequest) -> TenantQuerySet:
    """The accounts of the user's bounds; refused without the right to see accounts."""
    if not request.user.has_perm("tenants.view_tenant"):
        raise PermissionDenied
    found: TenantQuerySet = Tenant.objects.visible_to(request.user)
    return found


def page(request: HttpRequest) -> HttpResponse:
    """The tree; what is below an account comes when it is opened."""
    seen_by(request)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Account tree"),
        "may_move": request.user.has_perm(RIGHT),
    }
    return TemplateResponse(request, "admin/account_tree.html", context)


def children(request: HttpRequest) -> HttpResponse:
    """The accounts below ``parent``, or at the top, from place ``after`` on; two queries however large the tree is."""
    seen = seen_by(request)
    parent, after = request.GET.get("parent", ""), request.GET.get("after", "0")
    if (parent and not is_key(parent)) or not is_key(after):
        raise Http404
    found = seen.filter(parent=int(parent)) if parent else seen.exclude(parent__in=seen)
    place = int(after)
    rows = list(found.order_by("sort_name", "pk")[place : place + AT_ONCE + 1])
    more = place + AT_ONCE if len(rows) > AT_ONCE else None
    return JsonResponse({"nodes": [node(tenant) for tenant in rows[:AT_ONCE]], "more": more})


def node(tenant: Tenant) -> dict[str, Any]:
    """An account as the tree shows it; counts what is below from its numbers."""
    is_active = tenant.status == Tenant.Status.ACTIVE
    return {
        "id": tenant.pk,
        "reference": tenant.reference,
        "name": tenant.name,
        "kind": tenant.get_kind_display(),
        "status": "" if is_active else tenant.get_status_display(),
        "colour": STATUS_COLOURS[Tenant.Status(tenant.status)] or "plain",
        "below": (tenant.rght - tenant.lft - 1) // 2,
        "url": reverse("account", args=[tenant.pk]),
        "move": reverse("restructure", args=[tenant.pk, TreeChange.Kind.MOVE]),
    }


def search(request: HttpRequest) -> HttpResponse:
    """Accounts by reference or name, each with the keys of those above it, topmost first."""
    seen = seen_by(request)
    term = request.GET.get("q", "").strip()
    if not term:
        return JsonResponse({"found": [], "is_cut": False})
    hits = list(
        seen.filter(Q(reference__istartswith=term) | Q(name__icontains=term)).order_by("sort_name", "pk")[: FOUND + 1]
    )
    above = Q(pk__in=[])
    for tenant in hits:
        above |= Q(tree_id=tenant.tree_id, lft__lt=tenant.lft, rght__gt=tenant.rght)
    lines = list(seen.filter(above).order_by("tree_id", "lft"))
    found = []
    for tenant in hits[:FOUND]:
        line = [a for a in lines if a.tree_id == tenant.tree_id and a.lft < tenant.lft and a.rght > tenant.rght]
        found.append(node(tenant) | {"path": [a.pk for a in line], "line": " › ".join(a.name for a in line)})
    return JsonResponse({"found": found, "is_cut": len(hits) > FOUND})


# Moving, merging, splitting, closing


class RestructuringForm(forms.Form):
    """What all kinds have in common: from when, and why."""

    effective_on = forms.DateField(label=_("from"), widget=UnfoldAdminSingleDateWidget)
    reason = forms.CharField(label=_("reason"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)
    target: Any = None

    def __init__(self, tenant: Tenant, seen: TenantQuerySet, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.tenant, self.seen = tenant, seen

    def clean_target(self) -> Tenant | None:
        target: Tenant | None = self.cleaned_data["target"]
        if target is not None and not self.seen.filter(pk=target.pk).exists():
            params = {"reference": target.reference}
            raise forms.ValidationError(_("There is no account “%(reference)s”."), params=params)
        return target

    def values(self) -> tuple[Tenant | None, dict[str, Any]]:
        """The other account, and the choices."""
        known = {"effective_on", "reason", "target"}
        return self.cleaned_data.get("target"), {k: v for k, v in self.cleaned_data.items() if k not in known}


def switch(label: Any, **options: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanSwitchWidget, **options)


def account_field(label: Any, **options: Any) -> AccountField:
    return AccountField(label=label, max_length=60, widget=UnfoldAdminTextInputWidget, **options)


class MoveForm(RestructuringForm):
    target = account_field(
        _("new parent"), required=False, help_text=_("Reference of the account; empty: it comes to stand at the top.")
    )
    follows = switch(
        _("the new parent takes the place of the old one"),
        initial=True,
        help_text=_("Where accounts above received, paid or contracted for it. Otherwise the account does so itself."),
    )
    takes_over = switch(
        _("the new payer takes over open items"),
        help_text=_("Otherwise open invoices stay with the old payer, as do documents that concern others, too."),
    )
    field_order = ["target", "effective_on", "follows", "takes_over", "reason"]


class MergeForm(RestructuringForm):
    target = account_field(_("account that takes over"))
    takes_over = switch(_("it takes over open items, too"), initial=True)
    field_order = ["target", "effective_on", "takes_over", "reason"]


class SplitForm(RestructuringForm):
    reference = forms.CharField(
        label=_("reference of the new account"), max_length=60, widget=UnfoldAdminTextInputWidget
    )
    name = forms.CharField(label=_("name of the new account"), max_length=200, widget=UnfoldAdminTextInputWidget)
    contracts = forms.TypedMultipleChoiceField(
        label=_("contracts that go there"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    children = forms.TypedMultipleChoiceField(
        label=_("accounts below that go there"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    field_order = ["reference", "name", "contracts", "children", "effective_on", "reason"]

    def __init__(self, tenant: Tenant, seen: TenantQuerySet, *arguments: Any, **options: Any) -> None:
        super().__init__(tenant, seen, *arguments, **options)
        fields: dict[str, Any] = self.fields
        running = tenant.subscriptions.filter(Q(ends_before=None) | Q(ends_before__gt=timezone.localdate()))
        fields["contracts"].choices = [(one.pk, one.reference) for one in running.order_by("reference")]
        fields["children"].choices = [(one.pk, str(one)) for one in tenant.get_children().order_by("sort_name")]


class CloseForm(RestructuringForm):
    ends_contracts = switch(_("contracts that run end on that day"))
    discards_drafts = switch(_("drafts are discarded"))
    keeps_items = switch(_("open items stay to be paid"))
    target = account_field(_("or they are taken over by"), required=False, help_text=_("Reference of the account."))
    lifts_children = switch(_("accounts below come to its parent"))
    field_order = ["effective_on", "ends_contracts", "discards_drafts", "keeps_items", "target", "lifts_children"]


FORMS: dict[str, type[RestructuringForm]] = {
    TreeChange.Kind.MOVE: MoveForm,
    TreeChange.Kind.MERGE: MergeForm,
    TreeChange.Kind.SPLIT: SplitForm,
    TreeChange.Kind.CLOSE: CloseForm,
}


def restructure(request: HttpRequest, key: int, kind: str) -> HttpResponseBase:
    """Say what is meant, see what it does, then do it: at once, or on a later day by the night.

    A GET with `?parent=` (a key, or empty for the top) shows at once what a move would do; with the header
    ``X-Fragment`` only the form and the effect come, for the dialog of the tree.
    """
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    if kind not in FORMS:
        raise Http404
    seen = seen_by(request)
    tenant: Tenant = get_object_or_404(seen, pk=key)
    today = timezone.localdate()
    if request.method == "POST":
        form = FORMS[kind](tenant, seen, request.POST)
    elif "parent" in request.GET:
        form = FORMS[kind](tenant, seen, dropped(request, seen, today))
    else:
        form = FORMS[kind](tenant, seen, initial={"effective_on": today})
    effect = None
    if form.is_bound and form.is_valid():
        target, options = form.values()
        on = form.cleaned_data["effective_on"]
        try:
            if "_confirm" in request.POST:
                sentence = make(request, kind, tenant, target, options, on, today, form.cleaned_data["reason"])
                return done(request, tenant, sentence)
            effect = restructuring.preview(kind, tenant, target, options, on=on, by=request.user)  # type: ignore[arg-type]
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
    context = {
        **admin.site.each_context(request),
        "title": TITLES[TreeChange.Kind(kind)] % {"account": tenant.reference},
        "tenant": tenant,
        "form": form,
        "kind": kind,
        "verb": VERBS[TreeChange.Kind(kind)],
        "action": reverse("restructure", args=[tenant.pk, kind]),
        "effect": effect and effect_rows(effect),
        "is_later": bool(effect and form.cleaned_data["effective_on"] > today),
        "is_fragment": is_fragment(request),
    }
    template = "admin/restructure_form.html" if is_fragment(request) else "admin/restructure.html"
    return TemplateResponse(request, template, context)


def dropped(request: HttpRequest, seen: TenantQuerySet, today: date) -> dict[str, Any]:
    """The form as it stands when an account was dropped on another one, or on the top."""
    parent = request.GET["parent"]
    target = get_object_or_404(seen, pk=int(parent)).reference if is_key(parent) else ""
    return {"target": target, "effective_on": today, "follows": "on", "reason": ""}


def is_fragment(request: HttpRequest) -> bool:
    return "X-Fragment" in request.headers


def make(
    request: HttpRequest,
    kind: str,
    tenant: Tenant,
    target: Tenant | None,
    options: dict[str, Any],
    on: date,
    today: date,
    reason: str,
) -> str:
    """Plan the change and, if its day has come, make it. Says what was done."""
    user: Any = request.user
    change = restructuring.plan(kind, tenant, target, options, on=on, reason=reason, by=user, channel="admin")
    if on > today:
        return gettext("Planned for %(day)s: the night makes the change.") % {"day": figures.day(on)}
    try:
        effect = restructuring.carry_out(change, by=user, channel="admin")
    except OperatorError:
        restructuring.withdraw(change, reason="", by=user, channel="admin")
        raise
    return effect.waits_for or gettext("The account tree was changed.")


def done(request: HttpRequest, tenant: Tenant, sentence: str) -> HttpResponseBase:
    if is_fragment(request):
        return JsonResponse({"said": sentence})
    messages.success(request, sentence)
    return HttpResponseRedirect(reverse("account", args=[tenant.pk]))


def planned(request: HttpRequest, key: int) -> TreeChange:
    """A change of an account in the user's bounds; its other account lies in them, too."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    seen = seen_by(request)
    found = TreeChange.objects.filter(Q(target=None) | Q(target__in=seen), tenant__in=seen)
    change: TreeChange = get_object_or_404(found, pk=key)
    return change


@require_POST
def make_planned(request: HttpRequest, key: int) -> HttpResponseBase:
    """Make a planned change whose day has come: whoever does so answers for it."""
    change = planned(request, key)
    try:
        if change.effective_on > timezone.localdate():
            raise TooEarly(gettext("It is planned for %(day)s.") % {"day": figures.day(change.effective_on)})
        effect = restructuring.carry_out(change, by=request.user, channel="admin")  # type: ignore[arg-type]
    except OperatorError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, effect.waits_for or gettext("The account tree was changed."))
    return HttpResponseRedirect(reverse("account", args=[change.tenant_id]))


@require_POST
def withdraw(request: HttpRequest, key: int) -> HttpResponseBase:
    """Give a planned change up."""
    change = planned(request, key)
    if restructuring.withdraw(change, reason="", by=request.user, channel="admin"):  # type: ignore[arg-type]
        messages.success(request, gettext("The plan was withdrawn."))
    return HttpResponseRedirect(reverse("account", args=[change.tenant_id]))


def effect_rows(effect: restructuring.Effect) -> dict[str, Any]:
    """An effect in words and figures."""
    return {
        "accounts": effect.accounts,
        "fields": [
            (one.record, field_name(one.field), shown(one.field, one.before), shown(one.field, one.after))
            for one in effect.fields
        ],
        "settings": [
            (one.record, field_name(one.field), shown(one.field, one.before), shown(one.field, one.after))
            for one in effect.settings
        ],
        "settings_left": effect.settings_left,
        "taken_over": [
            (one.document, one.before, one.after, figures.money(one.amount, one.currency)) for one in effect.taken_over
        ],
        "staying": [(one.document, one.before, figures.money(one.amount, one.currency)) for one in effect.staying],
        "contracts": [(one.contract, one.account, one.successor, figures.day(one.day)) for one in effect.contracts],
        "contacts": effect.contacts,
        "rights": [right_row(one) for one in effect.rights],
        "drafts": effect.drafts,
        "waits_for": effect.waits_for,
    }


def right_row(right: restructuring.RightCopied) -> tuple[str, str]:
    """Who gains what at the account that takes over, in words."""
    if right.kind == "scope":
        return right.who, gettext("sees this account and all below it")
    if right.kind == "access":
        fields = (Access._meta.get_field(name) for name in right.what)
        return right.who, ", ".join(str(field.verbose_name) for field in fields)  # type: ignore[union-attr]
    event, is_wanted = right.what
    wanted = gettext("is written to") if is_wanted == "True" else gettext("is not written to")
    role = gettext("Contacts: %(role)s") % {"role": NotificationPreference.Role(right.who).label}
    return role, f"{NotificationPreference.Event(event).label}: {wanted}"


def field_name(name: str) -> str:
    known = {field.name for field in Tenant._meta.get_fields()}
    return str(Tenant._meta.get_field(name).verbose_name) if name in known else name  # type: ignore[union-attr]


def shown(name: str, value: str) -> str:
    if not value or name not in {field.name for field in Tenant._meta.get_fields()}:
        return value or figures.EMPTY
    if value in ("True", "False"):
        return gettext("yes") if value == "True" else gettext("no")
    return setting_text(Tenant(), name, value)
