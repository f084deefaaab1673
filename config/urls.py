from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from config import cockpit

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("favicon.ico", RedirectView.as_view(url=static("kontor/icon.svg"))),  # asked for beside a PDF
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/accounts/<int:key>/", admin.site.admin_view(cockpit.account), name="account"),
    path("admin/", admin.site.urls),
]
