from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TenantsApp(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Customers")
