from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config import cockpit

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/accounts/<int:key>/", admin.site.admin_view(cockpit.account), name="account"),
    path("admin/", admin.site.urls),
]
