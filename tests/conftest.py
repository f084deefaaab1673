"""Databases for tests: migrated once per state of the migrations by the owner, used as the application's role."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from config import env, servers
from config.roles import grant_to_application

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


def _maintenance():
    """A connection of the owner beside the databases that are made and dropped."""
    owner = settings.DATABASES["owner"]
    connection = psycopg2.connect(
        host=owner["HOST"], port=owner["PORT"], user=owner["USER"], password=owner["PASSWORD"], dbname="postgres"
    )
    connection.autocommit = True
    return connection


def _execute(statement: str) -> None:
    connection = _maintenance()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _exists(name: str) -> bool:
    connection = _maintenance()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", [name])
            return cursor.fetchone() is not None
    finally:
        connection.close()


def _use(name: str) -> None:
    """Let both aliases speak to the database ``name`` from now on."""
    for alias in ("default", "owner"):
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
        settings.DATABASES[alias]["NAME"] = name


def _template() -> str:
    """The migrated database that all others are copied from; made once for each state of the migrations."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("*/migrations/*.py"), ROOT / "requirements.txt", ROOT / "config" / "roles.py"]):
        digest.update(path.read_bytes())
    name = f"kontor_template_{digest.hexdigest()[:12]}"
    where = hashlib.sha256(str(settings.DATABASES["owner"]["PORT"]).encode()).hexdigest()[:8]
    with (Path(tempfile.gettempdir()) / f"kontor-template-{os.getuid()}-{where}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _exists(name):
            draft = f"{name}_{uuid.uuid4().hex[:8]}"
            _execute(f"create database {draft}")
            _use(draft)
            call_command("migrate", database="owner", verbosity=0)
            grant_to_application(connections["owner"], settings.DATABASES["default"]["USER"])
            for alias in ("default", "owner"):
                connections[alias].close()
            _execute(f"alter database {draft} rename to {name}")
    return name


def _copy(template: str) -> str:
    name = f"kontor_test_{uuid.uuid4().hex[:12]}"
    with (Path(tempfile.gettempdir()) / f"{template}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a template is copied by one at a time
        _execute(f"create database {name} template {template}")
    connection = psycopg2.connect(
        **{
            key: settings.DATABASES["owner"][setting]
            for key, setting in [("host", "HOST"), ("port", "PORT"), ("user", "USER"), ("password", "PASSWORD")]
        },
        dbname=name,
    )
    with connection:
        grant_to_application(connection, settings.DATABASES["default"]["USER"])
    connection.close()
    return name


def _drop(name: str) -> None:
    _execute(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def template_database(django_db_blocker) -> str:
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        template = _template()
        _use(before)
        return template


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        name = _copy(template_database)
        _use(name)
        yield
        _use(before)
        _drop(name)


@dataclass(frozen=True)
class OwnDatabase:
    """A database of one test's own, where it may commit; ``environment`` lets other processes use it, too."""

    name: str
    environment: dict[str, str]


def _url(alias: str, name: str) -> str:
    entry = settings.DATABASES[alias]
    return f"postgres://{entry['USER']}:{entry['PASSWORD']}@{entry['HOST']}:{entry['PORT']}/{name}"


@pytest.fixture
def own_database(template_database: str, django_db_blocker, tmp_path: Path) -> Iterator[OwnDatabase]:
    """Real commits, seen by other processes: a fresh copy of the migrated database, dropped afterwards."""
    with django_db_blocker.unblock():
        before = settings.DATABASES["default"]["NAME"]
        name = _copy(template_database)
        _use(name)
        environment = os.environ | {
            "DATABASE_URL": _url("default", name),
            "DATABASE_OWNER_URL": _url("owner", name),
            "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
        }
        try:
            yield OwnDatabase(name, environment)
        finally:
            _use(before)
            _drop(name)
