from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from billing import api
from billing.admin import aligning, attention, metrics, unbilled
from config import account_page, account_reports, account_settings, account_vat, second_factor, tree_pages
from invoicing.admin import audit, calendar, coverage, offers, vat, what_if
from payments import hooks

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=static("kontor/icon.svg"))),  # asked for beside a PDF
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/accounts/tree/", admin.site.admin_view(tree_pages.page), name="account_tree"),
    path("admin/accounts/tree/below/", admin.site.admin_view(tree_pages.children), name="account_tree_children"),
    path("admin/accounts/tree/search/", admin.site.admin_view(tree_pages.search), name="account_tree_search"),
    path(
        "admin/accounts/<int:key>/statement/",
        admin.site.admin_view(account_reports.statement),
        name="account_statement",
    ),
    path("admin/reports/invoiced/", admin.site.admin_view(account_reports.revenue_page), name="invoiced_revenue"),
    path("admin/accounts/plans/<int:key>/", admin.site.admin_view(tree_pages.withdraw), name="withdraw_tree_change"),
    path(
        "admin/accounts/plans/<int:key>/make/",
        admin.site.admin_view(tree_pages.make_planned),
        name="make_tree_change",
    ),
    path(
        "admin/accounts/<int:key>/restructure/<str:kind>/",
        admin.site.admin_view(tree_pages.restructure),
        name="restructure",
    ),
    path("admin/accounts/<int:key>/settings/", admin.site.admin_view(account_settings.page), name="account_settings"),
    path("admin/accounts/<int:key>/align/", admin.site.admin_view(aligning.page), name="account_align"),
    path("admin/accounts/<int:key>/calendar/", admin.site.admin_view(calendar.page), name="account_calendar"),
    path("admin/accounts/<int:key>/calendar/link/", admin.site.admin_view(calendar.link), name="account_calendar_link"),
    path("calendar/<str:token>.ics", calendar.feed, name="calendar_feed"),
    path("admin/accounts/<int:key>/ask-vies/", admin.site.admin_view(account_vat.ask_vies), name="account_ask_vies"),
    path("admin/accounts/<int:key>/", admin.site.admin_view(account_page.page), name="account"),
    path("admin/contracts/<int:key>/what-if/", admin.site.admin_view(what_if.contract), name="what_if_contract"),
    path(
        "admin/contracts/<int:key>/proforma/",
        admin.site.admin_view(offers.contract_proforma),
        name="contract_proforma",
    ),
    path("admin/contracts/<int:key>/quote/", admin.site.admin_view(offers.amendment_quote), name="amendment_quote"),
    path("admin/accounts/<int:key>/proforma/", admin.site.admin_view(offers.account_proforma), name="account_proforma"),
    path("admin/prices/<int:key>/what-if/", admin.site.admin_view(what_if.price), name="what_if_price"),
    path("admin/reports/vat/", admin.site.admin_view(vat.page), name="vat_report"),
    path("admin/reports/vat/csv/", admin.site.admin_view(vat.download), name="vat_report_csv"),
    path("admin/reports/audit/", admin.site.admin_view(audit.page), name="audit"),
    path("admin/reports/audit/export/", admin.site.admin_view(audit.download), name="audit_export"),
    path("admin/reports/coverage/", admin.site.admin_view(coverage.page), name="coverage"),
    path("admin/reports/revenue/", admin.site.admin_view(metrics.page), name="metrics"),
    path("admin/reports/unbilled-usage/", admin.site.admin_view(unbilled.page), name="unbilled_usage"),
    path("admin/reports/contracts/", admin.site.admin_view(attention.page), name="contracts_attention"),
    path("admin/second-factor/", admin.site.admin_view(second_factor.staff_page), name="second_factor"),
    path("admin/", admin.site.urls),
    path("portal/", include("config.portal.urls")),
    path("api/usage", api.usage, name="usage_api"),
    path("webhooks/stripe/<int:key>/", hooks.stripe, name="stripe_webhook"),
]
