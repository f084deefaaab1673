"""The admin's look and its way through the house: in the order in which a contract becomes an invoice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def may_view(model: str) -> Callable[[HttpRequest], bool]:
    """Whether the user sees the records of ``model`` ("app.model")."""
    app, _dot, name = model.partition(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")


def listed(title: Any, icon: str, model: str, **more: Any) -> dict[str, Any]:
    app, _dot, name = model.partition(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": may_view(model),
        **more,
    }


def page(title: Any, icon: str, name: str, model: str) -> dict[str, Any]:
    """A page of its own, for who sees the records of ``model``."""
    return {"title": title, "icon": icon, "link": reverse_lazy(name), "permission": may_view(model)}


SIDEBAR = [
    {
        "items": [{"title": _("Overview"), "icon": "space_dashboard", "link": reverse_lazy("admin:index")}],
    },
    {
        "title": _("Customers"),
        "separator": True,
        "items": [
            listed(_("Accounts"), "account_tree", "tenants.tenant"),
            page(_("Account tree"), "lan", "account_tree", "tenants.tenant"),
            listed(_("Contracts"), "contract", "billing.subscription"),
            listed(_("Contract changes"), "edit_calendar", "billing.amendment"),
            listed(_("Customer requests"), "contact_support", "billing.changerequest"),
        ],
    },
    {
        "title": _("Catalog"),
        "separator": True,
        "items": [
            listed(_("Products"), "inventory_2", "billing.product"),
            listed(_("Prices"), "sell", "billing.price"),
            listed(_("Price classes"), "view_column", "billing.priceclass"),
            listed(_("Discounts"), "percent", "billing.discount"),
            listed(_("Discounts of accounts"), "loyalty", "billing.grant"),
            listed(_("Price campaigns"), "campaign", "billing.pricecampaign"),
        ],
    },
    {
        "title": _("Usage"),
        "separator": True,
        "items": [
            listed(_("Usage events"), "bolt", "billing.usageevent"),
            listed(_("Usage by day"), "calendar_view_day", "billing.usagetotal"),
            listed(_("Usage batches"), "move_to_inbox", "billing.usagebatch"),
            listed(_("Applications"), "apps", "billing.application"),
            listed(_("Meters"), "speed", "billing.meter"),
            listed(_("Usage sources"), "sensors", "billing.usagesource"),
            listed(_("Usage tokens"), "key", "billing.usagetoken"),
        ],
    },
    {
        "title": _("Billing"),
        "separator": True,
        "items": [
            listed(_("Bill runs"), "play_circle", "invoicing.billrun"),
            listed(_("Documents"), "receipt_long", "invoicing.invoice"),
            listed(_("Collective statements"), "format_list_bulleted", "invoicing.collectivestatement"),
            listed(_("Approvals"), "how_to_reg", "tenants.approval"),
            listed(_("Charges"), "calculate", "billing.charge"),
            listed(_("Messages"), "mail", "tenants.message"),
        ],
    },
    {
        "title": _("Books"),
        "separator": True,
        "items": [
            listed(_("Open items"), "pending_actions", "invoicing.openitem"),
            listed(_("Wanted refunds"), "currency_exchange", "invoicing.refundrequest"),
            listed(_("Journal"), "menu_book", "invoicing.journalentry"),
            listed(_("Ledger accounts"), "account_balance", "invoicing.ledgeraccount"),
            listed(_("Tax rules"), "gavel", "invoicing.taxrule"),
            listed(_("VAT rates"), "percent", "invoicing.taxrate"),
            listed(_("Exchange rates"), "currency_exchange", "invoicing.exchangerate"),
        ],
    },
    {
        "title": _("Payments"),
        "separator": True,
        "items": [
            listed(_("Bank lines"), "playlist_add_check", "payments.bankline"),
            listed(_("Payments"), "payments", "payments.payment"),
            listed(_("Payment runs"), "account_balance", "payments.paymentrun"),
            listed(_("Collection attempts"), "download", "payments.collection"),
            listed(_("Mandates"), "signature", "tenants.mandate"),
            listed(_("Refunds by transfer"), "undo", "payments.transfer"),
            listed(_("Collection blocks"), "block", "payments.collectionblock"),
            listed(_("Payment methods"), "credit_card", "payments.paymentmethod"),
            listed(_("Refunds by the provider"), "undo", "payments.providerrefund"),
            listed(_("Events of the provider"), "notifications", "payments.eventhandling"),
            listed(_("Payouts"), "account_balance_wallet", "payments.providerpayout"),
            listed(_("Differences to the provider"), "balance", "payments.providerfinding"),
            listed(_("Comparisons with the provider"), "fact_check", "payments.providercomparison"),
            listed(_("Accounts at providers"), "key", "payments.provideraccount"),
            listed(_("Bank statements"), "receipt", "payments.bankstatement"),
            listed(_("Bank accounts"), "account_balance_wallet", "payments.bankaccount"),
            listed(_("Direct debit of issuers"), "tune", "tenants.creditor"),
        ],
    },
    {
        "title": _("Reports"),
        "separator": True,
        "items": [
            page(_("Invoiced revenue"), "payments", "invoiced_revenue", "invoicing.invoice"),
            page(_("Recurring revenue"), "trending_up", "metrics", "billing.subscription"),
            page(_("Contracts to look at"), "hourglass_top", "contracts_attention", "billing.subscription"),
            page(_("Coverage"), "fact_check", "coverage", "billing.charge"),
            page(_("Usage nobody is billed for"), "help_center", "unbilled_usage", "billing.usageevent"),
            page(_("VAT report"), "percent", "vat_report", "invoicing.vatshare"),
            listed(_("VAT id inquiries"), "travel_explore", "tenants.vatinquiry"),
            page(_("Tax audit"), "policy", "audit", "invoicing.numberrange"),
        ],
    },
    {
        "title": _("Dunning"),
        "separator": True,
        "items": [
            listed(_("Dunning runs"), "notification_important", "payments.dunningrun"),
            listed(_("Reminder letters"), "drafts", "payments.letter"),
            listed(_("Disputes"), "gavel", "payments.dispute"),
            listed(_("Dunning blocks"), "block", "payments.dunningblock"),
            listed(_("Dunning policies"), "rule", "payments.dunningpolicy"),
        ],
    },
    {
        "title": _("Data and settings"),
        "separator": True,
        "items": [
            listed(_("Imports"), "upload_file", "tenants.importbatch"),
            listed(_("Activities"), "history", "tenants.activity"),
            listed(_("Issuers"), "store", "tenants.issuer"),
            listed(_("Letterheads"), "branding_watermark", "invoicing.letterhead"),
            listed(_("Texts of letters"), "edit_note", "invoicing.lettertext"),
            listed(_("Number ranges"), "tag", "invoicing.numberrange"),
            listed(_("Webhook endpoints"), "webhook", "tenants.webhookendpoint"),
            listed(_("Webhook messages"), "outbound", "tenants.webhookmessage"),
            listed(_("Timetable"), "schedule", "django_celery_beat.periodictask"),
            listed(_("Users"), "person", "auth.user"),
            listed(_("Roles"), "groups", "auth.group"),
        ],
    },
]

UNFOLD = {
    "ACCOUNT": {"navigation": [{"title": _("Second factor"), "link": reverse_lazy("second_factor")}]},
    "LOGIN": {"form": "config.sign_in.StaffSignInForm"},
    "SITE_TITLE": "Kontor",
    "SITE_HEADER": "Kontor",
    "SITE_SUBHEADER": _("Billing back office"),
    "SITE_SYMBOL": "receipt_long",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("kontor/icon.svg")},
    ],
    "STYLES": [lambda request: static("kontor/kontor.css")],
    "SCRIPTS": [lambda request: static("kontor/kontor.js")],
    "DASHBOARD_CALLBACK": "config.cockpit.overview",
    "COLORS": {
        "primary": {
            "50": "oklch(97.2% .012 230)",
            "100": "oklch(94% .028 230)",
            "200": "oklch(88.5% .055 230)",
            "300": "oklch(80% .09 230)",
            "400": "oklch(69% .115 232)",
            "500": "oklch(58% .115 236)",
            "600": "oklch(49% .11 240)",
            "700": "oklch(42.5% .095 242)",
            "800": "oklch(37% .078 243)",
            "900": "oklch(32% .062 244)",
            "950": "oklch(23% .045 246)",
        },
    },
    "SIDEBAR": {"show_search": False, "command_search": False, "show_all_applications": False, "navigation": SIDEBAR},
}
