from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from billing.admin import metrics
from config import cockpit
from invoicing.admin import coverage, what_if

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=static("kontor/icon.svg"))),  # asked for beside a PDF
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/accounts/<int:key>/", admin.site.admin_view(cockpit.account), name="account"),
    path("admin/contracts/<int:key>/what-if/", admin.site.admin_view(what_if.contract), name="what_if_contract"),
    path("admin/prices/<int:key>/what-if/", admin.site.admin_view(what_if.price), name="what_if_price"),
    path("admin/reports/coverage/", admin.site.admin_view(coverage.page), name="coverage"),
    path("admin/reports/revenue/", admin.site.admin_view(metrics.page), name="metrics"),
    path("admin/", admin.site.urls),
]
