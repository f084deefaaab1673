"""Everything the product is set up with. What varies between installations comes from ``config.env``."""

from __future__ import annotations

from pathlib import Path

import environ
from django.utils.translation import gettext_lazy as _

from config import env
from config.settings.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parents[2]
HOME = env.home()
PRODUCTION = env.production()

SECRET_KEY = env.secret_key()
DEBUG = False
ALLOWED_HOSTS = env.allowed_hosts()
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if PRODUCTION else []

INSTALLED_APPS = [
    "config.apps.ConfigApp",
    "tenants.apps.TenantsApp",
    "billing.apps.BillingApp",
    "invoicing.apps.InvoicingApp",
    "payments.apps.PaymentsApp",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "mptt",
    "djmoney",
    "import_export",
    "django_celery_beat",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.headers.Headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.headers.NoNul",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.sessions.SessionRules",
    "config.bounds.Bounds",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# The application's role works, the owner's role migrates: an issued document cannot be altered by the first.
_application_url, _owner_url = env.database_urls()
_connection = {
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {"options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=10min"},
}
DATABASES = {
    "default": environ.Env.db_url_config(_application_url) | _connection,
    "owner": environ.Env.db_url_config(_owner_url) | {"TEST": {"MIRROR": "default"}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = env.broker_url()
CELERY_TASK_DEFAULT_QUEUE = env.text("CELERY_QUEUE", "celery")  # installations that share a broker differ in it
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 3600
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 12 * 3600} if CELERY_BROKER_URL.startswith("redis") else {}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "config.schedules:OneBeat"
CELERY_TIMEZONE = "Europe/Berlin"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_AGE = 10 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
PUBLIC_URL = env.text(
    "PUBLIC_URL", f"https://{ALLOWED_HOSTS[0].lstrip('.')}" if PRODUCTION else "http://localhost:8000"
)
VIES_URL = env.text("VIES_URL", "")  # empty: VAT ids count by their check digits
VIES_TIMEOUT = env.whole_number("VIES_TIMEOUT", 10)  # seconds for an answer
STRIPE_URL = env.text("STRIPE_URL", "")  # empty: Stripe's own; tests have one on this machine
STRIPE_TIMEOUT = env.whole_number("STRIPE_TIMEOUT", 20)  # seconds for an answer
STRIPE_PAGES = env.text("STRIPE_PAGES", "https://checkout.stripe.com")  # where Stripe's pages of payment are
WEBHOOKS_TO_ANYONE = env.flag("WEBHOOKS_TO_ANYONE", not PRODUCTION)  # also without TLS, and inside our own network
STAFF_NEEDS_SECOND_FACTOR = env.flag("STAFF_SECOND_FACTOR", False)
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_SSL_REDIRECT = env.flag("SSL_REDIRECT", PRODUCTION)
BEHIND_PROXY = env.flag("BEHIND_PROXY", PRODUCTION)  # whether X-Forwarded-For and -Proto come from a proxy of our own
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
X_FRAME_OPTIONS = "SAMEORIGIN"

LANGUAGE_CODE = "de"
LANGUAGES = [("de", _("German")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / app / "locale" for app in ("config", "tenants", "billing", "invoicing", "payments")]
FORMAT_MODULE_PATH = "config.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/Berlin"

CURRENCIES = ("EUR", "USD", "CHF", "GBP", "JPY", "DKK", "SEK", "NOK", "PLN", "CZK", "HUF", "RON", "BGN", "KWD", "AED")
DEFAULT_CURRENCY = "EUR"

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": HOME / "uploads"}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
FILES_ROOT = HOME / "files"
IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.MediaStorage"
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "import"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"

EMAIL_CONFIG = environ.Env.email_url_config(env.email_url())
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG.get("EMAIL_HOST", "")
EMAIL_PORT = EMAIL_CONFIG.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL_CONFIG.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = str(HOME / "mail")
EMAIL_TIMEOUT = 20

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # kombu warns that a broker behind a socket has no host name
    "loggers": {"kombu.connection": {"level": "ERROR"}},
}
