"""Databases for tests: migrated once per state of the migrations by the owner, used as the application's role."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from config import env, servers
from tests.databases import copy_database, database_url, drop_database, migrated_template, use_database

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_BOOK = ROOT.parent / "shared" / "samples" / "book"


def pytest_configure(config: pytest.Config) -> None:
    servers.ensure(env.home(), env.embedded())


@pytest.fixture(scope="session")
def sample_book() -> Path:
    """The folder of the sample book, beside the checkout."""
    if not SAMPLE_BOOK.is_dir():
        pytest.skip(f"the sample book is not there: {SAMPLE_BOOK}")
    return SAMPLE_BOOK


@pytest.fixture(scope="session")
def template_database(django_db_blocker) -> str:
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        template = migrated_template()
        use_database(before)
        return template


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        name = copy_database(template_database)
        use_database(name)
        yield
        use_database(before)
        drop_database(name)


@dataclass(frozen=True)
class OwnDatabase:
    """A database of one test's own, where it may commit; ``environment`` lets other processes use it, too."""

    name: str
    environment: dict[str, str]


@pytest.fixture
def own_database(template_database: str, django_db_blocker, tmp_path: Path) -> Iterator[OwnDatabase]:
    """Real commits, seen by other processes: a fresh copy of the migrated database, dropped afterwards."""
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        name = copy_database(template_database)
        use_database(name)
        environment = os.environ | {
            "DATABASE_URL": database_url("default", name),
            "DATABASE_OWNER_URL": database_url("owner", name),
            "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
        }
        try:
            yield OwnDatabase(name, environment)
        finally:
            use_database(before)
            drop_database(name)


@pytest.fixture(autouse=True)
def no_language_left() -> Iterator[None]:
    """A request leaves its language active in the thread; the next test starts without."""
    yield
    translation.deactivate()
