"""One switch for all lists: the rows of one account, or of that account with all below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.contrib.admin import ListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant

ACCOUNT, BELOW = "account", "below"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a page is asked to show: ``account`` is ``None`` for all, or where there is none of that reference."""

    reference: str
    account: Tenant | None
    with_descendants: bool

    @property
    def is_unknown(self) -> bool:
        return bool(self.reference) and self.account is None

    def within(self, rows: QuerySet[Any], lookup: str) -> QuerySet[Any]:
        """The rows whose account (``lookup``) is in it; all of them where no account was asked for."""
        return rows.filter(**{f"{lookup}__in": self.tenants.order_by().values("pk")}) if self.reference else rows

    @property
    def tenants(self) -> QuerySet[Tenant]:
        """The accounts in it."""
        if self.account is None:
            return Tenant.objects.none() if self.reference else Tenant.objects.all()
        return Tenant.objects.in_scope(self.account, with_descendants=self.with_descendants)


def scope_of(request: HttpRequest) -> Scope:
    """The account (`?account=REFERENCE`) and the switch (`?below=1`) of a request, in the user's bounds."""
    reference = request.GET.get(ACCOUNT, "").strip()
    account = Tenant.objects.visible_to(request.user).filter(reference=reference).first() if reference else None
    return Scope(reference, account, request.GET.get(BELOW) == "1")


def part_misleads(request: HttpRequest, title: str) -> HttpResponseBase:
    """In place of a report that an issuer answers for, to staff who see a part of one: says why, and shows nothing."""
    context = {**admin.site.each_context(request), "title": title}
    return TemplateResponse(request, "tenants/admin/part_misleads.html", context, status=403)


class ScopeFilter(ListFilter):
    """Keeps account and switch when other filters are used; its own field stands above the list."""

    title = _("account")
    template = "tenants/admin/scope_kept.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.scope = scope_of(request)
        self.in_scope = model_admin.in_scope
        for name in self.expected_parameters():
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def expected_parameters(self) -> list[str | None]:
        return [ACCOUNT, BELOW]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        for name in (ACCOUNT, BELOW):
            if self.used_parameters.get(name):
                yield {"name": name, "value": self.used_parameters[name]}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.scope.reference:
            return queryset
        return queryset.filter(self.in_scope(self.scope.tenants.order_by().values("pk")))


class AccountScoped:
    """A list that can be cut down to one account, or to it with all below. Stands before the screen's class."""

    scope_accounts: tuple[str, ...] = ()  # foreign keys to accounts; each suffices
    list_before_template = "tenants/admin/scope.html"

    def in_scope(self, accounts: QuerySet[Any]) -> Q:
        """The condition on rows that belong to ``accounts`` (their keys)."""
        return reduce(or_, [Q(**{f"{lookup}__in": accounts}) for lookup in self.scope_accounts], Q())

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [ScopeFilter, *super().get_list_filter(request)]  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        kept = [(name, value) for name, value in request.GET.items() if name not in (ACCOUNT, BELOW, "p")]
        context = (extra_context or {}) | {"scope": scope_of(request), "scope_kept": kept}
        return super().changelist_view(request, context)  # type: ignore[misc, no-any-return]
