"""Typed readers of the environment: the only file that reads os.environ.

KONTOR_ENV=production makes every value compulsory. Otherwise what is missing comes from the plan of the embedded
servers and from files below home(). Reading writes such a file when it does not exist yet; it never starts anything.
"""

import os
import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from config.servers.plan import Plan, private_folder, written_once
from tenants.errors import OperatorError

ROOT = Path(__file__).resolve().parent.parent


class SettingError(OperatorError):
    """A value of the environment is missing or cannot be read."""


def production() -> bool:
    return text("KONTOR_ENV", "development") == "production"


def home() -> Path:
    """The folder of this installation's state: KONTOR_HOME, or var/ in the checkout."""
    return Path(os.environ.get("KONTOR_HOME") or ROOT / "var").resolve()


def text(name: str, default: str | None = None) -> str:
    """The value of ``name``; an empty one counts as missing. Without a default it must be set."""
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise SettingError(f"{name} is not set. It is needed here: add it to the environment of the service.")
    return value


def whole_number(name: str, default: int) -> int:
    try:
        return int(text(name, str(default)))
    except ValueError:
        raise SettingError(f"{name} must be a whole number, not {os.environ[name]!r}.") from None


def flag(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").lower()
    if value not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise SettingError(f"{name} must be true or false, not {os.environ[name]!r}.")
    return value in ("1", "true", "yes", "on")


def embedded() -> frozenset[str]:
    """Which servers of our own are needed, because the environment names no other: some of "database", "broker"."""
    names = {"DATABASE_URL": "database", "CELERY_BROKER_URL": "broker"}
    missing = frozenset(server for name, server in names.items() if not text(name, ""))
    if missing and production():
        text(next(name for name, server in names.items() if server in missing))  # refuses
    return missing


def database_urls() -> tuple[str, str]:
    """The URL of the application's role, which owns nothing, and that of the owner, who migrates."""
    if "database" in embedded():
        plan = Plan.of(home())
        return plan.application_url, plan.owner_url
    application_url = text("DATABASE_URL")
    if production():
        return application_url, text("DATABASE_OWNER_URL")
    owner_url = text("DATABASE_OWNER_URL", "")
    if not owner_url:
        warnings.warn(
            "DATABASE_OWNER_URL is not set: the application works with the role that owns the tables, "
            "which could change issued documents. Production refuses this.",
            stacklevel=2,
        )
    return application_url, owner_url or application_url


def broker_url() -> str:
    """Where Celery finds its broker, in Celery's own notation."""
    if "broker" in embedded():
        return Plan.of(home()).broker_url
    return text("CELERY_BROKER_URL")


def email_url() -> str:
    """Where mail goes, in django-environ's notation; in development into files below home()/mail."""
    return _required_in_production("EMAIL_URL", lambda: "filemail:///" + quote(str(private_folder(home() / "mail"))))


def secret_key() -> str:
    """Signs sessions and links; made once per installation in development."""
    return _required_in_production("SECRET_KEY", lambda: written_once(home() / "secret_key", secrets.token_urlsafe(50)))


def allowed_hosts() -> list[str]:
    """Names under which the pages are served: ALLOWED_HOSTS, separated by commas."""
    value = _required_in_production("ALLOWED_HOSTS", lambda: "localhost,127.0.0.1,[::1]")
    return [host.strip() for host in value.split(",") if host.strip()]


def _required_in_production(name: str, otherwise: Callable[[], str]) -> str:
    if production():
        return text(name)
    return text(name, "") or otherwise()
