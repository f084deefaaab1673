"""What all screens share: who acts is on record, refusals are sentences, lists stay quick however long they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode
from zoneinfo import available_timezones

from babel import Locale
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import DatabaseError, models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from tenants.admin.numbers import NumberField, NumberInput
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.models.visibility import Visibility, is_bounded, visibility
from tenants.transactions import acting

# What the database's own guards refuse (migrations 0002_guards), and a row that somebody else holds.
REFUSALS = {
    "KO001": _("This record is issued or booked and stays as it is. It is corrected by a new record, never changed."),
    "KO002": _("The bookings of this entry do not balance. Nothing was changed."),
    "KO003": _("A document cannot be issued without its journal entry and open item. Nothing was changed."),
    "KO004": _("More would be given back than is left of it. Nothing was changed."),
    "KO005": _("The rules for e-invoices have not passed this draft. Nothing was changed."),
    "KO006": _("Accounts name this dunning policy, or one that nobody has. Nothing was changed."),
    "55P03": _("Somebody else is working on this record. Nothing was changed; try again in a moment."),
    "40P01": _("Somebody else was working on the same records. Nothing was changed; try again."),
}


def refusal_of(error: DatabaseError) -> str | None:
    """The sentence for what a guard of the database refused; ``None`` if the error is none of a guard's."""
    code = getattr(error.__cause__, "pgcode", None)
    return str(REFUSALS[code]) if code in REFUSALS else None


def is_key(text: str) -> bool:
    """Whether ``text`` may be the key of a record: ASCII digits, as many as a bigint holds in any case."""
    return re.fullmatch("[0-9]{1,18}", text) is not None


class CappedPaginator(Paginator):
    """Counts to a bound and no further: nobody turns to page 2,000, and counting takes most of the time."""

    BOUND = 10_000
    template_name = "admin/pagination_capped.html"

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows[: self.BOUND + 1].count() if isinstance(rows, QuerySet) else len(rows)

    @property
    def is_capped(self) -> bool:
        return self.count > self.BOUND


class QuietChangeList(ChangeList):
    """Says how many rows a search left, and nothing where it left all: the full count is never asked for."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


NOWHERE = {"EU", "EZ", "UN", "XA", "XB", "ZZ"}


def country_choices() -> list[tuple[str, str]]:
    """Countries by name in the active language; without the codes that stand for no country."""
    names = {str(code): str(name) for code, name in Locale.parse(get_language() or "en").territories.items()}
    choices = [
        (code, f"{name} ({code})")
        for code, name in names.items()
        if re.fullmatch("[A-Z]{2}", code) and code not in NOWHERE
    ]
    return sorted(choices, key=lambda choice: choice[1].casefold())


# Columns that hold a code out of a list the table does not know; what a record has already stays selectable.
CODES: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "currency": lambda: [(code, code) for code in settings.CURRENCIES],
    "country": country_choices,
    "time_zone": lambda: [
        (zone, zone) for zone in sorted(available_timezones()) if "/" in zone and not zone.startswith("Etc")
    ],
}


class MasterForm(forms.ModelForm):
    """Offers the codes of currencies, countries and time zones by name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.NullBooleanSelect):
                unknown, *known = field.widget.choices
                field.widget.choices = [(unknown[0], _("inherited or none")), *known]
        for name, choices in CODES.items():
            if name not in self.fields:
                continue
            field = self.fields[name]
            offered = list(choices())
            held = self.initial.get(name) or getattr(self.instance, name, "")
            if held and held not in dict(offered):
                offered.append((held, held))
            if not field.required:
                offered.insert(0, ("", str(_("inherited or none"))))
            elif not held:
                offered.insert(0, ("", "–"))
            widget = UnfoldAdminSelectWidget if name == "currency" else UnfoldAdminSelect2Widget
            field.widget = widget(choices=offered)


class AskingForm(forms.Form):
    """Asks once more where what was entered may be a slip: says what is odd about it, and wants it confirmed."""

    def oddities(self) -> list[str]:
        """Sentences; nothing if all looks as usual. Called with ``cleaned_data`` that have no errors."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        odd = [] if self.errors else self.oddities()
        if odd and not self.data.get("is_meant"):
            self.fields["is_meant"] = forms.BooleanField(
                label=_("That is what I mean"), required=False, widget=UnfoldBooleanSwitchWidget
            )
            raise forms.ValidationError(odd)
        return cleaned


NUMBERS: dict[Any, Any] = {models.DecimalField: {"form_class": NumberField, "widget": NumberInput}}


class VisibleRelatedFilter(RelatedDropdownFilter):
    """Offers the records that the user sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        seen = visibility(field.remote_field.model, request.user)
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=seen)


class BeyondBounds(OperatorError):
    """Staff with bounds would make, or move, a record that they may not see."""


class SeenOnly:
    """Rows, and what a form offers to choose from, are those that the user sees."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(visibility(self.model, request.user))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **(kwargs | seen_choices(db_field, request, kwargs)))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **(kwargs | seen_choices(db_field, request, kwargs)))


def seen_choices(db_field: Any, request: HttpRequest, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The queryset of a choice, cut down for staff with bounds."""
    if not is_bounded(request.user):
        return {}
    model = db_field.remote_field.model
    return {"queryset": kwargs.get("queryset", model._default_manager.all()).filter(visibility(model, request.user))}


