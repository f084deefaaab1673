"""Staff with bounds (an issuer, a part of the tree) reach the pages that keep to them, and no other.

Lists and forms start from ``visible_to`` by themselves (``tenants.admin.base``). A page of another making is closed to
them until it is named here, so that a new one cannot forget.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponseBase

from tenants.admin.base import RecordAdmin
from tenants.models.visibility import is_bounded

OPEN: Final = {
    "index",
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "autocomplete",
    "jsi18n",
    "toggle_sidebar",
    "second_factor",
    "account",
    "account_align",
    "account_calendar",
    "account_settings",
    "account_calendar_link",
    "account_proforma",
    "account_statement",
    "account_tree",
    "account_tree_children",
    "account_tree_search",
    "amendment_quote",
    "audit",
    "audit_export",
    "billing_changerequest_decide",
    "billing_pricenotice_pdf",
    "contract_proforma",
    "contracts_attention",
    "coverage",
    "invoicing_collectivestatement_pdf",
    "invoicing_invoice_pdf",
    "invoicing_billrun_progress",
    "invoicing_billrun_do",
    "invoiced_revenue",
    "metrics",
    "unbilled_usage",
    "payments_bankline_decide",
    "payments_bankstatement_file",
    "payments_bankstatement_import",
    "payments_letter_pdf",
    "payments_paymentrun_do",
    "payments_paymentrun_file",
    "payments_transfer_do",
    "payments_transfer_of",
    "tenants_mandate_do",
    "tenants_mandate_paper",
    "payments_payment_allocate",
    "payments_payment_enter",
    "vat_report",
    "vat_report_csv",
    "what_if_contract",
    "what_if_price",
}
SHOWN: Final = ("changelist", "change", "history", "export")
KEPT: Final = (*SHOWN, "add", "delete")


def open_pages() -> set[str]:
    """Names of the admin's pages that keep to a user's bounds."""
    names = set(OPEN)
    for model, screen in admin.site._registry.items():
        own = f"{model._meta.app_label}_{model._meta.model_name}"
        names |= {f"{own}_{page}" for page in (SHOWN if isinstance(screen, RecordAdmin) else KEPT)}
    return names


class Bounds:
    """Middleware: a page of the admin that does not know of bounds is not there for staff who have some."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any) -> None:
        match = request.resolver_match
        if match is None or not request.path.startswith("/admin/") or not request.user.is_authenticated:
            return
        if request.user.is_staff and is_bounded(request.user) and match.url_name not in open_pages():
            raise Http404