def may_keep(model: type[models.Model], user: Any) -> bool:
    """Whether ``user`` may change such records at all: what all share is kept by staff without bounds."""
    return not getattr(model, "visibility", Visibility()).shared or not is_bounded(user)


class Screen(SeenOnly, ModelAdmin):
    """What lists and forms have in common, whether they change anything or only show it."""

    formfield_overrides = NUMBERS
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    paginator = CappedPaginator
    list_filter_submit = True
    list_filter_sheet = True
    compressed_fields = False
    warn_unsaved_form = True
    save_on_top = False
    # Foreign keys to accounts that a search looks through, too. Joined in one condition with OR, no index would serve;
    # so the accounts are found first.
    search_accounts: tuple[str, ...] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not (term and self.search_accounts):
            return super().get_search_results(request, queryset, search_term)
        seen = Tenant.objects.visible_to(request.user)
        found = seen.filter(Q(reference__startswith=term) | Q(name__icontains=term)).order_by()
        keys = list(found.values_list("pk", flat=True)[:500])
        condition = Q()
        for field in self.search_accounts:
            condition |= Q(**{f"{field}__in": keys})
        for lookup in self.get_search_fields(request):
            condition |= Q(**{lookup: term})
        return queryset.filter(condition), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QuietChangeList

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Filters by other records offer those that the user sees."""
        return [
            (part[0], VisibleRelatedFilter) if isinstance(part, tuple) and part[1] is RelatedDropdownFilter else part
            for part in super().get_list_filter(request)
        ]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return may_keep(self.model, request.user) and super().has_add_permission(request, *args)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_keep(self.model, request.user) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_keep(self.model, request.user) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without "delete selected": it would go past the account tree's lock, and is never what was meant."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        return self.on_record(
            request, lambda: super(Screen, self).changeform_view(request, object_id, form_url, extra_context)
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return self.on_record(request, lambda: super(Screen, self).delete_view(request, object_id, extra_context))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What staff with bounds save lies within them, whatever it names: not all that a form offers does."""
        super().save_related(request, form, formsets, change)
        if is_bounded(request.user) and not self.get_queryset(request).filter(pk=form.instance.pk).exists():
            raise BeyondBounds(
                gettext("“%(record)s” would lie beyond what you see. Nothing was changed.") % {"record": form.instance}
            )

    def on_record(self, request: HttpRequest, view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        """Run ``view`` so that the activity record names the user; a refusal becomes a message and changes nothing."""
        if request.method != "POST":
            return view()
        try:
            with acting(**self.actor(request)):
                return view()
        except OperatorError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        except DatabaseError as error:
            sentence = refusal_of(error)
            if sentence is None:
                raise
            self.message_user(request, sentence, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def actor(self, request: HttpRequest) -> dict[str, str]:
        return {
            "actor": request.user.get_username(),
            "channel": "admin",
            "reason": request.POST.get("_reason", "").strip()[:500],
        }

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Not kept twice: the activity record has it, with what was before and after."""

    log_change = log_addition

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """As for additions."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        query = urlencode({"table": self.model._meta.db_table, "row": object_id})
        return HttpResponseRedirect(f"{reverse('admin:tenants_activity_changelist')}?{query}")

    def call(
        self, request: HttpRequest, station: Callable[..., Any], *arguments: Any, **named: Any
    ) -> tuple[bool, Any]:
        """Call ``station`` once, on record. Whether it did its work, and its answer; a refusal becomes a message."""

        def on_record() -> Any:
            with acting(**self.actor(request)):
                return station(*arguments, **named)

        return self.call_in_steps(request, on_record)

    def call_in_steps(
        self, request: HttpRequest, station: Callable[..., Any], *arguments: Any, **named: Any
    ) -> tuple[bool, Any]:
        """As ``call``, for a station that commits step by step: no transaction around it."""
        try:
            return True, station(*arguments, **named)
        except OperatorError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        except DatabaseError as error:
            sentence = refusal_of(error)
            if sentence is None:
                raise
            self.message_user(request, sentence, messages.ERROR)
        return False, None

    def each(self, request: HttpRequest, queryset: Iterable[Any], station: Callable[..., Any], **named: Any) -> int:
        """Call ``station`` for each row, a transaction each; a refusal names its row. Returns how many went through."""
        done = 0
        for record in queryset:
            try:
                with acting(**self.actor(request)):
                    station(record, **named)
                done += 1
            except OperatorError as refusal:
                self.message_user(request, f"{record}: {refusal}", messages.ERROR)
            except DatabaseError as error:
                sentence = refusal_of(error)
                if sentence is None:
                    raise
                self.message_user(request, f"{record}: {sentence}", messages.ERROR)
        if done:
            done_text = ngettext("%(count)d record was worked off.", "%(count)d records were worked off.", done)
            self.message_user(request, done_text % {"count": done}, messages.SUCCESS)
        return done


class MasterAdmin(Screen):
    """Records that people keep: neither money nor state."""

    form = MasterForm


class RecordAdmin(Screen):
    """Records of money or state: shown, never edited or deleted; what is done to them is done by stations."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RowsInline(SeenOnly, TabularInline):
    """Rows that are edited on their owner's page."""

    formfield_overrides = NUMBERS
    form = MasterForm
    extra = 0
    tab = True
    hide_title = True


class RecordInline(RowsInline):
    """Rows that are only shown."""

    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
